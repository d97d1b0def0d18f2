import io
import json
import sys
import tarfile
from pathlib import Path

import pytest
from sqlalchemy import event

from farero.base.errors import Conflict, Invalid, NotFound
from farero.records.job import Channel, MetricDefinition
from farero.records.tag import Tag
from farero.records.work import WorkItem
from farero.store import tags as tag_rows

TRAIN = """
import os, pathlib
base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
data = (base / "input/data/train/a.csv").read_text()
print("rows", data.count("\\n"))
(base / "model/weights.txt").write_text(data)
"""
WAIT = """
import signal, os, pathlib, time
model = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "model/weights.txt")
def save(*_):
    model.write_text("saved at the end")
    raise SystemExit(0)
signal.signal(signal.SIGTERM, save)
print("ready", flush=True)
while True:
    time.sleep(0.05)
"""


def course(job):
    return [(item.status.value, item.message) for item in job.transitions]


def members(raw):
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        return {item.name: tar.extractfile(item).read() for item in tar}


def is_ready(platform, name):
    """Whether the process has said its first word."""
    path = platform.training.log_path(platform.job(name))
    return path.exists() and b"ready" in path.read_bytes()


def test_job_runs_through_all_states_to_its_model(platform):
    platform.objects.put("data", "in/a.csv", b"1,2\n3,4\n")
    platform.create("iris", code=TRAIN, channels=(Channel(name="train", s3_uri="s3://data/in"),))

    job = platform.finished("iris")

    assert (job.status, job.failure_reason, job.exit_code) == ("Completed", None, 0)
    assert course(job) == [
        ("Starting", "Starting the training job"),
        ("Downloading", "Downloading input data"),
        ("Training", "Training image download completed. Training in progress."),
        ("Uploading", "Uploading generated training model"),
        ("Completed", "Training job completed"),
    ]
    assert members(platform.read("out/iris/output/model.tar.gz")) == {"weights.txt": b"1,2\n3,4\n"}
    assert platform.messages(job) == ["rows 2"]
    assert not platform.training.folder(job).parent.exists()
    assert platform.compute.status(job.process_name).state == "unknown"


def test_transitions_join_without_gaps(platform):
    platform.create("iris", code="pass")

    job = platform.finished("iris")

    ends = [item.end_time for item in job.transitions]
    starts = [item.start_time for item in job.transitions]
    assert ends == [*starts[1:], starts[-1]]
    assert job.created_at <= job.started_at <= job.ended_at == job.modified_at


def test_tiny_job_is_completed_within_five_seconds_of_the_call(platform):
    job = platform.create("iris", code="pass")

    job = platform.finished("iris")

    assert (job.ended_at - job.created_at).total_seconds() < 5


def test_process_finds_the_configuration_of_the_contract(platform):
    platform.objects.put("data", "in/a.csv", b"1\n")
    code = """
import json, os, pathlib
base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
for name in ("hyperparameters", "inputdataconfig", "resourceconfig"):
    print((base / "input/config" / (name + ".json")).read_text())
print(json.dumps({k: os.environ[k] for k in ("TRAINING_JOB_NAME", "MINE", "AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL")}))
print("HOME" in os.environ, "PYTEST_CURRENT_TEST" in os.environ)
"""
    platform.create(
        "iris",
        code=code,
        hyperparameters={"num_round": "5"},
        environment={"MINE": "x"},
        channels=(Channel(name="train", s3_uri="s3://data/in/a.csv", content_type="text/csv"),),
    )

    said = platform.messages(platform.finished("iris"))

    group = {
        "instance_group_name": "homogeneousCluster",
        "instance_type": "ml.m5.large",
        "hosts": ["algo-1"],
    }
    assert [json.loads(line) for line in said[:4]] == [
        {"num_round": "5"},
        {
            "train": {
                "TrainingInputMode": "File",
                "S3DistributionType": "FullyReplicated",
                "RecordWrapperType": "None",
                "ContentType": "text/csv",
            }
        },
        {
            "current_host": "algo-1",
            "hosts": ["algo-1"],
            "network_interface_name": "lo",
            "current_instance_type": "ml.m5.large",
            "current_group_name": "homogeneousCluster",
            "instance_groups": [group],
        },
        {
            "TRAINING_JOB_NAME": "iris",
            "MINE": "x",
            "AWS_ACCESS_KEY_ID": "AKIA",
            "AWS_ENDPOINT_URL": "http://127.0.0.1:4747",
        },
    ]
    assert said[4] == "True False"


