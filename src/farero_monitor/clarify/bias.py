"""The 21 bias metrics of SageMaker Clarify, as functions of counts.

Counts: Float64[..., groups, facet, label, predicted], the last three of length 2: facet 0 is everybody else (`a`, the
advantaged in Clarify's words), 1 the group in question (`d`); label and predicted 1 are the positive outcome. Before
training nothing is predicted, and predicted is 0 throughout. Leading axes are samples: a bootstrap is one call.

A result is NaN where it is not defined (a rate of nobody) and infinite where something is divided by zero; Clarify has
0 for the first, which would make "nobody asked" look like "everybody refused". Formulas: "Pre-training Bias Metrics"
and "Post-training Data and Model Bias Metrics" in the SageMaker Developer Guide, and Das et al., "Fairness Measures for
Machine Learning in Finance" (2021), from which they come.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from farero_monitor.clarify.infinite import difference, ratio

if TYPE_CHECKING:
    from collections.abc import Callable

    from farero_monitor.clarify.infinite import Array

PRE = "pre_training"
POST = "post_training"
#: Metrics that take more than counts: see `flip.py`.
FLIP = "FT"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric that counts are enough for."""

    #: Clarify's description, with the short name in brackets.
    description: str
    stage: str
    compute: Callable[[Array], Array]
    #: Why there may be no value.
    undefined: str


def count(facet: Array, label: Array, predicted: Array | None, groups: Array | None) -> Array:
    """Return the counts of rows. All: Bool[rows], but groups: Int64[rows], numbered from 0."""
    found = np.zeros(len(facet), np.int64) if predicted is None else predicted.astype(np.int64)
    group = np.zeros(len(facet), np.int64) if groups is None else groups
    size = int(group.max()) + 1 if len(group) else 1
    cell = ((group * 2 + facet) * 2 + label) * 2 + found
    return np.bincount(cell, minlength=size * 8).reshape(size, 2, 2, 2).astype(np.float64)


def resample(counts: Array, draws: int, rng: np.random.Generator) -> Array:
    """Return bootstrap samples of counts, Float64[draws, …]: rows drawn with replacement are a multinomial draw."""
    total = int(counts.sum())
    drawn = rng.multinomial(total, counts.ravel() / total, size=draws)
    return drawn.reshape(draws, *counts.shape).astype(np.float64)


def _pair(counts: Array) -> tuple[Array, Array]:
    """Return [..., label, predicted] of `a` and of `d`."""
    whole = counts.sum(axis=-4)
    return whole[..., 0, :, :], whole[..., 1, :, :]


def _labels(counts: Array) -> tuple[Array, Array]:
    """Return the shares of the labels among `a` and `d`: Pa, Pd, Float64[..., label]."""
    a, d = (half.sum(axis=-1) for half in _pair(counts))
    return ratio(a, a.sum(axis=-1, keepdims=True)), ratio(d, d.sum(axis=-1, keepdims=True))


def class_imbalance(counts: Array) -> Array:
    """Return CI = (nₐ - n_d) / (nₐ + n_d), from -1 to 1."""
    a, d = (half.sum(axis=(-1, -2)) for half in _pair(counts))
    return ratio(a - d, a + d)


def difference_in_labels(counts: Array) -> Array:
    """Return DPL = qₐ - q_d, q the share of positive labels."""
    a, d = _labels(counts)
    return a[..., 1] - d[..., 1]


def _divergence(p: Array, q: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * np.log(p / q), np.where(np.isnan(p + q), np.nan, 0.0))
    return terms.sum(axis=-1)


def kullback_leibler(counts: Array) -> Array:
    """Return KL = Σ Pₐ(y) · ln(Pₐ(y) / P_d(y)), infinite where `d` never has a label that `a` has.

    Source: Kullback and Leibler, "On Information and Sufficiency" (1951). Clarify leaves such labels out of the sum.
    """
    return _divergence(*_labels(counts))


def jensen_shannon(counts: Array) -> Array:
    """Return JS = ½ · [KL(Pₐ, P) + KL(P_d, P)], P = ½ · (Pₐ + P_d), in nats: 0 to ln 2.

    Source: Lin, "Divergence Measures Based on the Shannon Entropy" (1991).
    """
    a, d = _labels(counts)
    mean = (a + d) / 2
    return (_divergence(a, mean) + _divergence(d, mean)) / 2


def euclidean(counts: Array) -> Array:
    """Return LP = [Σ |Pₐ(y) - P_d(y)|²]^½."""
    a, d = _labels(counts)
    return np.sqrt(((a - d) ** 2).sum(axis=-1))


