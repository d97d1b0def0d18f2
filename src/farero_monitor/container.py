"""The analyzer as SageMaker's processing container: told by environment variables, answers with files and a message.

`python -m farero_monitor.container`. `analysis_type` says what: DATA_QUALITY (the default) or MODEL_QUALITY
(`quality/job.py`). Without `baseline_constraints` it suggests a baseline; with it, it judges a window. A message goes
to `output/message` below /opt/ml (SAGEMAKER_BASE_DIR, where that is set), as on SageMaker.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import farero_monitor.own_process  # noqa: F401  # pyright: ignore[reportUnusedImport] - before all libraries
from farero_monitor.aws import metrics
from farero_monitor.dataset import Source
from farero_monitor.ending import leave
from farero_monitor.environment import (
    SettingError,
    base_of,
    dataset_format,
    file_of,
    needed,
    publish,
)
from farero_monitor.errors import AnalysisError
from farero_monitor.history import read as read_history
from farero_monitor.monitor import ESTIMATE, SAMPLE, Baseline, judge, take_baseline
from farero_monitor.readers.files import NoDataError
from farero_monitor.readers.options import Options
from farero_monitor.report.page import write as write_report
from farero_monitor.words import of_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farero_monitor.estimate.labelled import Labelled
    from farero_monitor.readers.files import Format


def main() -> int:
    """Do what the environment says; 0 if it could be done."""
    try:
        message = run(os.environ)
        code = 0
    except (AnalysisError, OSError) as error:
        message, code = str(error), 255
    print(message, file=sys.stderr if code else sys.stdout)
    target = base_of(os.environ) / "output" / "message"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(message[:1024], encoding="utf-8")
    return code


def run(environ: Mapping[str, str]) -> str:
    """Do the analysis that is asked for; return the exit message. Raises what `main` turns into a message."""
    kind = environ.get("analysis_type") or "DATA_QUALITY"
    if kind not in ANALYSES:
        raise SettingError(f"analysis_type is '{kind}', but must be one of {', '.join(ANALYSES)}.")
    message = ANALYSES[kind](environ)
    after = environ.get("post_analytics_processor_script")
    if after:
        from farero_monitor.readers.scripts import load  # as below: what not every run needs

        load(file_of(after), "postprocess_handler")()
    return message


def data_quality(environ: Mapping[str, str]) -> str:
    """Take a baseline or judge a window; return the exit message."""
    output = Path(needed(environ, "output_path"))
    constraints = environ.get("baseline_constraints")
    baseline = None
    if constraints:
        statistics = environ.get("baseline_statistics")
        file = file_of(constraints)
        sample, learned = environ.get("baseline_sample"), environ.get("baseline_estimate")
        baseline = Baseline.read(
            file,
            file_of(statistics) if statistics else None,
            file_of(sample) if sample else file.parent / SAMPLE,
            file_of(learned) if learned else file.parent / ESTIMATE,
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
        if not result.profile.rows:
            # A silent endpoint must not look like one whose columns are gone; on SageMaker such a run fails, too.
            asked = [environ.get(name, "") for name in ("start_time", "end_time")]
            raise NoDataError(
                f"No record was captured from {asked[0]} to {asked[1]}."
                if all(asked)
                else "No data."
            )
        write_report(result, baseline, output / "report.html", language=of_environment(environ))
        if environ.get("publish_cloudwatch_metrics") == "Enabled":
            publish(environ, metrics.lines(
                result, baseline, environ.get("sagemaker_endpoint_name", ""),
                environ.get("sagemaker_monitoring_schedule_name", ""), environ.get("metric_time", ""),
            ))  # fmt: skip
        print(result.verdict.sentence)
        message = result.message
    return message


def model_quality(environ: Mapping[str, str]) -> str:
    """Measure a model with labels; return the exit message."""
    # a run of the other kind over kept profiles takes no longer than its imports
    from farero_monitor.quality.job import run as measure

    return measure(environ)


ANALYSES = {"DATA_QUALITY": data_quality, "MODEL_QUALITY": model_quality}


def _source(environ: Mapping[str, str], names: tuple[str, ...]) -> Source:
    formats: dict[str, Format] = {
        "csv": "csv", "json": "json", "parquet": "parquet", "sagemakerCaptureJson": "capture",
    }  # fmt: skip
    known, details = dataset_format(environ, formats)
    script, kept = environ.get("record_preprocessor_script"), environ.get("profile_cache")
    options = Options(
        names=names,
        start=environ.get("start_time", "") if known == "sagemakerCaptureJson" else "",
        end=environ.get("end_time", "") if known == "sagemakerCaptureJson" else "",
        output_first=details.get("output_columns_position", "START") != "END",
    )
    return Source(
        Path(needed(environ, "dataset_source")),
        formats[known],
        header=bool(details.get("header", True)),
        options=options,
        script=file_of(script) if script else None,
        kept=Path(kept) if kept and known == "sagemakerCaptureJson" else None,
    )


def _labelled(environ: Mapping[str, str]) -> Labelled | None:
    """Return the columns of a labelled baseline, in the variables that SageMaker has for model quality."""
    target = environ.get("ground_truth_attribute")
    if not target:
        return None
    from farero_monitor.estimate.labelled import Labelled
    from farero_monitor.probabilities import of_text

    probability = environ.get("probability_attribute")
    return Labelled(
        target,
        environ.get("inference_attribute", ""),
        of_text(probability) if probability else {},
    )


if __name__ == "__main__":
    leave(main())
