"""False alarms and power of the drift verdict, beside the rules of others on the same data.

    python benchmarks/monitoring/power.py [seeds] [--only columns|runs|real] [--rows 500,5000,50000]
        [--first SEED] [--flights flights.csv.zip] [--nannyml FOLDER] [--keep FILE] [--table FILE]

columns: each seed draws a baseline of 20,000 rows with 20 columns and a window of 500, 5,000 and 50,000 rows from the
same distributions; then one column is changed. "false alarms": share of undrifted windows in which any column is
flagged. Everything else: share of windows in which the changed column is flagged.
runs: the same windows through the whole analyzer: missing values, types, new values, pairs of columns, the domain
classifier; "any" is a finding of whatever kind. Then one correlation goes from 0 to 0.2.
real: rows of real data drawn with replacement, all through the whole analyzer: without drift, with 0.1 standard
deviations on the first column, and where the data has a later season, that.

Farero's figures come from sketches, as in a run, not from the values. The generators are in generators.py. The others'
rules, on the same columns: SageMaker's (robust distance over 0.1, or less complete than the baseline), Evidently's
default for baselines over 1,000 rows (normed Wasserstein distance of numbers, Jensen-Shannon of texts, over 0.1),
p < 0.05, the population stability index over 0.2. --keep adds what was counted to a file, --table shows such a file.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import rules
from generators import CHANGES, GENERATORS, NUMBERS, real, table, texts

REFERENCE = 20_000


def of_columns(name, n, seed):
    """Count what every rule flags in one window, and in the same one with a column changed."""
    rng = np.random.default_rng([seed, n, len(name)])
    generate = GENERATORS[name]
    reference = [rules.Known.of(v) for v in [*generate(rng, REFERENCE), *texts(rng, REFERENCE)]]
    current = [*generate(rng, n), *texts(rng, n)]
    columns = [rules.column(v, r) for v, r in zip(current, reference, strict=True)]
    hits = {rule: {"false alarms": any(said)} for rule, said in rules.flags(columns).items()}
    for change, (index, make) in CHANGES.items():
        if (name != "mixed" and index == 8) or (name == "patchy" and "sd" in change):
            continue
        other = [*columns]
        other[index] = rules.column(make(current[index], rng), reference[index])
        for rule, said in rules.flags(other).items():
            hits[rule][change] = said[index]
    return hits


def of_runs(name, n, seed):
    """Count the findings of whole runs over an undrifted window, and over one with a new correlation."""
    rng = np.random.default_rng([seed, n, len(name), 1])
    generate = GENERATORS[name]
    base = rules.baseline(table([*generate(rng, REFERENCE), *texts(rng, REFERENCE)]))
    columns = [*generate(rng, n), *texts(rng, n)]
    found = rules.kinds(table(columns), base)
    made = {"any": bool(found)} | {
        kind: kind in found
        for kind in ("drift", "completeness", "type", "range", "pair", "together", "many columns")
    }
    if name == "mixed" and n <= REFERENCE:
        other = [*columns]
        other[1] = 0.2 * columns[0] + np.sqrt(1 - 0.04) * columns[1]
        made["correlation 0 to 0.2"] = bool(rules.kinds(table(other), base) & {"pair", "together"})
        other = [*columns]
        bent = np.sign(columns[3]) * np.abs(columns[2])
        other[3] = np.where(rng.random(n) < 0.3, bent, columns[3])
        made["sizes go together"] = bool(rules.kinds(table(other), base) & {"pair", "together"})
    return {"Farero": made}


def of_real(rows, later, n, seed):
    """Count the findings of whole runs over rows drawn from real data."""
    rng = np.random.default_rng([seed, n, rows.num_rows])

    def draw(of, count):
        return of.take(pa.array(rng.integers(0, of.num_rows, count)))

    base = rules.baseline(draw(rows, REFERENCE))
    window = draw(rows, n)
    numbers = next(i for i, c in enumerate(rows.columns) if pa.types.is_floating(c.type))
    moved = window.column(numbers).to_numpy(zero_copy_only=False)
    moved = pa.array(moved + 0.1 * np.nanstd(moved), from_pandas=True)
    shifted = window.set_column(numbers, window.column_names[numbers], moved)
    made = {
        "any": bool(rules.kinds(window, base)),
        "mean +0.1 sd": bool(rules.kinds(shifted, base)),
    }
    if later is not None:
        made["summer"] = bool(rules.kinds(draw(later, n), base))
    return {"Farero": made}


def jobs(asked):
    """Yield (title, seed -> hits) of all that was asked for."""
    rows = [int(text) for text in asked.rows.split(",")]
    for kind, work in (("columns", of_columns), ("runs", of_runs)):
        if asked.only in {"", kind}:
            for name in GENERATORS:
                for n in rows:
                    yield (
                        f"{kind}, {name}, n = {n:,}",
                        lambda seed, w=work, g=name, n=n: w(g, n, seed),
                    )
    if asked.only in {"", "real"}:
        for name, of, later in real(asked.flights, asked.nannyml):
            for n in rows:
                yield (
                    f"real, {name}, n = {n:,}",
                    lambda seed, of=of, later=later, n=n: of_real(of, later, n, seed),
                )


def show(title, counted):
    """Print one table: counted is {rule: {what: [hits, seeds]}}."""
    heads = list(dict.fromkeys(key for hits in counted.values() for key in hits))
    seeds = max(seeds for hits in counted.values() for _, seeds in hits.values())
    print(f"\n{title}, {seeds} seeds")
    print(f"{'rule':26}" + "".join(f"{head:>21}" for head in heads))
    for rule, hits in counted.items():
        cells = [hits[head][0] / hits[head][1] if head in hits else np.nan for head in heads]
        print(f"{rule:26}" + "".join(f"{cell:21.3f}" for cell in cells), flush=True)


def add(counted, hits):
    for rule, said in hits.items():
        for what, hit in said.items():
            cell = counted.setdefault(rule, {}).setdefault(what, [0, 0])
            cell[0] += int(hit)
            cell[1] += 1


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("seeds", type=int, nargs="?", default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", choices=["columns", "runs", "real"], default="")
    parser.add_argument("--rows", default="500,5000,50000")
    for name in ("--flights", "--nannyml", "--keep", "--table"):
        parser.add_argument(name, type=Path)
    asked = parser.parse_args()
    if asked.table is not None:
        tables = {}
        for line in asked.table.read_text().splitlines():
            one = json.loads(line)
            add(tables.setdefault(one["title"], {}), one["hits"])
        for title, counted in tables.items():
            show(title, counted)
        return
    began = time.monotonic()
    for title, work in jobs(asked):
        counted = {}
        for seed in range(asked.first, asked.first + asked.seeds):
            hits = work(seed)
            add(counted, hits)
            if asked.keep is not None:
                with asked.keep.open("a") as file:
                    file.write(json.dumps({"title": title, "hits": hits}, default=bool) + "\n")
        show(title, counted)
    print(f"\n{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    assert NUMBERS == 14
    sys.exit(main())
