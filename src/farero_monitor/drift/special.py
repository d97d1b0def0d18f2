"""Tail probabilities, so that the analyzer does without scipy's 100 MB; checked against it in the tests."""

from __future__ import annotations

import math

_STEPS = 500
_TINY = 1e-300


def normal_tail(z: float) -> float:
    """Return P(|Z| > |z|) of a standard normal variable."""
    return math.erfc(abs(z) / math.sqrt(2.0))


def kolmogorov_tail(x: float) -> float:
    """Return P(K > x) of the Kolmogorov distribution: 2 sum (-1)^(i-1) exp(-2 i^2 x^2).

    Source: Smirnov, "Table for estimating the goodness of fit of empirical distributions", 1948.
    """
    if x <= 0.0:
        return 1.0
    if x < 0.5:
        # the same by Jacobi's theta function, which converges where the other does not
        total = sum(math.exp(-((2 * i - 1) ** 2) * math.pi**2 / (8 * x * x)) for i in range(1, 20))
        return max(0.0, 1.0 - math.sqrt(2 * math.pi) / x * total)
    total = sum((-1) ** (i - 1) * math.exp(-2.0 * i * i * x * x) for i in range(1, 101))
    return min(1.0, max(0.0, 2.0 * total))


def chi_square_tail(x: float, degrees: float) -> float:
    """Return P(X > x) of a chi-square variable: the regularised upper gamma function Q(degrees/2, x/2).

    Series below, continued fraction (Lentz) above a + 1, as in Abramowitz and Stegun 6.5.29 and 6.5.31.
    """
    if degrees <= 0:
        return 1.0
    a, z = degrees / 2.0, x / 2.0
    if z <= 0.0:
        return 1.0
    scale = math.exp(max(-745.0, a * math.log(z) - z - math.lgamma(a)))
    steps = _STEPS + int(4 * math.sqrt(a))
    if z < a + 1.0:
        term = total = 1.0 / a
        for i in range(1, steps + int(z)):
            term *= z / (a + i)
            total += term
            if term < total * 1e-16:
                break
        return min(1.0, max(0.0, 1.0 - total * scale))
    b = z + 1.0 - a
    c, d = 1.0 / _TINY, 1.0 / b
    fraction = d
    for i in range(1, steps):
        an = -i * (i - a)
        b += 2.0
        d = 1.0 / (an * d + b or _TINY)
        c = b + an / c or _TINY
        fraction *= d * c
        if abs(d * c - 1.0) < 1e-15:
            break
    return min(1.0, max(0.0, fraction * scale))


def binomial_tail(successes: int, trials: int, share: float) -> float:
    """Return P(X >= successes) of a binomial variable, summed in logarithms."""
    if successes <= 0:
        return 1.0
    if share <= 0.0:
        return 0.0
    if share >= 1.0:
        return 1.0
    term = (
        math.lgamma(trials + 1) - math.lgamma(successes + 1) - math.lgamma(trials - successes + 1)
        + successes * math.log(share) + (trials - successes) * math.log1p(-share)
    )  # fmt: skip
    odds = share / (1.0 - share)
    value, total = 1.0, 1.0
    for k in range(successes, trials):
        value *= (trials - k) / (k + 1.0) * odds
        total += value
        if value < total * 1e-16 and k > trials * share:
            break
    return min(1.0, math.exp(min(0.0, term + math.log(total))))


def cauchy_combination(values: list[float]) -> float:
    """Return one p of several dependent ones: 1/2 - arctan(mean tan((1/2 - p) pi)) / pi.

    Source: Liu and Xie, "Cauchy Combination Test", JASA 115, 2020. Each p is capped at 0.99: one of exactly 1 would
    otherwise cancel any evidence of the others.
    """
    if not values:
        return 1.0
    total = 0.0
    for value in values:
        p = min(0.99, max(value, 1e-300))
        # tan near its pole: 1 / (p pi) to all digits
        total += 1.0 / (p * math.pi) if p < 1e-15 else math.tan((0.5 - p) * math.pi)
    mean = total / len(values)
    return 1.0 / (mean * math.pi) if mean > 1e15 else 0.5 - math.atan(mean) / math.pi


def benjamini_hochberg(values: list[float]) -> list[float]:
    """Return adjusted p values: below q they are discoveries at a false discovery rate of q.

    Source: Benjamini and Hochberg, "Controlling the False Discovery Rate", JRSS B 57, 1995.
    """
    order = sorted(range(len(values)), key=lambda i: values[i], reverse=True)
    adjusted, least = [0.0] * len(values), 1.0
    for place, index in enumerate(order):
        least = min(least, values[index] * len(values) / (len(values) - place))
        adjusted[index] = least
    return adjusted