def total_variation(counts: Array) -> Array:
    """Return TVD = ½ · Σ |Pₐ(y) - P_d(y)|."""
    a, d = _labels(counts)
    return np.abs(a - d).sum(axis=-1) / 2


def kolmogorov_smirnov(counts: Array) -> Array:
    """Return KS = max |Pₐ(y) - P_d(y)|, over labels, as Clarify defines it."""
    a, d = _labels(counts)
    return np.abs(a - d).max(axis=-1)


def _disparity(groups: Array) -> Array:
    """Return Σ nᵢ · DDᵢ / n of [..., group, facet, accepted].

    DD is the share of `d` among the rejected less that among the accepted; 0 stands for the share of none, as in
    Clarify. Source: Wachter, Mittelstadt, Russell, "Why Fairness Cannot Be Automated" (2021).
    """
    whole = groups.sum(axis=-2)
    with np.errstate(invalid="ignore"):
        share = np.where(whole > 0, groups[..., 1, :] / whole, 0.0)
    sizes = whole.sum(axis=-1)
    found = ratio((sizes * (share[..., 0] - share[..., 1])).sum(axis=-1), sizes.sum(axis=-1))
    both = (whole.sum(axis=-2) > 0).all(axis=-1)
    return np.where(both, found, np.nan)


def disparity_of_labels(counts: Array) -> Array:
    """Return CDDL: the demographic disparity of labels, averaged over the groups by their sizes."""
    return _disparity(counts.sum(axis=-1))


def disparity_of_predictions(counts: Array) -> Array:
    """Return CDDPL: as CDDL, of predicted labels."""
    return _disparity(counts.sum(axis=-2))


def _accepted(half: Array) -> Array:
    return ratio(half[..., 1].sum(axis=-1), half.sum(axis=(-1, -2)))


def difference_in_predictions(counts: Array) -> Array:
    """Return DPPL = q̂ₐ - q̂_d, q̂ the share of positive predictions."""
    a, d = _pair(counts)
    return _accepted(a) - _accepted(d)


def disparate_impact(counts: Array) -> Array:
    """Return DI = q̂_d / q̂ₐ: 1 is fair; the four-fifths rule asks for 0.8 to 1.25.

    Source: Feldman et al., "Certifying and Removing Disparate Impact" (2015).
    """
    a, d = _pair(counts)
    return ratio(_accepted(d), _accepted(a))


def conditional_acceptance(counts: Array) -> Array:
    """Return DCA = cₐ - c_d, c = n(1) / n̂(1): positive labels over positive predictions."""
    a, d = (ratio(h[..., 1, :].sum(axis=-1), h[..., 1].sum(axis=-1)) for h in _pair(counts))
    return difference(a, d)


def conditional_rejection(counts: Array) -> Array:
    """Return DCR = r_d - rₐ, r = n(0) / n̂(0): negative labels over negative predictions."""
    a, d = (ratio(h[..., 0, :].sum(axis=-1), h[..., 0].sum(axis=-1)) for h in _pair(counts))
    return difference(d, a)


def recall_difference(counts: Array) -> Array:
    """Return RD = TPₐ/n(1)ₐ - TP_d/n(1)_d. Source: Hardt, Price, Srebro, "Equality of Opportunity" (2016)."""
    a, d = (ratio(h[..., 1, 1], h[..., 1, :].sum(axis=-1)) for h in _pair(counts))
    return a - d


def specificity_difference(counts: Array) -> Array:
    """Return SD = TN_d/n(0)_d - TNₐ/n(0)ₐ."""
    a, d = (ratio(h[..., 0, 0], h[..., 0, :].sum(axis=-1)) for h in _pair(counts))
    return d - a


def acceptance_rates(counts: Array) -> Array:
    """Return DAR = TPₐ/n̂(1)ₐ - TP_d/n̂(1)_d: the difference of precisions."""
    a, d = (ratio(h[..., 1, 1], h[..., 1].sum(axis=-1)) for h in _pair(counts))
    return a - d


def rejection_rates(counts: Array) -> Array:
    """Return DRR = TN_d/n̂(0)_d - TNₐ/n̂(0)ₐ."""
    a, d = (ratio(h[..., 0, 0], h[..., 0].sum(axis=-1)) for h in _pair(counts))
    return d - a


def accuracy_difference(counts: Array) -> Array:
    """Return AD = ACCₐ - ACC_d."""
    a, d = (ratio(h[..., 0, 0] + h[..., 1, 1], h.sum(axis=(-1, -2))) for h in _pair(counts))
    return a - d


def treatment_equality(counts: Array) -> Array:
    """Return TE = τ_d - τₐ, τ = FN / FP.

    Source: Berk et al., "Fairness in Criminal Justice Risk Assessments" (2018).
    """
    a, d = (ratio(h[..., 1, 0], h[..., 0, 1]) for h in _pair(counts))
    return difference(d, a)


