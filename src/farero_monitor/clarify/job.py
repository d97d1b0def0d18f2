"""The container: paths and environment in, files, a message and metrics out. See the package for its contract."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from farero_monitor.aws.content import section
from farero_monitor.clarify import (
    analysis,
    captured,
    config,
    data,
    metrics,
    others,
    report,
    texts,
    violations,
)
from farero_monitor.clarify.aws import Aws
from farero_monitor.clarify.config import Config, ConfigError, Predictor
from farero_monitor.words import of_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farero_monitor.clarify.analysis import Analysis
    from farero_monitor.clarify.rows import Rows
    from farero_monitor.words import Language

#: Of sentences, in the order in which they are made.
LANGUAGES: tuple[Language, Language] = ("en", "es")
ANALYSIS, VIOLATIONS, EXTENDED, PAGE = (
    "analysis.json", "constraint_violations.json", "drift_report.json", "report.html",
)  # fmt: skip
BIAS, EXPLAINABILITY = "MODEL_BIAS", "MODEL_EXPLAINABILITY"
_SHAP_METHODS = ("auto", "kernel", "tree")


def base(environ: Mapping[str, str]) -> Path:
    """Return the folder that a container knows as /opt/ml."""
    return Path(environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))


def run(environ: Mapping[str, str]) -> str:
    """Do what the environment says; return the exit message. Raises what `__main__` turns into a message."""
    method = environ.get("shap_method", "auto")
    if method not in _SHAP_METHODS:
        raise ConfigError(f"shap_method is '{method}'; there are {', '.join(_SHAP_METHODS)}.")
    kind = environ.get("analysis_type", "")
    if kind not in {"", BIAS, EXPLAINABILITY}:
        raise ConfigError(f"analysis_type is '{kind}'; here there are {BIAS} and {EXPLAINABILITY}.")
    with contextlib.closing(Aws.of(environ)) as aws:
        if kind:
            return _monitor(environ, aws, kind=kind, method=method)
        return _alone(environ, aws, method)


def _alone(environ: Mapping[str, str], aws: Aws, method: str) -> str:
    """Do a job by itself, its folders as the request of the job says."""
    inputs, output = _places(base(environ))
    told = config.read(Path(environ.get("analysis_config") or inputs.get("analysis_config", "")))
    if told.dataset_uri:
        rows = others.fetch(aws, told.dataset_uri, told, "dataset_uri")
    else:
        rows = data.load(Path(environ.get("dataset_source") or inputs.get("dataset", "")), told)
    found = analysis.of_job(rows, told, aws, shap_method=method)
    folder = Path(environ.get("output_path") or output)
    named = told.methods.report if told.methods else None
    _write(found, told, folder)
    language = of_environment(environ)
    title = named.title if named else texts.say("title", language)
    sentence = texts.say("analysed", language, rows=len(rows))
    page = report.page(found, title=title, sentence=sentence, language=language)
    report.write(folder / PAGE, page)
    return "Completed: Job completed successfully."


def _places(root: Path) -> tuple[dict[str, str], str]:
    """Return where inputs and the first output of the job lie: as its request says, or where the SDK puts them."""
    inputs = {
        "analysis_config": str(root / "processing" / "input" / "config"),
        "dataset": str(root / "processing" / "input" / "data"),
    }
    output = str(root / "processing" / "output")
    try:
        content = (root / "config" / "processingjobconfig.json").read_bytes()
        request = msgspec.json.decode(content, type=dict[str, Any])
    except (OSError, msgspec.MsgspecError):
        return inputs, output
    for entry in cast("list[dict[str, Any]]", request.get("ProcessingInputs") or []):
        path = section(entry, "S3Input").get("LocalPath")
        if path:
            inputs[str(entry.get("InputName"))] = _inside(root, path)
    told: Any = section(request, "ProcessingOutputConfig").get("Outputs") or []
    for entry in cast("list[dict[str, Any]]", told)[:1]:
        output = _inside(root, section(entry, "S3Output").get("LocalPath") or "") or output
    return inputs, output


def _inside(root: Path, path: str) -> str:
    return str(root / path.removeprefix("/opt/ml/")) if path.startswith("/opt/ml/") else path


def _monitor(environ: Mapping[str, str], aws: Aws, *, kind: str, method: str) -> str:
    root = base(environ)
    told = config.read(
        Path(environ.get("analysis_config") or root / "processing" / "input" / "config")
    )
    baseline = _baseline(environ)
    folder = Path(environ.get("output_path") or root / "processing" / "output")
    if kind == BIAS:
        config.check_bias(told)
        found = _bias(environ, told, baseline)
    else:
        rows, _ = _window(environ, told, label="")
        endpoint = environ.get("sagemaker_endpoint_name", "")
        told = msgspec.structs.replace(told, predictor=_predictor(environ, told))
        found = analysis.of_endpoint(rows, told, aws, endpoint=endpoint, shap_method=method)
    broken = violations.bias(found.content, baseline)
    judged = violations.judged(found.content, baseline, found.deviations)
    drifted, scores = violations.attributions(found.content, baseline)
    broken += drifted
    _write(found, told, folder)
    _json(folder / VIOLATIONS, {"version": analysis.VERSION, "violations": broken})
    sentence, spanish = (_sentence(broken, judged, scores, one) for one in LANGUAGES)
    language = of_environment(environ)
    _json(folder / EXTENDED, {
        "severity": "warning" if broken else "none", "sentence": sentence, "rows": found.rows,
        "first": environ.get("start_time", ""), "last": environ.get("end_time", ""),
        "findings": [], "columns": [], "pairs": [], "limits": {},
        "spanish": {"sentence": spanish, "findings": []},
        "bias": report.bias_told(found, judged),
        "attributions": violations.attributions_told(found.content, baseline, scores),
    })  # fmt: skip
    text = report.page(
        found, title=texts.say("title_bias" if kind == BIAS else "title_shap", language),
        sentence=spanish if language == "es" else sentence, violations=broken, judged=judged,
        scores=scores, language=language,
    )  # fmt: skip
    report.write(folder / PAGE, text)
    if environ.get("publish_cloudwatch_metrics") == "Enabled":
        _publish(environ, found)
    if broken:
        return f"CompletedWithViolations: Job completed successfully with {len(broken)} violations."
    return "Completed: Job completed successfully with no violations."


def _sentence(
    broken: list[dict[str, Any]], judged: list[dict[str, Any]], scores: Mapping[str, float],
    language: Language,
) -> str:  # fmt: skip
    if scores:
        least = min(scores.values())
        key = "order_changed" if least < violations.LIMIT else "order_same"
        return texts.say(key, language, least=least, limit=violations.LIMIT)
    if not judged:
        return texts.say("no_baseline", language)
    if not broken:
        return texts.say("no_farther", language)
    sure = sum(one["beyond_chance"] for one in judged)
    return texts.say("farther", language, count=len(broken), sure=sure)


def _baseline(environ: Mapping[str, str]) -> dict[str, Any]:
    text = environ.get("baseline_constraints")
    if not text:
        return {}
    path = Path(text)
    if path.is_dir():
        files = sorted(path.glob("*.json"))
        path = files[0] if len(files) == 1 else path / ANALYSIS
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigError(f"The baseline {path} cannot be read: {error}") from error


def _bias(environ: Mapping[str, str], told: Config, baseline: dict[str, Any]) -> Analysis:
    headers = told.headers or []

    def named(which: config.Column) -> str:
        """Return a column's name: a number counts the headers, among which the label is not in the captures."""
        return (
            headers[int(which)]
            if str(which).isdigit() and int(which) < len(headers)
            else str(which)
        )

    name = named(told.label if told.label is not None else "label")
    rows, given = _window(environ, told, label=name)
    threshold = environ.get("probability_threshold_attribute")
    changed = msgspec.structs.replace(
        told, label=name,
        facet=[msgspec.structs.replace(one, name_or_index=named(one.name_or_index)) for one in told.facet],
        group_variable=named(told.group_variable) if told.group_variable is not None else None,
        probability_threshold=float(threshold) if threshold else told.probability_threshold,
    )  # fmt: skip
    return analysis.of_window(rows, given, changed, _predictor(environ, told), _known(baseline))


