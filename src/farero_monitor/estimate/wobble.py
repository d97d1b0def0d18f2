"""How much farther estimates were off in stretches of the labelled reference than chance explains.

An estimate assumes that equal rows keep their chance of each label. Where the reference lies in the order of its time,
the stretches it is cut into tell how well that held so far: each is estimated by what was learned without its rows, and
compared with its own labels. What is left beyond the variance that labels bring is a variance between stretches, as
between studies of one effect; a later stretch wobbles as much, and the band makes room for it. Rows in random order, or
an assumption that holds, give none. It says nothing of a change that the reference had not seen.

Source: DerSimonian and Laird, "Meta-analysis in clinical trials", Controlled Clinical Trials 7, 1986: Q = Σ d² / v is
chi-square of as many degrees of freedom as there are stretches where nothing but chance is at work.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from farero_monitor.profile.sketch import Floats

#: Stretches of the reference, how many of them must have a value, and the normal quantile of 95 %.
STRETCHES, LEAST, SURELY = 10, 5, 1.645


def variance(off: Floats, chance: Floats) -> float:
    """Return the variance between stretches beyond chance; 0 where chance explains what is there.

    off: estimate less truth of each stretch; chance: the variance that labels bring to it; both (stretches,).
    """
    known = np.isfinite(off) & np.isfinite(chance) & (chance > 0)
    off, chance = off[known], chance[known]
    if len(off) < LEAST or float((off**2 / chance).sum()) <= quantile(len(off)):
        return 0.0
    return max(0.0, float((off**2 - chance).mean()))


def quantile(freedom: int) -> float:
    """Return the 95 % quantile of chi-square. Source: Wilson and Hilferty, PNAS 17, 1931."""
    part = 2 / (9 * freedom)
    return freedom * (1 - part + SURELY * math.sqrt(part)) ** 3


def stretches(rows: int) -> list[slice]:
    """Return the stretches of so many rows."""
    ends = [rows * number // STRETCHES for number in range(STRETCHES + 1)]
    return [slice(*one) for one in itertools.pairwise(ends)]
