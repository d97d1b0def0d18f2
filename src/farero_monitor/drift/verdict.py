"""The calibrated verdict over a window: what changed, whether it matters, how sure that is, and what could be missed.

Every column gets one p of several tests; Benjamini and Hochberg hold the share of false ones among all columns at 1 %;
what is significant must also be large enough to matter. Drift by itself is a notice: on real data most columns move
while the model stays good. Data that broke (a missing column, text among numbers, values gone) is critical at once.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from farero_monitor import words
from farero_monitor.aws.content import section
from farero_monitor.drift import categorical, distances, numeric, pairs
from farero_monitor.drift.special import benjamini_hochberg, normal_tail

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from farero_monitor.aws.constraints import Constraints
    from farero_monitor.aws.statistics import Reference
    from farero_monitor.profile.column import Column
    from farero_monitor.profile.dataset import Profile
    from farero_monitor.profile.rows import Rows

Severity = Literal["none", "notice", "warning", "critical"]
ORDER: tuple[Severity, ...] = ("none", "notice", "warning", "critical")
LEVEL = 0.006
#: What pairs of columns get of that level, so that columns and pairs together stay below 2 % of false alarms.
PAIRS = 0.5
#: Level of the test of completeness, as it has no correction for many columns.
COMPLETENESS_LEVEL = 0.0005
#: Share of missing values gained that matters, and that is critical.
COMPLETENESS_EFFECT = 0.01
COMPLETENESS_BROKEN = 0.2
#: Share of values of another type that is critical; fewer are a notice.
TYPE_BROKEN = 0.005
#: Share of drifted columns, weighted by importance, that is a warning.
MANY = 0.3


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
    #: The largest effect by its minimum: from 1 on it matters.
    score: float = 0.0
    #: Share of values that are missing.
    missing: float = 0.0
    #: How far the mass moved, in the column's own unit (numbers only): the integral of |F1 - F2|.
    moved: float | None = None


@dataclass(slots=True)
class Finding:
    """Something to tell, in plain words."""

    severity: Severity
    #: drift, completeness, type, missing column, extra column, new values, pair, prediction, many columns,
    #: together, estimated quality, measured quality, few labels
    kind: str
    column: str
    text: str
    #: Entry of `farero_monitor.words` that the text was made of, and what was filled in; empty where there is none.
    key: str = ""
    facts: dict[str, Any] = field(default_factory=dict[str, Any])

    def text_in(self, language: words.Language) -> str:
        """Return the text in another language, as far as it is known."""
        if self.key == "changed":
            return words.changes(self.facts["effects"], self.facts["p"], language)
        return words.say(self.key, language, **self.facts) if self.key else self.text


def finding(severity: Severity, kind: str, column: str, key: str, **facts: Any) -> Finding:
    """Return a finding in the words of `key`."""
    return Finding(severity, kind, column, words.say(key, **facts), key, facts)


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
    #: From when on each effect matters, so that whoever reads the file can draw the limit.
    limits: dict[str, float] = field(default_factory=dict[str, float])

    def content(self) -> dict[str, Any]:
        """Return it as it is written to `drift_report.json`; its texts stand there in Spanish, too."""
        texts = [finding.text_in("es") for finding in self.findings]
        return asdict(self) | {"spanish": {"sentence": sentence(self, "es"), "findings": texts}}

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
    samples: tuple[Rows, Rows] | None = None, *, settings: Settings | None = None, before: Sequence[Sequence[str]] = (),
) -> Verdict:  # fmt: skip
    """Return the verdict over a window.

    samples: rows of the window and of the baseline, as `profile.sample.alike` gives them; without them pairs of columns
    are not compared. before: columns that drifted in each of the last windows, the newest first; a notice
    needs two of three windows.
    """
    settings = settings or Settings()
    made = Verdict("none", "", profile.rows, profile.first, profile.last)
    made.limits = dict(settings.min_effect)
    for feature in constraints.features:
        column, reference = profile.columns.get(feature["name"]), references.get(feature["name"])
        if column is None or column.rows == 0:
            made.findings.append(
                finding("critical", "missing column", feature["name"], "missing_column")
            )
            continue
        if not constraints.enabled("evaluate_constraints", feature):
            continue
        made.findings += _broken(column, feature, reference)
        if reference is not None and reference.present and column.present:
            made.columns.append(_column(column, reference, settings, len(constraints.features)))
    known = {*constraints.names}
    made.findings += [
        finding("notice", "extra column", name, "extra_column")
        for name in profile.columns
        if name not in known
    ]
    _adjust(made, settings)
    if samples is not None:
        numbers = [column.name for column in made.columns if column.kind == "numbers"]
        made.pairs = pairs.compare(*samples, numbers, settings.level * PAIRS)
    _tell(made, settings, before, profile.answers)
    return made


def _column(
    column: Column, reference: Reference, settings: Settings, columns: int
) -> ColumnVerdict:
    if reference.steps is not None and not column.text:
        steps = column.quantiles.steps()
        found, kind = numeric.compare(steps, reference.steps), "numbers"
        moved = distances.wasserstein(steps, reference.steps) if found.enough else None
        detectable = numeric.detectable(column.moments.count, reference.steps.count, columns)
    else:
        counts = column.categories.counts if column.categories else {}
        found, kind = categorical.compare(
            counts, reference.counts, rows=column.present, rows_reference=reference.present,
            complete=reference.complete,
        ), "texts"  # fmt: skip
        detectable = moved = None
    return ColumnVerdict(
        column.name, kind, "same" if found.enough else "not enough data", found.p, 1.0,
        found.tests, found.effects, found.matters({**settings.min_effect}),
        detectable if found.enough else None, _score(found, settings), 1.0 - column.completeness,
        moved,
    )  # fmt: skip


def _score(found: numeric.Found, settings: Settings) -> float:
    """Return the largest effect, measured by what matters."""
    least = settings.min_effect
    return max((abs(value) / least[name] for name, value in found.effects.items()), default=0.0)


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
        key = "no_numbers" if column.text else "no_whole_numbers"
        found.append(finding(severity, "type", column.name, key, share=wrong))
    if reference is not None and reference.rows:
        then, now = reference.missing / reference.rows, column.missing / column.rows
        p = proportions_p(column.missing, column.rows, reference.missing, reference.rows)
        if now - then >= COMPLETENESS_EFFECT and p < COMPLETENESS_LEVEL:
            severity = "critical" if now - then >= COMPLETENESS_BROKEN else "warning"
            found.append(
                finding(severity, "completeness", column.name, "completeness", now=now, then=then)
            )
    negative = section(feature, "num_constraints").get("is_non_negative")
    if negative and column.negative:
        found.append(finding("notice", "range", column.name, "negative", count=column.negative))
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
        effects = {name: column.effects[name] for name in column.reasons}
        text = words.changes(effects, column.adjusted)
        facts = {"effects": effects, "p": column.adjusted}
        made.findings.append(Finding(severity, kind, column.name, text, "changed", facts))
    total = sum(weight.get(column.name, 0.0) for column in made.columns)
    share = sum(weight.get(name, 0.0) for name in made.drifted) / total if total else 0.0
    if share >= MANY and len(made.drifted) > 1:
        facts = {"drifted": len(made.drifted), "columns": len(made.columns)}
        made.findings.append(finding("warning", "many columns", "", "many_columns", **facts))
    made.findings += [
        finding(
            "notice", "pair", f"{pair.one}, {pair.other}", "pair",
            then=pair.reference, now=pair.current,
        )
        for pair in made.pairs[:10]
    ]  # fmt: skip
    add(made, [])


def add(made: Verdict, findings: Sequence[Finding]) -> None:
    """Add what another analysis has found, and say the whole again."""
    made.findings += findings
    made.findings.sort(key=lambda found: -ORDER.index(found.severity))
    worst = max((ORDER.index(found.severity) for found in made.findings), default=0)
    made.severity = ORDER[worst]
    made.sentence = sentence(made)


def largest(column: ColumnVerdict, least: Mapping[str, float] | None = None) -> str:
    """Return the name of a column's effect that is largest measured by what matters; empty if there is none."""
    least = least or {**numeric.MIN_EFFECT, **categorical.MIN_EFFECT}
    return max(column.effects, key=lambda name: abs(column.effects[name]) / least[name], default="")


