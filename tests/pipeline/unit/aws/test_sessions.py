"""Sessions: refreshing credentials, and denials that say who was denied."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError

from xacct_assets.aws.botocore_errors import aws_call
from xacct_assets.aws.credentials import RenewableCredentials
from xacct_assets.aws.errors import CredentialsProblem
from xacct_assets.aws.sessions import Sessions

ROLE = "arn:aws:iam::111111111111:role/reader"


@pytest.fixture
def sessions(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    return Sessions("us-east-1")


def answer(client, operation, http_status, parsed):
    """Have an operation of a real client answered without sending anything."""

    class Http:
        status_code = http_status

    client.meta.events.register(
        f"before-call.{client.meta.service_model.service_id.hyphenize()}.{operation}",
        lambda **_: (Http, parsed),
    )


def test_a_client_is_made_once_per_service_and_role(sessions):
    assert sessions.client("s3") is sessions.client("s3")
    assert sessions.client("s3") is not sessions.client("s3", role_arn=ROLE)


def test_a_missing_profile_is_named():
    with pytest.raises(CredentialsProblem, match="nobody-has-this"):
        Sessions("us-east-1", "nobody-has-this").client("s3")


def test_the_identity_is_account_and_principal(sessions):
    answer(
        sessions.client("sts"),
        "GetCallerIdentity",
        200,
        {"Account": "222222222222", "Arn": "arn:aws:iam::222222222222:user/me"},
    )
    assert sessions.identity() == ("222222222222", "arn:aws:iam::222222222222:user/me")


def test_a_denial_says_who_was_denied(sessions):
    answer(sessions.client("sts"), "GetCallerIdentity", 200, {"Arn": "arn:me", "Account": "2"})
    s3 = sessions.client("s3")
    answer(
        s3,
        "ListObjectsV2",
        403,
        {
            "Error": {"Code": "AccessDenied", "Message": "Access Denied"},
            "ResponseMetadata": {"HTTPStatusCode": 403},
        },
    )
    with pytest.raises(ClientError) as caught:
        s3.list_objects_v2(Bucket="raw")
    assert caught.value.response["Error"]["Principal"] == "arn:me"


def test_an_answer_with_an_error_text_of_its_own_is_no_denial(sessions):
    client = sessions.client("redshift-data")
    answer(client, "DescribeStatement", 200, {"Id": "1", "Status": "FAILED", "Error": "no table"})
    statement = "d9b6c0c9-0747-4bf4-b142-e8883122f766"
    assert client.describe_statement(Id=statement)["Error"] == "no table"


def test_an_assumed_role_is_assumed_when_used_and_again_before_its_end(sessions):
    asked = []

    def give(params, **_):
        asked.append(params["body"])
        expires = datetime.now(UTC) + timedelta(minutes=5 if len(asked) == 1 else 60)
        return (
            type("Http", (), {"status_code": 200}),
            {
                "Credentials": {
                    "AccessKeyId": f"ASIA{len(asked)}",
                    "SecretAccessKey": "x",
                    "SessionToken": "y",
                    "Expiration": expires,
                }
            },
        )

    sessions.client("sts").meta.events.register("before-call.sts.AssumeRole", give)
    client = sessions.client("s3", role_arn=ROLE, external_id="outside")
    assert asked == []
    client.generate_presigned_url("list_buckets")
    assert asked[0]["ExternalId"] == "outside"
    # Five minutes are too few to go on with: the second use asks again.
    url = client.generate_presigned_url("list_buckets")
    assert "ASIA2" in url
    client.generate_presigned_url("list_buckets")
    assert len(asked) == 2


def key_of(request):
    """The access key id that a request was signed with."""
    return request.headers["Authorization"].decode().split("Credential=")[1].split("/")[0]


def http_answer(request, status, body):
    raw = io.BytesIO(body)
    raw.stream = lambda *_: [raw.read()]
    return AWSResponse(request.url, status, {}, raw)


class Hours:
    """A clock of hours, and a role's credentials that last for one each."""

    def __init__(self, sessions):
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.ends: dict[str, datetime] = {}
        sessions.client("sts").meta.events.register("before-call.sts.AssumeRole", self.give)

    def give(self, **_):
        key = f"ASIA{len(self.ends):04}"
        self.ends[key] = self.now + timedelta(hours=1)
        credentials = {
            "AccessKeyId": key,
            "SecretAccessKey": "x",
            "SessionToken": "y",
            "Expiration": self.ends[key],
        }
        return type("Http", (), {"status_code": 200}), {"Credentials": credentials}


