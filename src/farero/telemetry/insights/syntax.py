"""What a Logs Insights query is made of, once it has been read: commands in order, expressions as trees. Pure.

Follows "CloudWatch Logs Insights language query syntax" of the CloudWatch Logs user guide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from farero.base.errors import Invalid

if TYPE_CHECKING:
    import re


class Malformed(Invalid):
    """The query cannot be read; `start` and `end` are the places in its text."""

    def __init__(self, message: str, start: int, end: int) -> None:
        self.start = start
        self.end = end
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Literal:
    """A number or a text; a span of time (`5m`) is its milliseconds."""

    value: float | int | str


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the event, or a name that an earlier command gave."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function or an aggregate of its arguments; every operator (`=`, `and`, `+`) is one too."""

    name: str
    args: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """`field like /regex/`."""

    value: Expression
    regex: re.Pattern[str]


Expression = Literal | Field | Call | Match


@dataclass(frozen=True, slots=True)
class Named:
    """An expression and the name of its column: the alias, or its own text."""

    name: str
    value: Expression


@dataclass(frozen=True, slots=True)
class Fields:
    """`fields a, b as c`: what to show, and new names for later commands; `display` shows and forgets the rest."""

    columns: tuple[Named, ...]
    is_display: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    """Keep what the condition holds for."""

    condition: Expression


@dataclass(frozen=True, slots=True)
class Stats:
    """Fold rows into one a group."""

    columns: tuple[Named, ...]
    by: tuple[Named, ...] = ()


@dataclass(frozen=True, slots=True)
class Sort:
    """Order by expressions; True for descending."""

    keys: tuple[tuple[Expression, bool], ...]


@dataclass(frozen=True, slots=True)
class Limit:
    """Keep the first rows."""

    count: int


@dataclass(frozen=True, slots=True)
class Parse:
    """Take new fields out of a text; `names` are the groups of `regex` in order."""

    value: Expression
    regex: re.Pattern[str]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dedup:
    """Keep the first row for each combination of values."""

    fields: tuple[Expression, ...]


Command = Fields | Filter | Stats | Sort | Limit | Parse | Dedup