def test_output_data_and_checkpoints_are_uploaded(platform):
    code = """
import os, pathlib
base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
print((base / "checkpoints/old.ckpt").read_text())
(base / "checkpoints/new.ckpt").write_text("2")
(base / "output/data/plot.txt").write_text("plot")
"""
    platform.objects.put("data", "ckpt/old.ckpt", b"1")
    platform.create("iris", code=code, checkpoint_uri="s3://data/ckpt/")

    job = platform.finished("iris")

    assert platform.messages(job) == ["1"]
    assert members(platform.read("out/iris/output/output.tar.gz")) == {"plot.txt": b"plot"}
    assert platform.read("ckpt/new.ckpt") == b"2"
    with pytest.raises(NotFound):
        platform.objects.head("data", "out/iris/output/model.tar.gz")


def test_uncompressed_output_is_stored_file_by_file(platform):
    platform.objects.put("data", "in/a.csv", b"1\n")
    platform.create(
        "iris",
        code=TRAIN,
        channels=(Channel(name="train", s3_uri="s3://data/in"),),
        output_compression="NONE",
    )

    platform.finished("iris")

    assert platform.read("out/iris/output/model/weights.txt") == b"1\n"


def test_metrics_hold_the_last_value_of_each_definition(platform):
    code = "print('[0]\\tloss=0.5;'); print('[1]\\tloss=0.25;'); print('acc nan')"
    platform.create(
        "iris",
        code=code,
        metrics=(
            MetricDefinition(name="loss", regex="loss=([0-9.]+);"),
            MetricDefinition(name="acc", regex="acc (.*)"),
        ),
    )

    job = platform.finished("iris")

    assert [(item.name, item.value) for item in job.metrics] == [("loss", 0.25)]
    assert job.created_at <= job.metrics[0].timestamp <= job.ended_at
    assert platform.messages(job)[0] == "[0]#011loss=0.5;"


def test_failure_names_file_line_message_and_exit_code(platform):
    code = """
import json, os, pathlib
output = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "output")
(output / "data/log.txt").write_text("kept")
(output / "failure.json").write_text(json.dumps(
    {"cause": "E-SCRIPT", "message": "ZeroDivisionError: division by zero", "file": "train.py", "line": 3}))
raise SystemExit(1)
"""
    platform.create("iris", code=code)

    job = platform.finished("iris")

    assert job.status == "Failed"
    assert job.failure_reason == (
        "AlgorithmError: ZeroDivisionError: division by zero (train.py:3), exit code: 1"
    )
    assert course(job)[-1] == ("Failed", "Training job failed")
    assert members(platform.read("out/iris/output/output.tar.gz")) == {"log.txt": b"kept"}


def test_program_that_cannot_be_run_fails_the_job(platform):
    platform.create("iris", entrypoint=("/no/such/program",))

    job = platform.finished("iris")

    assert job.status == "Failed"
    assert "/no/such/program" in job.failure_reason


def test_job_that_needs_too_much_memory_says_so(platform):
    platform.create("iris", code="import time; x = b'x' * 900_000_000; time.sleep(60)")

    job = platform.finished("iris")

    assert job.failure_reason == (
        "AlgorithmError: OutOfMemory: the training process needed more memory than there is for ml.m5.large, "
        "exit code: 137. Use less data at a time, or a machine with more memory."
    )


