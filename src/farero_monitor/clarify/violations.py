"""A window's analysis against its baseline's: bias that grew, attributions whose order changed.

Texts, keys and limits: "Bias Drift Violations" and "Feature Attribution Drift Violations" in the SageMaker Developer
Guide. There a metric violates as soon as it is farther from fair than the baseline's, which chance alone does to every
second one; so `judged` says of each whether the difference is more than chance.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, cast

from farero_monitor.aws.content import section

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Below it attributions have drifted (SageMaker Developer Guide, "Feature Attribution Drift").
LIMIT = 0.90
SECTIONS = ("pre_training_bias_metrics", "post_training_bias_metrics")
#: Value of the metric for two groups that are treated alike, where it is not 0.
_FAIR = {"DI": 1.0}
_LOW = re.compile(r"\((-?[\d.eE+-]+), ")

#: Section, facet, group, metric.
Key = tuple[str, str, str, str]
#: Facet, group, metric.
Place = tuple[str, str, str]
#: Key of our own in `analysis.json`: facet, group, metric and its standard deviation.
OWN = "bootstrap_deviations"
#: Deviations that a difference exceeds by chance once in a thousand times.
SURE = 3.29


def value_of(metric: Mapping[str, Any]) -> float | None:
    """Return a metric's number; None where it has none."""
    held = metric.get("value")
    try:
        return None if held is None else float(held)
    except (TypeError, ValueError):
        return None


def metrics_of(analysis: Mapping[str, Any]) -> Iterator[tuple[Key, dict[str, Any]]]:
    """Yield the bias metrics of an `analysis.json`, ours or Clarify's."""
    for name in SECTIONS:
        for facet, entries in section(section(analysis, name), "facets").items():
            for entry in cast("list[dict[str, Any]]", entries):
                for metric in cast("list[dict[str, Any]]", entry.get("metrics", [])):
                    group = str(entry.get("value_or_threshold", ""))
                    yield (name, facet, group, str(metric.get("name", ""))), metric


def same_group(called: str) -> str:
    """Return what a group is known by: of an interval its lower end, as its upper end is only the largest value."""
    found = _LOW.match(called)
    return f"> {float(found[1])}" if found else called


