"""SageMaker's built-in XGBoost: channels `train` and `validation` in, `xgboost-model` out.

Facts: "XGBoost algorithm" of the SageMaker Developer Guide; sagemaker-xgboost-container's `algorithm_mode/train.py`.
Not there: training over several machines, Dask on GPUs.
"""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

from farero_container.contract import StartUpError, model_dir, output_dir
from farero_container.serve.frameworks.xgboost_library import import_xgboost
from farero_container.train import channels, hyperparameters, metrics, readers
from farero_container.train.algorithms import boosting

if TYPE_CHECKING:
    from pathlib import Path

    from farero_container.train.hyperparameters import Value

MODEL = "xgboost-model"
#: Not XGBoost's own, or gone from the XGBoost of today without loss.
_NOT_PASSED = frozenset({
    "num_round", "csv_weights", "early_stopping_rounds", "save_model_on_termination", "eval_metric", "predictor",
    "deterministic_histogram", "single_precision_histogram", "sketch_eps", "dsplit", "prob_buffer_row", "silent",
    "use_dask_gpu_training", "_tuning_objective_metric", "_kfold", "_num_cv_round",
})  # fmt: skip
_RENAMED = {"reg:linear": "reg:squarederror", "gpu_hist": "hist"}


def train() -> None:
    """Train and save. Raises StartUpError for what the caller must change."""
    values = hyperparameters.validate(channels.hyperparameters(), say)
    stop = boosting.StopRequest(is_model_kept=values.get("save_model_on_termination") == "true")
    tables = _read(values)
    xgb = import_xgboost()
    params = _params(values)
    for name, table in tables.items():
        print(
            f"{name.capitalize()} matrix has {table.shape[0]} rows and {table.shape[1]} columns",
            flush=True,
        )
    if "_kfold" in values:
        from farero_container.train.algorithms import folds  # seldom asked for

        run = boosting.Run(xgb, params, values, stop)
        whole = _matrix(xgb, readers.join(list(tables), list(tables.values())), params)
        boosters = folds.cross_validate(run, whole, output_dir() / "data/predictions.csv")
        for number, booster in enumerate(boosters):
            save(booster, model_dir() / f"{MODEL}-{number}")
        return
    run = boosting.Run(xgb, params, values, stop, boosting.checkpoint_dir())
    matrices = {name: _matrix(xgb, table, params) for name, table in tables.items()}
    save(run.boost(matrices), model_dir() / MODEL)


def say(text: str) -> None:
    """Tell the log where more was accepted than AWS accepts."""
    print(f"farero: lenient: {text}", flush=True)


def save(booster: Any, path: Path) -> None:
    """Write the model as AWS's images of today do: XGBoost's binary JSON without a suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    boosting.write(booster, path)
    print(f"Saved the model of {booster.num_boosted_rounds()} rounds as {path.name}", flush=True)


def _read(values: dict[str, Value]) -> dict[str, readers.Table]:
    found = channels.folders()
    if "train" not in found:
        raise StartUpError("E-CHANNEL", "Missing required channel: train",
                           fix="Name the channel of the training data 'train'.")  # fmt: skip
    unknown = sorted(set(found) - {"train", "validation", "code"})
    if unknown:
        raise StartUpError("E-CHANNEL", f"Extraneous channel found: {unknown[0]}",
                           fix="Channels are train, validation and code.")  # fmt: skip
    has_weights = values.get("csv_weights") == 1
    tables = {
        name: readers.read_channel(name, folder, kind, has_weights=has_weights, say=say)
        for name, (folder, kind) in found.items()
        if name in ("train", "validation")
    }
    _check_width(tables)
    return dict(sorted(tables.items()))


def _check_width(tables: dict[str, readers.Table]) -> None:
    widths = {name: table.shape[1] for name, table in tables.items()}
    if len(set(widths.values())) < 2:
        return
    if any(
        hasattr(table.features, "resize") and hasattr(table.features, "indptr")
        for table in tables.values()
    ):
        for table in tables.values():
            table.features.resize(table.shape[0], max(widths.values()))
        return
    raise readers.BadData(
        f"channel 'validation' has {widths['validation']} features a row, channel 'train' has {widths['train']}"
    )


def _params(values: dict[str, Value]) -> dict[str, Any]:
    params: dict[str, Any] = {
        name: value for name, value in values.items() if name not in _NOT_PASSED
    }
    for name in ("objective", "tree_method"):
        if params.get(name) in _RENAMED:
            params[name] = _RENAMED[params[name]]
    params.setdefault("nthread", len(os.sched_getaffinity(0)))
    own = [name for name in hyperparameters.metric_names(values) if name not in metrics.METRICS]
    if own:
        params["eval_metric"] = own
    if isinstance(params.get("updater"), list):
        params["updater"] = ",".join(params["updater"])
    if params.get("objective") == "survival:aft":
        say("survival:aft takes every label as seen, none as censored (AWS: fails without bounds)")
    return params


def _matrix(xgb: Any, table: readers.Table, params: dict[str, Any]) -> Any:
    options: dict[str, Any] = {"qid": table.groups} if table.groups else {}
    if params.get("objective") == "survival:aft":
        options |= {"label_lower_bound": table.labels, "label_upper_bound": table.labels}
    try:
        return xgb.DMatrix(table.features, label=table.labels, weight=table.weights,
                           nthread=params["nthread"], **options)  # fmt: skip
    except (xgb.core.XGBoostError, ValueError) as error:
        raise readers.BadData(boosting.in_words(error).message) from error


def silence() -> None:
    """Keep XGBoost's advice to other programmers out of the user's log."""
    warnings.filterwarnings("ignore", category=UserWarning, module="xgboost")
