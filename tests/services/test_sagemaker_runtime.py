"""InvokeEndpoint through boto3, signed, down to a model server process and back."""

import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from farero.records.endpoint import Endpoint, EndpointStatus, Fleet, Replica, ReplicaState, Variant
from farero.store import endpoints as rows
from farero.store import versions

PROGRAM = Path(__file__).parent.parent / "endpoints" / "program"
NOW = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
SEE = (
    " See https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#logEventViewer:"
    "group=/aws/sagemaker/Endpoints/iris in account 123456789012 for more information."
)
CAPTURE = {
    "EnableCapture": True,
    "InitialSamplingPercentage": 100,
    "DestinationS3Uri": "s3://captured/here",
    "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    "CaptureContentTypeHeader": {
        "CsvContentTypes": ["text/csv"],
        "JsonContentTypes": ["application/json"],
    },
}


class Bench:
    """A client, and endpoints whose replicas are started by the test."""

    def __init__(self, cloud, tmp_path):
        self.cloud, self.folder, self.processes = cloud, tmp_path, []
        self.client = cloud.client("sagemaker-runtime")
        # replicas may take long to begin where others use the machine too
        cloud.gateway.proxy._respawn_wait_s = cloud.gateway.proxy._serverless_wait_s = 40.0

    def endpoint(self, *variants, name="iris", replicas=1, capture=None, serverless=None):
        made = tuple(
            Variant(
                name=variant,
                model_name="m",
                container={},
                current_weight=weight,
                current_count=1,
                serverless=serverless,
            )
            for variant, weight in variants or (("AllTraffic", 1.0),)
        )
        config = {"DataCaptureConfig": capture} if capture else {}
        fleet = Fleet(generation=1, config_name="c", config=config, variants=made, began_at=NOW)
        endpoint = Endpoint(
            name=name,
            arn=f"arn:aws:sagemaker:us-east-1:123456789012:endpoint/{name}",
            status=EndpointStatus.IN_SERVICE,
            created_at=NOW,
            modified_at=NOW,
            current=fleet,
            generation=1,
        )
        with self.cloud.app.store.begin() as db:
            rows.insert(db, endpoint)
            for variant in made:
                for number in range(replicas):
                    replica_id = f"{variant.name}{number}"
                    rows.insert_replica(db, self._replica(name, variant.name, replica_id))
            versions.raise_routing(db)
        self.cloud.app.stamp.touch()

    def _replica(self, endpoint, variant, replica_id):
        path = self.folder / f"{replica_id}.sock"
        env = {
            "PYTHONPATH": str(PROGRAM),
            "FARERO_SOCKET": str(path),
            "MODEL_NAME": replica_id,
            "PATH": os.environ["PATH"],
        }
        command = [sys.executable, "-m", "farero_container", "serve"]
        self.processes.append(subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL))
        return Replica(
            id=replica_id,
            endpoint=endpoint,
            variant=variant,
            generation=1,
            state=ReplicaState.READY,
            socket_path=str(path),
            created_at=NOW,
            ready_at=NOW,
        )

    def invoke(self, body=b"1,2", **members):
        return self.client.invoke_endpoint(**{"EndpointName": "iris", "Body": body, **members})

    def refused(self, body=b"1,2", **members):
        with pytest.raises(ClientError) as caught:
            self.invoke(body, **members)
        return caught.value.response

    def records(self):
        self.cloud.gateway.spool.close()
        self.cloud.worker.publisher.publish_due()
        found = []
        for info in self.cloud.app.objects.list("captured"):
            with self.cloud.app.objects.open("captured", info.key) as body:
                found += [json.loads(line) for line in body.read().splitlines()]
        return found

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def bench(cloud, tmp_path):
    cloud.app.objects.ensure_bucket("captured")
    made = Bench(cloud, tmp_path)
    yield made
    made.close()


def code_and_message(response):
    return response["Error"]["Code"], response["Error"]["Message"]


