"""The baseline of attributions: rows that stand for "nothing special", made of the data where none is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from farero_monitor.clarify.config import ConfigError
from farero_monitor.clarify.rows import Rows
from farero_monitor.readers.flat import text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farero_monitor.clarify.infinite import Array

#: Rows that clusters are found among, and rounds of moving their centres.
MOST_ROWS, ROUNDS = 20_000, 100


def of_rows(given: Sequence[Any], features: Sequence[str]) -> Rows:
    """Return the baseline whose rows stand in the configuration. Raises ConfigError if one has another length."""
    made: list[list[str | None]] = []
    for at, row in enumerate(given):
        values = _values(row, features)
        if len(values) != len(features):
            raise ConfigError(
                f"methods.shap.baseline: row {at} has {len(values)} values for {len(features)} features "
                f"({', '.join(features)})."
            )
        made.append([text(value) for value in values])
    if not made:
        raise ConfigError("methods.shap.baseline has no rows.")
    return Rows.of({name: [row[at] for row in made] for at, name in enumerate(features)})


def _values(row: Any, features: Sequence[str]) -> list[Any]:
    if isinstance(row, dict):
        held = cast("dict[str, Any]", row)
        if set(features) <= set(held):
            return [held[name] for name in features]
        row = list(held.values())
    values = cast("list[Any]", row) if isinstance(row, list) else [row]
    if len(values) == 1 and isinstance(values[0], list):
        return cast("list[Any]", values[0])  # {"features": [...]} of JSON lines
    return values


def of_data(rows: Rows, clusters: int | None, rng: np.random.Generator) -> Rows:
    """Return the centres of the data: medians of numbers, the most frequent of texts.

    clusters: None for one centre of everything; more by k-prototypes (Huang, 1998: k-means, with numbers in units of
    their standard deviation, and every differing text counting as one).
    """
    if len(rows) > MOST_ROWS:
        rows = rows.take(rng.choice(len(rows), MOST_ROWS, replace=False))
    numbers = {name: rows.numbers(name) for name in rows.names}
    if clusters is None or clusters == 1 or len(rows) <= clusters:
        members = (
            [np.arange(len(rows))]
            if not clusters or clusters == 1
            else list(np.arange(len(rows))[:, None])
        )
        return _centres(rows, numbers, members, middle=np.nanmedian)
    own = _cluster(rows, numbers, clusters, rng)
    members = [held for at in range(clusters) if len(held := np.flatnonzero(own == at))]
    return _centres(rows, numbers, members, middle=np.nanmean)


def _centres(
    rows: Rows, numbers: dict[str, Array | None], members: list[Array], middle: Any
) -> Rows:
    found: dict[str, list[str | None]] = {}
    for name in rows.names:
        held = numbers[name]
        if held is not None:
            present = [held[places][~np.isnan(held[places])] for places in members]
            found[name] = [repr(float(middle(part))) if len(part) else None for part in present]
            continue
        codes = rows.codes(name)
        counted = [np.bincount(codes.codes[places] + 1)[1:] for places in members]
        found[name] = [codes.values[int(c.argmax())] if c.sum() else None for c in counted]
    return Rows.of(found)


def _cluster(
    rows: Rows, numbers: dict[str, Array | None], clusters: int, rng: np.random.Generator
) -> Array:
    """Return the cluster of each row: Lloyd's rounds from k-means++ seeds (Arthur and Vassilvitskii, 2007)."""
    parts: list[Array] = []
    for name in rows.names:
        held = numbers[name]
        if held is not None:
            spread = float(np.nanstd(held)) or 1.0
            filled = np.nan_to_num((held - np.nanmean(held)) / spread)
            parts.append(filled[:, None])
            continue
        codes = rows.codes(name)
        # two different texts are at a squared distance of 1 of one another
        wide = min(len(codes.values), 100)
        parts.append((codes.codes[:, None] == np.arange(wide)) * np.sqrt(0.5))
    points: Array = np.hstack(parts)
    centres: Array = points[[int(rng.integers(len(points)))]]
    while len(centres) < clusters:
        near = _squares(points, centres).min(axis=1)
        total = near.sum()
        chosen = int(
            rng.choice(len(points), p=near / total) if total else rng.integers(len(points))
        )
        centres = np.vstack([centres, points[chosen : chosen + 1]])
    own = np.full(len(points), -1)
    for _ in range(ROUNDS):
        now = _squares(points, centres).argmin(axis=1)
        if (now == own).all():
            break
        own = now
        for at in np.unique(own):
            centres[at] = points[own == at].mean(axis=0)
    return own


def _squares(points: Array, centres: Array) -> Array:
    return (
        (points**2).sum(axis=1)[:, None] - 2 * points @ centres.T + (centres**2).sum(axis=1)
    ).clip(0)