def generalized_entropy(counts: Array) -> Array:
    """Return GE = 1/(2n) · Σ [(bᵢ/μ)² - 1], b = ŷ - y + 1: half the squared coefficient of variation of benefits.

    Source: Speicher et al., "A Unified Approach to Quantifying Algorithmic Unfairness" (2018), with alpha = 2.
    """
    n = counts.sum(axis=(-4, -3))
    negative, fair, positive = n[..., 1, 0], n[..., 0, 0] + n[..., 1, 1], n[..., 0, 1]
    total = negative + fair + positive
    mean = ratio(fair + 2 * positive, total)
    squares = ratio(fair + 4 * positive, total)
    return (ratio(squares, np.where(mean > 0, mean**2, np.nan)) - 1) / 2


_NOBODY = "One of the two groups has no rows."
METRICS: dict[str, Metric] = {
    "CI": Metric("Class Imbalance (CI)", PRE, class_imbalance, _NOBODY),
    "DPL": Metric(
        "Difference in Positive Proportions in Labels (DPL)", PRE, difference_in_labels, _NOBODY
    ),
    "KL": Metric("Kullback-Liebler Divergence (KL)", PRE, kullback_leibler, _NOBODY),
    "JS": Metric("Jensen-Shannon Divergence (JS)", PRE, jensen_shannon, _NOBODY),
    "LP": Metric("L-p Norm (LP)", PRE, euclidean, _NOBODY),
    "TVD": Metric("Total Variation Distance (TVD)", PRE, total_variation, _NOBODY),
    "KS": Metric("Kolmogorov-Smirnov Distance (KS)", PRE, kolmogorov_smirnov, _NOBODY),
    "CDDL": Metric(
        "Conditional Demographic Disparity in Labels (CDDL)", PRE, disparity_of_labels,
        "All labels are positive, or none is.",
    ),
    "DPPL": Metric(
        "Difference in Positive Proportions in Predicted Labels (DPPL)", POST,
        difference_in_predictions, _NOBODY,
    ),
    "DI": Metric(
        "Disparate Impact (DI)", POST, disparate_impact, "Nobody has a positive prediction."
    ),
    "DCA": Metric(
        "Difference in Conditional Acceptance (DCA)", POST, conditional_acceptance,
        "A group has neither positive labels nor positive predictions.",
    ),
    "DCR": Metric(
        "Difference in Conditional Rejection (DCR)", POST, conditional_rejection,
        "A group has neither negative labels nor negative predictions.",
    ),
    "RD": Metric("Recall Difference (RD)", POST, recall_difference, "A group has no positive labels."),
    "SD": Metric(
        "Specificity Difference (SD)", POST, specificity_difference, "A group has no negative labels."
    ),
    "DAR": Metric(
        "Difference in Acceptance Rates (DAR)", POST, acceptance_rates,
        "A group has no positive predictions.",
    ),
    "DRR": Metric(
        "Difference in Rejection Rates (DRR)", POST, rejection_rates,
        "A group has no negative predictions.",
    ),
    "AD": Metric("Accuracy Difference (AD)", POST, accuracy_difference, _NOBODY),
    "CDDPL": Metric(
        "Conditional Demographic Disparity in Predicted Labels (CDDPL)", POST,
        disparity_of_predictions, "All predictions are positive, or none is.",
    ),
    "TE": Metric(
        "Treatment Equality (TE)", POST, treatment_equality,
        "A group has neither false negatives nor false positives.",
    ),
    "GE": Metric(
        "Generalized Entropy (GE)", POST, generalized_entropy,
        "All predicted labels are false negatives.",
    ),
}  # fmt: skip


def names(stage: str) -> list[str]:
    """Return the short names of a stage's metrics, in Clarify's order: the alphabet's."""
    found = [name for name, metric in METRICS.items() if metric.stage == stage]
    return sorted([*found, FLIP] if stage == POST else found)


def described(name: str) -> str:
    """Return a metric's description."""
    return "Flip Test (FT)" if name == FLIP else METRICS[name].description


def entry(name: str, value: float, reason: str = "") -> dict[str, Any]:
    """Return a metric as it stands in `analysis.json`: a number, "Infinity", or null with its error."""
    found: dict[str, Any] = {"name": name, "description": described(name), "value": None}
    if np.isnan(value):
        return found | {"error": reason or METRICS[name].undefined}
    if np.isinf(value):
        return found | {"value": "Infinity" if value > 0 else "-Infinity"}
    return found | {"value": float(value)}
