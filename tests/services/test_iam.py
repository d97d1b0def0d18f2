"""IAM through real boto3 clients and the whole gateway."""

import datetime as dt
import json
from urllib.parse import unquote

import pytest
from botocore.exceptions import ClientError

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sagemaker.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)
POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
    }
)
OTHER = POLICY.replace("GetObject", "PutObject")
S3_FULL = "arn:aws:iam::aws:policy/AmazonS3FullAccess"
ROLE_ARN = "arn:aws:iam::123456789012:role/r"


@pytest.fixture
def iam(cloud):
    return cloud.client("iam")


def refusal(call, **arguments):
    """The code and the text of the error that a call ends with."""
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def is_accepted(sts):
    try:
        sts.get_caller_identity()
    except ClientError:
        return False
    return True


def without_meta(answer):
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


# Users and keys


def test_user_is_returned_as_it_was_made(iam):
    made = iam.create_user(UserName="ada", Path="/team/", Tags=[{"Key": "a", "Value": "1"}])["User"]

    assert made["Arn"] == "arn:aws:iam::123456789012:user/team/ada"
    assert made["UserId"].startswith("AIDA")
    assert abs(dt.datetime.now(dt.UTC) - made["CreateDate"]) < dt.timedelta(minutes=1)
    assert iam.get_user(UserName="ada")["User"] == made


def test_users_are_listed_by_path_and_page(iam):
    for name in ("ada", "bob", "eve"):
        iam.create_user(UserName=name, Path="/team/")
    iam.create_user(UserName="zoe")

    pages = list(
        iam.get_paginator("list_users").paginate(
            PathPrefix="/team/", PaginationConfig={"PageSize": 2}
        )
    )

    assert [[u["UserName"] for u in page["Users"]] for page in pages] == [["ada", "bob"], ["eve"]]
    assert [page["IsTruncated"] for page in pages] == [True, False]


def test_user_with_a_new_name_keeps_id_key_and_group(iam, cloud):
    made = iam.create_user(UserName="ada")["User"]
    key = iam.create_access_key(UserName="ada")["AccessKey"]
    iam.create_group(GroupName="team")
    iam.add_user_to_group(GroupName="team", UserName="ada")

    iam.update_user(UserName="ada", NewUserName="lovelace")

    assert iam.get_user(UserName="lovelace")["User"]["UserId"] == made["UserId"]
    assert [u["UserName"] for u in iam.get_group(GroupName="team")["Users"]] == ["lovelace"]
    sts = cloud.client("sts", key=key["AccessKeyId"], secret=key["SecretAccessKey"])
    assert sts.get_caller_identity()["Arn"] == "arn:aws:iam::123456789012:user/lovelace"


def test_key_of_a_user_signs_for_that_user(iam, cloud):
    user = iam.create_user(UserName="ada")["User"]
    key = iam.create_access_key(UserName="ada")["AccessKey"]

    sts = cloud.client("sts", key=key["AccessKeyId"], secret=key["SecretAccessKey"])

    assert without_meta(sts.get_caller_identity()) == {
        "UserId": user["UserId"],
        "Account": "123456789012",
        "Arn": user["Arn"],
    }
    own = cloud.client("iam", key=key["AccessKeyId"], secret=key["SecretAccessKey"])
    assert own.get_user()["User"]["UserName"] == "ada"


