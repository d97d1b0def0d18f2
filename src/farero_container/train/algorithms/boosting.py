"""One run of XGBoost's boosting: a line a round, early stopping, checkpoints, an end on request, errors in words.

Facts: sagemaker-xgboost-container's `algorithm_mode/train.py` and `checkpointing.py`: files named
`xgboost-checkpoint.<round>`, the five newest kept, the newest one continued from.
"""

from __future__ import annotations

import json
import re
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farero_container.contract import StartUpError, base_dir
from farero_container.train import channels, hyperparameters, metrics, readers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from farero_container.train.hyperparameters import Value

KEPT_CHECKPOINTS = 5
_CHECKPOINT = re.compile(r"xgboost-checkpoint\.(\d+)")
#: The place in XGBoost's source that its sentences begin with.
_PLACE = re.compile(r"^(\[[\d:]+\] )?(\S+\.(cc|cu|h|cuh):\d+: )?(Check failed: )?")
#: What XGBoost says when the data or a hyperparameter, not the algorithm, is at fault.
_CLIENT_WORDS = (
    "label", "feature", "num_class", "must be", "should be", "Check failed: preds", "base_score", "constraint",
    "auc_error", "updater",
)  # fmt: skip


class StopRequest:
    """SIGTERM while the model is to be kept: the round is finished, the model saved."""

    def __init__(self, *, is_model_kept: bool) -> None:
        self.came = False
        if is_model_kept:
            signal.signal(signal.SIGTERM, self._take)

    def _take(self, *_: object) -> None:
        self.came = True


@dataclass(frozen=True, slots=True)
class Run:
    """What all runs of one job have in common."""

    xgb: Any
    #: XGBoost's own.
    params: dict[str, Any]
    #: All hyperparameters, as AWS names them.
    values: Mapping[str, Value]
    stop: StopRequest
    checkpoints: Path | None = None

    def boost(self, matrices: Mapping[str, Any], scores: dict[str, Any] | None = None) -> Any:
        """Train on `train`, watching all matrices; `scores` is filled with the metrics of every round.

        Raises BadData or StartUpError in XGBoost's words.
        """
        names = hyperparameters.metric_names(self.values)
        start, model = _latest(self.xgb, self.checkpoints) if self.checkpoints else (0, None)
        if model is not None:
            print(f"Resuming from round {start} of {self.values['num_round']}", flush=True)
        try:
            return self.xgb.train(
                self.params, matrices["train"],
                num_boost_round=max(0, int(str(self.values["num_round"])) - start), xgb_model=model,
                evals=[(matrix, name) for name, matrix in matrices.items()],
                custom_metric=metrics.custom(names, str(self.params.get("objective", ""))),
                callbacks=self._callbacks(start, has_validation="validation" in matrices),
                evals_result={} if scores is None else scores, verbose_eval=False,
            )  # fmt: skip
        except self.xgb.core.XGBoostError as error:
            raise in_words(error) from error

    def _callbacks(self, start: int, *, has_validation: bool) -> list[Any]:
        found = [_monitor(self.xgb, start, self.stop)]
        patience = self.values.get("early_stopping_rounds")
        if isinstance(patience, int) and has_validation:
            keeps_best = self.params.get("booster") != "gblinear"
            metric = hyperparameters.decisive_metric(self.values)
            found.append(_early_stopping(self.xgb, patience, metric, keeps_best=keeps_best))
        if self.checkpoints:
            found.append(_saving(self.xgb, start, self.checkpoints))
        return found


def checkpoint_dir() -> Path | None:
    """Return the folder of checkpoints if the job has one."""
    try:
        text = (channels.input_dir() / "config/checkpointconfig.json").read_text(encoding="utf-8")
        local = str(json.loads(text).get("LocalPath", "/opt/ml/checkpoints"))
    except (OSError, ValueError, AttributeError):
        local = "/opt/ml/checkpoints"
    folder = (
        base_dir() / Path(local).relative_to("/opt/ml")
        if local.startswith("/opt/ml/")
        else Path(local)
    )
    return folder if folder.is_dir() else None


def write(booster: Any, path: Path) -> None:
    """Write a model in XGBoost's binary JSON under any name, whole or not at all."""
    part = path.with_name(f".{path.name}.ubj")
    booster.save_model(str(part))
    part.replace(path)


def in_words(error: Exception) -> StartUpError:
    """Return the error that tells XGBoost's own sentence, without stack trace and source file."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    head = next((line for line in lines if "Stack trace" not in line), type(error).__name__)
    text = _PLACE.sub("", head).strip(" :")
    if any(word in str(error) for word in _CLIENT_WORDS):
        return readers.BadData(text)
    return StartUpError("E-ALGORITHM", f"XGB train call failed with exception: {text}")


def line(number: int, scores: Sequence[tuple[str, float]]) -> str:
    """Return a line of the log in the form that the algorithm's metric definitions read."""
    return "\t".join([f"[{number}]", *(f"{name}:{score:.5f}" for name, score in scores)])


def _latest(xgb: Any, folder: Path) -> tuple[int, Any]:
    """Return the rounds done and the model of the newest checkpoint that can be read."""
    for number, path in sorted(_checkpoints(folder), reverse=True):
        try:
            return number + 1, xgb.Booster(model_file=bytearray(path.read_bytes()))
        except xgb.core.XGBoostError:
            print(f"The checkpoint {path.name} cannot be read and is passed over", flush=True)
    return 0, None


def _checkpoints(folder: Path) -> list[tuple[int, Path]]:
    return [
        (int(found[1]), path)
        for path in folder.iterdir()
        if (found := _CHECKPOINT.fullmatch(path.name)) and path.is_file()
    ]


def _monitor(xgb: Any, start: int, stop: StopRequest) -> Any:
    class Monitor(xgb.callback.TrainingCallback):
        """Prints a line a round, and ends the training if it was asked to stop."""

        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            """Print the metrics of one round."""
            _ = model
            scores = [
                (f"{data}-{name}", values[-1])
                for data, log in evals_log.items()
                for name, values in log.items()
            ]
            print(line(start + epoch, scores), flush=True)
            return stop.came

    return Monitor()


def _early_stopping(xgb: Any, patience: int, metric: str | None, *, keeps_best: bool) -> Any:
    class Stopping(xgb.callback.EarlyStopping):
        """XGBoost's, watching a metric by the name that it is logged under, e.g. `error` for `error@0.5`."""

        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            """Look at the newest score."""
            if metric is not None and epoch == 0:
                self.metric_name = logged_name(metric, list(evals_log["validation"]))
            return bool(super().after_iteration(model, epoch, evals_log))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] - xgb is Any

    maximise = hyperparameters.metric_base(metric) in hyperparameters.MAXIMISED if metric else None
    return Stopping(
        rounds=patience, data_name="validation", maximize=maximise, save_best=keeps_best
    )


def logged_name(metric: str, logged: Sequence[str]) -> str:
    """Return the name among those logged that a metric was given: its own, else one of the same base, else the last."""
    if metric in logged:
        return metric
    base = hyperparameters.metric_base(metric)
    return next((name for name in logged if name.partition("@")[0] == base), logged[-1])


def _saving(xgb: Any, start: int, folder: Path) -> Any:
    class Saving(xgb.callback.TrainingCallback):
        """Writes a checkpoint a round and removes the oldest."""

        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            """Write the model of one round."""
            _ = evals_log
            write(model, folder / f"xgboost-checkpoint.{start + epoch}")
            for _, path in sorted(_checkpoints(folder))[:-KEPT_CHECKPOINTS]:
                path.unlink(missing_ok=True)
            return False

    return Saving()
