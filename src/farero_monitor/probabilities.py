"""Which column has the probability of which class, as it is written: `0-2`, `p0,p1,p2`, `rose=0,violet=1,lily=2`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from farero_monitor.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: Classes that a range may have.
MOST = 1000


class ProbabilitiesError(AnalysisError):
    """What names the columns of probabilities cannot be meant so; the text says why."""


@lru_cache
def of_text(text: str) -> Mapping[str, str]:
    """Return class → column of columns separated by commas; as `of_classes`."""
    return of_classes((text,))


def of_classes(told: Sequence[str]) -> dict[str, str]:
    """Return class → column.

    told: each `CLASS=COLUMN`, or columns alone, which are of the classes 0, 1, … in their order; several in one text
    have commas between, and `2-4` are the columns 2, 3 and 4. A single column alone has the class "". Raises
    ProbabilitiesError.
    """
    parts = [part for text in told for part in _parts(text)]
    named = [_named(part) for part in parts]
    if any(name for name, _ in named) and not all(name for name, _ in named):
        bare = next(column for name, column in named if not name)
        raise ProbabilitiesError(
            f"{', '.join(parts)}: say of which class '{bare}' is the probability (CLASS={bare}), or of none of them: "
            "they are then of the classes 0, 1, 2 and so on."
        )
    if len(named) > 1 and not named[0][0]:
        named = [(str(index), column) for index, (_, column) in enumerate(named)]
    for what, found in (("class", [n for n, _ in named]), ("column", [c for _, c in named])):
        twice = [one for index, one in enumerate(found) if one in found[:index]]
        if twice:
            raise ProbabilitiesError(f"{', '.join(parts)}: the {what} '{twice[0]}' is there twice.")
    return dict(named)


def _parts(text: str) -> Iterator[str]:
    # a comma in brackets belongs to a path, as in $['a,b']
    for part in re.split(r",(?![^\[]*\])", text):
        found = re.fullmatch(r"(\d+)-(\d+)", part.strip())
        if found is None:
            if not part.strip():
                raise ProbabilitiesError(f"'{text}' names no column between two commas.")
            yield part.strip()
            continue
        first, last = int(found[1]), int(found[2])
        if not first < last < first + MOST:
            raise ProbabilitiesError(
                f"'{part.strip()}' is no range of columns: the first is below the last, of {MOST:,} at most."
            )
        yield from map(str, range(first, last + 1))


def _named(part: str) -> tuple[str, str]:
    if part.startswith("$"):
        return "", part
    name, equals, column = part.rpartition("=")
    if equals and not (name.strip() and column.strip()):
        raise ProbabilitiesError(f"'{part}' is not CLASS=COLUMN.")
    return name.strip(), column.strip()
