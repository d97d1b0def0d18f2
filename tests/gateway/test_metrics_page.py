"""`GET /metrics`: who may read it, what it says, and that a bucket of that name keeps its path."""

import datetime as dt
import stat

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from tests.services.test_sagemaker_runtime import Bench

from farero.endpoints.instances import NAMESPACE
from farero.records.metrics import Datum, Metric
from farero.telemetry.exposition import FAMILIES

ADDRESS = "http://localhost:4747/metrics"


@pytest.fixture
def bench(cloud, tmp_path):
    made = Bench(cloud, tmp_path)
    yield made
    made.close()


@pytest.fixture
def token(cloud):
    return (cloud.settings.keys_dir / "metrics-token").read_text(encoding="utf-8").strip()


def scrape(cloud, token=None, url=ADDRESS, method="GET", **headers):
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return cloud.send(AWSRequest(method, url, headers=headers).prepare())


def signed(cloud, service, url=ADDRESS):
    request = AWSRequest("GET", url)
    keys = Credentials(cloud.owner["access_key_id"], cloud.owner["secret_access_key"])
    SigV4Auth(keys, service, "us-east-1").add_auth(request)
    return cloud.send(request.prepare())


def samples(text):
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_token_is_a_secret_of_the_owner_and_lasts(cloud, token):
    path = cloud.settings.keys_dir / "metrics-token"

    assert len(token) >= 40
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    answer = scrape(cloud, token)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize(
    ("authorization", "cause"),
    [
        (None, "Show the token of keys/metrics-token"),
        ("Basic YTpi", "Show the token of keys/metrics-token"),
        ("Bearer", "The token is not the one"),
        ("Bearer \xff", "The token is not the one"),
        ("Bearer wrong", "The token is not the one"),
    ],
)
def test_without_the_token_there_is_nothing_but_a_cause(cloud, authorization, cause):
    headers = {"Authorization": authorization} if authorization else {}

    answer = scrape(cloud, **headers)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="farero"'
    assert cause in answer.text
    assert str(cloud.settings.data_dir) not in answer.text
    assert "farero_" not in answer.text


def test_a_token_that_is_gone_lets_nobody_in(cloud):
    (cloud.settings.keys_dir / "metrics-token").write_text("\n", encoding="utf-8")
    assert scrape(cloud, "").status_code == 401
    (cloud.settings.keys_dir / "metrics-token").unlink()
    answer = scrape(cloud, "")
    assert answer.status_code == 401
    assert "`farero up` makes it anew" in answer.text


def test_the_owner_may_sign_instead(cloud):
    assert signed(cloud, "farero").status_code == 200
    cloud.owner["secret_access_key"] = "wrong"
    assert signed(cloud, "farero").status_code == 403


def test_a_role_may_not_read_it(cloud):
    role = "arn:aws:iam::123456789012:role/AmazonSageMaker-ExecutionRole-farero"
    keys = cloud.client("sts").assume_role(RoleArn=role, RoleSessionName="some")["Credentials"]
    request = AWSRequest("GET", ADDRESS)
    credentials = Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    SigV4Auth(credentials, "farero", "us-east-1").add_auth(request)

    assert cloud.send(request.prepare()).status_code == 403


def test_a_bucket_named_metrics_keeps_its_path(cloud, token):
    s3 = cloud.client("s3", s3={"addressing_style": "path"})
    s3.create_bucket(Bucket="metrics")
    s3.put_object(Bucket="metrics", Key="a/b", Body=b"1")

    assert [one["Key"] for one in s3.list_objects(Bucket="metrics")["Contents"]] == ["a/b"]
    assert [one["Key"] for one in s3.list_objects_v2(Bucket="metrics")["Contents"]] == ["a/b"]
    assert s3.get_object(Bucket="metrics", Key="a/b")["Body"].read() == b"1"
    assert "<ListBucketResult" in signed(cloud, "s3").text
    modern = cloud.client("s3", signature_version="s3v4", s3={"addressing_style": "path"})
    link = modern.generate_presigned_url("list_objects", {"Bucket": "metrics"})
    assert "<ListBucketResult" in scrape(cloud, url=link).text
    other = cloud.client("s3")
    other.create_bucket(Bucket="other")
    other.put_object(Bucket="other", Key="metrics", Body=b"object")
    assert other.get_object(Bucket="other", Key="metrics")["Body"].read() == b"object"
    for url, method in (
        (f"{ADDRESS}/", "GET"),
        (f"{ADDRESS}?x=1", "GET"),
        (ADDRESS, "POST"),
        (ADDRESS, "PUT"),
        ("http://other.localhost:4747/metrics", "GET"),
    ):
        answer = scrape(cloud, token, url, method)
        assert answer.status_code >= 400
        assert "farero_" not in answer.text


