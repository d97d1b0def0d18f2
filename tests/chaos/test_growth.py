"""T34: nothing grows with the number of requests or of endpoints that came and went.

The long form sends 1,000,000 requests and deploys 10,000 times; `benchmarks/soak.py` prints the same figures.
"""

import pytest
from tests.chaos.conftest import NIGHTLY
from tests.conftest import load_script

pytestmark = pytest.mark.chaos
soak = load_script("soak", "benchmarks")

REQUESTS, DEPLOYMENTS = (1_000_000, 10_000) if NIGHTLY else (5_000, 20)
#: Few requests tell little of memory: allocators and caches still fill.
MOST_GROWTH = 0.05 if NIGHTLY else 0.5
#: Pools fill by and by: eight connections to SQL with three files each, and threads that use them.
POOLED_FILES, POOLED_THREADS = 24, 8


def files_of(platform):
    """Return all files but what is kept on purpose: logs for a week, and what was captured."""
    found = (path.relative_to(platform.data_dir) for path in platform.data_dir.rglob("*"))
    return {path for path in found if path.parts[0] not in {"logs", "spool", "objects", "envs"}}


def test_t34_neither_requests_nor_deployments_leave_anything_behind(shared_bench):
    bench, platform = shared_bench, shared_bench.platform
    bench.deploy("soak")
    caller = soak.Caller(platform.port, soak.fresh.owner(platform.data_dir), "soak")

    asked = soak.soak(caller, platform.control, REQUESTS, say=lambda _: None)
    # a gateway's totals are written within a second of its first request
    platform.wait(lambda: [*(platform.data_dir / "run" / "totals").glob("*.json")])
    files = files_of(platform)
    made = soak.deployments(bench.sagemaker, platform.control, DEPLOYMENTS)

    assert caller.failed == 0
    # the gateway may not have noticed yet that the last requests' connections are closed
    for seen, connections in ((asked, soak.CONNECTIONS), (made, 0)):
        for name, held in seen.items():
            assert soak.growth(held) <= MOST_GROWTH, (name, held)
            most = held[0].descriptors + POOLED_FILES + connections
            assert held[-1].descriptors <= most, (name, held[0], held[-1])
            assert held[-1].threads <= held[0].threads + POOLED_THREADS, (name, held[0], held[-1])
    platform.wait(lambda: files_of(platform) <= files)
    bench.remove(["soak"])