def test_the_answer_is_the_containers_own(bench):
    bench.endpoint()
    body = bytes(range(256))

    answer = bench.invoke(body, ContentType="application/x-npy")

    assert answer["Body"].read() == body
    assert answer["ContentType"] == "application/x-npy"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert answer["ResponseMetadata"]["RequestId"]


def test_every_header_reaches_the_container(bench):
    bench.endpoint()

    told = json.loads(
        bench.invoke(
            b"headers",
            ContentType="text/csv",
            Accept="application/json, */*",
            CustomAttributes="trace=1",
            TargetModel="a.tar.gz",
            TargetVariant="AllTraffic",
            TargetContainerHostname="one",
            InferenceId="mine",
            EnableExplanations="`true`",
            SessionId="NEW_SESSION",
        )["Body"].read()
    )

    assert told == {
        "content-type": "text/csv",
        "accept": "application/json, */*",
        "x-amzn-sagemaker-custom-attributes": "trace=1",
        "x-amzn-sagemaker-target-model": "a.tar.gz",
        "x-amzn-sagemaker-target-variant": "AllTraffic",
        "x-amzn-sagemaker-target-container-hostname": "one",
        "x-amzn-sagemaker-inference-id": "mine",
        "x-amzn-sagemaker-enable-explanations": "`true`",
        "x-amzn-sagemaker-session-id": "NEW_SESSION",
    }


def test_custom_attributes_come_back_only_when_the_container_sets_them(bench):
    bench.endpoint()

    assert bench.invoke(CustomAttributes="x")["CustomAttributes"] == "from the model"
    assert "CustomAttributes" not in bench.invoke()


def test_an_unknown_endpoint_is_refused_in_aws_words(bench):
    response = bench.refused(EndpointName="nothing")

    assert code_and_message(response) == (
        "ValidationError",
        "Endpoint nothing of account 123456789012 not found.",
    )
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_an_unknown_variant_is_refused(bench):
    bench.endpoint()

    code, message = code_and_message(bench.refused(TargetVariant="x"))

    assert code == "ValidationError"
    assert "x" in message


@pytest.mark.parametrize(("status", "kind"), [(500, "server"), (415, "client"), (302, "server")])
def test_an_error_of_the_container_is_a_model_error(bench, status, kind):
    bench.endpoint()

    response = bench.refused(f"status {status} it went wrong".encode())

    assert code_and_message(response) == (
        "ModelError",
        f'Received {kind} error ({status}) from primary with message "it went wrong".{SEE}',
    )
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["OriginalStatusCode"] == status
    assert response["OriginalMessage"] == "it went wrong"
    assert response["LogStreamArn"] == (
        "arn:aws:logs:us-east-1:123456789012:log-group:/aws/sagemaker/Endpoints/iris"
    )


def test_a_long_error_is_not_repeated(bench):
    bench.endpoint()

    response = bench.refused(b"status 500 " + b"x" * 20_000)

    assert response["Error"]["Message"] == (
        f"Received server error (500) from primary and could not load the entire response body.{SEE}"
    )


def test_a_time_out_has_status_zero_and_aws_words(bench):
    bench.endpoint()
    bench.cloud.gateway.proxy._timeout_s = 0.2

    response = bench.refused(b"sleep 5")

    assert response["OriginalStatusCode"] == 0
    assert response["Error"]["Message"] == (
        'Received server error (0) from primary with message "Your invocation timed out while waiting for a '
        "response from container primary. Review the latency metrics for each container in Amazon CloudWatch, "
        f'resolve the issue, and try again.".{SEE}'
    )


def test_a_request_that_kills_every_replica_it_meets_is_a_model_error(bench):
    bench.endpoint(replicas=2)

    response = bench.refused(b"die")

    assert response["Error"]["Code"] == "ModelError"
    assert "died while it worked on this request" in response["Error"]["Message"]


