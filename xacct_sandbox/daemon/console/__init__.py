"""The sandbox's console: read-only web pages, at the addresses that the AWS Console gives them.

Links in Dagster's metadata lead to the AWS Console. With ``XACCT_CONSOLE_URL`` in ``.env`` they
lead here instead: to a job run with its log, a crawler with its crawls, rejected rows in S3. One
more page, which AWS has in CloudTrail, shows the requests that the sandbox answered.

The pages are served over plain http on 127.0.0.1, on the port after that of the AWS APIs. A browser
does not know the sandbox's certificate authority, and cannot sign requests.
"""