def _predictor(environ: Mapping[str, str], told: Config) -> Predictor:
    """Return where in an answer scores are, as the input of the schedule says before the configuration."""
    own = told.predictor or Predictor()
    given = {
        name: held
        for name, variable in (
            ("label", "inference_attribute"),
            ("probability", "probability_attribute"),
        )
        if (held := environ.get(variable, "None"))
        not in {"", "None"}  # the SDK writes a missing one so
    }
    return msgspec.structs.replace(own, **given)


def _known(baseline: dict[str, Any]) -> analysis.Baseline:
    facets: dict[str, list[str]] = {}
    label = None
    for (name, facet, group, _), _held in violations.metrics_of(baseline):
        held = facets.setdefault(facet, [])
        if group not in held:
            held.append(group)
        label = section(baseline, name).get("label_value_or_threshold", label)
    return analysis.Baseline(facets, str(label) if label is not None else None)


def _window(environ: Mapping[str, str], told: Config, *, label: str) -> tuple[Rows, list[Any]]:
    """Return rows and answers of a window; with the column of the ground truth, where a label is needed."""
    text = environ.get("dataset_format") or '{"sagemakerCaptureJson":{}}'
    try:
        form = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise ConfigError(f"dataset_format is not a JSON object: {text}") from error
    source = environ.get("dataset_source")
    if not source:
        raise ConfigError("The environment variable dataset_source is missing.")
    if {"sagemakerCaptureJson", "sagemakerMergeJson"} & form.keys():
        aside = {label, str(told.label)}
        names = [name for name in told.headers or () if name not in aside]
        wanted = captured.Wanted(
            features=tuple(names), features_path=environ.get("features_attribute", ""), label=label,
            start=environ.get("start_time", ""), end=environ.get("end_time", ""),
        )  # fmt: skip
        found = captured.read(Path(source), wanted)
        return found.rows, found.answers
    kinds = {"csv": "text/csv", "json": "application/jsonlines", "parquet": "application/x-parquet"}
    known = [kinds[name] for name in form if name in kinds]
    if len(known) != 1:
        raise ConfigError(
            f"dataset_format names none of sagemakerCaptureJson, {', '.join(kinds)}: {text}"
        )
    rows = data.load(Path(source), msgspec.structs.replace(told, dataset_type=known[0]))
    answer = environ.get("inference_attribute") or environ.get("probability_attribute")
    if not label or not answer:
        return rows, []
    name = rows.name(answer, "inference_attribute")
    return rows.without([name]), [[value] for value in rows.texts(name).to_pylist()]


def _write(found: Analysis, told: Config, folder: Path) -> None:
    _json(folder / ANALYSIS, found.content | violations.certainty(found.deviations))
    analysis.write(found, told, folder)


def _publish(environ: Mapping[str, str], found: Analysis) -> None:
    lines = metrics.lines(
        found.content, environ.get("sagemaker_endpoint_name", ""),
        environ.get("sagemaker_monitoring_schedule_name", ""), environ.get("metric_time", ""),
    )  # fmt: skip
    folder = base(environ) / "output" / "metrics" / "cloudwatch"
    folder.mkdir(parents=True, exist_ok=True)
    content = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
    (folder / "cloudwatch_metrics.jsonl").write_bytes(content)


def _json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2))
