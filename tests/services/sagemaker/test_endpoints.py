"""Endpoints through boto3: what is asked, what is told, what is refused."""

import pytest

from farero.store import work


def test_a_new_endpoint_is_creating_and_work_is_waiting(bench, store):
    made = bench.client.create_endpoint(EndpointName="Iris", EndpointConfigName="c", Tags=[])

    assert made["EndpointArn"] == f"{bench.arn}endpoint/iris"
    told = bench.client.describe_endpoint(EndpointName="Iris")
    del told["ResponseMetadata"]
    assert told == {
        "EndpointName": "Iris",
        "EndpointArn": f"{bench.arn}endpoint/iris",
        "EndpointConfigName": "c",
        "EndpointStatus": "Creating",
        "CreationTime": bench.clock.now(),
        "LastModifiedTime": bench.clock.now(),
    }
    with store.read() as db:
        assert [(item.kind, item.key) for item in work.list_all(db)] == [
            ("endpoint.reconcile", "Iris")
        ]


def test_an_endpoint_in_service_tells_its_variants(bench):
    bench.endpoint()

    (variant,) = bench.client.describe_endpoint(EndpointName="e")["ProductionVariants"]

    assert variant == {
        "VariantName": "AllTraffic",
        "CurrentWeight": 1.0,
        "DesiredWeight": 1.0,
        "CurrentInstanceCount": 1,
        "DesiredInstanceCount": 1,
    }


def test_capture_is_summed_up(bench):
    capture = {
        "InitialSamplingPercentage": 30,
        "DestinationS3Uri": "s3://bucket/capture",
        "CaptureOptions": [{"CaptureMode": "InputAndOutput"}],
    }
    bench.config("cc", DataCaptureConfig=capture)
    bench.endpoint(config="cc")

    assert bench.client.describe_endpoint(EndpointName="e")["DataCaptureConfig"] == {
        "EnableCapture": True,
        "CaptureStatus": "Started",
        "CurrentSamplingPercentage": 30,
        "DestinationS3Uri": "s3://bucket/capture",
        "KmsKeyId": "",
    }


def test_a_failure_has_its_reason(bench):
    bench.endpoint(status="Creating")
    bench.set_status("e", "Failed", failure_reason="because")

    told = bench.client.describe_endpoint(EndpointName="e")

    assert (told["EndpointStatus"], told["FailureReason"]) == ("Failed", "because")
    assert "ProductionVariants" not in told


def test_an_update_shows_what_is_pending(bench):
    bench.config("c2", bench.variant("New", InitialInstanceCount=2))
    bench.endpoint()

    bench.client.update_endpoint(EndpointName="e", EndpointConfigName="c2")

    told = bench.client.describe_endpoint(EndpointName="e")
    assert (told["EndpointStatus"], told["EndpointConfigName"]) == ("Updating", "c")
    assert told["PendingDeploymentSummary"] == {
        "EndpointConfigName": "c2",
        "ProductionVariants": [
            {
                "VariantName": "New",
                "DesiredWeight": 1.0,
                "DesiredInstanceCount": 2,
                "VariantStatus": [{"Status": "Creating", "StartTime": bench.clock.now()}],
            }
        ],
        "StartTime": bench.clock.now(),
    }


