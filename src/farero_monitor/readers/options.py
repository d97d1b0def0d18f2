"""What a capture reader has to know: names, window, what counts as missing, a script."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from farero_monitor.readers.table import MISSING, numbered

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Options:
    """How to read capture records."""

    #: The baseline's columns in their order; without a baseline columns are numbered.
    names: tuple[str, ...] = ()
    #: Only records of start <= inferenceTime < end; ISO 8601 in UTC, empty for no limit.
    start: str = ""
    end: str = ""
    missing: tuple[str, ...] = MISSING
    #: Whether the answer's values come first among the baseline's columns (`output_columns_position`).
    output_first: bool = True
    #: A `preprocess_handler`: record -> dict, list of dicts, or nothing.
    script: Callable[[Any], Any] | None = None

    def columns(self, outputs: int, inputs: int) -> list[str]:
        """Return the names of a row: first those of the answer's values, then those of the request's.

        Columns go by position. Where the baseline has as many columns as the request alone, it was taken without the
        target: the request gets its names, and the answer is something the baseline does not have.
        """
        names = list(self.names) or numbered(outputs + inputs)
        if len(names) == inputs and outputs:
            return [*(f"_output{index}" for index in range(outputs)), *names]
        if inputs and not outputs and len(names) > inputs and self.names:
            # the answer is missing: its columns are, too
            return names[len(names) - inputs :] if self.output_first else names[:inputs]
        names += [f"_c{index}" for index in range(len(names), outputs + inputs)]
        if self.output_first:
            return names[: outputs + inputs]
        return [*names[inputs : inputs + outputs], *names[:inputs]]

    def wants(self, moment: str) -> bool:
        """Tell whether a record of this time is in the window."""
        return self.start <= moment and (not self.end or moment < self.end)