def put_source(platform, key, files):
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
    platform.objects.put("data", key, body.getvalue())


def test_requirements_that_cannot_be_had_name_their_line(platform):
    put_source(platform, "src.tar.gz", {"requirements.txt": b"\nfarero-no-such-thing==1\n"})
    platform.create(
        "iris",
        code="pass",
        hyperparameters={"sagemaker_submit_directory": '"s3://data/src.tar.gz"'},
    )

    job = platform.finished("iris", 60)

    assert job.status == "Failed"
    assert job.failure_reason.startswith("ClientError: E-")
    assert "requirements.txt line 2 (farero-no-such-thing==1)" in job.failure_reason


def test_source_archive_is_fetched_for_the_process(platform):
    put_source(platform, "src.tar.gz", {"train.py": b"print(1)"})
    code = "import os, tarfile; print(tarfile.open(os.environ['FARERO_SOURCE_ARCHIVE']).getnames())"
    uri = '"s3://data/src.tar.gz"'
    platform.create("iris", code=code, hyperparameters={"sagemaker_submit_directory": uri})
    missing = '"s3://data/none.tar.gz"'
    platform.create("lost", code=code, hyperparameters={"sagemaker_submit_directory": missing})

    assert platform.messages(platform.finished("iris")) == ["['train.py']"]
    assert platform.finished("lost").failure_reason == (
        "ClientError: Data download failed:NoSuchKey (404): The specified key does not exist., "
        "s3://data/none.tar.gz of hyperparameter sagemaker_submit_directory"
    )


def test_image_that_is_not_known_fails_with_what_is(platform):
    platform.create("iris", entrypoint=())

    assert platform.finished("iris").failure_reason.startswith(
        "ClientError: Image '123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1' cannot run here."
    )


def test_step_that_keeps_failing_is_given_up(platform):
    platform.create("iris", code="pass")
    item = WorkItem(
        kind="job.reconcile", key="iris", due=platform.clock.now(), attempts=6, version=1
    )

    platform.lifecycle.reconcile(item)

    job = platform.job("iris")
    assert job.failure_reason.startswith("InternalServerError: We encountered an internal error.")
    assert job.phase == "done"


def test_job_cannot_make_the_platform_read_or_write_through_links(platform):
    secret = platform.settings.data_dir / "secret"
    secret.mkdir()
    (secret / "key").write_text("TOPSECRET")
    code = f"""
import os, pathlib, shutil
base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
shutil.rmtree(base / "model")
(base / "model").symlink_to({str(secret)!r})
shutil.rmtree(base / "output/data")
(base / "output/data").symlink_to({str(secret)!r})
(base / "output/failure").symlink_to({str(secret / "key")!r})
(base / "checkpoints").rmdir()
(base / "checkpoints").symlink_to({str(secret)!r})
raise SystemExit(1)
"""
    platform.create("iris", code=code, checkpoint_uri="s3://data/ckpt")

    job = platform.finished("iris")

    assert job.failure_reason == "AlgorithmError: the process said nothing, exit code: 1"
    assert [item.key for item in platform.objects.list("data")] == []
    assert [path.name for path in secret.iterdir()] == ["key"]


def test_data_that_went_away_fails_as_on_aws(platform):
    platform.objects.put("data", "in/a.csv", b"1\n")
    platform.create("iris", channels=(Channel(name="train", s3_uri="s3://data/in/"),))
    platform.objects.delete("data", "in/a.csv")

    job = platform.finished("iris")

    assert job.failure_reason == (
        "ClientError: Data download failed:NoSuchKey (404): The specified key does not exist., "
        "S3Uri s3://data/in/ of channel 'train'"
    )
    assert [item.status for item in job.transitions] == ["Starting", "Downloading", "Failed"]


