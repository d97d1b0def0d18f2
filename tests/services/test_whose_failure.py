"""A failed request counts for the variant it was sent to."""

import itertools

import pytest
from botocore.exceptions import ClientError
from tests.services.test_sagemaker_runtime import Bench


@pytest.fixture
def bench(cloud, tmp_path):
    made = Bench(cloud, tmp_path)
    yield made
    made.close()


def test_a_time_out_is_an_error_and_a_latency_of_the_variant_that_was_asked(bench):
    bench.endpoint(("a", 1.0), ("b", 1.0))
    gateway = bench.cloud.gateway
    gateway.proxy._timeout_s = gateway.rooms["sagemaker-runtime"]._timeout_s = 3.0
    bench.invoke(TargetVariant="a")
    bench.invoke(TargetVariant="b")
    gateway.router._draw = itertools.chain([0.1], itertools.repeat(0.9)).__next__

    with pytest.raises(ClientError, match="timed out"):
        bench.invoke(b"sleep 8")

    gateway.invocations.fold()
    found = gateway.totals.read_all()
    a, b = ((("endpoint", "iris"), ("variant", name)) for name in "ab")
    errors = {
        k[1]: v for k, v in found.counters.items() if k[0] == "farero_invocation_model_errors_total"
    }
    assert errors == {a: 1.0, b: 0.0}
    latency = found.histograms["farero_model_latency_seconds", a]
    assert sum(latency.counts) == 2
    assert latency.total >= 3.0