def test_a_run_of_six_hours_never_signs_with_credentials_that_have_ended(sessions):
    hours = Hours(sessions)
    sessions._now = lambda: hours.now
    client = sessions.client("glue", role_arn=ROLE)
    signed = []

    def look(request, **_):
        signed.append((hours.now, hours.ends[key_of(request)]))
        return http_answer(request, 200, b"{}")

    client.meta.events.register("before-send.glue.GetJobRun", look)
    for _ in range(6 * 60):
        client.get_job_run(JobName="load", RunId="jr_1")
        hours.now += timedelta(minutes=1)
    assert len(signed) == 6 * 60
    assert all(now < end for now, end in signed)
    assert 6 <= len(hours.ends) <= 9


def expired(request_keys, refusals):
    """Refuses the first requests of a client as signed with credentials that have ended."""

    def send(request, **_):
        request_keys.append(key_of(request))
        if len(request_keys) > refusals:
            return http_answer(request, 200, b"{}")
        body = b'{"__type": "ExpiredTokenException", "message": "ended"}'
        return http_answer(request, 400, body)

    return send


def test_credentials_that_a_service_calls_ended_are_looked_for_anew(sessions, monkeypatch):
    glue, keys = sessions.client("glue"), []
    glue.meta.events.register("before-send.glue.GetCrawler", expired(keys, 1))
    # What had been read from the environment is rotated by somebody meanwhile.
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAROTATED")
    assert "Crawler" not in glue.get_crawler(Name="c")
    assert keys == ["AKIAEXAMPLE", "AKIAROTATED"]


def test_a_statement_s_own_error_is_no_end_of_credentials():
    credentials = RenewableCredentials(None, lambda: pytest.fail("looked for anew"))
    described = {"Status": "FAILED", "Error": "relation does not exist"}
    assert credentials.renew_if_ended((None, described), attempts=1) is None


def test_a_role_whose_session_was_revoked_is_assumed_again(sessions):
    hours, keys = Hours(sessions), []
    sessions._now = lambda: hours.now
    glue = sessions.client("glue", role_arn=ROLE)
    glue.meta.events.register("before-send.glue.GetCrawler", expired(keys, 1))
    glue.get_crawler(Name="c")
    assert keys == ["ASIA0000", "ASIA0001"]


def test_credentials_that_stay_ended_are_told_and_not_asked_for_without_end(sessions):
    glue, keys = sessions.client("glue"), []
    glue.meta.events.register("before-send.glue.GetCrawler", expired(keys, 100))
    with pytest.raises(CredentialsProblem, match="ended"), aws_call("glue:GetCrawler", "c"):
        glue.get_crawler(Name="c")
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("shown", "meant"),
    [
        ("2026-01-31T23:59:58.703Z", datetime(2026, 1, 31, 23, 59, 58, 703000, UTC)),
        ("2026-01-31T23:59:58Z", datetime(2026, 1, 31, 23, 59, 58, tzinfo=UTC)),
        ("2026-02-01T01:29:58+01:30", datetime(2026, 1, 31, 23, 59, 58, tzinfo=UTC)),
        ("Sat, 31 Jan 2026 23:59:58 GMT", datetime(2026, 1, 31, 23, 59, 58, tzinfo=UTC)),
        ("1769903998", datetime(2026, 1, 31, 23, 59, 58, tzinfo=UTC)),
        ("20260131", datetime.fromtimestamp(20260131, UTC)),
    ],
)
def test_times_are_read_as_botocore_reads_them(sessions, shown, meant):
    class Body:
        def stream(self, **_):
            yield (
                f"<ListBucketResult><Contents><Key>k</Key><LastModified>{shown}</LastModified>"
                "</Contents></ListBucketResult>"
            ).encode()

    client = sessions.client("s3")
    client.meta.events.register(
        "before-send.s3.ListObjectsV2",
        lambda request, **_: AWSResponse(request.url, 200, {}, Body()),
    )
    assert client.list_objects_v2(Bucket="raw")["Contents"][0]["LastModified"] == meant