def test_stop_lets_the_process_save_its_model(platform):
    platform.create("iris", code=WAIT)
    platform.settle(lambda: is_ready(platform, "iris"))

    platform.commands.stop("iris", platform.clock.now())
    status = platform.job("iris").status
    platform.commands.stop("iris", platform.clock.now())
    job = platform.finished("iris")

    assert status == "Stopping"
    assert (job.status, job.secondary, job.failure_reason) == ("Stopped", "Stopped", None)
    assert [item.status for item in job.transitions][2:] == [
        "Training",
        "Stopping",
        "Uploading",
        "Stopped",
    ]
    assert members(platform.read("out/iris/output/model.tar.gz")) == {
        "weights.txt": b"saved at the end"
    }


def test_job_stopped_before_it_ran_never_runs(platform):
    platform.create("iris", code="print('ran')")
    platform.commands.stop("iris", platform.clock.now())

    job = platform.finished("iris")

    assert [item.status for item in job.transitions] == ["Starting", "Stopping", "Stopped"]
    assert platform.messages(job) == []


def test_process_whose_start_was_never_written_down_is_stopped_all_the_same(platform):
    platform.create("iris", code=WAIT)
    job = platform.job("iris")
    platform.training.download(job)
    platform.compute.start(platform.training.process(job, Path(sys.executable)))
    platform.wait(lambda: is_ready(platform, "iris"))

    platform.commands.stop("iris", platform.clock.now())
    job = platform.finished("iris")

    assert (job.status, job.exit_code) == ("Stopped", 0)
    assert platform.objects.head("data", "out/iris/output/model.tar.gz")


def test_run_time_limit_ends_the_job(platform):
    platform.create("iris", code=WAIT, max_runtime_s=1)

    job = platform.finished("iris")

    assert (job.status, job.secondary) == ("Stopped", "MaxRuntimeExceeded")
    assert course(job)[-1] == (
        "MaxRuntimeExceeded",
        "Training job runtime exceeded MaxRuntimeInSeconds provided",
    )
    assert platform.objects.head("data", "out/iris/output/model.tar.gz")


def test_second_attempt_keeps_the_checkpoints_of_the_first(platform):
    code = """
import os, pathlib, sys, time
base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
mark = base / "checkpoints/1.ckpt"
print("again" if mark.exists() else "ready", (base / "model/half").exists(), flush=True)
if not mark.exists():
    mark.parent.mkdir(exist_ok=True)
    mark.write_text("1")
    (base / "model/half").write_text("half")
    time.sleep(60)
"""
    platform.create("iris", code=code, checkpoint_uri="s3://data/ckpt")
    half = platform.training.folder(platform.job("iris")) / "model" / "half"
    platform.settle(half.exists)

    platform.kill()
    platform.start()
    platform.lifecycle.resume()
    job = platform.finished("iris")

    assert (job.status, job.attempt, platform.messages(job)) == ("Completed", 2, ["again False"])
    assert platform.read("ckpt/1.ckpt") == b"1"


def test_job_whose_process_went_down_with_the_platform_runs_again_once(platform):
    platform.create("iris", code=WAIT)
    platform.settle(lambda: is_ready(platform, "iris"))

    platform.kill()
    platform.start()
    platform.lifecycle.resume()
    platform.settle(lambda: platform.job("iris").attempt == 2 and is_ready(platform, "iris"))
    again = platform.job("iris")
    platform.kill()
    platform.start()
    platform.lifecycle.resume()
    job = platform.finished("iris")

    assert [item.status for item in again.transitions][3:] == [
        "Restarting",
        "Downloading",
        "Training",
    ]
    assert job.status == "Failed"
    assert job.failure_reason.startswith("InternalServerError: The platform was stopped twice")


def test_worker_that_died_at_any_step_goes_on_where_it_was(platform):
    platform.objects.put("data", "in/a.csv", b"1\n")
    platform.create("iris", code=TRAIN, channels=(Channel(name="train", s3_uri="s3://data/in"),))
    step = platform.lifecycle._step

    phases = []
    while platform.job("iris").phase != "done":
        phases.append(str(platform.job("iris").phase))
        step("iris")
        # What a forerunner did and could not write down is done once more.
        step("iris")

    job = platform.job("iris")
    assert job.status == "Completed"
    assert platform.messages(job) == ["rows 1"]
    assert phases[0] == "prepare"


