"""XGBoost's hyperparameters as SageMaker's built-in algorithm takes them: names, types, ranges and AWS's error texts.

Facts: "XGBoost hyperparameters" of the SageMaker Developer Guide; the XGBoost container's own
validation. Every value comes as a string. More lenient than AWS in one thing: a missing `num_round` is 100.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from farero_container.contract import StartUpError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Value = int | float | str | list[str]

DEFAULT_NUM_ROUND = 100
#: Added by SDKs and by tuning, of no meaning to the algorithm.
FOREIGN_PREFIX = "sagemaker_"
MAXIMISED = frozenset({
    "accuracy", "auc", "aucpr", "balanced_accuracy", "f1", "f1_binary", "f1_macro", "map", "ndcg", "pre", "precision",
    "precision_macro", "precision_micro", "r2", "recall", "recall_macro", "recall_micro",
})  # fmt: skip
MINIMISED = frozenset({
    "aft-nloglik", "cox-nloglik", "error", "gamma-deviance", "gamma-nloglik", "interval-regression-accuracy", "logloss",
    "mae", "mape", "merror", "mlogloss", "mphe", "mse", "poisson-nloglik", "rmse", "rmsle", "tweedie-nloglik",
})  # fmt: skip
OBJECTIVES = (
    "binary:hinge", "binary:logistic", "binary:logitraw", "count:poisson", "multi:softmax",
    "multi:softprob", "rank:map", "rank:ndcg", "rank:pairwise", "reg:absoluteerror", "reg:gamma", "reg:linear",
    "reg:logistic", "reg:pseudohubererror", "reg:squarederror", "reg:squaredlogerror", "reg:tweedie", "survival:aft",
    "survival:cox",
)  # fmt: skip


class BadHyperparameter(StartUpError):  # noqa: N818 - the caller's fault
    """A hyperparameter is missing, unknown or out of its range."""

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__("E-HYPERPARAMETER", message, fix=fix)


@dataclass(frozen=True, slots=True)
class Interval:
    """The numbers between two bounds."""

    low: float = -math.inf
    high: float = math.inf
    is_low_open: bool = False
    is_high_open: bool = False

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, (int, float)):
            return False
        above = value > self.low if self.is_low_open else value >= self.low
        below = value < self.high if self.is_high_open else value <= self.high
        return above and below

    def __str__(self) -> str:
        left = (
            "(-inf" if self.low == -math.inf else f"{'(' if self.is_low_open else '['}{self.low:g}"
        )
        right = (
            "+inf)"
            if self.high == math.inf
            else f"{self.high:g}{')' if self.is_high_open else ']'}"
        )
        return f"{left}, {right}"


@dataclass(frozen=True, slots=True)
class Choice:
    """Some words."""

    words: tuple[str, ...]

    def __contains__(self, value: object) -> bool:
        return value in self.words

    def __str__(self) -> str:
        return f"[{', '.join(self.words)}]"


@dataclass(frozen=True, slots=True)
class Kind:
    """How one hyperparameter is read and what it may be."""

    read: Callable[[str], Value]
    range: Interval | Choice | None = None


def _int(low: float = -math.inf, high: float = math.inf) -> Kind:
    return Kind(int, Interval(low, high))


def _float(
    low: float = -math.inf,
    high: float = math.inf,
    *,
    open_low: bool = False,
    open_high: bool = False,
) -> Kind:
    return Kind(_number, Interval(low, high, open_low, open_high))


def _words(*words: str) -> Kind:
    return Kind(str, Choice(words))


def _number(text: str) -> float:
    value = float(text)
    if math.isnan(value):
        raise ValueError(text)
    return value


def _list(text: str) -> list[str]:
    return [
        word
        for word in text.strip("[]").replace("'", "").replace('"', "").replace(" ", "").split(",")
        if word
    ]


_SHARE = _float(0, 1, open_low=True)
_FLAG = _int(0, 1)
_TEXT = Kind(str)

KINDS: dict[str, Kind] = {
    "num_round": _int(1), "csv_weights": _FLAG, "early_stopping_rounds": _int(1), "seed": _int(), "nthread": _int(1),
    "verbosity": _int(0, 3), "silent": _FLAG, "booster": _words("gbtree", "gblinear", "dart"),
    "save_model_on_termination": _words("true", "false"), "objective": _words(*OBJECTIVES),
    "eval_metric": Kind(_list), "base_score": _float(), "num_class": _int(2),
    "eta": _float(0, 1), "gamma": _float(0), "max_depth": _int(0), "min_child_weight": _float(0),
    "max_delta_step": _float(0), "subsample": _SHARE, "colsample_bytree": _SHARE, "colsample_bylevel": _SHARE,
    "colsample_bynode": _SHARE, "lambda": _float(0), "alpha": _float(0), "lambda_bias": _float(0, 1),
    "tree_method": _words("auto", "exact", "approx", "hist", "gpu_hist"), "sketch_eps": _float(0, 1, open_low=True,
                                                                                             open_high=True),
    "scale_pos_weight": _float(0, open_low=True), "updater": _TEXT, "dsplit": _words("row", "col"),
    "refresh_leaf": _FLAG, "process_type": _words("default", "update"), "grow_policy": _words("depthwise", "lossguide"),
    "max_leaves": _int(0), "max_bin": _int(2), "predictor": _words("cpu_predictor", "gpu_predictor", "auto"),
    "sample_type": _words("uniform", "weighted"), "normalize_type": _words("tree", "forest"),
    "rate_drop": _float(0, 1), "one_drop": _FLAG, "skip_drop": _float(0, 1), "num_parallel_tree": _int(1),
    "tweedie_variance_power": _float(1, 2, open_low=True, open_high=True), "huber_slope": _float(0),
    "monotone_constraints": _TEXT, "interaction_constraints": _TEXT, "prob_buffer_row": _float(0, open_low=True),
    "deterministic_histogram": _words("true", "false"), "sampling_method": _words("uniform", "gradient_based"),
    "single_precision_histogram": _words("true", "false"), "max_cat_to_onehot": _int(1),
    "aft_loss_distribution": _words("normal", "logistic", "extreme"),
    "aft_loss_distribution_scale": _float(0, open_low=True),
    "lambdarank_num_pair_per_sample": _int(1), "lambdarank_pair_method": _words("mean", "topk"),
    "use_dask_gpu_training": _words("true", "false"), "_kfold": _int(2), "_num_cv_round": _int(1),
    "_tuning_objective_metric": _TEXT,
}  # fmt: skip
#: XGBoost's second names, which AWS takes too.
ALIASES = {
    "learning_rate": "eta", "min_split_loss": "gamma", "reg_lambda": "lambda", "reg_alpha": "alpha",
    "random_state": "seed", "n_jobs": "nthread",
}  # fmt: skip


def validate(given: Mapping[str, str], say: Callable[[str], None]) -> dict[str, Value]:
    """Return the values by AWS's names. Raises BadHyperparameter with AWS's text.

    say: told where more was accepted than AWS accepts.
    """
    values: dict[str, Value] = {}
    for name, text in given.items():
        if name.startswith(FOREIGN_PREFIX):
            continue
        known = ALIASES.get(name, name)
        if known not in KINDS:
            raise BadHyperparameter(f"Extraneous hyperparameter found: {name}", fix=_nearest(name))
        values[known] = _read(name, KINDS[known], _unquoted(str(text)))
    if "num_round" not in values:
        say(
            f"no hyperparameter num_round: {DEFAULT_NUM_ROUND} rounds ("
            "AWS: 'Missing required hyperparameter: num_round')"
        )
        values["num_round"] = DEFAULT_NUM_ROUND
    _check_together(values)
    return values


def metric_base(name: str) -> str:
    """Return `error` for `error@0.7`, `ndcg` for `ndcg@10-`."""
    return name.partition("@")[0].rstrip("-") if "@" in name or name in ("ndcg-", "map-") else name


def _read(name: str, kind: Kind, text: str) -> Value:
    try:
        value = kind.read(text)
    except (ValueError, OverflowError) as error:
        raise BadHyperparameter(f"Hyperparameter {name}: could not parse value") from error
    if kind.range is not None and value not in kind.range:
        raise BadHyperparameter(f"Hyperparameter {name}: value {text} not in range {kind.range}")
    if isinstance(value, list):
        for metric in value:
            if metric_base(metric) not in MAXIMISED | MINIMISED:
                raise BadHyperparameter(
                    f"Hyperparameter {name}: value {metric} not in range [{', '.join(sorted(MAXIMISED | MINIMISED))}]"
                )
    return value


def _check_together(values: dict[str, Value]) -> None:
    objective = str(values.get("objective", ""))
    if objective.startswith("multi:") and "num_class" not in values:
        raise BadHyperparameter(
            "Missing required hyperparameter: num_class", fix=f"{objective} needs num_class."
        )
    if "num_class" in values and not objective.startswith("multi:"):
        raise BadHyperparameter(
            "Do not need to setup parameter 'num_class' for learning task other than multi-classification."
        )
    if objective == "survival:aft" and "aft_loss_distribution_scale" not in values:
        raise BadHyperparameter("Missing required hyperparameter: aft_loss_distribution_scale")


def _unquoted(text: str) -> str:
    """Estimators of the SDK send JSON: a string arrives in quotes."""
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def _nearest(name: str) -> str:
    import difflib  # only for the message

    found = difflib.get_close_matches(name, [*KINDS, *ALIASES], 1)
    return f"Did you mean {found[0]}?" if found else ""
