"""The block that the README prints, run as a reader would run it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[2] / "README.md"


@pytest.mark.journey
def test_the_block_of_the_readme_runs_as_printed(shared_platform, tmp_path):
    [code] = re.findall(
        r"^```python\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, env=shared_platform.client_env, capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert abs(float(done.stdout) - 18) < 1.5


@pytest.mark.journey
def test_a_thousand_requests_leave_a_thousand_records_with_the_same_bytes(
    shared_platform, tmp_path
):
    import json
    import tarfile

    import numpy as np
    import xgboost as xgb

    random = np.random.default_rng(7)
    rows = random.random((1000, 4), dtype=np.float32)
    booster = xgb.train({"max_depth": 3}, xgb.DMatrix(rows, rows.sum(axis=1)), 20)
    booster.save_model(tmp_path / "model.ubj")
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "model.ubj", "model.ubj")
    shared_platform.farero(
        "deploy", str(tmp_path / "model.tar.gz"), "--name", "thousand", "--capture", "100"
    )
    runtime = shared_platform.client("sagemaker-runtime")
    bodies = [",".join(repr(float(v)) for v in row) for row in rows]

    answers = [
        runtime.invoke_endpoint(EndpointName="thousand", ContentType="text/csv", Body=body)["Body"]
        .read()
        .decode()
        for body in bodies
    ]
    shared_platform.farero("rm", "thousand", "--yes")

    expected = booster.predict(xgb.DMatrix(rows)).tolist()
    assert [answer.strip() for answer in answers] == [str(value) for value in expected]
    s3 = shared_platform.client("s3")
    records = []

    def collect():
        listed = s3.list_objects_v2(
            Bucket=shared_platform.bucket, Prefix="model-monitor/data-capture/thousand/"
        )
        texts = [
            s3.get_object(Bucket=shared_platform.bucket, Key=o["Key"])["Body"].read()
            for o in listed.get("Contents", [])
        ]
        records[:] = [
            json.loads(line)["captureData"] for text in texts for line in text.splitlines()
        ]
        return len(records) >= 1000

    shared_platform.wait(collect)
    pairs = [(r["endpointInput"]["data"], r["endpointOutput"]["data"]) for r in records]
    assert pairs == list(zip(bodies, answers, strict=True))
