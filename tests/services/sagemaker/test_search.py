"""Search through boto3, and its expressions."""

import datetime as dt

import pytest

from farero.aws.services.sagemaker.search import passes


def found(bench, resource="Endpoint", **members):
    results = bench.client.search(Resource=resource, **members)["Results"]
    return [record[resource].get(f"{resource}Name") for record in results]


def expression(*filters, **members):
    return {
        "Filters": [dict(zip(("Name", "Operator", "Value"), one, strict=False)) for one in filters],
        **members,
    }


def test_endpoints_are_found_by_their_properties(bench):
    for name, status in (("one", "InService"), ("two", "Failed")):
        bench.endpoint(name, status=status, Tags=[{"Key": "team", "Value": name}])

    assert found(bench) == ["two", "one"]
    assert found(bench, SearchExpression=expression(("EndpointStatus", "Equals", "Failed"))) == [
        "two"
    ]
    assert found(bench, SearchExpression=expression(("Tags.team", "Equals", "one"))) == ["one"]
    assert found(bench, SortBy="EndpointName", SortOrder="Ascending") == ["one", "two"]


def test_models_are_found(bench):
    results = bench.client.search(
        Resource="Model", SearchExpression=expression(("ModelName", "Contains", "m"))
    )

    assert [record["Model"]["Model"]["ModelName"] for record in results["Results"]] == ["m"]


@pytest.mark.parametrize("resource", ["ModelPackageGroup", "ModelPackage", "Pipeline"])
def test_what_there_is_none_of_is_found_nowhere(bench, resource):
    name = {"ModelPackageGroup": "ModelPackageGroupName"}.get(resource, "Anything")

    answer = bench.client.search(
        Resource=resource, SearchExpression=expression((name, "Equals", "x"))
    )

    assert answer["Results"] == []


def test_pages_lead_through_all_results(bench):
    for number in range(5):
        bench.endpoint(f"e{number}")

    first = bench.client.search(Resource="Endpoint", MaxResults=3)
    second = bench.client.search(Resource="Endpoint", MaxResults=3, NextToken=first["NextToken"])

    assert [r["Endpoint"]["EndpointName"] for r in first["Results"]] == ["e4", "e3", "e2"]
    assert [r["Endpoint"]["EndpointName"] for r in second["Results"]] == ["e1", "e0"]
    assert "NextToken" not in second
    assert first["TotalHits"] == {"Value": 5, "Relation": "EqualTo"}


ITEM = {
    "Name": "iris-2",
    "Count": 3,
    "Created": dt.datetime(2026, 1, 5, 10, tzinfo=dt.UTC),
    "Channels": [{"Name": "train", "Mode": "File"}, {"Name": "test", "Mode": "Pipe"}],
    "Nested": {"Deep": "x"},
    "Tags": [{"Key": "team", "Value": "a"}],
    "HyperParameters": {"eta": "0.1"},
}


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (("Name", "Equals", "iris-2"), True),
        (("Name", "Equals", "iris"), False),
        (("Name", "NotEquals", "iris"), True),
        (("Name", "Contains", "ris"), True),
        (("Name", "In", "a, iris-2"), True),
        (("Name", "Exists"), True),
        (("Nothing", "Exists"), False),
        (("Nothing", "NotExists"), True),
        (("Nothing", "NotEquals", "x"), False),
        (("Count", "Equals", "3.0"), True),
        (("Count", "GreaterThan", "2"), True),
        (("Count", "GreaterThan", "3"), False),
        (("Count", "GreaterThanOrEqualTo", "3"), True),
        (("Count", "LessThan", "ten"), False),
        (("Count", "LessThanOrEqualTo", "3"), True),
        (("Created", "GreaterThan", "2026-01-05T09:59:59Z"), True),
        (("Created", "LessThan", "2026-01-05T09:59:59"), False),
        (("Nested.Deep", "Equals", "x"), True),
        (("Channels.Name", "Equals", "test"), True),
        (("Tags.team", "Equals", "a"), True),
        (("HyperParameters.eta", "Equals", "0.1"), True),
    ],
)
def test_each_operator(one, expected):
    assert passes(ITEM, expression(one)) is expected


def test_nested_filters_must_fit_one_element():
    def nested(name, mode):
        filters = expression(("Channels.Name", "Equals", name), ("Channels.Mode", "Equals", mode))[
            "Filters"
        ]
        return {"NestedFilters": [{"NestedPropertyName": "Channels", "Filters": filters}]}

    assert passes(ITEM, nested("train", "File"))
    assert not passes(ITEM, nested("train", "Pipe"))


def test_and_or_and_sub_expressions():
    yes, no = ("Name", "Exists"), ("Name", "NotExists")

    assert not passes(ITEM, expression(yes, no))
    assert passes(ITEM, expression(yes, no, Operator="Or"))
    assert passes(ITEM, {"SubExpressions": [expression(yes, no, Operator="Or"), expression(yes)]})
    assert not passes(ITEM, {"SubExpressions": [expression(yes), expression(no)]})