def test_without_a_replica_the_caller_is_told_when_to_try_again(bench):
    bench.endpoint()
    bench.close()
    bench.cloud.gateway.proxy._respawn_wait_s = 0.2

    response = bench.refused()

    assert response["Error"]["Code"] == "ServiceUnavailable"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "1"


def test_a_body_of_six_mib_passes_and_one_byte_more_does_not(bench):
    bench.endpoint()
    limit = 6_291_456

    assert len(bench.invoke(b"x" * limit)["Body"].read()) == limit
    code, message = code_and_message(bench.refused(b"x" * (limit + 1)))
    assert code == "ValidationError"
    assert "6,291,457 bytes" in message


def test_a_serverless_endpoint_takes_four_mib(bench):
    bench.endpoint(serverless={"MemorySizeInMB": 1024, "MaxConcurrency": 5})

    assert bench.invoke(b"x" * 4_194_304)["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert "4,194,304 bytes" in bench.refused(b"x" * 4_194_305)["Error"]["Message"]


def test_a_serverless_endpoint_throttles_over_its_concurrency(bench):
    bench.endpoint(serverless={"MemorySizeInMB": 1024, "MaxConcurrency": 0})

    response = bench.refused()

    assert response["Error"]["Code"] == "ThrottlingException"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 429


def test_traffic_follows_the_weights(bench):
    bench.endpoint(("a", 3.0), ("b", 1.0), ("c", 0.0))

    variants = [bench.invoke()["InvokedProductionVariant"] for _ in range(200)]

    # Five standard deviations of a fair draw.
    assert abs(variants.count("a") - 150) < 31
    assert variants.count("c") == 0


def test_requests_are_captured_with_both_halves(bench):
    bench.endpoint(capture=CAPTURE)

    bench.invoke(b"1,2\n3,4", ContentType="text/csv", InferenceId="mine", CustomAttributes="k=v")

    (record,) = bench.records()
    assert record["captureData"] == {
        "endpointInput": {
            "observedContentType": "text/csv",
            "mode": "INPUT",
            "data": "1,2\n3,4",
            "encoding": "CSV",
        },
        "endpointOutput": {
            "observedContentType": "text/csv",
            "mode": "OUTPUT",
            "data": "1,2\n3,4",
            "encoding": "CSV",
        },
    }
    assert record["eventMetadata"]["inferenceId"] == "mine"
    assert record["eventMetadata"]["customAttributes"] == ["k=v"]
    assert record["eventVersion"] == "0"
    (info,) = bench.cloud.app.objects.list("captured")
    assert info.key.startswith("here/iris/AllTraffic/2")


def test_a_failed_request_leaves_its_input(bench):
    bench.endpoint(capture=CAPTURE)

    bench.refused(b"status 500 no", ContentType="text/csv")

    (record,) = bench.records()
    assert list(record["captureData"]) == ["endpointInput"]


def test_a_thousand_requests_are_a_thousand_records_with_the_same_bytes(bench):
    bench.endpoint(capture=CAPTURE)

    sent = [f"{number},{number * 7}" for number in range(1000)]
    for body in sent:
        assert bench.invoke(body.encode(), ContentType="text/csv")["Body"].read().decode() == body

    halves = [record["captureData"] for record in bench.records()]
    assert [half["endpointInput"]["data"] for half in halves] == sent
    assert [half["endpointOutput"]["data"] for half in halves] == sent


def test_capture_that_is_turned_off_writes_nothing(bench):
    bench.endpoint(capture=CAPTURE | {"EnableCapture": False})

    bench.invoke()

    assert bench.records() == []


def test_a_capture_that_cannot_be_written_does_not_fail_the_request(bench):
    bench.endpoint(capture=CAPTURE)
    (bench.cloud.settings.spool_dir / "capture").write_text("in the way")

    assert bench.invoke()["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert bench.cloud.gateway.spool.stats()["dropped"] == 1