class Crash(BaseException):
    """The worker's death: no handler catches it."""


def test_worker_killed_at_any_commit_runs_the_process_once(platform):
    platform.objects.put("data", "in/a.csv", b"1\n")
    crashes = iter(range(100))
    survived = False

    while not survived:
        at = next(crashes)
        name = f"iris-{at}"
        channel = Channel(name="train", s3_uri="s3://data/in")
        platform.create(name, code=TRAIN, channels=(channel,))
        survived = not crash_at_commit(platform, name, at)
        job = platform.finished(name)

        assert (job.status, job.attempt) == ("Completed", 1)
        assert platform.messages(job) == ["rows 1"]
        assert len(job.transitions) == 5
    assert at > 8


def crash_at_commit(platform, name, at):
    """Run the job's handler until its commit number `at`, which never happens; return whether it came so far."""
    count = iter(range(1000))

    def before_commit(_):
        if next(count) == at:
            raise Crash

    event.listen(platform.store.engine, "commit", before_commit)
    try:
        for _ in range(200):
            if platform.job(name).phase == "done":
                return False
            platform.lifecycle.reconcile(
                WorkItem(
                    kind="job.reconcile", key=name, due=platform.clock.now(), attempts=0, version=1
                )
            )
            platform.wake.wait(0.05)
    except Crash:
        return True
    finally:
        event.remove(platform.store.engine, "commit", before_commit)
    raise AssertionError


def test_names_are_unique_until_the_job_is_deleted(platform):
    platform.create("iris", code="pass", tags=[Tag(key="team", value="a")])
    with pytest.raises(Conflict, match="Training job names must be unique"):
        platform.create("iris", code="pass")
    with pytest.raises(Conflict, match="while it is in status InProgress"):
        platform.commands.delete("iris")
    job = platform.finished("iris")
    with platform.store.read() as db:
        tags = tag_rows.find(db, job.arn)
    platform.commands.delete("iris")

    assert tags == [Tag(key="team", value="a")]
    with platform.store.read() as db:
        assert tag_rows.find(db, job.arn) == []
    platform.create("iris", code="pass")


def test_stopping_what_has_ended_is_refused(platform):
    platform.create("iris", code="pass")
    platform.finished("iris")

    with pytest.raises(Invalid, match="is in status Completed"):
        platform.commands.stop("iris", platform.clock.now())
    with pytest.raises(NotFound, match=r"Requested resource not found\."):
        platform.commands.stop("other", platform.clock.now())


@pytest.mark.parametrize(
    ("members", "words"),
    [
        (
            {"channels": (Channel(name="train", s3_uri="s3://data/none"),)},
            'No S3 objects found under S3 URL "s3://data/none" given in input data source.',
        ),
        (
            {"channels": (Channel(name="train", s3_uri="s3://nobucket/x"),)},
            "No S3 objects found under S3 URL",
        ),
        ({"output_uri": "s3://nobucket/out"}, "Could not find the bucket 'nobucket'"),
        ({"output_uri": "/local"}, "is not an S3 URI"),
        ({"checkpoint_path": "/tmp/x"}, "must lie below /opt/ml/"),
        (
            {"metrics": (MetricDefinition(name="a", regex="("),)},
            "the regex of 'a' cannot be read",
        ),
        (
            {
                "channels": (
                    Channel(name="train", s3_uri="s3://data/k"),
                    Channel(name="train", s3_uri="s3://data/k"),
                )
            },
            "Duplicate channel name: train",
        ),
    ],
)
def test_what_cannot_run_is_refused_at_the_call(platform, members, words):
    platform.objects.put("data", "k", b"1")

    with pytest.raises(Invalid, match=words.replace("(", r"\(")):
        platform.create("iris", **members)
