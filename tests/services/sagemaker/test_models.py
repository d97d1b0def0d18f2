"""Models through boto3."""

import pytest


def test_a_model_is_described_as_it_was_created(bench):
    container = {
        "Image": bench.image,
        "Environment": {"A": "b"},
        "ModelDataUrl": "s3://bucket/model.tar.gz",
    }
    vpc = {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}

    made = bench.client.create_model(
        ModelName="Iris-1", ExecutionRoleArn=bench.role, PrimaryContainer=container, VpcConfig=vpc
    )

    assert made["ModelArn"] == f"{bench.arn}model/iris-1"
    told = bench.client.describe_model(ModelName="Iris-1")
    del told["ResponseMetadata"]
    assert told == {
        "ModelName": "Iris-1",
        "PrimaryContainer": container,
        "ExecutionRoleArn": bench.role,
        "VpcConfig": vpc,
        "CreationTime": bench.clock.now(),
        "ModelArn": f"{bench.arn}model/iris-1",
        "EnableNetworkIsolation": False,
    }


def test_a_pipeline_is_kept_with_all_its_containers(bench):
    containers = [{"Image": bench.image, "ContainerHostname": name} for name in ("one", "two")]

    bench.client.create_model(
        ModelName="p", Containers=containers, InferenceExecutionConfig={"Mode": "Serial"}
    )

    told = bench.client.describe_model(ModelName="p")
    assert told["Containers"] == containers
    assert told["InferenceExecutionConfig"] == {"Mode": "Serial"}


def test_empty_structures_are_left_out(bench):
    bench.client.create_model(
        ModelName="x", PrimaryContainer={"Image": bench.image}, Containers=[], Tags=[]
    )

    assert "Containers" not in bench.client.describe_model(ModelName="x")


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (
            {
                "PrimaryContainer": {
                    "Image": "xgboost:latest",
                    "ModelDataUrl": "s3://bucket/none.tar.gz",
                }
            },
            "Could not find model data at s3://bucket/none.tar.gz.",
        ),
        (
            {
                "PrimaryContainer": {
                    "Image": "xgboost:latest",
                    "ModelDataUrl": "s3://nowhere/model.tar.gz",
                }
            },
            "Could not find model data at s3://nowhere/model.tar.gz.",
        ),
        ({}, "You must provide either PrimaryContainer or Containers."),
    ],
    ids=["object missing", "bucket missing", "no container"],
)
def test_what_could_not_run_is_refused(bench, refusal, members, message):
    assert refusal(bench.client.create_model, ModelName="x", **members) == (
        "ValidationException",
        message,
    )


def test_an_unknown_image_is_refused_with_the_known_ones(bench, refusal):
    code, message = refusal(
        bench.client.create_model,
        ModelName="x",
        PrimaryContainer={"Image": "1.dkr.ecr.x.amazonaws.com/mine:1"},
    )

    assert code == "ValidationException"
    assert message.startswith(
        "E-IMAGE: The image '1.dkr.ecr.x.amazonaws.com/mine:1' is not one that can run here."
    )
    assert "sagemaker-xgboost" in message


def test_a_name_is_taken_only_once(bench, refusal):
    assert refusal(
        bench.client.create_model, ModelName="m", PrimaryContainer={"Image": bench.image}
    ) == (
        "ValidationException",
        f'Cannot create already existing model "{bench.arn}model/m".',
    )


@pytest.mark.parametrize("operation", ["describe_model", "delete_model"])
def test_an_unknown_model_is_named_by_its_arn(bench, refusal, operation):
    assert refusal(getattr(bench.client, operation), ModelName="gone") == (
        "ValidationException",
        f'Could not find model "{bench.arn}model/gone".',
    )


def test_a_deleted_model_is_gone(bench, refusal):
    bench.client.delete_model(ModelName="m")

    assert refusal(bench.client.describe_model, ModelName="m")[0] == "ValidationException"


def names(bench, **members):
    return [model["ModelName"] for model in bench.client.list_models(**members)["Models"]]


def test_models_are_listed_newest_first_with_every_filter(bench):
    for name in ("b", "a", "other"):
        bench.model(name)
    times = {m["ModelName"]: m["CreationTime"] for m in bench.client.list_models()["Models"]}

    assert names(bench) == ["other", "a", "b", "m"]
    assert names(bench, SortOrder="Ascending") == ["m", "b", "a", "other"]
    assert names(bench, SortBy="Name", SortOrder="Ascending") == ["a", "b", "m", "other"]
    assert names(bench, NameContains="OTH") == ["other"]
    assert names(bench, CreationTimeAfter=times["a"]) == ["other", "a"]
    assert names(bench, CreationTimeBefore=times["b"]) == ["b", "m"]


def test_pages_lead_through_all_models(bench):
    for number in range(12):
        bench.model(f"m{number}")

    pages = list(
        bench.client.get_paginator("list_models").paginate(PaginationConfig={"PageSize": 5})
    )

    assert [len(page["Models"]) for page in pages] == [5, 5, 3]
    assert len({m["ModelName"] for page in pages for m in page["Models"]}) == 13
    assert len(bench.client.list_models()["Models"]) == 10


def test_a_token_that_is_none_of_ours_is_refused(bench, refusal):
    assert refusal(bench.client.list_models, NextToken="nonsense")[0] == "ValidationException"
