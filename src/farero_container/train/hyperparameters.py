"""XGBoost's hyperparameters as SageMaker's built-in algorithm takes them: names, types, ranges and AWS's error texts.

Facts: "XGBoost hyperparameters" of the SageMaker Developer Guide; sagemaker-xgboost-container's
`hyperparameter_validation`, whose words are kept. Every value comes as a string. More lenient than AWS, and said so in
the log: a missing `num_round` is 100, and what depends on an objective or tree_method that was not named is taken.
"""

from __future__ import annotations

import ast
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from farero_container.contract import StartUpError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Value = int | float | str | list[str]

DEFAULT_NUM_ROUND = 100
#: Added by SDKs and by tuning, of no meaning to the algorithm.
FOREIGN_PREFIX = "sagemaker_"
MAXIMISED = frozenset({
    "accuracy", "auc", "aucpr", "balanced_accuracy", "f1", "f1_binary", "f1_macro", "map", "ndcg", "precision",
    "precision_macro", "precision_micro", "r2", "recall", "recall_macro", "recall_micro",
})  # fmt: skip
MINIMISED = frozenset({
    "aft-nloglik", "cox-nloglik", "error", "gamma-deviance", "gamma-nloglik", "interval-regression-accuracy", "logloss",
    "mae", "mape", "merror", "mlogloss", "mphe", "mse", "poisson-nloglik", "rmse", "rmsle", "tweedie-nloglik",
})  # fmt: skip
METRICS = (*sorted(MAXIMISED), *sorted(MINIMISED))
#: Metrics that may carry a threshold, as in `error@0.7`.
_WITH_THRESHOLD = ("error", "ndcg", "map")
_LINEAR_UPDATERS = ("shotgun", "coord_descent")
_UPDATE_UPDATERS = ("refresh", "prune")
_GROWING_UPDATERS = (
    "grow_colmaker", "distcol", "grow_histmaker", "grow_local_histmaker", "grow_quantile_histmaker",
)  # fmt: skip
UPDATERS = (*_GROWING_UPDATERS, "grow_skmaker", "sync", *_UPDATE_UPDATERS, *_LINEAR_UPDATERS)
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
        return str(list(self.words))


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
    return [word.strip(" '\"") for word in text.strip(" []").split(",") if word.strip(" '\"")]


def _signs(text: str) -> str:
    """Read monotone_constraints, e.g. "(1, 0, -1)"."""
    value = _literal(text)
    signs = cast("tuple[object, ...]", value) if isinstance(value, tuple) else (value,)
    if any(sign not in (-1, 0, 1) for sign in signs):
        raise _not_in("monotone_constraints", signs, [-1, 0, 1], is_list=True)
    return f"({','.join(str(sign) for sign in signs)})"


def _groups(text: str) -> str:
    """Read interaction_constraints, e.g. "[[1, 2], [3, 4]]"."""
    value = _literal(text)
    groups: list[object] = cast("list[object]", value) if isinstance(value, list) else []
    items = [cast("list[object]", group) for group in groups if isinstance(group, list)]
    if not groups or len(items) != len(groups):
        raise ValueError(text)
    if any(not isinstance(item, int) or item < 1 for group in items for item in group):
        raise _not_in("interaction_constraints", items, Interval(1), is_list=True)
    return str(items)


