"""AWS's own words for input that breaks the model."""

from __future__ import annotations

import pytest
from botocore.model import ServiceModel

from farero.aws.wire import models, protocol, validate
from farero.aws.wire.messages import AwsError


def target(service, operation, wire="json"):
    return protocol.Target(service, wire, operation, models.operation_model(service, operation))


def refusal(service, operation, params, wire="json"):
    with pytest.raises(AwsError) as caught:
        protocol.validate(target(service, operation, wire), params)
    assert caught.value.status == 400
    return caught.value.code, caught.value.message


def endpoint(**changes):
    return {"EndpointName": "e", "EndpointConfigName": "c"} | changes


def variant(**changes):
    return {"VariantName": "v", "ModelName": "m"} | changes


def config(*variants):
    return {"EndpointConfigName": "c", "ProductionVariants": list(variants)}


PATTERN = "Member must satisfy regular expression pattern: ^[a-zA-Z0-9](-*[a-zA-Z0-9])*"


def test_a_name_with_an_underscore_breaks_the_pattern():
    code, message = refusal("sagemaker", "CreateEndpoint", endpoint(EndpointName="a_b"))

    assert code == "ValidationException"
    assert message == (
        f"1 validation error detected: Value 'a_b' at 'endpointName' failed to satisfy constraint: {PATTERN}"
    )


def test_several_faults_are_joined():
    params = endpoint(EndpointName="a_b", EndpointConfigName="x" * 64)

    _, message = refusal("sagemaker", "CreateEndpoint", params)

    assert message == (
        f"2 validation errors detected: Value 'a_b' at 'endpointName' failed to satisfy constraint: {PATTERN}; "
        f"Value '{'x' * 64}' at 'endpointConfigName' failed to satisfy constraint: "
        "Member must have length less than or equal to 63"
    )


def test_a_missing_member_is_null():
    _, message = refusal("sagemaker", "CreateEndpoint", {"EndpointName": "e"})

    assert message == (
        "1 validation error detected: Value null at 'endpointConfigName' failed to satisfy constraint: "
        "Member must not be null"
    )


@pytest.mark.parametrize(
    ("params", "text"),
    [
        (config(), "Value '[]' at 'productionVariants' failed to satisfy constraint: Member must have length greater than or equal to 1"),
        (config(variant(VariantName="a_b")), f"Value 'a_b' at 'productionVariants.1.member.variantName' failed to satisfy constraint: {PATTERN}"),
        (config(variant(), {"ModelName": "m"}), "Value null at 'productionVariants.2.member.variantName' failed to satisfy constraint: Member must not be null"),
        (config(variant(InitialInstanceCount=0)), "Value '0' at 'productionVariants.1.member.initialInstanceCount' failed to satisfy constraint: Member must have value greater than or equal to 1"),
        (config(None), "Value null at 'productionVariants.1.member' failed to satisfy constraint: Member must not be null"),
        (config(variant(ServerlessConfig={"MemorySizeInMB": 1, "MaxConcurrency": 1})), "Value '1' at 'productionVariants.1.member.serverlessConfig.memorySizeInMB' failed to satisfy constraint: Member must have value greater than or equal to 1024"),
    ],
)  # fmt: skip
def test_nested_members_are_named_by_their_path(params, text):
    code, message = refusal("sagemaker", "CreateEndpointConfig", params)

    assert (code, message) == ("ValidationException", f"1 validation error detected: {text}")


def test_an_enum_lists_its_values():
    params = config(variant(AcceleratorType="gpu"))

    _, message = refusal("sagemaker", "CreateEndpointConfig", params)

    assert message.startswith(
        "1 validation error detected: Value 'gpu' at 'productionVariants.1.member.acceleratorType' failed to "
        "satisfy constraint: Member must satisfy enum value set: [ml.eia1.medium, ml.eia1.large, "
    )


def test_members_of_a_list_of_texts_share_one_sentence():
    params = {
        "ModelName": "m",
        "VpcConfig": {"SecurityGroupIds": ["sg 1"], "Subnets": ["subnet-1"]},
    }

    _, message = refusal("sagemaker", "CreateModel", params)

    assert message == (
        "1 validation error detected: Value '[sg 1]' at 'vpcConfig.securityGroupIds' failed to satisfy constraint: "
        "Member must satisfy constraint: [Member must have length less than or equal to 32, Member must have "
        "length greater than or equal to 0, Member must satisfy regular expression pattern: [-0-9a-zA-Z]+, "
        "Member must not be null]"
    )


def test_keys_and_values_of_a_map_are_named_apart():
    container = {"Environment": {"a-b": "x" * 2000}}
    params = {"ModelName": "m", "PrimaryContainer": container}

    _, message = refusal("sagemaker", "CreateModel", params)

    assert message.startswith("2 validation errors detected: ")
    assert (
        "at 'primaryContainer.environment' failed to satisfy constraint: Map keys must" in message
    )
    assert (
        "at 'primaryContainer.environment' failed to satisfy constraint: Map value must" in message
    )


def test_good_input_passes():
    tags = [{"Key": "équipe", "Value": "données + co"}]
    params = config(variant(InitialInstanceCount=1, InitialVariantWeight=0.5)) | {"Tags": tags}

    assert protocol.validate(target("sagemaker", "CreateEndpointConfig"), params) is None


