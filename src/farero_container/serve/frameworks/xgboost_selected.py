"""Selectable answers of the XGBoost server: SAGEMAKER_INFERENCE_OUTPUT names what each record's answer holds.

Facts: AWS's "Deploy open source trained XGBoost models" and sagemaker-xgboost-container: which keys an objective has,
what each means, and that a key which the objective does not have is NaN, in JSON too.
"""

from __future__ import annotations

import json
import math
import os
from typing import TYPE_CHECKING, Any

from farero_container.contract import StartUpError
from farero_container.serve import content
from farero_container.serve.messages import Response

if TYPE_CHECKING:
    from collections.abc import Sequence

VARIABLE = "SAGEMAKER_INFERENCE_OUTPUT"
_LABELS = ("predicted_label", "labels")
_RAW = ("raw_score", "raw_scores")
_PROBABILITIES = ("probability", "probabilities")
_REGRESSION = ("predicted_score",)
BY_OBJECTIVE = {
    **dict.fromkeys(
        (
            *("reg:squarederror", "reg:linear", "reg:logistic", "reg:gamma"),
            *("reg:absoluteerror", "reg:tweedie"),
        ),
        _REGRESSION,
    ),
    **dict.fromkeys(("binary:logistic", "multi:softprob"), (*_LABELS, *_PROBABILITIES, *_RAW)),
    **dict.fromkeys(("binary:logitraw", "binary:hinge", "multi:softmax"), (*_LABELS, *_RAW)),
}
ACCEPTS = ("text/csv", "application/json", *content.JSONLINES)


class Selection:
    """What each record's answer holds, for a model of one objective."""

    def __init__(self, keys: Sequence[str], objective: str, classes: int) -> None:
        """classes: how many there are; 0 where the objective has none. Raises StartUpError."""
        if objective not in BY_OBJECTIVE:
            raise StartUpError(
                "E-CLIENT",
                f"{VARIABLE}: the objective {objective} has no selectable answers",
                fix=f"Remove {VARIABLE} from the model's environment.",
            )
        self._keys = tuple(keys)
        self._objective = objective
        self._classes = classes
        self._valid = [key for key in keys if key in BY_OBJECTIVE[objective]]
        if missing := [key for key in keys if key not in self._valid]:
            has = ", ".join(BY_OBJECTIVE[objective])
            print(
                f"farero: warning: {', '.join(missing)} will be NaN: {objective} has {has}",
                flush=True,
            )

    def answer(self, scores: Any, accept: str) -> Response | None:
        """Write what was selected, for one of ACCEPTS; None for any other.

        scores: predictions, shape (rows,) or (rows, classes).
        """
        if accept not in ACCEPTS:
            return None
        records = [self._record(score) for score in scores.tolist()]
        if accept == "application/json":
            return Response(
                200, {"content-type": accept}, json.dumps({"predictions": records}).encode()
            )
        if accept in content.JSONLINES:
            lines = [json.dumps(record) for record in records]
            return Response(200, {"content-type": accept}, ("\n".join(lines) + "\n").encode())
        lines = [",".join(_cell(record[key]) for key in self._keys) for record in records]
        # Batch transform joins answers to one file; without it the last line has no end, as in AWS's container.
        end = "\n" if os.environ.get("SAGEMAKER_BATCH", "").lower() == "true" else ""
        headers = {"content-type": "text/csv; charset=utf-8"}
        return Response(200, headers, ("\n".join(lines) + end).encode())

    def _record(self, score: float | list[float]) -> dict[str, Any]:
        both = list(score) if isinstance(score, list) else [1.0 - score, score]
        best = max(score) if isinstance(score, list) else score
        every = {
            "predicted_label": self._label(score),
            "labels": list(range(self._classes)) or math.nan,
            "probability": best,
            "probabilities": both,
            "raw_score": best,
            "raw_scores": both,
            "predicted_score": score,
        }
        return {key: every[key] if key in self._valid else math.nan for key in self._keys}

    def _label(self, score: float | list[float]) -> float:
        if isinstance(score, list):
            return score.index(max(score))
        if self._objective == "binary:logistic":
            return int(score > 0.5)
        return int(score > 0) if self._objective == "binary:logitraw" else score


def selection(booster: Any) -> Selection | None:
    """Return what the environment selects; None if it does not. Raises StartUpError."""
    if not _keys():
        return None
    learner = json.loads(booster.save_config())["learner"]
    return selection_of(
        learner["objective"]["name"], int(learner["learner_model_param"]["num_class"])
    )


def selection_of(objective: str, count: int) -> Selection | None:
    """Return what the environment selects of a model with that objective and, for `multi:…`, so many classes.

    Raises StartUpError.
    """
    classes = 2 if objective.startswith("binary:") else count if "multi:" in objective else 0
    return Selection(keys, objective, classes) if (keys := _keys()) else None


def _keys() -> list[str]:
    return [key.strip().lower() for key in os.environ.get(VARIABLE, "").split(",") if key.strip()]


def _cell(value: Any) -> str:
    return f'"{value}"' if isinstance(value, list) else str(value)