def _literal(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except (SyntaxError, MemoryError, RecursionError, TypeError) as error:
        raise ValueError(text) from error


_SHARE = _float(0, 1, open_low=True)
_FLAG = _int(0, 1)

KINDS: dict[str, Kind] = {
    "num_round": _int(1), "csv_weights": _FLAG, "early_stopping_rounds": _int(1),
    "seed": Kind(int, Interval(-(2**31), 2**31 - 1, is_low_open=True, is_high_open=True)),
    "nthread": _int(1),
    "verbosity": _int(0, 3), "silent": _FLAG, "booster": _words("gbtree", "gblinear", "dart"),
    "save_model_on_termination": _words("true", "false"), "objective": _words(*OBJECTIVES),
    "eval_metric": Kind(_list, Choice(METRICS)), "base_score": _float(0), "num_class": _int(2),
    "eta": _float(0, 1), "gamma": _float(0), "max_depth": _int(0), "min_child_weight": _float(0),
    "max_delta_step": _float(0), "subsample": _SHARE, "colsample_bytree": _SHARE, "colsample_bylevel": _SHARE,
    "colsample_bynode": _SHARE, "lambda": _float(0), "alpha": _float(0), "lambda_bias": _float(0, 1),
    "tree_method": _words("auto", "exact", "approx", "hist", "gpu_hist"), "sketch_eps": _float(0, 1, open_low=True,
                                                                                             open_high=True),
    "scale_pos_weight": _float(0, open_low=True), "updater": Kind(_list, Choice(UPDATERS)),
    "dsplit": _words("row", "col"),
    "refresh_leaf": _FLAG, "process_type": _words("default", "update"), "grow_policy": _words("depthwise", "lossguide"),
    "max_leaves": _int(0), "max_bin": _int(0), "predictor": _words("cpu_predictor", "gpu_predictor", "auto"),
    "sample_type": _words("uniform", "weighted"), "normalize_type": _words("tree", "forest"),
    "rate_drop": _float(0, 1), "one_drop": _FLAG, "skip_drop": _float(0, 1), "num_parallel_tree": _int(1),
    "tweedie_variance_power": _float(1, 2, open_low=True, open_high=True), "huber_slope": _float(0),
    "monotone_constraints": Kind(_signs), "interaction_constraints": Kind(_groups),
    "prob_buffer_row": Kind(int, Interval(1, is_low_open=True)),
    "deterministic_histogram": _words("true", "false"), "sampling_method": _words("uniform", "gradient_based"),
    "single_precision_histogram": _words("true", "false"), "max_cat_to_onehot": _int(1),
    "aft_loss_distribution": _words("normal", "logistic", "extreme"),
    "aft_loss_distribution_scale": _float(0),
    "lambdarank_num_pair_per_sample": _int(1), "lambdarank_pair_method": _words("mean", "topk"),
    "use_dask_gpu_training": _words("true", "false"), "_kfold": _int(2), "_num_cv_round": _int(1),
    "_tuning_objective_metric": Kind(str, Choice(tuple(f"validation:{name}" for name in METRICS))),
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
    _check_together(values, say)
    return values


def metric_names(values: Mapping[str, Value]) -> list[str]:
    """Return the metrics to evaluate: `eval_metric` and the one that tuning looks at."""
    asked, tuned = _asked(values), _tuned(values)
    return sorted({*asked, tuned}) if asked and tuned else asked or [tuned] * bool(tuned)


def decisive_metric(values: Mapping[str, Value]) -> str | None:
    """Return the metric that early stopping watches: tuning's, else the last of `eval_metric`."""
    asked = _asked(values)
    return _tuned(values) or (asked[-1] if asked else None)


def metric_base(name: str) -> str:
    """Return `error` for `error@0.7`, `ndcg` for `ndcg@10-`."""
    return name.partition("@")[0].rstrip("-") if "@" in name or name in ("ndcg-", "map-") else name


def _asked(values: Mapping[str, Value]) -> list[str]:
    names = values.get("eval_metric", [])
    return names if isinstance(names, list) else [str(names)]


def _tuned(values: Mapping[str, Value]) -> str:
    return str(values.get("_tuning_objective_metric", "")).partition(":")[2]


def _read(name: str, kind: Kind, text: str) -> Value:
    try:
        value = kind.read(text)
    except (ValueError, OverflowError) as error:
        raise BadHyperparameter(f"Hyperparameter {name}: could not parse value") from error
    if isinstance(value, list):
        plain = [word for word in value if name != "eval_metric" or not _has_threshold(word)]
        if kind.range is not None and any(word not in kind.range for word in plain):
            raise _not_in(name, value, kind.range, is_list=True)
    elif kind.range is not None and value not in kind.range:
        raise _not_in(name, value, kind.range)
    return value


def _has_threshold(metric: str) -> bool:
    if "@" not in metric:
        return False
    name, _, threshold = metric.partition("@")
    if name not in _WITH_THRESHOLD:
        raise BadHyperparameter(
            f"Metric '{metric}' is not supported. Parameter 'eval_metric' with customized threshold should be one of "
            "these options: 'error', 'ndcg', 'map'."
        )
    try:
        float(threshold.removesuffix("-"))
    except ValueError:
        raise BadHyperparameter(f"Threshold value 't' in '{name}@t' expects float input.") from None
    return True


def _not_in(
    name: str, value: object, range_: object, *, is_list: bool = False
) -> BadHyperparameter:
    if is_list:
        return BadHyperparameter(f"Hyperparameter {name}: value {value} not in range {range_}")
    return BadHyperparameter(f"Hyperparameter {name}: {value} is not in {range_}")


def _check_together(values: Mapping[str, Value], say: Callable[[str], None]) -> None:
    objective = str(values.get("objective", ""))
    if objective.startswith("multi:") and "num_class" not in values:
        raise BadHyperparameter(
            "Require input for parameter 'num_class' for multi-classification",
            fix="Set num_class to the number of labels, which are 0, 1, 2, ...",
        )
    if "num_class" in values and not objective.startswith("multi:"):
        raise BadHyperparameter(
            "Do not need to setup parameter 'num_class' for learning task other than multi-classification."
        )
    _check_metrics(objective, metric_names(values), say)
    if "updater" in values:
        _check_updaters(values)
    _check_constraint(values, "monotone_constraints", ("exact", "hist"), say)
    _check_constraint(values, "interaction_constraints", ("exact", "hist", "approx"), say)


def _check_metrics(objective: str, names: list[str], say: Callable[[str], None]) -> None:
    if "auc" in names and not objective.startswith(("binary:", "rank:")):
        text = "Metric 'auc' can only be applied for classification and ranking problems."
        if objective:
            raise BadHyperparameter(text)
        say(f"eval_metric auc without an objective: labels are taken as classes (AWS: '{text}')")
    if "aft-nloglik" in names and objective != "survival:aft":
        raise BadHyperparameter(
            "Metric 'aft-nloglik' can only be applied for 'survival:aft' objective."
        )


def _check_updaters(values: Mapping[str, Value]) -> None:
    found = values["updater"]
    updaters = found if isinstance(found, list) else [str(found)]
    if values.get("booster") == "gblinear":
        if len(updaters) != 1 or updaters[0] not in _LINEAR_UPDATERS:
            raise BadHyperparameter(
                "Linear updater should be one of these options: 'shotgun', 'coord_descent'."
            )
    elif values.get("process_type") == "update":
        if not set(updaters) <= set(_UPDATE_UPDATERS):
            raise BadHyperparameter(
                "process_type 'update' can only be used with updater 'refresh' and 'prune'"
            )
    elif set(updaters) & set(_LINEAR_UPDATERS):
        raise BadHyperparameter(
            "Tree updater should be selected from these options: 'grow_colmaker', 'distcol', 'grow_histmaker', "
            "'grow_local_histmaker', 'grow_skmaker', 'grow_quantile_histmaker', 'sync', 'refresh', 'prune', "
            "'shortgun', 'coord_descent'."
        )
    elif sum(updater in _GROWING_UPDATERS for updater in updaters) > 1:
        raise BadHyperparameter(
            "Only one tree grow plugin can be selected. Choose one from the"
            "following: 'grow_colmaker', 'distcol', 'grow_histmaker', 'grow_local_histmaker', 'grow_skmaker'"
        )


def _check_constraint(
    values: Mapping[str, Value], name: str, methods: tuple[str, ...], say: Callable[[str], None]
) -> None:
    method = values.get("tree_method")
    if name not in values or method in methods:
        return
    named = [f"'{word}'" for word in methods]
    text = (
        f"{name} can be used only when the tree_method parameter is set to either "
        f"{', '.join(named[:-1])} or {named[-1]}."
    )
    if method not in (None, "auto"):
        raise BadHyperparameter(text)
    say(f"{name} with tree_method hist, which is today's default (AWS: '{text}')")


def _unquoted(text: str) -> str:
    """Estimators of the SDK send JSON: a string arrives in quotes."""
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def _nearest(name: str) -> str:
    import difflib  # only for the message

    found = difflib.get_close_matches(name, [*KINDS, *ALIASES], 1)
    return f"Did you mean {found[0]}?" if found else ""
