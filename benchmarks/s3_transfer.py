"""Upload and download 1 GiB by boto3: Farero against SeaweedFS, in the same run, on the same disk.

    python benchmarks/s3_transfer.py [--mib 1024] [--rounds 2]

Prints MiB/s each way for both, Farero's share of SeaweedFS's throughput, and the peak resident memory of Farero's
gateway. Exit status 1 if Farero reaches less than half, or its gateway 150 MiB or more (issue, section 3, S3).
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.util
import os
import sys
import tempfile
import time
from pathlib import Path

import boto3
import fresh
import psutil
from botocore.config import Config

ROOT = Path(__file__).resolve().parent.parent
MIB = 1024 * 1024
LIMIT_MIB = 150
HALF = 0.5


def load_judge():
    spec = importlib.util.spec_from_file_location("s3_judge", ROOT / "scripts" / "s3_judge.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def client(url, access_key, secret_key):
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(retries={"max_attempts": 1}, read_timeout=120),
    )


def gateway_peak_mib(supervisor_pid):
    """Return the largest resident size of a gateway below a process, as the kernel recorded it."""
    found = []
    for child in psutil.Process(supervisor_pid).children(recursive=True):
        with contextlib.suppress(psutil.Error, OSError):
            if any("gateway" in word for word in child.cmdline()):
                status = Path(f"/proc/{child.pid}/status").read_text(encoding="utf-8")
                (line,) = [text for text in status.splitlines() if text.startswith("VmHWM")]
                found.append(int(line.split()[1]) / 1024)
    return max(found)


def measure(s3, source, target, rounds):
    """Return the best upload and download in seconds."""
    s3.create_bucket(Bucket="transfer")
    up, down = [], []
    wanted = _sha256(source)
    for number in range(rounds):
        start = time.perf_counter()
        s3.upload_file(str(source), "transfer", f"object-{number}")
        up.append(time.perf_counter() - start)
        start = time.perf_counter()
        s3.download_file("transfer", f"object-{number}", str(target))
        down.append(time.perf_counter() - start)
        assert _sha256(target) == wanted, "what came back is not what was sent"
        target.unlink()
        s3.delete_object(Bucket="transfer", Key=f"object-{number}")
    return min(up), min(down)


def _sha256(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    judge = load_judge()
    with tempfile.TemporaryDirectory(prefix="farero-bench-") as folder:
        source, target = Path(folder) / "source", Path(folder) / "target"
        block = os.urandom(MIB)
        with source.open("wb") as file:
            for number in range(options.mib):
                file.write(number.to_bytes(8, "big") + block[8:])
        site = fresh.Site(Path(folder))
        with site.running():
            key = fresh.owner(site.data)
            s3 = client(site.url, key.access_key, key.secret_key)
            ours = measure(s3, source, target, options.rounds)
            peak = gateway_peak_mib(site.control.info()["pid"])
        with judge.serve() as url:
            s3 = client(url, judge.ACCESS_KEY, judge.SECRET_KEY)
            theirs = measure(s3, source, target, options.rounds)
    print(f"{options.mib} MiB by boto3 {boto3.__version__}, best of {options.rounds}")
    shares = []
    for name, mine, other in zip(("put", "get"), ours, theirs, strict=True):
        shares.append(other / mine)
        print(
            f"{name}   Farero {options.mib / mine:7.1f} MiB/s   SeaweedFS {options.mib / other:7.1f} MiB/s   "
            f"share {other / mine:.2f} (at least {HALF})"
        )
    print(f"gateway's peak resident memory {peak:.0f} MiB (below {LIMIT_MIB})")
    return int(min(shares) < HALF or peak >= LIMIT_MIB)


if __name__ == "__main__":
    sys.exit(main())
