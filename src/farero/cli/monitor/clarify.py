"""`farero monitor bias` and `explain`: what a model is like towards groups, and what its answers come from.

SageMaker Clarify's processing job does it, with the endpoint's own model and a table of training data; what it finds is
the baseline of `farero monitor add --bias` and `--explain`. The endpoint answers CSV.
"""

from __future__ import annotations

import json
import re
from pathlib import Path  # noqa: TC003 - typer reads annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from farero.base.clock import SystemClock
from farero.cli.deploying import role_arn
from farero.cli.monitor import kinds, tables
from farero.cli.monitor.answers import put_answers
from farero.cli.monitor.places import place, read_json
from farero.cli.monitor.toward_aws import warn_of_aws
from farero.cli.output import WRONG_USAGE, fail, lines, result, say, step
from farero.cli.session import client, guarded, is_aws, settings

if TYPE_CHECKING:
    from farero.cli.monitor.kinds import Kind
    from farero.cli.monitor.places import Place
    from farero.cli.monitor.tables import Table

CONFIG = "analysis_config.json"
#: How often one looks whether the job has ended.
LOOK_S = 0.5
#: Coalitions of an explanation; all of them are taken where the features are so few.
COALITIONS = 128
#: Rows that are explained at most: thousands say no more of the order of features.
MOST_ROWS = 500


def bias(
    endpoint: str,
    data: Annotated[
        Path, typer.Argument(help="CSV with a header: what was true, and the features.")
    ],
    *,
    facet: Annotated[
        list[str], typer.Option(help="Who is looked at: sex=0, age>40, town=Lugo,Vigo; repeatable.")
    ],
    label: Annotated[
        str, typer.Option(help="The column with the truth; by default the first.")
    ] = "",
    positive: Annotated[str, typer.Option(help="The label that is good for a person.")] = "1",
    threshold: Annotated[
        float, typer.Option(help="A probability above it is that label.", min=0, max=1)
    ] = kinds.THRESHOLD,
    prediction: Annotated[
        str,
        typer.Option(help="Which value of the answer is a label; without, it is a probability."),
    ] = "",
) -> None:
    """How a model treats groups: farero monitor bias loans train.csv --facet sex=0. The first column is the truth."""
    where, table = _given(endpoint, data, label)
    facets = [_facet(text, table, data) for text in facet]
    told: dict[str, Any] = {
        "label": table.label, "label_values_or_threshold": [_value(positive)], "facet": facets,
        "methods": {
            "pre_training_bias": {"methods": "all"}, "post_training_bias": {"methods": "all"},
            "report": {"name": "report", "title": f"Bias of {endpoint}"},
        },
    }  # fmt: skip
    predictor: dict[str, Any] = {}
    if prediction:
        predictor["label"] = _value(prediction)
    else:
        told["probability_threshold"] = threshold
    found = _job(where, kinds.BIAS, table, told, predictor)
    held = {"prediction": prediction, "probability": "" if prediction else "0"}
    put_answers(where, _base(where, kinds.BIAS), held | {"threshold": str(threshold)})
    rows = [
        [name, group, metric["name"], _shown(metric), metric["description"]]
        for stage in ("pre_training", "post_training")
        for name, entries in found[f"{stage}_bias_metrics"]["facets"].items()
        for group, metric in _metrics(entries)
    ]
    _tell(where, kinds.BIAS, found, lines(["FACET", "GROUP", "METRIC", "VALUE", "WHAT"], rows))


def explain(
    endpoint: str,
    data: Annotated[
        Path, typer.Argument(help="CSV with a header: what was true, and the features.")
    ],
    *,
    label: Annotated[
        str, typer.Option(help="The column with the truth; by default the first.")
    ] = "",
    rows: Annotated[
        int, typer.Option(help="So many are explained, spread over the file.", min=1)
    ] = MOST_ROWS,
) -> None:
    """What a model's answers come from: farero monitor explain price train.csv. The first column is the truth."""
    where, table = _given(endpoint, data, label)
    table = tables.spread(table, rows)
    shap = {
        "baseline": [tables.centre(table)],
        "num_samples": COALITIONS,
        "agg_method": "mean_abs",
        "seed": 1,
    }
    told: dict[str, Any] = {
        "label": table.label,
        "methods": {
            "shap": shap,
            "report": {"name": "report", "title": f"Attributions of {endpoint}"},
        },
    }
    found = _job(where, kinds.EXPLAIN, table, told, {})
    put_answers(where, _base(where, kinds.EXPLAIN), {"prediction": "0"})
    shown = [
        [output, name, f"{value:.5g}"]
        for output, held in found["explanations"]["kernel_shap"].items()
        for name, value in sorted(held["global_shap_values"].items(), key=lambda one: -abs(one[1]))
    ]
    _tell(where, kinds.EXPLAIN, found, lines(["OUTPUT", "FEATURE", "ATTRIBUTION"], shown))


def _given(endpoint: str, data: Path, label: str) -> tuple[Place, Table]:
    warn_of_aws("the job runs there, with the endpoint's own model.")
    where = place(endpoint)
    try:
        return where, tables.read(data, label)
    except tables.TableError as error:
        fail("E-DATA", str(error), where=str(data), fix=error.fix, status=WRONG_USAGE)


