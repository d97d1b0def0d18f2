"""Endpoint configs through boto3."""

import pytest

CAPTURE = {
    "EnableCapture": True,
    "InitialSamplingPercentage": 20,
    "DestinationS3Uri": "s3://bucket/capture",
    "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    "CaptureContentTypeHeader": {
        "CsvContentTypes": ["text/csv"],
        "JsonContentTypes": ["application/json"],
    },
}


def test_a_config_is_described_as_it_was_created(bench):
    bench.config("With-Capture", bench.variant(InitialVariantWeight=2.5), DataCaptureConfig=CAPTURE)

    told = bench.client.describe_endpoint_config(EndpointConfigName="With-Capture")

    del told["ResponseMetadata"]
    assert told == {
        "EndpointConfigName": "With-Capture",
        "EndpointConfigArn": f"{bench.arn}endpoint-config/with-capture",
        "ProductionVariants": [bench.variant(InitialVariantWeight=2.5)],
        "DataCaptureConfig": CAPTURE,
        "CreationTime": bench.clock.now(),
        "EnableNetworkIsolation": False,
    }


def test_without_capture_there_is_no_key_for_it_and_the_weight_is_one(bench):
    told = bench.client.describe_endpoint_config(EndpointConfigName="c")

    assert "DataCaptureConfig" not in told
    assert told["ProductionVariants"][0]["InitialVariantWeight"] == 1.0


def test_capture_is_on_unless_it_is_turned_off(bench):
    bench.config("x", DataCaptureConfig={k: v for k, v in CAPTURE.items() if k != "EnableCapture"})

    told = bench.client.describe_endpoint_config(EndpointConfigName="x")

    assert told["DataCaptureConfig"]["EnableCapture"] is True


SERVERLESS = {
    "VariantName": "AllTraffic",
    "ModelName": "m",
    "ServerlessConfig": {"MemorySizeInMB": 3072, "MaxConcurrency": 10},
}


def test_a_serverless_variant_is_kept(bench):
    bench.config("s", SERVERLESS)

    (variant,) = bench.client.describe_endpoint_config(EndpointConfigName="s")["ProductionVariants"]
    assert variant == SERVERLESS | {"InitialVariantWeight": 1.0}


def test_a_serverless_variant_may_be_captured_which_aws_refuses(bench):
    bench.config("s", SERVERLESS, DataCaptureConfig=CAPTURE)

    told = bench.client.describe_endpoint_config(EndpointConfigName="s")
    assert told["DataCaptureConfig"] == CAPTURE


@pytest.mark.parametrize(
    ("variants", "members", "words"),
    [
        (
            [SERVERLESS | {"ServerlessConfig": {"MemorySizeInMB": 1500, "MaxConcurrency": 1}}],
            {},
            "must be one of 1024",
        ),
        (
            [
                SERVERLESS
                | {
                    "ServerlessConfig": {
                        "MemorySizeInMB": 1024,
                        "MaxConcurrency": 2,
                        "ProvisionedConcurrency": 3,
                    }
                }
            ],
            {},
            "must not be above its MaxConcurrency",
        ),
        ([SERVERLESS | {"InstanceType": "ml.m5.large"}], {}, "cannot be given with it"),
        (
            [{"VariantName": "a", "ModelName": "m"}],
            {},
            "needs InstanceType and InitialInstanceCount",
        ),
        ([SERVERLESS, SERVERLESS | {"VariantName": "b"}], {}, "exactly one production variant"),
        ([SERVERLESS, SERVERLESS], {}, "Duplicate production variant name: AllTraffic"),
    ],
)
def test_what_makes_no_sense_is_refused(bench, refusal, variants, members, words):
    code, message = refusal(
        bench.client.create_endpoint_config,
        EndpointConfigName="x",
        ProductionVariants=variants,
        **members,
    )

    assert code == "ValidationException"
    assert words in message


def test_an_unknown_model_is_refused(bench, refusal):
    assert refusal(
        bench.client.create_endpoint_config,
        EndpointConfigName="x",
        ProductionVariants=[bench.variant(ModelName="gone")],
    ) == ("ValidationException", f'Could not find model "{bench.arn}model/gone".')


def test_a_name_is_taken_only_once(bench, refusal):
    assert refusal(
        bench.client.create_endpoint_config,
        EndpointConfigName="c",
        ProductionVariants=[bench.variant()],
    ) == (
        "ValidationException",
        f'Cannot create already existing endpoint configuration "{bench.arn}endpoint-config/c".',
    )


@pytest.mark.parametrize("operation", ["describe_endpoint_config", "delete_endpoint_config"])
def test_an_unknown_config_is_named_by_its_arn(bench, refusal, operation):
    assert refusal(getattr(bench.client, operation), EndpointConfigName="gone") == (
        "ValidationException",
        f'Could not find endpoint configuration "{bench.arn}endpoint-config/gone".',
    )


def test_configs_are_listed_with_filters_and_pages(bench):
    for name in ("b", "a"):
        bench.config(name)

    def names(**members):
        return [
            c["EndpointConfigName"]
            for c in bench.client.list_endpoint_configs(**members)["EndpointConfigs"]
        ]

    assert names() == ["a", "b", "c"]
    assert names(SortBy="Name", SortOrder="Descending") == ["c", "b", "a"]
    assert names(NameContains="b") == ["b"]
    first = bench.client.list_endpoint_configs(MaxResults=2)
    assert names(NextToken=first["NextToken"]) == ["c"]


def test_a_deleted_config_is_gone(bench, refusal):
    bench.client.delete_endpoint_config(EndpointConfigName="c")

    assert (
        refusal(bench.client.describe_endpoint_config, EndpointConfigName="c")[0]
        == "ValidationException"
    )
