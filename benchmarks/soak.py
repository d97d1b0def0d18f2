"""Whether anything grows: a real platform under many requests; memory, descriptors and threads of its processes.

python benchmarks/soak.py [REQUESTS] [DEPLOYMENTS]     (100,000 and 0; a night: 1,000,000 and 10,000)

One XGBoost endpoint, every request signed and captured, 16 connections that stay. The first tenth warms up; from then
on what each process holds is read ten times. DEPLOYMENTS endpoints are then created and deleted, eight at a time.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xgboost

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import fresh
from benchmarks.fresh import BUCKET, ROLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from botocore.credentials import Credentials

    from farero.compute.control import Control

CONNECTIONS = 16
LOOKS = 10
BODY = b"5.1,3.5,1.4,0.2\n"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5"
#: A signature holds for five minutes; this is how long one is used.
SIGNED_FOR_S = 60.0


@dataclass(frozen=True)
class Held:
    """What a process holds."""

    resident_bytes: int
    descriptors: int
    threads: int


def held_by(pid: int) -> Held:
    """Read what a process holds now."""
    folder = Path(f"/proc/{pid}")
    pages = int((folder / "statm").read_text(encoding="ascii").split()[1])
    return Held(
        pages * os.sysconf("SC_PAGE_SIZE"),
        len(list((folder / "fd").iterdir())),
        len(list((folder / "task").iterdir())),
    )


def growth(held: Sequence[Held]) -> float:
    """Return by what share memory has grown since the first look.

    The least of the last three looks counts: what is held for a moment, as while captured requests are moved, is no
    growth, and what grows is in all three.
    """
    return min(one.resident_bytes for one in held[1:][-3:]) / held[0].resident_bytes - 1


def processes(control: Control) -> dict[str, int]:
    """Return name → pid of the platform's parts."""
    info: Any = control.info()
    found = {f"gateway {n}": pid for n, pid in enumerate(info["gateways"]) if pid}
    found |= {"supervisor": info["pid"], "worker": info["worker"]}
    for one in info["processes"]:
        if one["state"] == "running" and one["name"].startswith("endpoint/soak/"):
            found["replica"] = one["pid"]
    return found