def test_key_that_is_switched_off_stops_within_a_second_and_comes_back(iam, cloud, wait_for):
    iam.create_user(UserName="ada")
    key = iam.create_access_key(UserName="ada")["AccessKey"]
    sts = cloud.client("sts", key=key["AccessKeyId"], secret=key["SecretAccessKey"])
    sts.get_caller_identity()

    iam.update_access_key(UserName="ada", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    wait_for(lambda: not is_accepted(sts), 3)
    assert refusal(sts.get_caller_identity)[0] == "InvalidClientTokenId"

    iam.update_access_key(UserName="ada", AccessKeyId=key["AccessKeyId"], Status="Active")
    wait_for(lambda: is_accepted(sts), 3)


def test_deleted_key_stops_within_a_second(iam, cloud, wait_for):
    iam.create_user(UserName="ada")
    key = iam.create_access_key(UserName="ada")["AccessKey"]
    sts = cloud.client("sts", key=key["AccessKeyId"], secret=key["SecretAccessKey"])
    sts.get_caller_identity()

    iam.delete_access_key(UserName="ada", AccessKeyId=key["AccessKeyId"])
    wait_for(lambda: not is_accepted(sts), 3)

    assert refusal(sts.get_caller_identity)[0] == "InvalidClientTokenId"


def test_keys_are_listed_without_their_secrets(iam):
    iam.create_user(UserName="ada")
    key = iam.create_access_key(UserName="ada")["AccessKey"]

    (listed,) = iam.list_access_keys(UserName="ada")["AccessKeyMetadata"]

    assert listed == {
        "UserName": "ada", "AccessKeyId": key["AccessKeyId"], "Status": "Active",
        "CreateDate": key["CreateDate"],
    }  # fmt: skip
    last = iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])
    assert last["UserName"] == "ada"


# Roles


def test_role_is_returned_as_it_was_made(iam):
    made = iam.create_role(
        RoleName="r", AssumeRolePolicyDocument=TRUST, Description="d", MaxSessionDuration=7200
    )["Role"]

    assert made["Arn"] == ROLE_ARN
    assert made["AssumeRolePolicyDocument"] == json.loads(TRUST)
    assert iam.get_role(RoleName="R")["Role"] == made


def test_role_can_be_changed(iam):
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)

    iam.update_role(RoleName="r", Description="new", MaxSessionDuration=3601)
    iam.update_assume_role_policy(
        RoleName="r", PolicyDocument=TRUST.replace("sagemaker.", "lambda.")
    )

    role = iam.get_role(RoleName="r")["Role"]
    assert (role["Description"], role["MaxSessionDuration"]) == ("new", 3601)
    assert "lambda." in json.dumps(role["AssumeRolePolicyDocument"])


def test_default_execution_role_is_there(iam, cloud):
    arn = cloud.client("sts").get_caller_identity()["Arn"]
    name = arn.split("/")[1]

    role = iam.get_role(RoleName=name)["Role"]

    assert role["Arn"] == "arn:aws:iam::123456789012:role/AmazonSageMaker-ExecutionRole-farero"
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    assert "AmazonSageMakerFullAccess" in [policy["PolicyName"] for policy in attached]


def test_instance_profile_holds_one_role(iam):
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    iam.create_instance_profile(InstanceProfileName="p")
    iam.add_role_to_instance_profile(InstanceProfileName="p", RoleName="r")

    profile = iam.get_instance_profile(InstanceProfileName="p")["InstanceProfile"]

    assert [role["RoleName"] for role in profile["Roles"]] == ["r"]
    found = iam.list_instance_profiles_for_role(RoleName="r")["InstanceProfiles"]
    assert [p["InstanceProfileName"] for p in found] == ["p"]
    assert refusal(iam.add_role_to_instance_profile, InstanceProfileName="p", RoleName="r") == (
        "LimitExceeded",
        "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1",
    )


# Policies


@pytest.mark.parametrize("kind", ["user", "role", "group"])
def test_policies_within_and_attached(iam, kind):
    word = kind.capitalize()
    make = {"user": iam.create_user, "role": iam.create_role, "group": iam.create_group}[kind]
    make(**{f"{word}Name": "x"}, **({"AssumeRolePolicyDocument": TRUST} if kind == "role" else {}))
    named = {f"{word}Name": "x"}

    def call(operation, **more):
        return getattr(iam, operation)(**named, **more)

    call(f"put_{kind}_policy", PolicyName="inline", PolicyDocument=POLICY)
    assert call(f"list_{kind}_policies")["PolicyNames"] == ["inline"]
    found = call(f"get_{kind}_policy", PolicyName="inline")
    assert found["PolicyDocument"] == json.loads(POLICY)
    call(f"attach_{kind}_policy", PolicyArn=S3_FULL)
    call(f"attach_{kind}_policy", PolicyArn=S3_FULL)
    attached = call(f"list_attached_{kind}_policies")["AttachedPolicies"]
    assert attached == [{"PolicyName": "AmazonS3FullAccess", "PolicyArn": S3_FULL}]
    holders = iam.list_entities_for_policy(PolicyArn=S3_FULL, EntityFilter=word)[f"Policy{word}s"]
    assert "x" in [holder[f"{word}Name"] for holder in holders]
    call(f"detach_{kind}_policy", PolicyArn=S3_FULL)
    call(f"delete_{kind}_policy", PolicyName="inline")
    call(f"delete_{kind}")
    assert refusal(getattr(iam, f"get_{kind}"), **named)[0] == "NoSuchEntity"