def _facet(text: str, table: Table, data: Path) -> dict[str, Any]:
    """Read `sex=0`, `town=Lugo,Vigo`, `age>40`; or `town`, each of whose values is a group."""
    found = re.fullmatch(r"([^=>]+)(?:(=|>)(.+))?", text)
    if found is None:
        fail("E-FACET", f"{text!r} names no group", where="--facet", fix="sex=0, town=Lugo,Vigo or 'age>40'",
             status=WRONG_USAGE)  # fmt: skip
    name = found.group(1).strip()
    if name not in table.features:
        fail("E-FACET", f"there is no column {name!r}; there are {', '.join(table.features)}", where=str(data),
             fix="--facet COLUMN=VALUE", status=WRONG_USAGE)  # fmt: skip
    made: dict[str, Any] = {"name_or_index": name}
    if found.group(3):
        made["value_or_threshold"] = [_value(value) for value in found.group(3).split(",")]
    return made


def _value(text: str) -> str | int | float:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _base(where: Place, kind: Kind) -> str:
    return f"{where.prefix}{kind.baseline}/"


def _job(
    where: Place, kind: Kind, table: Table, told: dict[str, Any], predictor: dict[str, Any]
) -> dict[str, Any]:
    """Let a job of Clarify's analyze a table; return its analysis.json. Ends the command if it fails."""
    s3, sagemaker = client("s3"), client("sagemaker")
    base, columns = _base(where, kind), [table.label, *table.features]
    asked = told | {"version": "1.0", "dataset_type": "text/csv", "headers": columns}
    asks = {
        "model_name": _model(where.endpoint), "instance_type": "ml.m5.large", "initial_instance_count": 1,
        "content_type": "text/csv", "accept_type": "text/csv", **predictor,
    }  # fmt: skip
    later = _of_schedule(kind, asked | {"predictor": asks}, table)
    for key, body in (
        ("data/data.csv", tables.text(table)), (f"job/{CONFIG}", json.dumps(asked | {"predictor": asks})),
        (CONFIG, json.dumps(later)),
    ):  # fmt: skip
        put = {"Bucket": where.bucket, "Key": base + key, "Body": body.encode()}
        guarded(lambda put=put: s3.put_object(**put))
    now = SystemClock().now()
    name = f"{kind.prefix}{where.endpoint}"[:45].rstrip("-") + f"-{now:%Y%m%d%H%M%S}"
    inputs = (("analysis_config", f"job/{CONFIG}", "config"), ("dataset", "data/data.csv", "data"))
    with step(f"{kind.family} of {len(table.rows):,} rows"):
        guarded(
            lambda: sagemaker.create_processing_job(
                ProcessingJobName=name, RoleArn=role_arn(),
                AppSpecification={"ImageUri": kinds.image(kind, settings().region)},
                ProcessingResources={
                    "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 20}
                },
                ProcessingInputs=[_input(where.uri(base + file), one, at) for one, file, at in inputs],
                ProcessingOutputConfig={"Outputs": [_output(where.uri(base.rstrip("/")))]},
            )
        )  # fmt: skip
        ended = _ended(name)
    if ended["ProcessingJobStatus"] != "Completed":
        reason = ended.get("ExitMessage") or ended.get("FailureReason") or "the job was stopped"
        fail("E-CLARIFY", reason, where=f"processing job {name}", fix=f"farero logs {name}")
    return read_json(where.bucket, f"{base}analysis.json")


def _of_schedule(kind: Kind, asked: dict[str, Any], table: Table) -> dict[str, Any]:
    """Return the configuration that a schedule's runs get, which read captures and not a table."""
    made = dict(asked)
    if (
        not is_aws()
    ):  # there it must name a model; here it asks whatever model its endpoint has by then
        made["predictor"] = {k: v for k, v in asked["predictor"].items() if k != "model_name"}
    if kind is kinds.EXPLAIN:  # captures have no label
        del made["label"]
        made["headers"] = [*table.features]
    return made


def _ended(name: str) -> dict[str, Any]:
    sagemaker, clock = client("sagemaker"), SystemClock()
    while True:
        found = guarded(lambda: sagemaker.describe_processing_job(ProcessingJobName=name))
        if found["ProcessingJobStatus"] in {"Completed", "Failed", "Stopped"}:
            return found
        clock.sleep(LOOK_S)


def _input(uri: str, name: str, folder: str) -> dict[str, Any]:
    return {
        "InputName": name,
        "S3Input": {
            "S3Uri": uri, "LocalPath": f"/opt/ml/processing/input/{folder}", "S3DataType": "S3Prefix",
            "S3InputMode": "File",
        },
    }  # fmt: skip


def _output(uri: str) -> dict[str, Any]:
    output = {"S3Uri": uri, "LocalPath": "/opt/ml/processing/output", "S3UploadMode": "EndOfJob"}
    return {"OutputName": "analysis_result", "S3Output": output}


def _model(endpoint: str) -> str:
    sagemaker = client("sagemaker")
    config = guarded(lambda: sagemaker.describe_endpoint(EndpointName=endpoint))[
        "EndpointConfigName"
    ]
    told = guarded(lambda: sagemaker.describe_endpoint_config(EndpointConfigName=config))
    return str(told["ProductionVariants"][0]["ModelName"])


def _metrics(entries: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (str(one["value_or_threshold"]), metric) for one in entries for metric in one["metrics"]
    ]


def _shown(metric: dict[str, Any]) -> str:
    value = metric.get("value")
    if isinstance(value, int | float):
        return f"{value:+.4f}"
    return str(value or "-")


def _tell(where: Place, kind: Kind, found: dict[str, Any], text: str) -> None:
    uri = where.uri(_base(where, kind))
    result({"baseline": uri, "analysis": found}, text)
    say(
        escape(
            f"\nthis is normal for {where.endpoint} from now on, in {uri} (report.html is its page)"
        )
    )
    say(escape(f"next: farero monitor add {where.endpoint} {kind.flag} --every 1d"))