class Caller:
    """Signs requests for one endpoint and sends them over connections that stay."""

    def __init__(self, port: int, key: Credentials, endpoint: str) -> None:
        self._port, self._key, self._endpoint = port, key, endpoint
        self._signed: tuple[float, bytes] = (float("-inf"), b"")
        self.failed = 0

    def send(self, count: int) -> None:
        """Send so many requests and take their answers; what is no 200 is counted."""
        asyncio.run(self._send(count))

    async def _send(self, count: int) -> None:
        left = iter(range(count))
        await asyncio.gather(*(self._converse(left) for _ in range(CONNECTIONS)))

    async def _converse(self, left: Iterator[int]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        for _ in left:
            writer.write(self._request())
            self.failed += await fresh.read_status(reader) != 200
        writer.close()
        await writer.wait_closed()

    def _request(self) -> bytes:
        made, text = self._signed
        if time.monotonic() - made > SIGNED_FOR_S:
            text = fresh.signed(self._key, self._port, self._endpoint, BODY, "text/csv")
            self._signed = time.monotonic(), text
        return text


def soak(
    caller: Caller, control: Control, count: int, say: Callable[[str], object] = print
) -> dict[str, list[Held]]:
    """Warm up, send `count` requests, and return what each process held, from the first look to the last."""
    caller.send(max(count // 10, 1))
    pids = processes(control)
    seen = {name: [held_by(pid)] for name, pid in pids.items()}
    for number in range(1, LOOKS + 1):
        caller.send(count // LOOKS)
        for name, pid in pids.items():
            seen[name].append(held_by(pid))
        say(f"{number * (count // LOOKS):>12,} requests, {caller.failed} failed")
    return seen


def model() -> bytes:
    """Return a small XGBoost model's archive."""
    rows = np.random.default_rng(0).random((200, 4), dtype=np.float32)
    trained = xgboost.train({"max_depth": 4, "nthread": 1}, xgboost.DMatrix(rows, rows[:, 0]), 50)
    return fresh.archive({"xgboost-model": bytes(trained.save_raw("json"))})


def deploy(site: fresh.Site) -> None:
    """Bring the endpoint into service, with everything captured."""
    site.client("s3").put_object(Bucket=BUCKET, Key="soak.tar.gz", Body=model())
    sagemaker = site.client("sagemaker")
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/soak.tar.gz"}
    sagemaker.create_model(ModelName="soak", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    put_config(sagemaker, "soak")
    come_and_stay(sagemaker, "soak")


def put_config(sagemaker: Any, name: str, count: int = 1) -> None:
    """Make a configuration of `count` replicas of the model, with everything captured."""
    variant = {
        "VariantName": "AllTraffic", "ModelName": "soak", "InstanceType": "ml.m5.large",
        "InitialInstanceCount": count,
    }  # fmt: skip
    capture = {
        "EnableCapture": True, "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{BUCKET}/capture",
        "CaptureOptions": [{"CaptureMode": "InputAndOutput"}],
    }  # fmt: skip
    sagemaker.create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=[variant], DataCaptureConfig=capture
    )


def come_and_stay(sagemaker: Any, name: str, config: str = "soak") -> None:
    """Create an endpoint and wait until it serves."""
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    while (found := sagemaker.describe_endpoint(EndpointName=name))["EndpointStatus"] == "Creating":
        time.sleep(0.1)
    if found["EndpointStatus"] != "InService":
        raise SystemExit(found["FailureReason"])


def come_and_go(sagemaker: Any, name: str) -> None:
    """Create an endpoint and delete it when it serves."""
    come_and_stay(sagemaker, name)
    leave(sagemaker, name)


def leave(sagemaker: Any, name: str) -> None:
    """Delete an endpoint and wait until it is gone."""
    sagemaker.delete_endpoint(EndpointName=name)
    waiter = sagemaker.get_waiter("endpoint_deleted")
    waiter.wait(EndpointName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 1200})


def deployments(sagemaker: Any, control: Control, count: int) -> dict[str, list[Held]]:
    """Create and delete endpoints; return what each process held after the first tenth and at the end."""
    names = [f"soak-{number}" for number in range(count)]
    warm = max(count // 10, min(count, 8))
    seen: dict[str, list[Held]] = {}
    with ThreadPoolExecutor(8) as pool:
        for part in (names[:warm], names[warm:]):
            list(pool.map(lambda name: come_and_go(sagemaker, name), part))
            for name, pid in processes(control).items():
                seen.setdefault(name, []).append(held_by(pid))
    return seen


def show(seen: dict[str, list[Held]]) -> None:
    """Print start, middle and end."""
    print(f"{'':12} {'resident MB':>28} {'growth':>8} {'descriptors':>15} {'threads':>12}")
    for name, held in sorted(seen.items()):
        three = (held[0], held[len(held) // 2], held[-1])
        sizes = " → ".join(f"{one.resident_bytes / 2**20:.1f}" for one in three)
        files = " → ".join(str(one.descriptors) for one in three)
        threads = " → ".join(str(one.threads) for one in three)
        print(f"{name:12} {sizes:>28} {growth(held):>8.1%} {files:>15} {threads:>12}")


def main() -> int:
    """Soak a platform of its own."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    deployed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    with tempfile.TemporaryDirectory() as folder:
        site = fresh.Site(Path(folder))
        with site.running():
            deploy(site)
            caller = Caller(site.port, fresh.owner(site.data), "soak")
            began = time.monotonic()
            show(soak(caller, site.control, count))
            print(f"{caller.failed} of {count:,} failed; {time.monotonic() - began:.0f} s")
            if deployed:
                show(deployments(site.client("sagemaker"), site.control, deployed))
    return int(caller.failed > 0)


if __name__ == "__main__":
    sys.exit(main())
