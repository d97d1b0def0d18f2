"""The gateway with real boto3 clients: identity, storage, errors."""

import pytest
from botocore.exceptions import ClientError


def test_the_owner_is_an_assumed_role_that_iam_knows(cloud):
    identity = cloud.client("sts").get_caller_identity()

    role = identity["Arn"].split("/")[1]
    found = cloud.client("iam").get_role(RoleName=role)["Role"]

    assert identity["Arn"] == f"arn:aws:sts::123456789012:assumed-role/{role}/owner"
    assert found["Arn"] == f"arn:aws:iam::123456789012:role/{role}"


def test_the_default_bucket_is_there_from_the_start(cloud):
    names = [bucket["Name"] for bucket in cloud.client("s3").list_buckets()["Buckets"]]

    assert names == ["sagemaker-us-east-1-123456789012"]


def test_an_object_comes_back_as_it_was_put(cloud):
    s3 = cloud.client("s3")

    s3.put_object(Bucket=cloud.bucket, Key="a/b c+ü.bin", Body=b"\x00\x01" * 1000)

    assert (
        s3.get_object(Bucket=cloud.bucket, Key="a/b c+ü.bin")["Body"].read() == b"\x00\x01" * 1000
    )


def test_a_wrong_secret_is_refused(cloud):
    with pytest.raises(ClientError) as refused:
        cloud.client("s3", secret="x" * 40).list_buckets()

    assert refused.value.response["Error"]["Code"] == "SignatureDoesNotMatch"


@pytest.mark.parametrize("service", ["s3", "sts", "iam", "sagemaker", "logs"])
def test_an_unknown_key_is_refused_by_every_service(cloud, service):
    calls = {
        "s3": "list_buckets",
        "sts": "get_caller_identity",
        "iam": "list_roles",
        "sagemaker": "list_models",
        "logs": "describe_log_groups",
    }
    with pytest.raises(ClientError) as refused:
        getattr(cloud.client(service, key="AKIAAAAAAAAAAAAAAAAA"), calls[service])()

    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 403)
    assert refused.value.response["Error"]["Code"] in (
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
    )


def test_an_operation_that_is_not_there_names_the_page(cloud):
    with pytest.raises(ClientError, match=r"docs/supported\.md") as refused:
        cloud.client("sagemaker").list_hubs()

    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert refused.value.response["Error"]["Code"] == "NotImplemented"


def test_validation_speaks_aws_words(cloud):
    with pytest.raises(ClientError) as refused:
        cloud.client("sagemaker").describe_endpoint(EndpointName="a_b")

    assert refused.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": "1 validation error detected: Value 'a_b' at 'endpointName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: ^[a-zA-Z0-9](-*[a-zA-Z0-9])*",
    }


def test_a_temporary_key_works_with_its_token_and_only_with_it(cloud):
    role = cloud.client("iam").get_role(RoleName="AmazonSageMaker-ExecutionRole-farero")["Role"][
        "Arn"
    ]
    made = cloud.client("sts").assume_role(RoleArn=role, RoleSessionName="me")["Credentials"]

    with_token = cloud.client(
        "sts", key=made["AccessKeyId"], secret=made["SecretAccessKey"], token=made["SessionToken"]
    )
    without = cloud.client("sts", key=made["AccessKeyId"], secret=made["SecretAccessKey"])

    assert with_token.get_caller_identity()["Arn"].endswith(
        "/AmazonSageMaker-ExecutionRole-farero/me"
    )
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        without.get_caller_identity()


def test_a_foreign_host_name_is_not_served(cloud):
    client = cloud.client("sts")
    client.meta.events.register_first(
        "before-send", lambda request, **_: request.headers.__setitem__("Host", "evil.example")
    )
    with pytest.raises(ClientError) as refused:
        client.get_caller_identity()

    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 421
