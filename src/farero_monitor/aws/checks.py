"""The checks of SageMaker Model Monitor and their texts; `constraint_violations.json`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from farero_monitor.aws.content import section
from farero_monitor.drift import distances

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farero_monitor.aws.constraints import Constraints
    from farero_monitor.aws.statistics import Reference
    from farero_monitor.profile.column import Column
    from farero_monitor.profile.dataset import Profile


@dataclass(frozen=True, slots=True)
class Violation:
    """An entry of `constraint_violations.json`."""

    feature_name: str
    constraint_check_type: str
    description: str

    def content(self) -> dict[str, str]:
        """Return it as it is written."""
        return {
            "feature_name": self.feature_name,
            "constraint_check_type": self.constraint_check_type,
            "description": self.description,
        }


def check(
    profile: Profile, constraints: Constraints, measured: Mapping[str, Far]
) -> list[Violation]:
    """Return the violations of a window, in the order of the baseline's columns.

    measured: how far each column is, by `measure`; without it distributions are not compared.
    """
    if not constraints.enabled("evaluate_constraints"):
        return []
    found: list[Violation] = _columns(profile, constraints)
    for feature in constraints.features:
        column = profile.columns.get(feature["name"])
        if column is None or not constraints.enabled("evaluate_constraints", feature):
            continue
        found += _type(column, constraints, feature)
        found += _completeness(column, feature)
        found += _values(column, constraints, feature)
        if column.name in measured:
            found += _drift(column.name, measured[column.name])
    return found


def _columns(profile: Profile, constraints: Constraints) -> list[Violation]:
    expected, there = constraints.names, [*profile.columns]
    counts = (
        f"Number of columns in current dataset: {len(there)}, "
        f"Number of columns in baseline constraints: {len(expected)}"
    )
    found: list[Violation] = []
    if missing := [name for name in expected if name not in profile.columns]:
        found.append(
            Violation(
                missing[0] if len(missing) == 1 else "Missing columns", "missing_column_check",
                f"There are missing columns in current dataset. {counts}",
            )
        )  # fmt: skip
    known = {*expected}
    if extra := [name for name in there if name not in known]:
        found.append(
            Violation(
                extra[0] if len(extra) == 1 and not extra[0].startswith("_") else "Extra columns",
                "extra_column_check",
                f"There are extra columns in current dataset. {counts}",
            )
        )
    return found


def _type(column: Column, constraints: Constraints, feature: Mapping[str, Any]) -> list[Violation]:
    wanted = feature.get("inferred_type", "Unknown")
    threshold = float(constraints.setting(feature, "datatype_check_threshold", 1.0))
    share = column.share_of(wanted)
    if wanted == "Unknown" or share >= threshold:
        return []
    return [
        Violation(
            column.name, "data_type_check",
            f"Data type match requirement is not met. Expected data type: {wanted}, "
            f"Expected match: {threshold * 100}%. Observed: Only {share * 100}% of data is {wanted}.",
        )
    ]  # fmt: skip


def _completeness(column: Column, feature: Mapping[str, Any]) -> list[Violation]:
    wanted = feature.get("completeness")
    if wanted is None or column.completeness >= float(wanted):
        return []
    return [
        Violation(
            column.name, "completeness_check",
            f"Value: {column.completeness} does not meet the constraint requirement! ",
        )
    ]  # fmt: skip


def _values(
    column: Column, constraints: Constraints, feature: Mapping[str, Any]
) -> list[Violation]:
    found: list[Violation] = []
    numbers = section(feature, "num_constraints")
    if numbers.get("is_non_negative") and column.negative:
        share = 1.0 - column.negative / max(1, column.present)
        found.append(
            Violation(
                column.name, "num_constraints_check",
                f"Value: {share} does not meet the constraint requirement! "
                f"{column.negative} values are negative.",
            )
        )  # fmt: skip
    domains: list[str] = section(feature, "string_constraints").get("domains") or []
    threshold = float(constraints.setting(feature, "domain_content_threshold", 1.0))
    if domains and column.categories is not None and column.present:
        inside = sum(column.categories.counts.get(value, 0) for value in {*domains})
        share = inside / column.present
        if share < threshold:
            text = f"Value: {share} does not meet the constraint requirement! "
            found.append(Violation(column.name, "categorical_values_check", text))
    return found


def distance(
    column: Column, reference: Reference, method: str, categorical: str = "LInfinity"
) -> tuple[str, float] | None:
    """Return the kind of a column's distance from its baseline and the distance; None if there is none.

    method: Robust or Simple, Deequ's two. For ChiSquared of texts the distance is 1 - p, so that larger is farther.
    """
    if reference.steps is not None and column.moments.count:
        gap = distances.ecdf_gap(column.quantiles.steps(), reference.steps)
        rows, others = column.moments.count, reference.steps.count
        return "Numerical", gap if method == "Simple" else distances.robust(gap, rows, others)
    if not reference.counts or column.categories is None:
        return None
    counts = column.categories.counts
    if categorical == "ChiSquared":
        result = distances.deequ_chi_square(counts, reference.counts)
        return None if result is None else ("Categorical", 1.0 - result[1])
    gap = distances.share_gap(counts, reference.counts)
    if method != "Simple":
        gap = distances.robust(gap, column.present, reference.present)
    return "Categorical", gap


@dataclass(frozen=True, slots=True)
class Far:
    """How far SageMaker's own rule finds a column from its baseline."""

    #: Numerical or Categorical.
    kind: str
    #: A distance; of ChiSquared a p value, of which a small one is far.
    value: float
    threshold: float
    exceeds: bool
    is_p: bool = False


def _far(
    column: Column, reference: Reference, constraints: Constraints, feature: Mapping[str, Any]
) -> Far | None:
    """Measure a column by the method and the threshold of its constraints; None where nothing is compared."""
    if constraints.distribution(feature, "perform_comparison", "Enabled") != "Enabled":
        return None
    method = constraints.distribution(feature, "comparison_method", "Robust")
    categorical = constraints.distribution(feature, "categorical_drift_method", "LInfinity")
    threshold = float(constraints.distribution(feature, "comparison_threshold", 0.1))
    measured = distance(column, reference, str(method), str(categorical))
    if measured is None:
        return None
    kind, value = measured
    if kind == "Categorical":
        threshold = float(
            constraints.distribution(feature, "categorical_comparison_threshold", threshold)
        )
        if categorical == "ChiSquared":
            return Far(kind, 1.0 - value, threshold, 1.0 - value < threshold, is_p=True)
    return Far(kind, value, threshold, value > threshold)


def measure(
    profile: Profile, constraints: Constraints, references: Mapping[str, Reference]
) -> dict[str, Far]:
    """Return how far each column is, by its name: also of those that are not far enough for a violation."""
    found: dict[str, Far] = {}
    for feature in constraints.features:
        column, reference = profile.columns.get(feature["name"]), references.get(feature["name"])
        if column is None or reference is None:
            continue
        if (made := _far(column, reference, constraints, feature)) is not None:
            found[column.name] = made
    return found


def _drift(name: str, found: Far) -> list[Violation]:
    if not found.exceeds:
        return []
    text = (
        f"Baseline drift p-value: {found.value} is below threshold: {found.threshold}"
        if found.is_p
        else f"Baseline drift distance: {found.value} exceeds threshold: {found.threshold}"
    )
    return [Violation(name, "baseline_drift_check", text)]


def content(violations: list[Violation]) -> dict[str, Any]:
    """Return the content of `constraint_violations.json`."""
    return {"violations": [violation.content() for violation in violations]}
