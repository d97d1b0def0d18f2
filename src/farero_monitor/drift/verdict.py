"""The calibrated verdict over a window: what changed, whether it matters, how sure that is, and what could be missed.

Every column gets one p of several tests; Benjamini and Hochberg hold the share of false ones among all columns at 1 %;
what is significant must also be large enough to matter. Drift by itself is a notice: on real data most columns move
while the model stays good. Data that broke (a missing column, text among numbers, values gone) is critical at once.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from farero_monitor.aws.content import section
from farero_monitor.drift import categorical, numeric, pairs
from farero_monitor.drift.special import benjamini_hochberg, normal_tail

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from farero_monitor.aws.constraints import Constraints
    from farero_monitor.aws.statistics import Reference
    from farero_monitor.profile.column import Column
    from farero_monitor.profile.dataset import Profile

Severity = Literal["none", "notice", "warning", "critical"]
ORDER: tuple[Severity, ...] = ("none", "notice", "warning", "critical")
LEVEL = 0.01
#: Level of the test of completeness, as it has no correction for many columns.
COMPLETENESS_LEVEL = 0.001
#: Share of missing values gained that matters, and that is critical.
COMPLETENESS_EFFECT = 0.01
COMPLETENESS_BROKEN = 0.2
#: Share of values of another type that is critical; fewer are a notice.
TYPE_BROKEN = 0.005
#: Share of drifted columns, weighted by importance, that is a warning.
MANY = 0.3


_WORDS = {
    "shift": "the mean moved by {:+.2f} standard deviations",
    "spread": "the spread changed by {:+.0%}",
    "outside": "{:.1f} times as many values lie at the ends",
    "gap": "the distribution functions are up to {:.3f} apart",
    "share": "the share of a value changed by {:.1%}",
    "new": "{:.1%} of the values are new",
}


@dataclass(slots=True)
class ColumnVerdict:
    """What is said of one column."""

    name: str
    kind: Literal["numbers", "texts"]
    state: Literal["same", "changed", "not enough data"]
    p: float
    #: p adjusted for the number of columns.
    adjusted: float
    tests: dict[str, float]
    effects: dict[str, float]
    #: Those of `effects` that reach their minimum.
    reasons: list[str]
    #: The smallest shift (in standard deviations; numbers only) that would be found 95 times of 100.
    detectable: float | None


@dataclass(slots=True)
class Finding:
    """Something to tell, in plain words."""

    severity: Severity
    #: drift, completeness, type, missing column, extra column, new values, pair, prediction, many columns
    kind: str
    column: str
    text: str


@dataclass(slots=True)
class Verdict:
    """The whole."""

    severity: Severity
    sentence: str
    rows: int
    first: str
    last: str
    findings: list[Finding] = field(default_factory=list[Finding])
    columns: list[ColumnVerdict] = field(default_factory=list[ColumnVerdict])
    pairs: list[pairs.Pair] = field(default_factory=list[pairs.Pair])

    def content(self) -> dict[str, Any]:
        """Return it as it is written to `drift_report.json`."""
        return asdict(self)

    @property
    def drifted(self) -> list[str]:
        """The columns whose distribution changed."""
        return [column.name for column in self.columns if column.state == "changed"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a user may set."""

    level: float = LEVEL
    min_effect: Mapping[str, float] = field(
        default_factory=lambda: {**numeric.MIN_EFFECT, **categorical.MIN_EFFECT}
    )
    #: Weight of each column in the share of drifted ones; by default all the same.
    importance: Mapping[str, float] = field(default_factory=dict[str, float])


def judge(  # noqa: PLR0913 - the last two have defaults
    profile: Profile, constraints: Constraints, references: Mapping[str, Reference],
    sample: Any = None, *, settings: Settings | None = None, before: Sequence[Sequence[str]] = (),
) -> Verdict:  # fmt: skip
    """Return the verdict over a window.

    sample: rows of the baseline as a table of texts; without them pairs of columns are not compared. before: columns
    that drifted in each of the last windows, the newest first; a notice needs two of three windows.
    """
    settings = settings or Settings()
    made = Verdict("none", "", profile.rows, profile.first, profile.last)
    for feature in constraints.features:
        column, reference = profile.columns.get(feature["name"]), references.get(feature["name"])
        if column is None or column.rows == 0:
            made.findings.append(
                Finding("critical", "missing column", feature["name"], "The column is missing.")
            )
            continue
        if not constraints.enabled("evaluate_constraints", feature):
            continue
        made.findings += _broken(column, feature, reference)
        if reference is not None and reference.present and column.present:
            made.columns.append(_column(column, reference, settings, len(constraints.features)))
    known = {*constraints.names}
    made.findings += [
        Finding("notice", "extra column", name, "The column is not in the baseline.")
        for name in profile.columns
        if name not in known
    ]
    _adjust(made, settings)
    if sample is not None:
        numbers = [column.name for column in made.columns if column.kind == "numbers"]
        made.pairs = pairs.compare(profile.sample.table(), sample, numbers, settings.level)
    _tell(made, settings, before, profile.answers)
    return made


def _column(
    column: Column, reference: Reference, settings: Settings, columns: int
) -> ColumnVerdict:
    if reference.steps is not None and not column.text:
        found, kind = numeric.compare(column.quantiles.steps(), reference.steps), "numbers"
        detectable = numeric.detectable(column.moments.count, reference.steps.count, columns)
    else:
        counts = column.categories.counts if column.categories else {}
        found, kind = categorical.compare(
            counts, reference.counts, rows=column.present, rows_reference=reference.present,
            complete=reference.complete,
        ), "texts"  # fmt: skip
        detectable = None
    return ColumnVerdict(
        column.name, kind, "same" if found.enough else "not enough data", found.p, 1.0,
        found.tests, found.effects, found.matters({**settings.min_effect}),
        detectable if found.enough else None,
    )  # fmt: skip


