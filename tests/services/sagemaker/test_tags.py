"""Tags through boto3."""

import pytest


def tags(bench, arn):
    return {tag["Key"]: tag["Value"] for tag in bench.client.list_tags(ResourceArn=arn)["Tags"]}


@pytest.mark.parametrize("kind", ["model", "endpoint-config", "endpoint"])
def test_tags_come_with_creation_change_and_go(bench, kind):
    given = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    if kind == "model":
        bench.client.create_model(
            ModelName="x", PrimaryContainer={"Image": bench.image}, Tags=given
        )
    elif kind == "endpoint-config":
        bench.config("x", Tags=given)
    else:
        bench.endpoint("x", Tags=given)
    arn = f"{bench.arn}{kind}/x"

    assert tags(bench, arn) == {"a": "1", "b": "2"}
    added = bench.client.add_tags(
        ResourceArn=arn, Tags=[{"Key": "b", "Value": "3"}, {"Key": "c", "Value": ""}]
    )
    assert added["Tags"] == [
        {"Key": "a", "Value": "1"},
        {"Key": "b", "Value": "3"},
        {"Key": "c", "Value": ""},
    ]
    bench.client.delete_tags(ResourceArn=arn, TagKeys=["a", "never-there"])
    assert tags(bench, arn) == {"b": "3", "c": ""}


def test_tags_go_with_their_resource(bench):
    arn = f"{bench.arn}model/x"
    bench.model("x")
    bench.client.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}])
    bench.client.delete_model(ModelName="x")
    bench.model("x")

    assert tags(bench, arn) == {}


def test_tags_are_paged(bench):
    arn = f"{bench.arn}model/m"
    bench.client.add_tags(
        ResourceArn=arn, Tags=[{"Key": f"k{n:02}", "Value": "v"} for n in range(50)]
    )

    pages = list(
        bench.client.get_paginator("list_tags").paginate(
            ResourceArn=arn, PaginationConfig={"PageSize": 50}
        )
    )

    assert [len(page["Tags"]) for page in pages] == [50]


def test_more_than_fifty_tags_are_refused_and_none_is_kept(bench, refusal):
    arn = f"{bench.arn}model/m"
    bench.client.add_tags(ResourceArn=arn, Tags=[{"Key": f"k{n}", "Value": "v"} for n in range(50)])

    assert (
        refusal(bench.client.add_tags, ResourceArn=arn, Tags=[{"Key": "z", "Value": "v"}])[0]
        == "ValidationException"
    )
    assert len(tags(bench, arn)) == 50


@pytest.mark.parametrize("operation", ["add_tags", "list_tags", "delete_tags"])
def test_tags_of_nothing_are_refused(bench, refusal, operation):
    members = {
        "add_tags": {"Tags": [{"Key": "a", "Value": "b"}]},
        "delete_tags": {"TagKeys": ["a"]},
    }

    assert refusal(
        getattr(bench.client, operation),
        ResourceArn=f"{bench.arn}endpoint-config/gone",
        **members.get(operation, {}),
    ) == (
        "ValidationException",
        f'Could not find endpoint configuration "{bench.arn}endpoint-config/gone".',
    )