def sentence(made: Verdict, language: words.Language = "en") -> str:
    """Say the whole verdict in one sentence."""
    unsure = [column.name for column in made.columns if column.state == "not enough data"]
    if made.rows == 0:
        return words.say("no_records", language)
    if made.columns and len(unsure) == len(made.columns):
        return words.say("not_enough", language, rows=made.rows)
    if any(found.kind == "few labels" for found in made.findings):
        return words.say("few_labels", language, rows=made.rows)
    if made.severity == "none":
        return words.say("nothing", language, rows=made.rows)
    drifted = made.drifted
    parts: list[str] = []
    critical = [found for found in made.findings if found.severity == "critical"]
    if any(found.kind == "estimated quality" for found in critical):
        parts.append(words.say("quality_left", language))
    if any(found.kind == "measured quality" for found in critical):
        parts.append(words.say("measured_left", language))
    if broken := [found.column for found in critical if found.column]:
        columns = list(dict.fromkeys(broken))
        parts.append(words.say("broken_in", language, columns=_some(columns, language)))
    if drifted:
        parts.append(
            words.say(
                "columns_changed", language,
                count=len(drifted), columns=len(made.columns), names=_some(drifted, language),
            )
        )  # fmt: skip
    if not parts:
        parts.append(words.say("things", language, count=len(made.findings)))
    text = words.capital("; ".join(parts))
    return words.say("in_records", language, what=text, rows=made.rows)


def _some(names: Sequence[str], language: words.Language, most: int = 4) -> str:
    first, rest = ", ".join(names[:most]), len(names) - most
    return words.say("and_more", language, names=first, count=rest) if rest > 0 else first
