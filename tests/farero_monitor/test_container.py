"""The analyzer's container where a window holds nothing."""

import json
import os
import subprocess
import sys

CAPTURE = '{"sagemakerCaptureJson": {"captureIndexNames": ["endpointInput", "endpointOutput"]}}'


def container(folder, **given):
    done = subprocess.run(
        [sys.executable, "-m", "farero_monitor.container"],
        env=os.environ | {"SAGEMAKER_BASE_DIR": str(folder)} | given, cwd=folder,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, (folder / "output" / "message").read_text()


def test_a_window_without_records_fails_instead_of_missing_every_column(tmp_path):
    rows = "".join(f"{number},{number % 7}\n" for number in range(300))
    (tmp_path / "train.csv").write_text(f"answer,size\n{rows}")
    half = {"observedContentType": "text/csv", "encoding": "CSV"}
    record = {
        "captureData": {
            "endpointInput": half | {"mode": "INPUT", "data": "1"},
            "endpointOutput": half | {"mode": "OUTPUT", "data": "2"},
        },
        "eventMetadata": {"eventId": "1", "inferenceTime": "2026-01-05T10:00:00Z"},
        "eventVersion": "0",
    }
    (tmp_path / "captures").mkdir()
    (tmp_path / "captures" / "a.jsonl").write_text(json.dumps(record) + "\n")
    code, _ = container(
        tmp_path, dataset_format='{"csv": {"header": true}}', dataset_source="train.csv",
        output_path="baseline",
    )  # fmt: skip
    assert code == 0
    code, message = container(
        tmp_path, dataset_format=CAPTURE, dataset_source="captures", output_path="report",
        baseline_constraints="baseline/constraints.json",
        baseline_statistics="baseline/statistics.json",
        start_time="2026-01-05T10:30:00Z", end_time="2026-01-05T10:31:00Z",
    )  # fmt: skip
    assert (code, message) == (
        255, "No record was captured from 2026-01-05T10:30:00Z to 2026-01-05T10:31:00Z.",
    )  # fmt: skip
