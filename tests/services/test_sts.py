"""STS through real boto3 clients: temporary keys really work, and really end."""

import datetime as dt

import pytest
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::123456789012:role/AmazonSageMaker-ExecutionRole-farero"


def refusal(call, **arguments):
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def client_with(cloud, service, credentials):
    return cloud.client(
        service,
        key=credentials["AccessKeyId"],
        secret=credentials["SecretAccessKey"],
        token=credentials["SessionToken"],
    )


def test_the_owner_is_a_session_of_the_execution_role(cloud):
    answer = cloud.client("sts").get_caller_identity()

    assert answer["Account"] == "123456789012"
    assert answer["Arn"] == (
        "arn:aws:sts::123456789012:assumed-role/AmazonSageMaker-ExecutionRole-farero/owner"
    )
    assert answer["UserId"].startswith("AROA")
    assert answer["UserId"].endswith(":owner")


def test_assumed_role_signs_as_that_role_until_it_ends(cloud):
    answer = cloud.client("sts").assume_role(
        RoleArn=ROLE, RoleSessionName="job", DurationSeconds=900
    )

    sts = client_with(cloud, "sts", answer["Credentials"])

    left = answer["Credentials"]["Expiration"] - dt.datetime.now(dt.UTC)
    assert dt.timedelta(seconds=890) < left <= dt.timedelta(seconds=901)
    assert sts.get_caller_identity()["Arn"] == answer["AssumedRoleUser"]["Arn"]
    assert answer["AssumedRoleUser"]["Arn"].endswith("/AmazonSageMaker-ExecutionRole-farero/job")


def test_ended_session_is_refused(cloud):
    ended = cloud.app.credentials.assume(ROLE, "job", dt.timedelta(seconds=-1))
    names = {
        "AccessKeyId": ended.access_key_id,
        "SecretAccessKey": ended.secret_access_key,
        "SessionToken": ended.session_token,
    }
    sts, s3 = (client_with(cloud, name, names) for name in ("sts", "s3"))

    assert refusal(sts.get_caller_identity) == (
        "ExpiredToken",
        "The security token included in the request is expired",
    )
    assert refusal(s3.list_buckets) == ("ExpiredToken", "The provided token has expired.")


def test_key_of_a_session_without_its_token_is_refused(cloud):
    made = cloud.client("sts").get_session_token()["Credentials"]

    sts = cloud.client("sts", key=made["AccessKeyId"], secret=made["SecretAccessKey"])

    assert refusal(sts.get_caller_identity)[0] == "InvalidClientTokenId"


def test_session_token_keeps_the_caller_who_they_are(cloud):
    sts = cloud.client("sts")
    made = sts.get_session_token(DurationSeconds=900)["Credentials"]

    again = client_with(cloud, "sts", made)

    assert again.get_caller_identity()["Arn"] == sts.get_caller_identity()["Arn"]
    assert refusal(again.get_session_token) == (
        "AccessDenied",
        "Cannot call GetSessionToken with session credentials",
    )


def test_unknown_role_cannot_be_assumed(cloud):
    arn = "arn:aws:iam::123456789012:role/nobody"

    code, text = refusal(cloud.client("sts").assume_role, RoleArn=arn, RoleSessionName="job")

    assert code == "AccessDenied"
    assert text.endswith(f"is not authorized to perform: sts:AssumeRole on resource: {arn}")


def test_session_longer_than_its_role_allows_is_refused(cloud):
    answer = refusal(
        cloud.client("sts").assume_role, RoleArn=ROLE, RoleSessionName="job", DurationSeconds=43201
    )

    assert answer[0] == "ValidationError"


def test_account_of_a_key(cloud):
    sts = cloud.client("sts")

    answer = sts.get_access_key_info(AccessKeyId=cloud.owner["access_key_id"])

    assert answer["Account"] == "123456789012"