def _adjust(made: Verdict, settings: Settings) -> None:
    tested = [column for column in made.columns if column.state != "not enough data"]
    for column, p in zip(tested, benjamini_hochberg([c.p for c in tested]), strict=True):
        column.adjusted = p
        if p < settings.level and column.reasons:
            column.state = "changed"


def _broken(
    column: Column, feature: Mapping[str, Any], reference: Reference | None
) -> list[Finding]:
    found: list[Finding] = []
    wanted = feature.get("inferred_type", "Unknown")
    wrong = 1.0 - column.share_of(wanted)
    if wanted == "Integral" and not column.text and column.present:
        wrong = (
            1.0 - column.whole / column.present
        )  # 3.0 is whole; SageMaker's own check says it is not
    if wrong > 0 and wanted != "Unknown":
        texts = column.text / column.present
        severity: Severity = "critical" if texts > TYPE_BROKEN else "notice"
        what = "are no numbers" if column.text else "are not whole numbers"
        found.append(Finding(severity, "type", column.name, f"{wrong:.2%} of the values {what}."))
    if reference is not None and reference.rows:
        then, now = reference.missing / reference.rows, column.missing / column.rows
        p = proportions_p(column.missing, column.rows, reference.missing, reference.rows)
        if now - then >= COMPLETENESS_EFFECT and p < COMPLETENESS_LEVEL:
            severity = "critical" if now - then >= COMPLETENESS_BROKEN else "warning"
            text = f"{now:.1%} of the values are missing; in the baseline it was {then:.1%}."
            found.append(Finding(severity, "completeness", column.name, text))
    negative = section(feature, "num_constraints").get("is_non_negative")
    if negative and column.negative:
        text = f"{column.negative} values are negative; in the baseline none was."
        found.append(Finding("notice", "range", column.name, text))
    return found


def proportions_p(one: int, rows: int, other: int, rows_other: int) -> float:
    """Return the two-sided p of the pooled z test for two shares being the same."""
    pooled = (one + other) / (rows + rows_other)
    error = math.sqrt(pooled * (1 - pooled) * (1 / rows + 1 / rows_other))
    return normal_tail((one / rows - other / rows_other) / error) if error else 1.0


def _tell(
    made: Verdict, settings: Settings, before: Sequence[Sequence[str]], answers: Collection[str]
) -> None:
    weight = settings.importance or {column.name: 1.0 for column in made.columns}
    for column in made.columns:
        if column.state != "changed":
            continue
        prediction = column.name in answers  # their drift is a warning by itself
        # with a history, one window alone is not told; without one there is nothing to wait for
        often = sum(column.name in window for window in before[:2])
        if not prediction and before and not often:
            continue
        severity: Severity = "warning" if prediction else "notice"
        kind = "prediction" if prediction else "drift"
        made.findings.append(Finding(severity, kind, column.name, words(column)))
    total = sum(weight.get(column.name, 0.0) for column in made.columns)
    share = sum(weight.get(name, 0.0) for name in made.drifted) / total if total else 0.0
    if share >= MANY and len(made.drifted) > 1:
        text = f"{len(made.drifted)} of {len(made.columns)} columns changed at once."
        made.findings.append(Finding("warning", "many columns", "", text))
    made.findings += [
        Finding(
            "notice", "pair", f"{pair.one}, {pair.other}",
            f"Their rank correlation went from {pair.reference:.2f} to {pair.current:.2f}.",
        )
        for pair in made.pairs[:10]
    ]  # fmt: skip
    made.findings.sort(key=lambda finding: -ORDER.index(finding.severity))
    worst = max((ORDER.index(finding.severity) for finding in made.findings), default=0)
    made.severity = ORDER[worst]
    made.sentence = _sentence(made)


def largest(column: ColumnVerdict, least: Mapping[str, float] | None = None) -> str:
    """Return the name of a column's effect that is largest measured by what matters; empty if there is none."""
    least = least or {**numeric.MIN_EFFECT, **categorical.MIN_EFFECT}
    return max(column.effects, key=lambda name: abs(column.effects[name]) / least[name], default="")


def words(column: ColumnVerdict) -> str:
    """Say what changed in a column, the largest thing first."""
    parts = [_WORDS[name].format(column.effects[name]) for name in _WORDS if name in column.reasons]
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]} (adjusted p {column.adjusted:.1g})."


def _sentence(made: Verdict) -> str:
    unsure = [column.name for column in made.columns if column.state == "not enough data"]
    if made.rows == 0:
        return "There are no records in this window."
    if made.columns and len(unsure) == len(made.columns):
        return f"Not enough data: {made.rows} records say nothing about drift yet."
    if made.severity == "none":
        return f"Nothing that matters has changed in {made.rows:,} records."
    drifted = made.drifted
    parts: list[str] = []
    if broken := [f for f in made.findings if f.severity == "critical"]:
        columns = list(dict.fromkeys(f.column for f in broken))
        parts.append(f"the data is broken in {_some(columns)}")
    if drifted:
        parts.append(f"{len(drifted)} of {len(made.columns)} columns changed: {_some(drifted)}")
    if not parts:
        parts.append(f"{len(made.findings)} things to look at")
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}, in {made.rows:,} records."


def _some(names: Sequence[str], most: int = 4) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