@pytest.mark.parametrize(
    ("service", "wire", "operation", "code"),
    [
        ("iam", "query", "CreateRole", "ValidationError"),
        ("sts", "query", "AssumeRole", "ValidationError"),
        ("cloudwatch", "json", "PutMetricData", "ValidationError"),
        ("sagemaker-runtime", "rest-json", "InvokeEndpoint", "ValidationError"),
        ("logs", "json", "CreateLogGroup", "InvalidParameterException"),
        ("events", "json", "PutRule", "ValidationException"),
        ("s3", "rest-xml", "GetObject", "InvalidRequest"),
    ],
)
def test_each_service_has_its_own_code(service, wire, operation, code):
    assert refusal(service, operation, {}, wire)[0] == code


def test_the_size_of_a_payload_is_for_the_room_to_judge():
    params = {"EndpointName": "e", "Body": b"x" * 7_000_000}

    assert (
        protocol.validate(target("sagemaker-runtime", "InvokeEndpoint", "rest-json"), params)
        is None
    )


def test_s3_documents_must_be_complete():
    good = {"Bucket": "b", "Delete": {"Objects": [{"Key": "k"}]}}
    protocol.validate(target("s3", "DeleteObjects", "rest-xml"), good)

    for delete in ({}, {"Objects": [{}]}):
        bad = {"Bucket": "b", "Delete": delete}
        assert refusal("s3", "DeleteObjects", bad, "rest-xml")[0] == "MalformedXML"


def test_secrets_are_not_repeated():
    params = {"Name": "n", "SecretString": "x" * 70_000}
    operation = models.operation_model("iam", "CreateLoginProfile")
    secret = protocol.Target("iam", "query", "CreateLoginProfile", operation)

    with pytest.raises(AwsError) as caught:
        protocol.validate(secret, params | {"UserName": "u", "Password": "s3cret" * 100})

    assert "s3cret" not in caught.value.message
    assert "Value '***' at 'password'" in caught.value.message


def test_an_operation_without_input_accepts_anything():
    assert protocol.validate(protocol.Target("s3", "rest-xml", "PostObject", None), {}) is None


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (r"\p{ASCII}*", "abc~", "é"),
        (r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*", "ñ 1_a:b", "a;b"),
        (r"[\p{L}\p{M}\p{P}\p{S}]+", "a!$", "1"),
        (r"[\p{Alnum}-]+", "a-1", "_"),
        (r"^\d+$", "12", "1\u0663"),
        (r"[^\]\[]+", "ab", "a]"),
    ],
)
def test_java_patterns_mean_the_same_here(pattern, good, bad):
    compiled = validate.compile_pattern(pattern)

    assert compiled.fullmatch(good)
    assert not compiled.fullmatch(bad)


@pytest.mark.parametrize(
    "pattern", [r"[a-z&&[^b]]", r"[a[bc]]", r"\p{IsGreek}", r"[^\p{L}]", r"\Qa\E", "(", r"a\z"]
)
def test_patterns_without_a_safe_translation_are_left_out(pattern):
    assert validate.compile_pattern(pattern) is None


def test_explosive_patterns_are_left_out():
    assert validate.compile_pattern("[a-z0-9]([-a-z0-9]*[a-z0-9]){0,39}?") is None


RULES = ServiceModel(
    {
        "metadata": {},
        "shapes": {
            "In": {
                "type": "structure",
                "members": {
                    "Flags": {"shape": "Flags"},
                    "Boxes": {"shape": "Boxes"},
                    "Free": {"shape": "Free"},
                    "Data": {"shape": "Data"},
                    "Count": {"shape": "Count"},
                    "Long": {"shape": "Long"},
                },
            },
            "Flags": {"type": "list", "member": {"shape": "Flag"}},
            "Flag": {"type": "string", "enum": ["A", "B"]},
            "Boxes": {"type": "map", "key": {"shape": "Text"}, "value": {"shape": "Box"}, "max": 1},
            "Box": {
                "type": "structure",
                "required": ["Side"],
                "members": {"Side": {"shape": "Text"}},
            },
            "Text": {"type": "string"},
            "Free": {"type": "structure", "document": True, "members": {}},
            "Data": {"type": "blob", "max": 2},
            "Count": {"type": "double", "min": 0, "max": 1},
            "Long": {"type": "string", "pattern": "a+"},
        },
    }
)


@pytest.mark.parametrize(
    ("params", "texts"),
    [
        ({"Flags": ["A", "C"]}, ["Value '[A, C]' at 'flags' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [A, B], Member must not be null]"]),
        ({"Flags": ["A", "B"]}, []),
        ({"Boxes": {"a": {}}}, ["Value null at 'boxes.a.member.side' failed to satisfy constraint: Member must not be null"]),
        ({"Boxes": {"a": None}}, []),
        ({"Boxes": {"a": {"Side": "s"}, "b": None}}, ["Value '{a={Side=s}, b=null}' at 'boxes' failed to satisfy constraint: Member must have length less than or equal to 1"]),
        ({"Free": {"x": [True]}}, []),
        ({"Data": b"abc"}, ["Value 'java.nio.HeapByteBuffer' at 'data' failed to satisfy constraint: Member must have length less than or equal to 2"]),
        ({"Count": 1.5}, ["Value '1.5' at 'count' failed to satisfy constraint: Member must have value less than or equal to 1"]),
        ({"Long": "a" * 10_000}, []),
    ],
)  # fmt: skip
def test_rules_of_every_kind(params, texts):
    assert list(validate._structure(RULES.shape_for("In"), params, "")) == texts
