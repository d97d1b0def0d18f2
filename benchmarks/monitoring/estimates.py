"""Estimated quality against the truth: how far off, and how often the band of 95 % covers it.

    python benchmarks/monitoring/estimates.py [seeds] [--first SEED] [--keep FILE] [--nannyml FOLDER]
    python benchmarks/monitoring/estimates.py --table FILE

Each seed draws a labelled reference of 10,000 rows from a generator and learns from it; then windows of 10,000 rows
whose features moved (covariate shift: what a row's features say of its label stays). "off" is estimate less truth of
the labels that were held back: its mean, and the mean of its size. Of a generator that is the sum of what labels do by
chance in so many rows ("luck": an estimate by the true probabilities is as far off) and of what the estimate itself
misses ("model": against those probabilities). "covered" is the share of truths in the band, and
"width" how wide that is; "alarms" the share of undrifted windows called worse or better. "plain" is CBPE on the
score alone, without the correction by features; "baseline" takes the baseline's figure for the window's. --nannyml:
the folder of the data sets that NannyML ships (nannyml/datasets/data of its wheel): windows of 5,000 rows, or 1,000
of a small set.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))
from farero_monitor.estimate import classes, estimator
from farero_monitor.estimate.labelled import Labelled
from farero_monitor.estimate.scores import Answers

ROWS = 10_000
SHIFTS = (0.0, 0.3, -0.3, 0.8)
SHOWN = ("roc_auc", "accuracy", "precision", "recall", "f1", "mae", "rmse")


def table(columns):
    return pa.table({name: pa.array(v).cast(pa.string()) for name, v in columns.items()})


def expit(z):
    return 1 / (1 + np.exp(-z))


def features(rng, rows, shift):
    """Return rows of which a share `shift` more comes from where the first feature is positive (negative)."""
    x = rng.normal(size=(rows, 4))
    moved = rng.random(rows) < abs(shift)
    x[moved, 0] = np.sign(shift) * np.abs(x[moved, 0])
    return x


# each returns the features, the model's probability, and the true one, which labels are drawn from
def calibrated(rng, rows, shift):
    """The model knows the truth."""
    x = features(rng, rows, shift)
    p = expit(1.2 * x[:, 0] - x[:, 1])
    return x, p, p


def too_sure(rng, rows, shift):
    """The right order, but log odds twice as large as they should be."""
    x, p, _ = calibrated(rng, rows, shift)
    return x, expit(2 * np.log(p / (1 - p)) + 0.5), p


def bent(rng, rows, shift):
    """A linear model where the truth is not linear: rows of one score differ by their features."""
    x = features(rng, rows, shift)
    truth = expit(1.2 * x[:, 0] - x[:, 1] + 0.8 * x[:, 2] * (x[:, 0] > 0) - 0.3 * x[:, 0] ** 2)
    return x, expit(0.9 * x[:, 0] - 0.9 * x[:, 1] - 0.3), truth


def rare(rng, rows, shift):
    """Three positives in a hundred."""
    x = features(rng, rows, shift)
    p = expit(1.2 * x[:, 0] - x[:, 1] - 4.3)
    return x, p, p


def costs(rng, rows, shift):
    """Numbers, with an error that grows along a feature."""
    x = features(rng, rows, shift)
    told = 2 * x[:, 0] + x[:, 1]
    error = rng.normal(size=rows) * (0.5 + np.maximum(x[:, 0], 0)) * np.where(x[:, 2] > 1, 2, 1)
    return x, told, told + error


BINARY = {"calibrated": calibrated, "too sure": too_sure, "bent": bent, "rare": rare}


def truths(y, p):
    """Return the metrics of known labels, or those that labels with known probabilities have on average."""
    answers = Answers(p[:, None], (p >= 0.5).astype(float)[:, None])
    found = answers.measure(y[None, :, None].astype(float))
    return {name: float(value[0]) for name, value in found.items()}


def record(name, shift, made, plain, truth, expected=None):  # noqa: PLR0913, PLR0917
    """expected: what the truth would be on average, were labels drawn anew; of generators alone."""
    known = [metric for metric in made.figures if metric in truth]
    figures = made.figures
    return {
        "set": name, "shift": shift, "alarm": bool(made.worse or made.better),
        "off": {k: figures[k].value - truth[k] for k in known},
        "plain": {k: plain.figures[k].value - truth[k] for k in known},
        "baseline": {k: figures[k].reference - truth[k] for k in known},
        "covered": {k: float(figures[k].low <= truth[k] <= figures[k].high) for k in known},
        "width": {k: figures[k].high - figures[k].low for k in known},
        "model": {k: figures[k].value - expected[k] for k in known} if expected else {},
        "luck": {k: expected[k] - truth[k] for k in known} if expected else {},
    }  # fmt: skip


def without_features(kept):
    """Return the same reference with the calibrators alone."""
    again = estimator.Estimator.from_bytes(kept.to_bytes())
    if isinstance(again.model, classes.Classes):
        for head in again.model.heads:
            for member in (head.whole, *head.parts):
                member.features = None
    return again


def judged(name, shift, references, window, truth, expected=None):  # noqa: PLR0913, PLR0917
    """references: with the correction by features and without."""
    made, plain = (kept.estimate(window, window.num_rows) for kept in references)
    return record(name, shift, made, plain, truth, expected)


def seed_records(seed):
    for number, (name, draw) in enumerate(BINARY.items()):
        rng = np.random.default_rng([seed, number])

        def rows(shift, draw=draw, rng=rng):
            x, p, truth = draw(rng, ROWS, shift)
            y = rng.random(ROWS) < truth
            columns = {f"x{i}": x[:, i] for i in range(x.shape[1])} | {"p": p}
            return table(columns | {"y": y.astype(int)}), truths(y, p), truths(truth, p)

        kept = estimator.learn(rows(0.0)[0], Labelled("y", "", {"": "p"}))
        plain = without_features(kept)
        for shift in SHIFTS:
            window, truth, expected = rows(shift)
            yield judged(name, shift, (kept, plain), window, truth, expected)
    rng = np.random.default_rng([seed, 99])

    def numbers(shift):
        x, told, y = costs(rng, ROWS, shift)
        error = np.abs(y - told)
        columns = {f"x{i}": x[:, i] for i in range(x.shape[1])} | {"told": told, "y": y}
        return table(columns), {"mae": error.mean(), "rmse": np.sqrt((error**2).mean())}

    kept = estimator.learn(numbers(0.0)[0], Labelled("y", "told"))
    for shift in SHIFTS:
        window, truth = numbers(shift)
        yield judged("costs (DLE)", shift, (kept, kept), window, truth)


#: Beginnings of the files' names, end of that with labels, column of labels.
SHIPPED = {
    "car loan": ("synthetic_car_loan", "target", "repaid"),
    "work from home": ("synthetic_sample", "gt", "work_home_actual"),
    "california (real)": ("california_housing", "gt", "clf_target"),
    "credit cards (3 classes)": ("mc", "gt", "y_true"),
    "car price (DLE)": ("regression_synthetic", "targets", "y_true"),
}
ASIDE = ("id", "timestamp", "period")


def shipped_records(folder):
    for name, (file, labels, target) in SHIPPED.items():
        then, now, truth = (
            csv.read_csv(folder / f"{file}_{part}.csv")
            for part in ("reference", "analysis", f"analysis_{labels}")
        )
        now = now.join(truth.rename_columns([*truth.column_names[:-1], target]), "id").sort_by("id")
        then, now = (
            pa.table({c: t.column(c).cast(pa.string()) for c in t.column_names if c not in ASIDE})
            for t in (then, now)
        )
        # labels of cars that were 1.0 are 1 in the other file
        many = {
            c.removeprefix("y_pred_proba_"): c
            for c in then.column_names
            if c.startswith("y_pred_proba_")
        }
        probability = many or ({"": "y_pred_proba"} if "y_pred_proba" in then.column_names else {})
        kept = estimator.learn(random_rows(then, 20_000), Labelled(target, "y_pred", probability))
        plain = without_features(kept)
        size = 5000 if now.num_rows > 20_000 else 1000
        for start in range(0, now.num_rows - size + 1, size):
            window = now.slice(start, size).combine_chunks()
            yield judged(name, start, (kept, plain), window, shipped_truth(kept, window, target))


def random_rows(rows, most):
    chosen = np.random.default_rng(0).permutation(rows.num_rows)[:most]
    return rows.take(pa.array(np.sort(chosen)))


def shipped_truth(kept, window, target):
    from farero_monitor.estimate.binning import values
    from farero_monitor.estimate.labelled import texts

    model = kept.model
    if not isinstance(model, classes.Classes):
        error = np.abs(
            values(window.column(target), strict=False)
            - values(window.column(model.prediction), strict=False)
        )
        return {"mae": float(error.mean()), "rmse": float(np.sqrt((error**2).mean()))}
    scores = np.column_stack([values(window.column(h.column), strict=False) for h in model.heads])
    y = classes.one_hot(texts(window.column(target)), model.classes, binary=model.binary)
    told = classes.one_hot(
        texts(window.column(model.prediction)), model.classes, binary=model.binary
    )
    return {k: float(v[0]) for k, v in Answers(scores, told).measure(y[None]).items()}


def show(records):
    heads = (
        "windows",
        "metric",
        "mean off",
        "|off|",
        "plain",
        "baseline",
        "luck",
        "model",
        "covered",
        "width",
        "alarms",
    )
    print(f"{'set':26}" + "".join(f"{head:>10}" for head in heads))
    for name in dict.fromkeys(r["set"] for r in records):
        mine = [r for r in records if r["set"] == name]
        quiet = [r["alarm"] for r in mine if r["shift"] == 0.0]
        for metric in SHOWN:
            there = [r for r in mine if metric in r["off"]]
            if not there:
                continue
            found = {
                key: np.array([r[key][metric] for r in there])
                for key in ("off", "plain", "baseline", "covered", "width")
            }
            for key in ("luck", "model"):
                found[key] = np.array([r[key][metric] for r in there if r.get(key)] or [np.nan])
            figures = [found["off"].mean(), np.abs(found["off"]).mean()]
            figures += [
                np.abs(found[key]).mean()
                for key in ("plain", "baseline", "luck", "model", "covered", "width")
            ]
            print(
                f"{name:26}{len(there):10}{metric:>10}"
                + "".join(f"{figure:10.4f}" for figure in figures)
                + (f"{np.mean(quiet):10.3f}" if len(quiet) > 1 else ""),
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("seeds", type=int, nargs="?", default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--nannyml", type=Path)
    parser.add_argument("--table", type=Path)
    asked = parser.parse_args()
    if asked.table is not None:
        show([json.loads(line) for line in asked.table.read_text().splitlines()])
        return
    made = []
    if asked.nannyml is not None:
        made += shipped_records(asked.nannyml)
    else:
        for seed in range(asked.first, asked.first + asked.seeds):
            made += seed_records(seed)
    if asked.keep is not None:
        with asked.keep.open("a") as file:
            file.writelines(json.dumps(one, default=bool) + "\n" for one in made)
    show(made)


if __name__ == "__main__":
    main()
