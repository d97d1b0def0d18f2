"""Which metrics a replica's figures are."""

import os
import signal

from farero.endpoints import instances

BOTH = {"EndpointName": "iris", "VariantName": "AllTraffic"}
SERVERLESS = {"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1}}


def test_replicas_belong_to_their_variant(domain, wait_status):
    domain.create()
    wait_status("InService")
    (replica,) = domain.replicas()

    found = instances.find_in(domain.store)(
        [replica.process_name, "job/x/1", "endpoint/iris/a/b/1"]
    )

    names = ("CPUUtilization", "MemoryUtilization", "DiskUtilization")
    assert found == {replica.process_name: ("/aws/sagemaker/Endpoints", BOTH, names)}
    assert domain.measured == []


def test_a_serverless_variant_has_memory_only_and_a_setup_time_for_each_start(
    domain, wait_status, wait_for
):
    config = domain.config("c", ("AllTraffic", {}, SERVERLESS))
    domain.commands.create(domain.ctx, "iris", config)
    wait_status("InService")
    (replica,) = domain.replicas()
    found = instances.find_in(domain.store)([replica.process_name])
    os.kill(domain.compute.status(replica.process_name).pid, signal.SIGKILL)
    wait_for(lambda: len(domain.measured) == 2, 20)

    assert found[replica.process_name].names == ("MemoryUtilization",)
    for datum in domain.measured:
        assert (datum.metric.namespace, datum.metric.name) == ("AWS/SageMaker", "ModelSetupTime")
        assert dict(datum.metric.dimensions) == BOTH
        assert datum.unit == "Microseconds"
        assert 10_000 < datum.values[0] < 20_000_000
