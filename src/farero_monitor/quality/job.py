"""Model quality as a container's work: told by environment variables, as SageMaker's analyzer is.

`analysis_type=MODEL_QUALITY`. Without `baseline_constraints` it is a baseline.

| variable | meaning |
|---|---|
| `problem_type` | Regression, BinaryClassification or MulticlassClassification; a run may leave it to its baseline |
| `inference_attribute`, `probability_attribute` | the prediction, and the positive label's probability |
| `probability_attribute` of several classes | all of them, `0-2` or `CLASS=COLUMN,…`, where no prediction is named |
| `probability_threshold_attribute` | a number: a probability above it is a positive prediction; 0.5 by default |
| `ground_truth_attribute` | the label; of merged captures their `groundTruthData` by default |
| `dataset_format` | csv, json, parquet, sagemakerMergeJson (or sagemakerCaptureJson with groundTruthData in it) |
| `dataset_source`, `output_path`, `start_time`, `end_time`, `baseline_constraints`, … | as for data quality |
| `positive_label` | Farero's own: which label is the positive one, where 0/1, no/yes and the like do not tell |
| `history_source` | Farero's own: a folder with outputs of earlier windows, for the page |
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from farero_monitor.environment import SettingError, dataset_format, file_of, needed, publish
from farero_monitor.history import read as read_history
from farero_monitor.quality import contents, runs
from farero_monitor.quality.sources import PROBLEMS, Attributes, Source
from farero_monitor.words import of_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farero_monitor.quality.contents import Constraints
    from farero_monitor.quality.sources import Kind

_FORMATS: dict[str, Kind] = {
    "csv": "csv", "json": "json", "parquet": "parquet", "sagemakerMergeJson": "capture",
    "sagemakerCaptureJson": "capture",
}  # fmt: skip


def run(environ: Mapping[str, str]) -> str:
    """Take a baseline or judge a window; return the exit message.

    Raises SettingError, NoDataError, AttributeMissingError, QualityError, BaselineError, ScriptError, OSError.
    """
    output = Path(needed(environ, "output_path"))
    given = environ.get("baseline_constraints")
    constraints = runs.read_constraints(file_of(given)) if given else None
    past = environ.get("history_source")
    history = read_history(Path(past)) if past else None
    made = runs.run(
        _source(environ), _attributes(environ, constraints), output,
        constraints=constraints, history=history, language=of_environment(environ),
    )  # fmt: skip
    for place in made.gathered.unread.places:
        print("could not be used:", ", ".join(place[:2]), "-", place[2])
    if constraints is None:
        return made.message
    print(made.result.verdict.sentence)
    if environ.get("publish_cloudwatch_metrics") == "Enabled":
        publish(environ, contents.cloudwatch(
            made.found, environ.get("sagemaker_endpoint_name", ""),
            environ.get("sagemaker_monitoring_schedule_name", ""), environ.get("metric_time", ""),
        ))  # fmt: skip
    return made.message


def _attributes(environ: Mapping[str, str], constraints: Constraints | None) -> Attributes:
    problem = environ.get("problem_type") or (constraints.problem if constraints else "")
    if problem not in PROBLEMS:
        raise SettingError(
            f"problem_type is '{problem}', but must be one of {', '.join(PROBLEMS)}."
        )
    told = environ.get("probability_threshold_attribute") or "0.5"
    try:
        threshold = float(told)
    except ValueError as error:
        raise SettingError(
            f"probability_threshold_attribute must be a number, not '{told}'."
        ) from error
    truth = environ.get("ground_truth_attribute", "")
    if not truth and _FORMATS[dataset_format(environ, _FORMATS)[0]] != "capture":
        raise SettingError("The environment variable ground_truth_attribute is missing.")
    return Attributes(
        problem=problem,
        inference=environ.get("inference_attribute", ""),
        probability=environ.get("probability_attribute", ""),
        truth=truth, threshold=threshold, positive=environ.get("positive_label", ""),
    )  # fmt: skip


def _source(environ: Mapping[str, str]) -> Source:
    name, details = dataset_format(environ, _FORMATS)
    kind = _FORMATS[name]
    script = environ.get("record_preprocessor_script")
    if script and kind != "capture":
        raise SettingError(
            "record_preprocessor_script works with captures, not with flat data sets."
        )
    halves = details.get("captureIndexNames") or ["endpointOutput", "batchTransformOutput"]
    return Source(
        Path(needed(environ, "dataset_source")), kind, header=bool(details.get("header", True)),
        start=environ.get("start_time", "") if kind == "capture" else "",
        end=environ.get("end_time", "") if kind == "capture" else "",
        halves=tuple(str(half) for half in halves), script=file_of(script) if script else None,
    )  # fmt: skip
