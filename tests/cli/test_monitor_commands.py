"""`farero monitor` as a person meets it: from the training data to the page that says what moved."""

import json
import time

import numpy as np
import pytest
import xgboost as xgb

from farero.cli.monitor_schedules import expression


@pytest.fixture(scope="module")
def watched(shared_platform, tmp_path_factory):
    """An endpoint that captures everything, with its training data as CSV, target first."""
    folder = tmp_path_factory.mktemp("flats-watched")
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(5000, 3)).round(4)
    target = rows @ [1.0, 2.0, -1.0]
    train = np.column_stack([target, rows])
    np.savetxt(folder / "train.csv", train, "%.4f", ",", header="price,rooms,size,age", comments="")
    model = folder / "prices.ubj"
    xgb.train({"max_depth": 4}, xgb.DMatrix(rows, target), 60).save_model(model)
    shared_platform.farero("deploy", str(model), "--name", "flats-watched", "--capture", "100")
    return folder


def send(platform, rows):
    runtime = platform.client("sagemaker-runtime")
    for row in rows:
        body = ",".join(f"{value:.4f}" for value in row)
        runtime.invoke_endpoint(EndpointName="flats-watched", ContentType="text/csv", Body=body)


def farero(platform, tmp_path, *arguments, check=True):
    return platform.farero(
        *arguments, check=check, env={**platform.env, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    )


def test_from_training_data_to_the_page_that_says_what_moved(shared_platform, watched, tmp_path):
    platform, rng = shared_platform, np.random.default_rng(6)
    s3 = platform.client("s3")
    for one in s3.list_objects_v2(
        Bucket=platform.bucket, Prefix="farero-monitor/flats-watched/"
    ).get("Contents", []):
        s3.delete_object(Bucket=platform.bucket, Key=one["Key"])  # of a test before
    early = farero(platform, tmp_path, "monitor", "run", "flats-watched", check=False)
    assert early.returncode == 1
    assert "E-NO-BASELINE  flats-watched has no baseline" in early.stderr
    assert "fix:   farero monitor baseline flats-watched train.csv" in early.stderr

    base = farero(
        platform, tmp_path, "monitor", "baseline", "flats-watched", str(watched / "train.csv")
    )
    assert "price  Fractional" in base.stdout
    assert "5,000 rows are the baseline of flats-watched, in s3://" in base.stdout

    send(platform, rng.normal(size=(400, 3)))
    same = json.loads(
        farero(
            platform, tmp_path, "--json", "monitor", "run", "flats-watched", "--last", "400"
        ).stdout
    )
    assert (same["severity"], same["rows"]) == ("none", 400)

    send(platform, rng.normal([1.0, 0.0, 0.0], 1.0, size=(400, 3)))
    page = tmp_path / "page.html"
    drifted = farero(
        platform,
        tmp_path,
        "monitor",
        "run",
        "flats-watched",
        "--last",
        "400",
        "--report",
        str(page),
    )
    assert "rooms: The mean moved by +" in drifted.stdout
    assert "rooms" in page.read_text()

    shown = farero(platform, tmp_path, "monitor", "show", "flats-watched")
    assert "rooms" in shown.stdout
    listed = json.loads(farero(platform, tmp_path, "--json", "monitor", "ls").stdout)["monitors"]
    assert [one["endpoint"] for one in listed] == ["flats-watched"]
    fetched = tmp_path / "fetched.html"
    farero(platform, tmp_path, "monitor", "report", "flats-watched", "-o", str(fetched))
    assert fetched.read_text() == page.read_text()


def test_the_captures_in_s3_are_judged_and_kept(shared_platform, watched, tmp_path):
    platform = shared_platform
    farero(platform, tmp_path, "monitor", "baseline", "flats-watched", str(watched / "train.csv"))
    rows = np.random.default_rng(7).normal(size=(300, 3))
    send(platform, rows)
    s3 = platform.client("s3")
    described = platform.client("sagemaker").describe_endpoint(EndpointName="flats-watched")
    bucket, _, prefix = (
        described["DataCaptureConfig"]["DestinationS3Uri"].removeprefix("s3://").partition("/")
    )

    def published():
        found = s3.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/flats-watched/").get(
            "Contents", []
        )
        texts = [s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read() for one in found]
        return sum(text.count(b"\n") for text in texts) >= 300

    platform.wait(published, 90)
    first = json.loads(
        farero(platform, tmp_path, "--json", "monitor", "run", "flats-watched").stdout
    )
    again = json.loads(
        farero(platform, tmp_path, "--json", "monitor", "run", "flats-watched").stdout
    )
    assert first["rows"] >= 300
    assert again["rows"] >= first["rows"]
    assert list((tmp_path / "cache").rglob("*.profile"))


def test_a_schedule_judges_every_minute(shared_platform, watched, tmp_path):
    platform = shared_platform
    farero(platform, tmp_path, "monitor", "baseline", "flats-watched", str(watched / "train.csv"))
    added = json.loads(
        farero(
            platform, tmp_path, "--json", "monitor", "add", "flats-watched", "--every", "1m"
        ).stdout
    )
    assert added == {"schedule": "farero-flats-watched", "expression": "rate(1 minute)"}
    began = time.monotonic()
    send(platform, np.random.default_rng(8).normal([1.5, 0.0, 0.0], 1.0, size=(400, 3)))
    sagemaker = platform.client("sagemaker")

    def judged():
        found = sagemaker.list_monitoring_executions(MonitoringScheduleName="farero-flats-watched")
        over = [
            one
            for one in found["MonitoringExecutionSummaries"]
            if one["MonitoringExecutionStatus"] == "CompletedWithViolations"
        ]
        return over and time.monotonic() - began

    assert platform.wait(judged, 150) < 150
    shown = farero(platform, tmp_path, "monitor", "show", "flats-watched").stdout
    assert "rooms" in shown
    platform.wait(
        lambda: (
            farero(platform, tmp_path, "monitor", "rm", "flats-watched", check=False).returncode
            == 0
        ),
        60,
    )


@pytest.mark.parametrize(
    ("every", "expected"),
    [
        ("1m", "rate(1 minute)"), ("5m", "rate(5 minutes)"), ("1h", "cron(0 * ? * * *)"), ("6h", "cron(0 0/6 ? * * *)"),
        ("1d", "cron(0 0 ? * * *)"), ("cron(0 9 ? * MON *)", "cron(0 9 ? * MON *)"),
    ],
)  # fmt: skip
def test_spans_are_awss_expressions(every, expected):
    assert expression(every) == expected


def test_mistakes_are_told_in_four_parts(shared_platform, watched, tmp_path):
    platform = shared_platform
    for arguments, said in (
        (["monitor", "baseline", "flats-watched", "gone.csv"], "E-NO-DATA  there is no gone.csv"),
        (
            ["monitor", "run", "flats-watched", "--since", "soon"],
            "E-SPAN  'soon' is no span of time",
        ),
        (
            ["monitor", "add", "flats-watched", "--every", "often"],
            "E-EVERY  'often' is no span and no expression",
        ),
        (["monitor", "run", "nobody"], 'Could not find endpoint "'),
    ):
        done = farero(platform, tmp_path, *arguments, check=False)
        assert done.returncode in {1, 2}, done.stdout
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    done = farero(
        platform, tmp_path, "monitor", "baseline", "flats-watched", str(empty), check=False
    )
    assert "E-BASELINE  empty.csv is empty" in done.stderr