def bias(analysis: Mapping[str, Any], baseline: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the violations of `bias_drift_check`: metrics farther from 0 (DI: from 1) than the baseline's."""
    before = _values(baseline)
    found: list[dict[str, Any]] = []
    for (name, facet, group, metric), held in metrics_of(analysis):
        now, then = value_of(held), before.get((name, facet, same_group(group), metric))
        if now is None or then is None:
            continue
        if _unfairness(metric, now) > _unfairness(metric, then):
            found.append({
                "facet": facet, "facet_value": group, "metric_name": metric,
                "constraint_check_type": "bias_drift_check",
                "description": f"Value {held['value']} does not meet the constraint requirement",
            })  # fmt: skip
    return found


def _unfairness(metric: str, value: float) -> float:
    return abs(value - _FAIR.get(metric, 0.0))


def certainty(deviations: Mapping[Place, float]) -> dict[str, Any]:
    """Return what is added to `analysis.json`, so that a later window knows how sure its metrics were."""
    if not deviations:
        return {}
    return {OWN: [[*place, deviation] for place, deviation in deviations.items()]}


def judged(
    analysis: Mapping[str, Any], baseline: Mapping[str, Any], deviations: Mapping[Place, float]
) -> list[dict[str, Any]]:
    """Return each metric beside the baseline's, and whether it is worse beyond chance.

    deviations: standard deviation of each metric in bootstrap samples. It is beyond chance if the difference exceeds
    3.29 · √(s² + s₀²), which happens to one metric in a thousand (two-sided, normal). A baseline that was made
    elsewhere does not tell its s₀: it is taken for as uncertain as the window.
    """
    own = cast("list[list[Any]]", baseline.get(OWN) or [])
    earlier: dict[Place, float] = {
        (str(facet), same_group(str(group)), str(metric)): float(deviation)
        for facet, group, metric, deviation in own
    }
    before = _values(baseline)
    found: list[dict[str, Any]] = []
    for (name, facet, group, metric), held in metrics_of(analysis):
        key = (facet, same_group(group), metric)
        now, then = value_of(held), before.get((name, *key))
        deviation = deviations.get((facet, group, metric))
        worse = sure = False
        if now is not None and then is not None:
            worse = _unfairness(metric, now) > _unfairness(metric, then)
            if worse and deviation is not None and math.isfinite(now) and math.isfinite(then):
                sure = abs(now - then) > SURE * math.hypot(deviation, earlier.get(key, deviation))
        found.append({
            "stage": name.removesuffix("_bias_metrics"), "facet": facet, "facet_value": group,
            "metric": metric, "value": _finite(now), "deviation": deviation,
            "baseline": _finite(then), "worse": worse, "beyond_chance": sure,
        })  # fmt: skip
    return found


def _values(analysis: Mapping[str, Any]) -> dict[Key, float | None]:
    return {
        (name, facet, same_group(group), metric): value_of(held)
        for (name, facet, group, metric), held in metrics_of(analysis)
    }


def _finite(value: float | None) -> float | str | None:
    return str(value) if value is not None and math.isinf(value) else value


def attributions_of(analysis: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return the global values of each label of an `analysis.json`."""
    methods = section(analysis, "explanations")
    return {
        label: {name: float(value) for name, value in section(held, "global_shap_values").items()}
        for label, held in section(methods, "kernel_shap").items()
    }


def ndcg(now: Mapping[str, float], baseline: Mapping[str, float]) -> float:
    """Return how well the order of the features agrees with the baseline's: 1 is the same, 0 the least.

    DCG = Σ a(f'ᵢ) / log₂(i + 1) over the features f' in the order of now, a their values in the baseline; NDCG = DCG
    over that of the baseline's own order. Values count by their size. Features that only one side has are left out.

    Source: Järvelin and Kekäläinen, "Cumulated Gain-Based Evaluation of IR Techniques" (2002); "Feature Attribution
    Drift" in the SageMaker Developer Guide.
    """
    both = [name for name in baseline if name in now]
    own = sorted(both, key=lambda name: -abs(baseline[name]))
    # of equal ones the baseline's order holds
    current = sorted(own, key=lambda name: -abs(now[name]))
    gain = sum(abs(baseline[name]) / math.log2(at + 2) for at, name in enumerate(current))
    ideal = sum(abs(baseline[name]) / math.log2(at + 2) for at, name in enumerate(own))
    return gain / ideal if ideal else 1.0


def attributions(
    analysis: Mapping[str, Any], baseline: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Return the violations of `feature_attribution_drift_check`, and the NDCG of each label."""
    before = attributions_of(baseline)
    scores = {
        label: ndcg(held, before[label])
        for label, held in attributions_of(analysis).items()
        if label in before
    }
    found = [
        {
            "label": label, "metric_name": "shap",
            "constraint_check_type": "feature_attribution_drift_check",
            "description": f"Feature attribution drift {score} exceeds threshold {LIMIT}",
        }
        for label, score in scores.items()
        if score < LIMIT
    ]  # fmt: skip
    return found, scores


def attributions_told(
    analysis: Mapping[str, Any], baseline: Mapping[str, Any], scores: Mapping[str, float]
) -> dict[str, dict[str, Any]]:
    """Return each label's attributions beside the baseline's, its NDCG, from when on that holds, and whether it does.

    What is not known without a baseline is null.
    """
    before = attributions_of(baseline)
    return {
        label: {
            "ndcg": scores.get(label), "limit": LIMIT,
            "changed": scores[label] < LIMIT if label in scores else None,
            "values": held, "baseline": before.get(label),
        }
        for label, held in attributions_of(analysis).items()
    }  # fmt: skip
