"""Buckets and their configuration."""

import json

import pytest
from botocore.exceptions import ClientError


def code_of(caught):
    return (
        caught.value.response["Error"]["Code"],
        caught.value.response["ResponseMetadata"]["HTTPStatusCode"],
    )


def test_a_new_bucket_is_listed_and_found(s3, bucket):
    head = s3.head_bucket(Bucket=bucket)

    assert head["BucketRegion"] == "us-east-1"
    listed = {entry["Name"]: entry["CreationDate"] for entry in s3.list_buckets()["Buckets"]}
    assert listed[bucket].tzinfo is not None


def test_a_bucket_of_the_first_region_has_no_constraint(s3, bucket):
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None


def test_creating_ones_own_bucket_again_is_no_error_in_us_east_1(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")

    s3.create_bucket(Bucket=bucket)

    assert s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == 1


@pytest.mark.parametrize(
    "name", ["ab", "UPPER", "under_score", "a..b", "192.168.5.4", "xn--x", "x" * 64]
)
def test_bucket_names_have_rules(farero_s3, name):
    with pytest.raises(ClientError) as caught:
        farero_s3.create_bucket(Bucket=name)
    assert code_of(caught) == ("InvalidBucketName", 400)


def test_a_missing_bucket_says_404_to_head(s3):
    with pytest.raises(ClientError) as caught:
        s3.head_bucket(Bucket="no-such-bucket-here")
    assert code_of(caught) == ("404", 404)


def test_only_empty_buckets_go(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    with pytest.raises(ClientError) as caught:
        s3.delete_bucket(Bucket=bucket)
    s3.delete_object(Bucket=bucket, Key="k")
    s3.delete_bucket(Bucket=bucket)

    assert code_of(caught) == ("BucketNotEmpty", 409)
    assert bucket not in [entry["Name"] for entry in s3.list_buckets()["Buckets"]]


def test_buckets_are_listed_in_pages_and_by_prefix(farero_s3):
    for name in ("one-a", "one-b", "one-c", "two-a"):
        farero_s3.create_bucket(Bucket=name)

    pages = farero_s3.get_paginator("list_buckets").paginate(
        Prefix="one-", PaginationConfig={"PageSize": 2}
    )

    assert [[b["Name"] for b in page["Buckets"]] for page in pages] == [
        ["one-a", "one-b"],
        ["one-c"],
    ]


def test_a_wrong_location_is_refused(farero_s3):
    with pytest.raises(ClientError) as caught:
        farero_s3.create_bucket(
            Bucket="elsewhere", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
    assert code_of(caught) == ("IllegalLocationConstraintException", 400)


ABSENT = {
    "policy": ("get_bucket_policy", "NoSuchBucketPolicy"),
    "lifecycle": ("get_bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration"),
    "cors": ("get_bucket_cors", "NoSuchCORSConfiguration"),
    "tagging": ("get_bucket_tagging", "NoSuchTagSet"),
    "website": ("get_bucket_website", "NoSuchWebsiteConfiguration"),
    "replication": ("get_bucket_replication", "ReplicationConfigurationNotFoundError"),
    "object lock": ("get_object_lock_configuration", "ObjectLockConfigurationNotFoundError"),
}


@pytest.mark.parametrize(("operation", "code"), ABSENT.values(), ids=ABSENT)
def test_what_was_never_configured_is_not_found(s3, bucket, operation, code):
    with pytest.raises(ClientError) as caught:
        getattr(s3, operation)(Bucket=bucket)
    assert code_of(caught) == (code, 404)


def test_a_new_bucket_has_amazons_defaults(farero_s3):
    farero_s3.create_bucket(Bucket="fresh")

    encryption = farero_s3.get_bucket_encryption(Bucket="fresh")
    rule = encryption["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    block = farero_s3.get_public_access_block(Bucket="fresh")["PublicAccessBlockConfiguration"]
    assert all(block.values())
    ownership = farero_s3.get_bucket_ownership_controls(Bucket="fresh")["OwnershipControls"]
    assert ownership == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert farero_s3.get_bucket_request_payment(Bucket="fresh")["Payer"] == "BucketOwner"
    assert "LoggingEnabled" not in farero_s3.get_bucket_logging(Bucket="fresh")
    assert "Status" not in farero_s3.get_bucket_accelerate_configuration(Bucket="fresh")
    assert farero_s3.get_bucket_acl(Bucket="fresh")["Grants"][0]["Permission"] == "FULL_CONTROL"


DOCUMENTS = {
    "policy": (
        "bucket_policy",
        {"Policy": json.dumps({"Version": "2012-10-17", "Statement": []})},
        "Policy",
    ),
    "encryption": (
        "bucket_encryption",
        {
            "ServerSideEncryptionConfiguration": {
                "Rules": [
                    {
                        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
                        "BucketKeyEnabled": True,
                    }
                ]
            }
        },
        "ServerSideEncryptionConfiguration",
    ),
    "public access block": (
        "public_access_block",
        {
            "PublicAccessBlockConfiguration": {
                "BlockPublicAcls": True,
                "IgnorePublicAcls": False,
                "BlockPublicPolicy": True,
                "RestrictPublicBuckets": False,
            }
        },
        "PublicAccessBlockConfiguration",
    ),
    "ownership": (
        "bucket_ownership_controls",
        {"OwnershipControls": {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}},
        "OwnershipControls",
    ),
    "accelerate": (
        "bucket_accelerate_configuration",
        {"AccelerateConfiguration": {"Status": "Enabled"}},
        "Status",
    ),
    "payment": (
        "bucket_request_payment",
        {"RequestPaymentConfiguration": {"Payer": "Requester"}},
        "Payer",
    ),
    "tagging": ("bucket_tagging", {"Tagging": {"TagSet": [{"Key": "a", "Value": "1"}]}}, "TagSet"),
    "cors": (
        "bucket_cors",
        {
            "CORSConfiguration": {
                "CORSRules": [
                    {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "MaxAgeSeconds": 5}
                ]
            }
        },
        "CORSRules",
    ),
    "lifecycle": (
        "bucket_lifecycle_configuration",
        {
            "LifecycleConfiguration": {
                "Rules": [
                    {
                        "ID": "r",
                        "Status": "Enabled",
                        "Filter": {"Prefix": "tmp/"},
                        "Expiration": {"Days": 3},
                    }
                ]
            }
        },
        "Rules",
    ),
    "website": (
        "bucket_website",
        {"WebsiteConfiguration": {"IndexDocument": {"Suffix": "index.html"}}},
        "IndexDocument",
    ),
    "notification": (
        "bucket_notification_configuration",
        {
            "NotificationConfiguration": {
                "TopicConfigurations": [
                    {
                        "Id": "n",
                        "TopicArn": "arn:aws:sns:us-east-1:123456789012:t",
                        "Events": ["s3:ObjectCreated:*"],
                    }
                ]
            }
        },
        "TopicConfigurations",
    ),
    "logging": (
        "bucket_logging",
        {"BucketLoggingStatus": {"LoggingEnabled": {"TargetBucket": "logs", "TargetPrefix": "p/"}}},
        "LoggingEnabled",
    ),
}


@pytest.mark.parametrize(("noun", "document", "answer"), DOCUMENTS.values(), ids=DOCUMENTS)
def test_configuration_comes_back_as_it_was_put(farero_s3, noun, document, answer):
    farero_s3.create_bucket(Bucket="configured")
    (value,) = document.values()

    getattr(farero_s3, f"put_{noun}")(Bucket="configured", **document)
    got = getattr(farero_s3, f"get_{noun}")(Bucket="configured")

    assert got[answer] == (value if answer in document else value[answer])


@pytest.mark.parametrize(
    ("noun", "getter"),
    [
        ("bucket_policy", "bucket_policy"),
        ("bucket_cors", "bucket_cors"),
        ("bucket_tagging", "bucket_tagging"),
        ("bucket_lifecycle", "bucket_lifecycle_configuration"),
        ("bucket_website", "bucket_website"),
        ("public_access_block", "public_access_block"),
        ("bucket_ownership_controls", "bucket_ownership_controls"),
    ],
)
def test_deleted_configuration_is_not_found(farero_s3, noun, getter):
    farero_s3.create_bucket(Bucket="configured")
    documents = {entry[0]: entry[1] for entry in DOCUMENTS.values()}
    getattr(farero_s3, f"put_{getter}")(Bucket="configured", **documents[getter])

    getattr(farero_s3, f"delete_{noun}")(Bucket="configured")

    with pytest.raises(ClientError) as caught:
        getattr(farero_s3, f"get_{getter}")(Bucket="configured")
    assert code_of(caught)[1] == 404


def test_a_policy_must_be_json(s3, bucket):
    with pytest.raises(ClientError) as caught:
        s3.put_bucket_policy(Bucket=bucket, Policy="no json")
    assert code_of(caught) == ("MalformedPolicy", 400)


def test_acls_are_off(farero_s3):
    farero_s3.create_bucket(Bucket="closed")

    with pytest.raises(ClientError) as caught:
        farero_s3.put_object(Bucket="closed", Key="k", Body=b"x", ACL="public-read")

    assert code_of(caught) == ("AccessControlListNotSupported", 400)


def test_configuring_a_missing_bucket_says_so(s3):
    with pytest.raises(ClientError) as caught:
        s3.put_bucket_tagging(Bucket="no-such-bucket-here", Tagging={"TagSet": []})
    assert code_of(caught) == ("NoSuchBucket", 404)
