"""`statistics.json`: a profile in the schema of SageMaker's analyzer, and distributions read back from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from farero_monitor.aws.content import features
from farero_monitor.profile.sketch import C, K, Steps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farero_monitor.profile.column import Column
    from farero_monitor.profile.dataset import Profile

#: Buckets of a number's histogram; fixed there.
BUCKETS = 10
#: Values of a text column that are listed.
LISTED = 10_000


def statistics(profile: Profile) -> dict[str, Any]:
    """Return the content of `statistics.json`."""
    return {
        "version": 0.0,
        "dataset": {"item_count": profile.rows},
        "features": [_feature(column) for column in profile.columns.values()],
    }


def _feature(column: Column) -> dict[str, Any]:
    made: dict[str, Any] = {"name": column.name, "inferred_type": column.inferred_type}
    common = {"num_present": column.present, "num_missing": column.missing}
    if column.inferred_type in {"Integral", "Fractional"}:
        moments = column.moments
        made["numerical_statistics"] = {
            "common": common,
            "mean": moments.mean, "sum": moments.total, "std_dev": moments.deviation,
            "min": moments.least if moments.count else 0.0,
            "max": moments.most if moments.count else 0.0,
            "distribution": {"kll": _kll(column)},
        }  # fmt: skip
    elif column.inferred_type == "String":
        assert column.categories is not None
        made["string_statistics"] = {
            "common": common,
            "distinct_count": float(column.categories.distinct),
            "distribution": {
                "categorical": {
                    "buckets": [
                        {"value": value, "count": count}
                        for value, count in column.categories.top(LISTED)
                    ]
                }
            },
        }
    return made


def _kll(column: Column) -> dict[str, Any]:
    moments = column.moments
    if not moments.count:
        return {"buckets": [], "sketch": {"parameters": {"c": C, "k": float(K)}, "data": []}}
    edges = np.linspace(moments.least, moments.most, BUCKETS + 1)
    edges[-1] = moments.most
    steps = column.quantiles.steps()
    reached = np.append(steps.below(edges[:-1]), 1.0)
    counts = np.diff(np.rint(reached * moments.count))
    return {
        "buckets": [
            {"lower_bound": float(low), "upper_bound": float(high), "count": float(count)}
            for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
        ],
        "sketch": {
            "parameters": {"c": C, "k": float(K)},
            "data": column.quantiles.levels(),
        },
    }


@dataclass(slots=True)
class Reference:
    """What a baseline says of one column, from whichever file it was read."""

    name: str
    inferred_type: str
    rows: int
    missing: int
    steps: Steps | None = None
    mean: float = 0.0
    deviation: float = 0.0
    least: float = 0.0
    most: float = 0.0
    counts: dict[str, int] = field(default_factory=dict[str, int])
    #: Whether `counts` has every value.
    complete: bool = True

    @property
    def present(self) -> int:
        """How many values are there."""
        return self.rows - self.missing


def references(content: Mapping[str, Any]) -> dict[str, Reference]:
    """Read `statistics.json`, ours or SageMaker's; raises ValueError naming the feature that is not readable."""
    found: dict[str, Reference] = {}
    for feature in features(content, "statistics.json"):
        try:
            reference = _reference(feature)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"feature {feature['name']!r} of statistics.json: {error!r}"
            ) from error
        found[reference.name] = reference
    return found


def _reference(feature: Mapping[str, Any]) -> Reference:
    made = Reference(feature["name"], feature["inferred_type"], 0, 0)
    for kind in ("numerical_statistics", "string_statistics"):
        held = feature.get(kind)
        if held is None:
            continue
        common = held["common"]
        made.missing = int(common["num_missing"])
        made.rows = int(common["num_present"]) + made.missing
        if kind == "string_statistics":
            buckets = held.get("distribution", {}).get("categorical", {}).get("buckets", [])
            made.counts = {str(bucket["value"]): int(bucket["count"]) for bucket in buckets}
            made.complete = sum(made.counts.values()) >= made.present
            continue
        made.mean, made.deviation = float(held["mean"]), float(held["std_dev"])
        made.least, made.most = float(held["min"]), float(held["max"])
        made.steps = _steps(held.get("distribution", {}).get("kll", {}))
    return made


def _steps(kll: Mapping[str, Any]) -> Steps | None:
    """Return the distribution in a sketch's levels, or else the coarse one of its buckets."""
    levels = kll.get("sketch", {}).get("data")
    if levels:
        return Steps.of_levels(levels)
    buckets = kll.get("buckets")
    if not buckets:
        return None
    ends = np.array([float(bucket["upper_bound"]) for bucket in buckets])
    return Steps.of_weighted(ends, np.array([float(bucket["count"]) for bucket in buckets]))
