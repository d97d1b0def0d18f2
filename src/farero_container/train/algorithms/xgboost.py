"""SageMaker's built-in XGBoost: channels `train` and `validation` in, `xgboost-model` out.

Facts: "XGBoost algorithm" of the SageMaker Developer Guide; sagemaker-xgboost-container's `algorithm_mode/train.py`.
Not there: cross-validation (`_kfold`), training over several machines, Dask on GPUs.
"""

from __future__ import annotations

import os
import signal
import warnings
from typing import TYPE_CHECKING, Any

from farero_container.contract import StartUpError, model_dir
from farero_container.serve.frameworks.xgboost import import_xgboost
from farero_container.train import channels, hyperparameters, metrics, readers

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
#: What XGBoost says when the data, not the algorithm, is at fault.
_CLIENT_WORDS = (
    "label",
    "feature",
    "num_class",
    "must be",
    "Check failed: preds",
    "base_score",
    "constraint",
)


def train() -> None:
    """Train and save. Raises StartUpError for what the caller must change."""
    given = channels.hyperparameters()
    values = hyperparameters.validate(given, say)
    if "_kfold" in values:
        raise hyperparameters.BadHyperparameter(
            "Hyperparameter _kfold: cross-validation is not supported here",
            fix="Leave _kfold away.",
        )
    stop = _StopRequest(is_model_kept=values.get("save_model_on_termination") == "true")
    tables = _read(values)
    xgb = import_xgboost()
    params = _params(values)
    matrices = {name: _matrix(xgb, table, int(params["nthread"])) for name, table in tables.items()}
    for name, table in tables.items():
        print(
            f"{name.capitalize()} matrix has {table.shape[0]} rows and {table.shape[1]} columns",
            flush=True,
        )
    booster = _fit(xgb, params, values, matrices, stop)
    save(booster, model_dir() / MODEL)


def say(text: str) -> None:
    """Tell the log where more was accepted than AWS accepts."""
    print(f"farero: lenient: {text}", flush=True)


def save(booster: Any, path: Path) -> None:
    """Write the model as AWS's images of today do: XGBoost's binary JSON without a suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.ubj")
    booster.save_model(str(part))
    part.replace(path)
    print(f"Saved the model of {booster.num_boosted_rounds()} rounds as {path.name}", flush=True)


class _StopRequest:
    """SIGTERM while the model is to be kept: the round is finished, the model saved."""

    def __init__(self, *, is_model_kept: bool) -> None:
        self.came = False
        if is_model_kept:
            signal.signal(signal.SIGTERM, self._take)

    def _take(self, *_: object) -> None:
        self.came = True


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
    own = [name for name in _metric_names(values) if name not in metrics.METRICS]
    if own:
        params["eval_metric"] = own
    return params


def _metric_names(values: dict[str, Value]) -> list[str]:
    names = values.get("eval_metric", [])
    return names if isinstance(names, list) else [str(names)]


def _matrix(xgb: Any, table: readers.Table, nthread: int) -> Any:
    options: dict[str, Any] = {"qid": table.groups} if table.groups else {}
    try:
        return xgb.DMatrix(
            table.features, label=table.labels, weight=table.weights, nthread=nthread, **options
        )
    except (xgb.core.XGBoostError, ValueError) as error:
        raise readers.BadData(_words(error)) from error


def _fit(
    xgb: Any,
    params: dict[str, Any],
    values: dict[str, Value],
    matrices: dict[str, Any],
    stop: _StopRequest,
) -> Any:
    names = _metric_names(values)
    callbacks = [_monitor(xgb, stop)]
    patience = values.get("early_stopping_rounds")
    if isinstance(patience, int) and "validation" in matrices:
        callbacks.append(_early_stopping(xgb, patience, names, str(params.get("booster", ""))))
    objective = str(params.get("objective", "reg:squarederror"))
    try:
        return xgb.train(
            params, matrices["train"], num_boost_round=values["num_round"], verbose_eval=False, callbacks=callbacks,
            evals=[(matrix, name) for name, matrix in matrices.items()],
            custom_metric=metrics.custom(names, objective),
        )  # fmt: skip
    except xgb.core.XGBoostError as error:
        text = _words(error)
        if any(word in str(error) for word in _CLIENT_WORDS):
            raise readers.BadData(text) from error
        raise StartUpError(
            "E-ALGORITHM", f"XGB train call failed with exception: {text}"
        ) from error


def _early_stopping(xgb: Any, patience: int, names: list[str], booster: str) -> Any:
    # XGBoost puts its own metrics before the custom ones; the last of all decides, as in AWS's container.
    own = [name for name in names if name not in metrics.METRICS]
    ordered = own + [name for name in names if name in metrics.METRICS]
    decisive = ordered[-1] if ordered else None
    maximise = (
        hyperparameters.metric_base(decisive) in hyperparameters.MAXIMISED if decisive else None
    )
    return xgb.callback.EarlyStopping(rounds=patience, data_name="validation", metric_name=decisive,
                                      maximize=maximise, save_best=booster != "gblinear")  # fmt: skip


def _monitor(xgb: Any, stop: _StopRequest) -> Any:
    class Monitor(xgb.callback.TrainingCallback):
        """Prints a line a round in the form that the algorithm's metric definitions expect."""

        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            """Print, and end the training if it was asked to stop."""
            _ = model
            scores = [
                f"{data}-{name}:{values[-1]:.5f}"
                for data, log in evals_log.items()
                for name, values in log.items()
            ]
            print("\t".join([f"[{epoch}]", *scores]), flush=True)
            return stop.came

    return Monitor()


def _words(error: Exception) -> str:
    """Return XGBoost's own sentence without its stack trace."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    head = next((line for line in lines if "Stack trace" not in line), type(error).__name__)
    text = head.rpartition("] ")[2] if head.startswith("[") else head
    return text.rpartition("Check failed: ")[2] or text


def silence() -> None:
    """Keep XGBoost's advice to other programmers out of the user's log."""
    warnings.filterwarnings("ignore", category=UserWarning, module="xgboost")
