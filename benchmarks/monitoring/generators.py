"""Data that does not drift, and what is done to it, for benchmarks of the drift verdict."""

from __future__ import annotations

import zipfile

import numpy as np
import pyarrow as pa
from pyarrow import csv

CARDINALITIES = (5, 20, 50, 200, 500, 1000)
SHARES = [np.cumsum(w / w.sum()) for w in (1 / np.arange(1, c + 1) for c in CARDINALITIES)]
NUMBERS = 14


def mixed(rng, n):
    """8 normal, 4 lognormal and 2 Poisson columns."""
    return (
        [rng.normal(size=n) for _ in range(8)]
        + [np.exp(rng.normal(size=n)) for _ in range(4)]
        + [rng.poisson(5, size=n).astype(float) for _ in range(2)]
    )


def awkward(rng, n):
    """Gamma, t with 3 degrees, uniform, lognormal, rounded, two-peaked and half missing."""
    peaks = [
        np.where(rng.random(n) < 0.5, rng.normal(-2, 1, n), rng.normal(2, 1, n)) for _ in range(2)
    ]
    half = [gaps(rng, rng.normal(size=n), 0.5) for _ in range(2)]
    return (
        [rng.normal(size=n) for _ in range(1)]
        + [rng.gamma(2, size=n) for _ in range(3)]
        + [rng.standard_t(3, size=n) for _ in range(3)]
        + [rng.random(n) for _ in range(1)]
        + [np.exp(rng.normal(size=n))]
        + [rng.normal(size=n).round(1)]
        + peaks + half
    )  # fmt: skip


def patchy(rng, n):
    """Columns that hang together and have gaps: 2 to 30 % missing; amounts that are mostly zero, flags, counts."""
    common = rng.normal(size=n)
    together = [0.7 * common + 0.7 * rng.normal(size=n) for _ in range(4)]
    missing = [gaps(rng, x, share) for x, share in zip(together, (0, 0.02, 0.1, 0.3), strict=True)]
    amounts = [
        np.where(rng.random(n) < 0.8, 0.0, rng.exponential(100, n).round(2)) for _ in range(3)
    ]
    flags = [(rng.random(n) < share).astype(float) for share in (0.02, 0.3)]
    counts = [gaps(rng, rng.geometric(0.2, n).astype(float), 0.05), rng.binomial(40, 0.1, n) * 1.0]
    ages = [np.clip(rng.normal(40, 12, n), 18, 90).round() for _ in range(2)]
    tails = [gaps(rng, np.exp(2 * rng.normal(size=n)), 0.02)]
    return missing + amounts + flags + counts + ages + tails


GENERATORS = {"mixed": mixed, "awkward": awkward, "patchy": patchy}


def gaps(rng, values, share):
    """Return values with a share of them missing."""
    return np.where(rng.random(len(values)) < share, np.nan, values)


def texts(rng, n):
    """Return 6 columns of codes, 5 to 1,000 different ones, the frequent ones much more frequent."""
    return [np.searchsorted(shares, rng.random(n)) for shares in SHARES]


def table(columns):
    """Return columns as a table; numbers first, then texts."""
    numbers = [pa.array(x, from_pandas=True) for x in columns[:NUMBERS]]
    values = pa.array([f"v{code}" for code in range(10_000)])
    coded = [values.take(pa.array(x)) for x in columns[NUMBERS:]]
    made = [f"n{i}" for i in range(len(numbers))] + [f"t{i}" for i in range(len(coded))]
    return pa.table([*numbers, *coded], made)


#: Column and what is done to it.
CHANGES = {
    "mean +0.1 sd": (0, lambda x, _: x + 0.1),
    "mean +0.3 sd": (0, lambda x, _: x + 0.3),
    "variance x1.2": (0, lambda x, _: x * np.sqrt(1.2)),
    "2 % tails x5": (0, lambda x, rng: np.where(rng.random(len(x)) < 0.02, x * 5, x)),
    "lognormal +0.1": (8, lambda x, _: x * np.exp(0.1)),
    "1 % new value": (16, lambda x, rng: np.where(rng.random(len(x)) < 0.01, 9999, x)),
    "trivial +0.02 sd": (0, lambda x, _: x + 0.02),
}


def real(flights=None, nannyml=None):
    """Yield (name, rows without drift, rows that drifted or None) of real data; paths of what packages ship."""
    from sklearn import datasets

    for name, load in (
        ("breast cancer", datasets.load_breast_cancer),
        ("wine", datasets.load_wine),
    ):
        found = load()
        names = [str(name) for name in found.feature_names]
        yield name, pa.table([pa.array(x) for x in found.data.T], names), None
    if flights is not None:
        yield ("flights", *_flights(flights))
    if nannyml is not None:
        for name, file in (
            ("car loan", "synthetic_car_loan"),
            ("titanic", "titanic"),
            ("california", "california_housing"),
        ):
            drop = {
                "id",
                "timestamp",
                "PassengerId",
                "Name",
                "Ticket",
                "Cabin",
                "boat",
                "body",
                "home.dest",
            }
            then = csv.read_csv(nannyml / f"{file}_reference.csv")
            rows = then.drop_columns([c for c in then.column_names if c in drop])
            yield name, rows, None


def _flights(path):
    """Return winter's flights from New York and summer's."""
    with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as file:
        options = csv.ConvertOptions(
            strings_can_be_null=True, null_values=["NA", ""],
            column_types=dict.fromkeys(("dep_delay", "arr_delay", "air_time"), pa.float64()),
        )  # fmt: skip
        rows = csv.read_csv(file, convert_options=options)
    month = rows.column("month").to_numpy()
    kept = [
        "dep_delay", "arr_delay", "air_time", "distance", "hour", "carrier", "origin", "dest", "tailnum",
    ]  # fmt: skip
    return tuple(
        rows.filter(pa.array(np.isin(month, which))).select(kept)
        for which in ([1, 2, 3], [6, 7, 8])
    )