def test_managed_policy_and_its_versions(iam):
    arn = iam.create_policy(PolicyName="p", PolicyDocument=POLICY)["Policy"]["Arn"]

    second = iam.create_policy_version(PolicyArn=arn, PolicyDocument=OTHER, SetAsDefault=True)

    assert second["PolicyVersion"]["VersionId"] == "v2"
    versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    assert [(v["VersionId"], v["IsDefaultVersion"]) for v in versions] == [
        ("v2", True),
        ("v1", False),
    ]
    said = iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]["Document"]
    assert said == json.loads(POLICY)
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
    iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
    iam.delete_policy(PolicyArn=arn)
    assert refusal(iam.get_policy, PolicyArn=arn) == (
        "NoSuchEntity",
        f"Policy {arn} was not found.",
    )


def test_policies_of_aws_are_there(iam):
    names = [
        policy["PolicyName"]
        for page in iam.get_paginator("list_policies").paginate(Scope="AWS")
        for policy in page["Policies"]
    ]

    assert {"AmazonSageMakerFullAccess", "CloudWatchFullAccess", "AmazonSNSFullAccess"} <= set(
        names
    )
    policy = iam.get_policy(PolicyArn=S3_FULL)["Policy"]
    assert policy["PolicyName"] == "AmazonS3FullAccess"
    document = iam.get_policy_version(PolicyArn=S3_FULL, VersionId=policy["DefaultVersionId"])
    assert "s3:*" in document["PolicyVersion"]["Document"]["Statement"][0]["Action"]


def test_simulator_allows_everything(iam):
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)

    answer = iam.simulate_principal_policy(
        PolicySourceArn=ROLE_ARN, ActionNames=["ecr:GetAuthorizationToken", "s3:GetObject"]
    )

    decisions = [(r["EvalActionName"], r["EvalDecision"]) for r in answer["EvaluationResults"]]
    assert decisions == [("ecr:GetAuthorizationToken", "allowed"), ("s3:GetObject", "allowed")]


@pytest.mark.parametrize("kind", ["user", "role", "policy", "instance_profile"])
def test_tags(iam, kind):
    named = {
        "user": lambda: {"UserName": iam.create_user(UserName="x")["User"]["UserName"]},
        "role": lambda: {
            "RoleName": iam.create_role(RoleName="x", AssumeRolePolicyDocument=TRUST)["Role"]["RoleName"]
        },
        "policy": lambda: {
            "PolicyArn": iam.create_policy(PolicyName="x", PolicyDocument=POLICY)["Policy"]["Arn"]
        },
        "instance_profile": lambda: {
            "InstanceProfileName": iam.create_instance_profile(InstanceProfileName="x")["InstanceProfile"]["InstanceProfileName"]
        },
    }[kind]()  # fmt: skip

    getattr(iam, f"tag_{kind}")(
        **named, Tags=[{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "1"}]
    )
    getattr(iam, f"untag_{kind}")(**named, TagKeys=["b", "never"])

    assert getattr(iam, f"list_{kind}_tags")(**named)["Tags"] == [{"Key": "a", "Value": "1"}]


# Errors


MISSING = {
    "role": ("get_role", {"RoleName": "x"}, "The role with name x cannot be found."),
    "user": ("get_user", {"UserName": "x"}, "The user with name x cannot be found."),
    "group": ("get_group", {"GroupName": "x"}, "The group with name x cannot be found."),
    "profile": ("get_instance_profile", {"InstanceProfileName": "x"}, "Instance Profile x cannot be found."),
    "key": ("get_access_key_last_used", {"AccessKeyId": "AKIAUNKNOWN000000000"}, "The Access Key with id AKIAUNKNOWN000000000 cannot be found."),
    "delete": ("delete_role", {"RoleName": "x"}, "The role with name x cannot be found."),
}  # fmt: skip


