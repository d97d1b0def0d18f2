"""The analyzer as SageMaker's processing container: told by environment variables, answers with files and a message.

`python -m farero_monitor.container`. Without `baseline_constraints` it suggests a baseline; with it, it judges a
window. A message goes to `output/message` below /opt/ml (SAGEMAKER_BASE_DIR, where that is set), as on SageMaker.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

import farero_monitor.own_process  # noqa: F401  # pyright: ignore[reportUnusedImport] - before all libraries
from farero_monitor.aws import metrics
from farero_monitor.aws.content import section
from farero_monitor.dataset import Source, UnreadableDataError
from farero_monitor.estimate.labelled import Labelled, LabelsError
from farero_monitor.history import read as read_history
from farero_monitor.monitor import ESTIMATE, SAMPLE, Baseline, BaselineError, judge, take_baseline
from farero_monitor.readers.files import NoDataError
from farero_monitor.readers.options import Options
from farero_monitor.readers.scripts import ScriptError, load
from farero_monitor.report.page import write as write_report
from farero_monitor.words import of_environment
from farero_monitor.workers import WorkerDiedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farero_monitor.dataset import Format


class SettingError(Exception):
    """An environment variable is missing or wrong; the text names it."""


def main() -> int:
    """Do what the environment says; 0 if it could be done."""
    try:
        message = run(os.environ)
        code = 0
    except (
        SettingError, NoDataError, UnreadableDataError, ScriptError, BaselineError, LabelsError,
        WorkerDiedError, OSError,
    ) as error:  # fmt: skip
        message, code = str(error), 255
    print(message, file=sys.stderr if code else sys.stdout)
    target = _base(os.environ) / "output" / "message"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(message[:1024], encoding="utf-8")
    return code


def run(environ: Mapping[str, str]) -> str:
    """Take a baseline or judge a window; return the exit message. Raises what `main` turns into a message."""
    output = Path(_needed(environ, "output_path"))
    constraints = environ.get("baseline_constraints")
    baseline = None
    if constraints:
        statistics = environ.get("baseline_statistics")
        file = _file(constraints)
        sample, learned = environ.get("baseline_sample"), environ.get("baseline_estimate")
        baseline = Baseline.read(
            file,
            _file(statistics) if statistics else None,
            _file(sample) if sample else file.parent / SAMPLE,
            _file(learned) if learned else file.parent / ESTIMATE,
        )
    source = _source(environ, tuple(baseline.constraints.names) if baseline else ())
    if baseline is None:
        take_baseline(source, output, labelled=_labelled(environ))
        message = "Completed: Job completed successfully with no violations."
    else:
        past = environ.get("history_source")
        history = read_history(Path(past)) if past else None
        for file, reason in history.left_out if history else ():
            print(f"{file} is no report of an earlier window and left out: {reason}")
        result = judge(source, baseline, output, history=history)
        write_report(result, baseline, output / "report.html", language=of_environment(environ))
        if environ.get("publish_cloudwatch_metrics") == "Enabled":
            _publish(environ, metrics.lines(
                result, baseline, environ.get("sagemaker_endpoint_name", ""),
                environ.get("sagemaker_monitoring_schedule_name", ""), environ.get("metric_time", ""),
            ))  # fmt: skip
        print(result.verdict.sentence)
        message = result.message
    after = environ.get("post_analytics_processor_script")
    if after:
        load(_file(after), "postprocess_handler")()
    return message


def _publish(environ: Mapping[str, str], lines: list[dict[str, Any]]) -> None:
    """Leave metrics where the platform takes them from."""
    folder = _base(environ) / "output" / "metrics" / "cloudwatch"
    folder.mkdir(parents=True, exist_ok=True)
    content = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
    (folder / "cloudwatch_metrics.jsonl").write_bytes(content)


def _base(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))


def _source(environ: Mapping[str, str], names: tuple[str, ...]) -> Source:
    text = _needed(environ, "dataset_format")
    try:
        told = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise SettingError(f"dataset_format is not a JSON object: {text}") from error
    formats: dict[str, Format] = {
        "csv": "csv", "json": "json", "parquet": "parquet", "sagemakerCaptureJson": "capture",
    }  # fmt: skip
    known = [name for name in told if name in formats]
    if len(known) != 1:
        raise SettingError(f"dataset_format names none of {', '.join(formats)}: {text}")
    details = section(told, known[0])
    script = environ.get("record_preprocessor_script")
    options = Options(
        names=names,
        start=environ.get("start_time", "") if known[0] == "sagemakerCaptureJson" else "",
        end=environ.get("end_time", "") if known[0] == "sagemakerCaptureJson" else "",
        output_first=details.get("output_columns_position", "START") != "END",
    )
    return Source(
        Path(_needed(environ, "dataset_source")),
        formats[known[0]],
        header=bool(details.get("header", True)),
        options=options,
        script=_file(script) if script else None,
    )


def _labelled(environ: Mapping[str, str]) -> Labelled | None:
    """Return the columns of a labelled baseline, in the variables that SageMaker has for model quality."""
    target = environ.get("ground_truth_attribute")
    if not target:
        return None
    probability = environ.get("probability_attribute")
    return Labelled(
        target,
        environ.get("inference_attribute", ""),
        {"": probability} if probability else {},
    )


def _needed(environ: Mapping[str, str], name: str) -> str:
    if not environ.get(name):
        raise SettingError(f"The environment variable {name} is missing.")
    return environ[name]


def _file(text: str) -> Path:
    """Return a file; a folder stands for the one file in it."""
    path = Path(text)
    if path.is_dir():
        found = [entry for entry in sorted(path.iterdir()) if entry.is_file()]
        if len(found) == 1:
            return found[0]
    return path


if __name__ == "__main__":
    raise SystemExit(main())