def test_a_deployment_config_is_kept_and_shown(bench):
    policy = {"TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}}
    deployment = {"BlueGreenUpdatePolicy": policy}

    bench.endpoint(DeploymentConfig=deployment)

    assert bench.client.describe_endpoint(EndpointName="e")["LastDeploymentConfig"] == deployment


@pytest.mark.parametrize(
    ("deployment", "words"),
    [
        ({"RollingUpdatePolicy": {
            "MaximumBatchSize": {"Type": "INSTANCE_COUNT", "Value": 1}, "WaitIntervalInSeconds": 0,
        }}, "1 of 1 instances is more than 50%"),
        ({"BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {"Type": "CANARY", "WaitIntervalInSeconds": 0}
        }}, "needs CanarySize"),
        ({"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "nobody"}]}}, "are not there: nobody"),
    ],
)  # fmt: skip
def test_a_deployment_that_cannot_be_had_is_refused_before_anything_changes(
    bench, deployment, words
):
    bench.endpoint()
    bench.config("next")

    with pytest.raises(bench.client.exceptions.ClientError, match=words) as caught:
        bench.client.update_endpoint(
            EndpointName="e", EndpointConfigName="next", DeploymentConfig=deployment
        )

    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert bench.client.describe_endpoint(EndpointName="e")["EndpointStatus"] == "InService"


def test_weights_and_counts_become_desired_at_once(bench):
    bench.endpoint()
    wish = {"VariantName": "AllTraffic", "DesiredWeight": 3, "DesiredInstanceCount": 2}

    bench.client.update_endpoint_weights_and_capacities(
        EndpointName="e", DesiredWeightsAndCapacities=[wish]
    )

    told = bench.client.describe_endpoint(EndpointName="e")
    (variant,) = told["ProductionVariants"]
    assert told["EndpointStatus"] == "Updating"
    assert (variant["DesiredWeight"], variant["DesiredInstanceCount"]) == (3.0, 2)
    assert (variant["CurrentWeight"], variant["CurrentInstanceCount"]) == (1.0, 1)


def test_an_unknown_variant_cannot_be_reweighed(bench, refusal):
    bench.endpoint()

    code, message = refusal(
        bench.client.update_endpoint_weights_and_capacities,
        EndpointName="e",
        DesiredWeightsAndCapacities=[{"VariantName": "x", "DesiredWeight": 1}],
    )

    assert code == "ValidationException"
    assert '"x"' in message


def test_without_its_config_an_endpoint_cannot_be_scaled(bench, refusal):
    bench.endpoint()
    bench.client.delete_endpoint_config(EndpointConfigName="c")

    assert refusal(
        bench.client.update_endpoint_weights_and_capacities,
        EndpointName="e",
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredWeight": 1}],
    ) == (
        "ValidationException",
        f'Could not find endpoint configuration "{bench.arn}endpoint-config/c".',
    )


@pytest.mark.parametrize("status", ["Creating", "Updating", "RollingBack", "Deleting"])
def test_an_endpoint_in_progress_cannot_be_updated(bench, refusal, status):
    bench.endpoint()
    bench.set_status("e", status)

    assert refusal(bench.client.update_endpoint, EndpointName="e", EndpointConfigName="c") == (
        "ValidationException",
        f'Cannot update in-progress endpoint "{bench.arn}endpoint/e".',
    )


@pytest.mark.parametrize(
    "status", ["Creating", "InService", "Updating", "RollingBack", "Failed", "Deleting"]
)
def test_an_endpoint_can_be_deleted_in_any_state(bench, status):
    bench.endpoint()
    bench.set_status("e", status)

    bench.client.delete_endpoint(EndpointName="e")

    assert bench.client.describe_endpoint(EndpointName="e")["EndpointStatus"] == "Deleting"


def test_from_instances_there_is_no_way_to_serverless(bench, refusal):
    serverless = {
        "VariantName": "a",
        "ModelName": "m",
        "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1},
    }
    bench.config("s", serverless)
    bench.endpoint()

    code, message = refusal(bench.client.update_endpoint, EndpointName="e", EndpointConfigName="s")

    assert code == "ValidationException"
    assert "cannot be updated to a serverless one" in message


@pytest.mark.parametrize(
    ("operation", "members", "message"),
    [
        ("describe_endpoint", {"EndpointName": "x"}, 'Could not find endpoint "{arn}endpoint/x".'),
        ("delete_endpoint", {"EndpointName": "x"}, 'Could not find endpoint "{arn}endpoint/x".'),
        (
            "update_endpoint",
            {"EndpointName": "x", "EndpointConfigName": "c"},
            'Could not find endpoint "{arn}endpoint/x".',
        ),
        (
            "create_endpoint",
            {"EndpointName": "x", "EndpointConfigName": "gone"},
            'Could not find endpoint configuration "{arn}endpoint-config/gone".',
        ),
    ],
)
def test_what_is_missing_is_named_by_its_arn(bench, refusal, operation, members, message):
    assert refusal(getattr(bench.client, operation), **members) == (
        "ValidationException",
        message.format(arn=bench.arn),
    )


def test_a_taken_name_is_refused(bench, refusal):
    bench.endpoint()

    assert refusal(bench.client.create_endpoint, EndpointName="e", EndpointConfigName="c") == (
        "ValidationException",
        f'Cannot create already existing endpoint "{bench.arn}endpoint/e".',
    )


def test_model_data_that_went_since_is_missed_at_once(bench, refusal):
    bench.objects.delete("bucket", "model.tar.gz")

    assert refusal(bench.client.create_endpoint, EndpointName="x", EndpointConfigName="c") == (
        "ValidationException",
        "Could not find model data at s3://bucket/model.tar.gz.",
    )


def test_names_with_underscores_are_refused(bench, refusal):
    code, message = refusal(
        bench.client.create_endpoint, EndpointName="a_b", EndpointConfigName="c"
    )

    assert code == "ValidationException"
    assert (
        "'a_b' at 'endpointName' failed to satisfy constraint: Member must satisfy regular expression"
        in message
    )


def test_endpoints_are_listed_with_every_filter(bench):
    for name, status in (("b", "InService"), ("a", "Failed"), ("ab", "InService")):
        bench.endpoint(name, status=status)
    times = {
        e["EndpointName"]: e["CreationTime"] for e in bench.client.list_endpoints()["Endpoints"]
    }

    def names(**members):
        return [e["EndpointName"] for e in bench.client.list_endpoints(**members)["Endpoints"]]

    assert names() == ["ab", "a", "b"]
    assert names(SortBy="Name", SortOrder="Ascending") == ["a", "ab", "b"]
    assert names(SortBy="Status", SortOrder="Ascending") == ["a", "ab", "b"]
    assert names(StatusEquals="Failed") == ["a"]
    assert names(NameContains="a") == ["ab", "a"]
    assert names(CreationTimeAfter=times["a"]) == ["ab", "a"]
    assert names(LastModifiedTimeBefore=times["a"]) == ["a", "b"]
    assert names(MaxResults=1) == ["ab"]
