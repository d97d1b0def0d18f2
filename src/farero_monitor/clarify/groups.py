"""Facets and labels: which rows belong to a group, and which have the positive outcome.

A column is categorical (some of its values are meant) or continuous (everything above a threshold is meant). Clarify's
rule: text, or several values given, is categorical; numbers with a fraction are continuous; whole numbers are
continuous where at least 5 % of them differ. A column of two values is categorical here whatever its length, and a
number between those two is a threshold.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from farero_monitor.clarify.config import ConfigError
from farero_monitor.clarify.rows import number, same

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farero_monitor.clarify.config import Value
    from farero_monitor.clarify.infinite import Array
    from farero_monitor.clarify.rows import Rows

#: Share of different values from which whole numbers are continuous (Clarify's UNIQUENESS_THRESHOLD).
UNIQUE = 0.05
#: A facet without values is split into its values; more of them are no groups.
MOST_GROUPS = 100


@dataclass(frozen=True, slots=True)
class Group:
    """A part of the rows."""

    #: As `analysis.json` calls it: "1", "a,b", or "(0.5, 0.99]".
    called: str
    #: Bool[rows].
    member: Array
    #: Members lie above it; None for a group of values.
    above: float | None = None


def is_continuous(rows: Rows, name: str, given: Sequence[Value] | None) -> bool:
    """Tell whether a column is read as numbers with a threshold."""
    numbers = rows.numbers(name)
    if numbers is None or (given is not None and len(given) > 1):
        return False
    held = numbers[~np.isnan(numbers)]
    distinct = np.unique(held)
    if len(distinct) <= 2:
        wanted = number(str(given[0])) if given else None
        return wanted is not None and len(distinct) == 2 and distinct[0] < wanted < distinct[1]
    if (held != np.round(held)).any():
        return True
    return len(distinct) >= UNIQUE * len(held)


def groups(rows: Rows, name: str, given: Sequence[Value] | None) -> list[Group]:
    """Return the groups of a facet: one for the given values or threshold, or one for each of its values.

    Raises ConfigError if a threshold is missing, or nobody or everybody belongs to the group.
    """
    what = f"facet '{name}'"
    if is_continuous(rows, name, given):
        return [_above(rows, name, given, what)]
    codes = rows.codes(name)
    if given:
        return [_of_values(codes.codes, codes.values, given, what)]
    if len(codes.values) > MOST_GROUPS:
        raise ConfigError(
            f"{what} has {len(codes.values)} values. Say which of them make the group: value_or_threshold."
        )
    if len(codes.values) < 2:
        raise ConfigError(f"{what} has one value, {codes.values}: there is nobody to compare with.")
    return [Group(value, codes.codes == at) for at, value in enumerate(codes.values)]


def positive(rows: Rows, name: str, given: Sequence[Value]) -> Group:
    """Return the rows with the positive outcome. Raises ConfigError if the label is constant."""
    what = f"label '{name}'"
    distinct = rows.codes(name).values
    if len(distinct) < 2:
        shown = repr(distinct[0]) if distinct else "no value"
        raise ConfigError(f"{what} is constant ({shown}): there is nothing to measure bias by.")
    if is_continuous(rows, name, given):
        return _above(rows, name, given, what)
    codes = rows.codes(name)
    return _of_values(codes.codes, codes.values, given, what)


def _of_values(codes: Array, values: list[str], given: Sequence[Value], what: str) -> Group:
    wanted = [at for at, text in enumerate(values) if any(same(value, text) for value in given)]
    called = ",".join(str(value) for value in given)
    if not wanted:
        shown = ", ".join(values[:20]) + (", …" if len(values) > 20 else "")
        raise ConfigError(f"{what} never has the value {called}. It has: {shown}.")
    if len(wanted) == len(values):
        raise ConfigError(f"{what} has no value but {called}: there is nobody to compare with.")
    return Group(called, np.isin(codes, wanted))


def _above(rows: Rows, name: str, given: Sequence[Value] | None, what: str) -> Group:
    numbers = rows.numbers(name)
    assert numbers is not None
    threshold = number(str(given[0])) if given else None
    least, most = float(np.nanmin(numbers)), float(np.nanmax(numbers))
    if threshold is None:
        told = f"'{given[0]}' is no number" if given else "give value_or_threshold"
        raise ConfigError(
            f"{what} is continuous ({least:g} to {most:g}) and needs a threshold: {told}."
        )
    if not least <= threshold < most:
        raise ConfigError(
            f"The threshold {threshold:g} of {what} does not divide it: its values are {least:g} to {most:g}."
        )
    with np.errstate(invalid="ignore"):
        member = numbers > threshold
    whole = not (numbers[~np.isnan(numbers)] % 1).any() and isinstance(
        given[0] if given else 0, int
    )
    return Group(interval(threshold, most, whole=whole), member, threshold)


def interval(low: float, high: float, *, whole: bool) -> str:
    """Write an interval as Clarify does: `(0.5, 0.99]`."""
    return f"({int(low)}, {int(high)}]" if whole else f"({low}, {high}]"


_INTERVAL = re.compile(r"\((-?[\d.eE+-]+), -?[\d.eE+-]+\]")


def like(rows: Rows, name: str, called: str) -> Group:
    """Return the group that a baseline called so, however few or many of the rows are in it."""
    found = _INTERVAL.fullmatch(called)
    numbers = rows.numbers(name) if found else None
    if found and numbers is not None:
        with np.errstate(invalid="ignore"):
            return Group(called, numbers > float(found[1]), float(found[1]))
    codes = rows.codes(name)
    whole = [at for at, text in enumerate(codes.values) if same(called, text)]
    wanted = whole or [
        at for at, text in enumerate(codes.values) if any(same(v, text) for v in called.split(","))
    ]
    return Group(called, np.isin(codes.codes, wanted))
