"""The SQL of a feed: written from its ``defs.yaml``, committed, and compared with it.

The committed files are the truth that `xacct deploy` applies and a DBA can run by hand.
"""
