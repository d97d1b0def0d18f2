"""What CloudWatch tells of an endpoint, on a real platform: every request once, errors with their zeros."""

import datetime as dt
import urllib.request

import pytest
from botocore.exceptions import ClientError
from prometheus_client.parser import text_string_to_metric_families
from tests.endpoints.bench import Bench

DIMENSIONS = [
    {"Name": "EndpointName", "Value": "iris"},
    {"Name": "VariantName", "Value": "AllTraffic"},
]


@pytest.fixture
def bench(platform, wait_for):
    made = Bench(platform, wait_for)
    made.create(1)
    return made


def statistics(bench, metric, *names, dimensions=DIMENSIONS):
    now = dt.datetime.now(dt.UTC)
    found = bench.platform.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker", MetricName=metric, Dimensions=dimensions, Period=3600, Statistics=names,
        StartTime=now - dt.timedelta(hours=2), EndTime=now + dt.timedelta(hours=1),
    )["Datapoints"]  # fmt: skip
    return {name: sum(point[name] for point in found) for name in names}


def scraped(bench):
    """What Prometheus sees of iris, by the name of the sample."""
    path = bench.platform.data_dir / "keys" / "metrics-token"
    headers = {"Authorization": f"Bearer {path.read_text(encoding='utf-8').strip()}"}
    request = urllib.request.Request(f"{bench.platform.url}/metrics", headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        text = answer.read().decode()
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.labels.get("endpoint") == "iris" and "le" not in sample.labels
    }


def test_every_request_is_counted_once_and_errors_have_their_rate(bench):
    runtime = bench.platform.client("sagemaker-runtime")
    for number in range(12):
        if number % 4:
            runtime.invoke_endpoint(EndpointName="iris", Body=b"1,2", ContentType="text/csv")
        else:
            with pytest.raises(ClientError, match="ModelError"):
                runtime.invoke_endpoint(EndpointName="iris", Body=b"no", ContentType="text/csv")
    with pytest.raises(ClientError, match="not found"):
        runtime.invoke_endpoint(EndpointName="none", Body=b"1,2", ContentType="text/csv")

    bench.wait_for(lambda: statistics(bench, "Invocations", "Sum")["Sum"] >= 12)

    assert statistics(bench, "Invocations", "Sum", "SampleCount") == {
        "Sum": 12.0,
        "SampleCount": 12.0,
    }
    assert statistics(bench, "Invocation4XXErrors", "Sum", "SampleCount") == {
        "Sum": 3.0,
        "SampleCount": 12.0,
    }
    assert statistics(bench, "Invocation5XXErrors", "Sum", "SampleCount") == {
        "Sum": 0.0,
        "SampleCount": 12.0,
    }
    assert statistics(bench, "InvocationModelErrors", "Sum") == {"Sum": 3.0}
    latency = statistics(bench, "ModelLatency", "Minimum", "Maximum", "SampleCount")
    assert latency["SampleCount"] == 12
    assert 0 < latency["Minimum"] <= latency["Maximum"] < 10_000_000
    by_config = [*DIMENSIONS, {"Name": "EndpointConfigName", "Value": "c"}]
    assert statistics(bench, "Invocations", "Sum", dimensions=by_config) == {"Sum": 12.0}
    told = scraped(bench)
    assert told["farero_invocations_total"] == 12
    assert told["farero_invocation_4xx_errors_total"] == 3
    assert told["farero_invocation_5xx_errors_total"] == 0
    assert told["farero_invocation_model_errors_total"] == 3
    assert told["farero_model_latency_seconds_count"] == 12
    total = statistics(bench, "ModelLatency", "Sum")["Sum"] / 1e6
    assert told["farero_model_latency_seconds_sum"] == pytest.approx(total, abs=12e-6)
    assert told["farero_replicas_wanted"] == told["farero_replicas_ready"] == 1


def test_no_traffic_is_missing_data_and_a_drain_keeps_the_last_second(bench):
    before = statistics(bench, "Invocations", "Sum", "SampleCount")
    runtime = bench.platform.client("sagemaker-runtime")
    for _ in range(5):
        runtime.invoke_endpoint(EndpointName="iris", Body=b"1,2", ContentType="text/csv")

    bench.platform.farero("down")
    bench.platform.farero("up", "-d")

    assert before == {"Sum": 0, "SampleCount": 0}
    assert statistics(bench, "Invocations", "Sum") == {"Sum": 5.0}
    assert scraped(bench)["farero_invocations_total"] == 5