def test_it_tells_what_was_invoked_and_how_things_stand(bench, token):
    cloud = bench.cloud
    bench.endpoint(("a", 1.0), ("b", 0.0))
    for _ in range(3):
        bench.invoke(TargetVariant="a")
    bench.refused(b"status 500", TargetVariant="b")
    cloud.gateway.invocations.flush()

    found = samples(scrape(cloud, token).text)

    a, b = (("endpoint", "iris"), ("variant", "a")), (("endpoint", "iris"), ("variant", "b"))
    assert found["farero_invocations_total", *a] == 3
    assert found["farero_invocations_total", *b] == 1
    assert found["farero_invocation_model_errors_total", *a] == 0
    assert found["farero_invocation_model_errors_total", *b] == 1
    assert found["farero_model_latency_seconds_count", *a] == 3
    assert found["farero_concurrent_requests", *a] == 1
    assert found["farero_replicas_wanted", *a] == found["farero_replicas_ready", *a] == 1
    assert found["farero_endpoints", ("status", "InService")] == 1
    assert found["farero_endpoints", ("status", "Failed")] == 0
    assert found["farero_deliveries", ("state", "dead")] == 0
    assert found["farero_capture_spool_bytes",] == 0
    assert 0 < found["farero_disk_free_bytes",] < found["farero_disk_size_bytes",]
    answer = scrape(cloud, token, Accept="application/openmetrics-text; version=1.0.0")
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    families = list(openmetrics.text_string_to_metric_families(answer.text))
    names = {family.name.removesuffix("_total") for family in FAMILIES}
    assert {family.name for family in families} <= names


def measure(cloud, name, variant, *values, age_s=0, namespace=NAMESPACE):
    at = cloud.app.clock.now() - dt.timedelta(seconds=age_s)
    metric = Metric.of(namespace, name, {"EndpointName": "iris", "VariantName": variant})
    cloud.app.metrics.put([Datum(metric=metric, at=at, values=values, unit="Percent")])


def test_it_tells_what_replicas_take_of_the_machine(bench, token):
    cloud = bench.cloud
    bench.endpoint(("a", 1.0))
    measure(cloud, "CPUUtilization", "a", 10.0, age_s=130)
    measure(cloud, "CPUUtilization", "a", 100.0, 200.0)
    measure(cloud, "MemoryUtilization", "a", 12.5, age_s=70)
    measure(cloud, "DiskUtilization", "a", 12.5, age_s=600)
    measure(cloud, "MemoryUtilization", "gone", 12.5)
    measure(cloud, "CPUUtilization", "a", 77.0, namespace="Mine")

    found = samples(scrape(cloud, token).text)

    a = (("endpoint", "iris"), ("variant", "a"))
    shares = {key: value for key, value in found.items() if key[0].endswith("_ratio")}
    assert shares == {
        ("farero_cpu_utilization_ratio", *a): 1.5,
        ("farero_memory_utilization_ratio", *a): 0.125,
    }


def test_what_is_shown_is_bounded_by_what_exists(bench, token):
    cloud = bench.cloud
    bench.endpoint()
    bench.invoke()
    cloud.gateway.invocations.flush()
    before = samples(scrape(cloud, token).text)

    route = cloud.gateway.router._table["iris"]
    for number in range(300):  # endpoints that were there once
        name = f"gone-{number}"
        cloud.gateway.invocations.note(name, route.variants[0], 200, 0.01, 0.0)
    for number in range(20):  # names that a caller made up
        bench.refused(TargetVariant=f"v{number}")
    cloud.gateway.invocations.flush()

    assert samples(scrape(cloud, token).text).keys() == before.keys()
    cloud.gateway.totals.forget_others()
    assert len(cloud.gateway.totals._figures.counters) == 4
