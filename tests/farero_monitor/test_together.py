"""The domain classifier: what only shows in several columns at once is found, and nothing else."""

import json

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv
from scipy import stats
from sklearn.metrics import roc_auc_score

from farero_monitor.dataset import Source
from farero_monitor.drift import together
from farero_monitor.monitor import Baseline, judge, take_baseline
from farero_monitor.profile.rows import of_table


def rows(rng, n, change=""):
    """Ten columns that are independent, each with the same distribution whatever `change` says."""
    x = rng.normal(size=(n, 8))
    c = np.array(["a", "b", "c", "d"])[rng.integers(0, 4, n)]
    d = rng.geometric(0.05, n)
    if change == "bent":  # one column's size follows another's, its sign does not
        often = rng.random(n) < 0.3
        x[:, 1] = np.where(often, np.sign(x[:, 1]) * np.abs(x[:, 0]), x[:, 1])
    if change == "text":  # the sign follows a text
        often = rng.random(n) < 0.3
        x[:, 2] = np.where(
            often, np.abs(x[:, 2]) * np.where(np.isin(c, ["a", "b"]), 1, -1), x[:, 2]
        )
    if change == "shift":
        x += 0.3
    columns = {f"x{i}": x[:, i] for i in range(8)} | {"c": c, "d": d}
    return pa.table({name: pa.array(v).cast(pa.string()) for name, v in columns.items()})


def sample(*asked):
    return of_table(rows(*asked))


@pytest.mark.parametrize(("change", "pair"), [("bent", ("x0", "x1")), ("text", ("x2", "c"))])
def test_columns_that_go_together_otherwise_are_found_and_named(change, pair):
    rng = np.random.default_rng(1)
    reference, current = sample(rng, 10_000), sample(rng, 5000, change)

    found = together.compare(current, reference, [*reference.columns])

    assert found.changed
    assert found.pairs[0] == pair
    assert found.auc > 0.53


def test_nothing_is_found_where_nothing_changed():
    found = []
    for seed in range(40):
        rng = np.random.default_rng([2, seed])
        found.append(
            together.compare(sample(rng, 2000), sample(rng, 4000), [f"x{i}" for i in range(8)])
        )

    assert not any(one.changed for one in found)
    z = np.array([one.z for one in found])
    assert abs(z.mean()) < 0.5  # its standard error is 0.16
    assert 0.6 < z.std() < 1.3


def test_columns_that_move_by_themselves_are_not_its_business():
    rng = np.random.default_rng(3)

    found = together.compare(sample(rng, 5000, "shift"), sample(rng, 5000), ["x0", "x1", "x2", "c"])

    assert not found.changed


def test_too_little_says_nothing():
    rng = np.random.default_rng(4)

    assert together.compare(sample(rng, 400), sample(rng, 5000), ["x0", "x1"]) is None
    assert together.compare(sample(rng, 900), sample(rng, 5000), ["x0", "absent"]) is None


def test_the_area_is_scikit_learns_and_its_deviation_scipys():
    rng = np.random.default_rng(5)
    scores, now = rng.integers(0, 5, 300).astype(float), rng.random(300) < 0.3

    area, z = together._area(scores, now)

    assert area == pytest.approx(roc_auc_score(now, scores))
    expected = stats.mannwhitneyu(
        scores[now], scores[~now], method="asymptotic", use_continuity=False
    )
    assert 2 * stats.norm.sf(abs(z)) == pytest.approx(expected.pvalue)


def test_a_run_tells_of_it_where_no_column_moved(tmp_path):
    rng = np.random.default_rng(6)
    csv.write_csv(rows(rng, 10_000), tmp_path / "train.csv")
    csv.write_csv(rows(rng, 5000, "text"), tmp_path / "text.csv")
    csv.write_csv(rows(rng, 5000), tmp_path / "same.csv")
    take_baseline(Source(tmp_path / "train.csv", "csv"), tmp_path / "base")
    baseline = Baseline.of_folder(tmp_path / "base")

    told = judge(Source(tmp_path / "text.csv", "csv"), baseline, tmp_path / "out").verdict
    report = json.loads((tmp_path / "out" / "drift_report.json").read_text())
    quiet = judge(Source(tmp_path / "same.csv", "csv"), baseline)

    assert [(f.severity, f.kind) for f in told.findings] == [("notice", "together")]
    assert "x2, c" in told.findings[0].text
    assert "x2, c" in told.findings[0].text_in("es")
    assert report["together"]["changed"]
    assert report["together"]["pairs"][0] == ["x2", "c"]
    assert quiet.verdict.findings == []
    assert not quiet.more["together"]["changed"]
