"""Bias of a data set: every metric for every group of every facet, as `analysis.json` holds them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from farero_monitor.clarify import bias, groups
from farero_monitor.clarify.config import ConfigError
from farero_monitor.clarify.flip import flip_test

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from farero_monitor.clarify.config import Config
    from farero_monitor.clarify.groups import Group
    from farero_monitor.clarify.infinite import Array
    from farero_monitor.clarify.rows import Rows

#: Samples of the bootstrap, and the share of them that an interval holds.
DRAWS, HELD = 1000, 0.99


@dataclass(slots=True)
class Measured:
    """What has been measured of one stage."""

    section: dict[str, Any]
    #: (facet, group, metric) -> the interval that holds 99 % of bootstrap samples.
    intervals: dict[tuple[str, str, str], tuple[float, float]] = field(
        default_factory=dict[tuple[str, str, str], tuple[float, float]]
    )
    #: (facet, group, metric) -> standard deviation of the bootstrap samples.
    deviations: dict[tuple[str, str, str], float] = field(
        default_factory=dict[tuple[str, str, str], float]
    )


@dataclass(frozen=True, slots=True)
class Subject:
    """Data and what its columns are."""

    rows: Rows
    label: str
    #: Rows with a positive label.
    positive: Group
    facets: Mapping[str, Sequence[Group]]
    #: Column whose values divide the rows for CDDL and CDDPL.
    group: str | None
    #: Rows with a positive prediction; None before training.
    predicted: Array | None = None
    #: Columns that are no features for the flip test, besides label and facet.
    aside: tuple[str, ...] = ()


def subject(
    rows: Rows, config: Config, *, known: Mapping[str, Sequence[str]] | None = None,
    known_label: str | None = None,
) -> Subject:  # fmt: skip
    """Return a data set as the configuration sees it, rows without a label left out. Raises ConfigError.

    known, known_label: the groups and the label's value as a baseline called them; with them nothing is guessed.
    """
    assert config.label is not None
    label = rows.name(config.label, "label")
    # every name is looked up before any is used: a mistake in the last facet shows at once
    names = [rows.name(facet.name_or_index, "facet") for facet in config.facet]
    group = (
        rows.name(config.group_variable, "group_variable")
        if config.group_variable is not None
        else None
    )
    kept = rows.take(rows.present(label))
    if not len(kept):
        raise ConfigError(f"No row has a value in the column of the label, '{label}'.")
    found: dict[str, Sequence[Group]] = {}
    for name, facet in zip(names, config.facet, strict=True):
        before = (known or {}).get(name)
        found[name] = (
            [groups.like(kept, name, called) for called in before]
            if before
            else groups.groups(kept, name, facet.value_or_threshold)
        )
    if known_label is not None:
        outcome = groups.like(kept, label, known_label)
    else:
        outcome = groups.positive(kept, label, config.label_values_or_threshold or [])
    return Subject(kept, label, outcome, found, group)


def measure(about: Subject, stage: str, names: Sequence[str]) -> Measured:
    """Return a stage's section of `analysis.json` with its intervals."""
    codes = about.rows.codes(about.group).codes if about.group else None
    made = Measured(
        {
            "label": about.label,
            "facets": {},
            "label_value_or_threshold": about.positive.called,
        }
    )
    for name, found in about.facets.items():
        present = about.rows.present(name)
        made.section["facets"][name] = [
            {
                "value_or_threshold": group.called,
                "metrics": _metrics(about, made, (name, group), stage, names, present, codes),
            }
            for group in found
        ]
    return made


def _metrics(  # noqa: PLR0913, PLR0917
    about: Subject, made: Measured, at: tuple[str, Group], stage: str, names: Sequence[str],
    present: Array, codes: Array | None,
) -> list[dict[str, Any]]:  # fmt: skip
    facet, group = at
    predicted = about.predicted[present] if about.predicted is not None else None
    member, label = group.member[present], about.positive.member[present]
    # a missing value of the group variable is a group of its own
    counts = bias.count(
        member, label, predicted if stage == bias.POST else None,
        codes[present] + 1 if codes is not None else None,
    )  # fmt: skip
    empty = len(member) == 0 or not counts.sum(axis=(0, 2, 3)).all()
    drawn = None if empty else bias.resample(counts, DRAWS, np.random.default_rng(0))
    found: list[dict[str, Any]] = []
    for name in names:
        if empty:
            found.append(bias.entry(name, np.nan, "One of the two groups has no rows."))
            continue
        if name == bias.FLIP:
            assert predicted is not None
            found.append(_flip(about, facet, present, member, predicted))
            continue
        if name in {"CDDL", "CDDPL"} and codes is None:
            found.append(bias.entry(name, np.nan, "Group variable is empty or not provided"))
            continue
        metric = bias.METRICS[name]
        found.append(bias.entry(name, float(metric.compute(counts))))
        if drawn is not None:
            samples = metric.compute(drawn)
            held = samples[np.isfinite(samples)]
            if len(held) > DRAWS // 2:
                low, high = np.quantile(held, [(1 - HELD) / 2, (1 + HELD) / 2])
                made.intervals[facet, group.called, name] = (float(low), float(high))
                made.deviations[facet, group.called, name] = float(held.std())
    return found


def _flip(
    about: Subject, facet: str, present: Array, member: Array, predicted: Array
) -> dict[str, Any]:
    aside = {about.label, facet, *about.aside}
    columns: list[Array] = []
    for name in about.rows.names:
        if name in aside:
            continue
        numbers = about.rows.numbers(name)
        if numbers is None:
            return bias.entry(
                bias.FLIP, np.nan, f"FlipTest does not support non-numeric columns, like '{name}'"
            )
        if np.isnan(numbers[present]).any():
            return bias.entry(bias.FLIP, np.nan, f"Values of column '{name}' are missing.")
        columns.append(numbers[present])
    if not columns:
        return bias.entry(bias.FLIP, np.nan, "There are no features besides label and facet.")
    return bias.entry(bias.FLIP, flip_test(np.column_stack(columns), member, predicted))