@pytest.mark.parametrize("case", MISSING)
def test_what_is_not_there_is_no_such_entity(iam, case):
    operation, arguments, text = MISSING[case]

    assert refusal(getattr(iam, operation), **arguments) == ("NoSuchEntity", text)


def test_policy_that_is_not_there_cannot_be_attached(iam):
    iam.create_user(UserName="x")
    arn = "arn:aws:iam::aws:policy/NoSuchPolicy"

    assert refusal(iam.attach_user_policy, UserName="x", PolicyArn=arn) == (
        "NoSuchEntity",
        f"Policy {arn} does not exist or is not attachable.",
    )


def test_names_are_taken_whatever_their_case(iam):
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    iam.create_policy(PolicyName="p", PolicyDocument=POLICY)

    assert refusal(iam.create_role, RoleName="R", AssumeRolePolicyDocument=TRUST) == (
        "EntityAlreadyExists",
        "Role with name R already exists.",
    )
    assert refusal(iam.create_policy, PolicyName="p", Path="/a/", PolicyDocument=POLICY) == (
        "EntityAlreadyExists",
        "A policy called p already exists. Duplicate names are not allowed.",
    )


def test_what_others_hold_on_to_cannot_be_deleted(iam):
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    arn = iam.create_policy(PolicyName="p", PolicyDocument=POLICY)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="r", PolicyArn=arn)
    iam.create_user(UserName="ada")
    iam.create_access_key(UserName="ada")

    assert refusal(iam.delete_role, RoleName="r") == (
        "DeleteConflict",
        "Cannot delete entity, must detach all policies first.",
    )
    assert refusal(iam.delete_policy, PolicyArn=arn) == (
        "DeleteConflict",
        "Cannot delete a policy attached to entities.",
    )
    assert refusal(iam.delete_user, UserName="ada") == (
        "DeleteConflict",
        "Cannot delete entity, must delete access keys first.",
    )


def test_limits(iam):
    iam.create_user(UserName="ada")
    for _ in range(2):
        iam.create_access_key(UserName="ada")
    arn = iam.create_policy(PolicyName="p", PolicyDocument=POLICY)["Policy"]["Arn"]
    for _ in range(4):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=POLICY)

    assert refusal(iam.create_access_key, UserName="ada") == (
        "LimitExceeded",
        "Cannot exceed quota for AccessKeysPerUser: 2",
    )
    assert (
        refusal(iam.create_policy_version, PolicyArn=arn, PolicyDocument=POLICY)[0]
        == "LimitExceeded"
    )


MALFORMED = {
    "no JSON": ("{", "This policy contains invalid Json"),
    "no statement": ('{"Version": "2012-10-17"}', "Syntax errors in policy."),
    "no action": (POLICY.replace("Action", "Acton"), "Policy statement must contain actions."),
    "no resource": (POLICY.replace("Resource", "Resurce"), "Policy statement must contain resources."),
    "principal": (POLICY.replace('"Effect"', '"Principal": "*", "Effect"'), "Policy document should not specify a principal."),
    "version": (POLICY.replace("2012", "2011"), "Policy document must be version 2012-10-17 or greater."),
}  # fmt: skip


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_policy_is_refused(iam, case):
    text, message = MALFORMED[case]

    assert refusal(iam.create_policy, PolicyName="p", PolicyDocument=text) == (
        "MalformedPolicyDocument",
        message,
    )


def test_malformed_trust_is_refused(iam):
    assert refusal(iam.create_role, RoleName="r", AssumeRolePolicyDocument=POLICY) == (
        "MalformedPolicyDocument",
        "Has prohibited field Resource",
    )


def test_documents_go_percent_encoded_over_the_wire(iam):
    seen = []
    iam.meta.events.register(
        "before-parse.iam.GetRole", lambda response_dict, **_: seen.append(response_dict)
    )
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)

    iam.get_role(RoleName="r")

    body = seen[0]["body"].decode()
    encoded = body.partition("<AssumeRolePolicyDocument>")[2].partition("<")[0]
    assert " " not in encoded
    assert unquote(encoded) == TRUST
