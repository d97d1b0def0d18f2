"""Count, mean, spread and extremes of numbers, merged without loss of digits.

Source: Chan, Golub, LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farero_monitor.profile.sketch import Floats


@dataclass(slots=True)
class Moments:
    """Of finite numbers; `squares` is the sum of squared distances from the mean."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    total: float = 0.0
    least: float = math.inf
    most: float = -math.inf

    def update(self, values: Floats) -> None:
        """Add finite values, shape (n,)."""
        if not len(values):
            return
        # sum(), not dot(): BLAS would start threads for each small block, nine times as slow
        total = float(values.sum())
        mean = total / len(values)
        distances = values - mean
        distances *= distances
        self.merge(
            Moments(
                len(values), mean, float(distances.sum()), total,
                float(values.min()), float(values.max()),
            )
        )  # fmt: skip

    def merge(self, other: Moments) -> None:
        """Add what another one has seen."""
        if not other.count:
            return
        count = self.count + other.count
        apart = other.mean - self.mean
        self.squares += other.squares + apart * apart * (self.count * other.count / count)
        self.mean += apart * (other.count / count)
        self.total += other.total
        self.least = min(self.least, other.least)
        self.most = max(self.most, other.most)
        self.count = count

    @property
    def deviation(self) -> float:
        """The standard deviation of the population (divided by n), as in `statistics.json`."""
        return math.sqrt(max(0.0, self.squares) / self.count) if self.count else 0.0

    def to_state(self) -> dict[str, Any]:
        """Return what `from_state` reads."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Moments:
        """Read what `to_state` wrote."""
        return cls(**state)
