import io
import json
import sys
import tarfile
import zipfile
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


def is_ready(bench, name):
    """Whether the process has said its first word."""
    path = bench.training.log_path(bench.job(name))
    return path.exists() and b"ready" in path.read_bytes()


def test_job_runs_through_all_states_to_its_model(bench):
    bench.objects.put("data", "in/a.csv", b"1,2\n3,4\n")
    bench.create("iris", code=TRAIN, channels=(Channel(name="train", s3_uri="s3://data/in"),))

    job = bench.finished("iris")

    assert (job.status, job.failure_reason, job.exit_code) == ("Completed", None, 0)
    assert course(job) == [
        ("Starting", "Starting the training job"),
        ("Downloading", "Downloading input data"),
        ("Training", "Training image download completed. Training in progress."),
        ("Uploading", "Uploading generated training model"),
        ("Completed", "Training job completed"),
    ]
    assert members(bench.read("out/iris/output/model.tar.gz")) == {"weights.txt": b"1,2\n3,4\n"}
    assert bench.messages(job) == ["rows 2"]
    assert not bench.training.folder(job).parent.exists()
    assert bench.compute.status(job.process_name).state == "unknown"


def test_transitions_join_without_gaps(bench):
    bench.create("iris", code="pass")

    job = bench.finished("iris")

    ends = [item.end_time for item in job.transitions]
    starts = [item.start_time for item in job.transitions]
    assert ends == [*starts[1:], starts[-1]]
    assert job.created_at <= job.started_at <= job.ended_at == job.modified_at


def test_process_finds_the_configuration_of_the_contract(bench):
    bench.objects.put("data", "in/a.csv", b"1\n")
    code = """
import json, os, pathlib
base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
for name in ("hyperparameters", "inputdataconfig", "resourceconfig"):
    print((base / "input/config" / (name + ".json")).read_text())
print(json.dumps({k: os.environ[k] for k in ("TRAINING_JOB_NAME", "MINE", "AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL")}))
print("HOME" in os.environ, "PYTEST_CURRENT_TEST" in os.environ)
"""
    bench.create(
        "iris",
        code=code,
        hyperparameters={"num_round": "5"},
        environment={"MINE": "x"},
        channels=(Channel(name="train", s3_uri="s3://data/in/a.csv", content_type="text/csv"),),
    )

    said = bench.messages(bench.finished("iris"))

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


def test_output_data_and_checkpoints_are_uploaded(bench):
    code = """
import os, pathlib
base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
print((base / "checkpoints/old.ckpt").read_text())
(base / "checkpoints/new.ckpt").write_text("2")
(base / "output/data/plot.txt").write_text("plot")
"""
    bench.objects.put("data", "ckpt/old.ckpt", b"1")
    bench.create("iris", code=code, checkpoint_uri="s3://data/ckpt/")

    job = bench.finished("iris")

    assert bench.messages(job) == ["1"]
    assert members(bench.read("out/iris/output/output.tar.gz")) == {"plot.txt": b"plot"}
    assert bench.read("ckpt/new.ckpt") == b"2"
    with pytest.raises(NotFound):
        bench.objects.head("data", "out/iris/output/model.tar.gz")


def test_uncompressed_output_is_stored_file_by_file(bench):
    bench.objects.put("data", "in/a.csv", b"1\n")
    bench.create(
        "iris",
        code=TRAIN,
        channels=(Channel(name="train", s3_uri="s3://data/in"),),
        output_compression="NONE",
    )

    bench.finished("iris")

    assert bench.read("out/iris/output/model/weights.txt") == b"1\n"


def test_metrics_hold_the_last_value_of_each_definition(bench):
    code = "print('[0]\\tloss=0.5;'); print('[1]\\tloss=0.25;'); print('acc nan')"
    bench.create(
        "iris",
        code=code,
        metrics=(
            MetricDefinition(name="loss", regex="loss=([0-9.]+);"),
            MetricDefinition(name="acc", regex="acc (.*)"),
        ),
    )

    job = bench.finished("iris")

    assert [(item.name, item.value) for item in job.metrics] == [("loss", 0.25)]
    assert job.created_at <= job.metrics[0].timestamp <= job.ended_at
    assert bench.messages(job)[0] == "[0]#011loss=0.5;"


def test_failure_names_file_line_message_and_exit_code(bench):
    code = """
import json, os, pathlib
output = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "output")
(output / "data/log.txt").write_text("kept")
(output / "failure.json").write_text(json.dumps(
    {"cause": "E-SCRIPT", "message": "ZeroDivisionError: division by zero", "file": "train.py", "line": 3}))
raise SystemExit(1)
"""
    bench.create("iris", code=code)

    job = bench.finished("iris")

    assert job.status == "Failed"
    assert job.failure_reason == (
        "AlgorithmError: ZeroDivisionError: division by zero (train.py:3), exit code: 1"
    )
    assert course(job)[-1] == ("Failed", "Training job failed")
    assert members(bench.read("out/iris/output/output.tar.gz")) == {"log.txt": b"kept"}


def test_program_that_cannot_be_run_fails_the_job(bench):
    bench.create("iris", entrypoint=("/no/such/program",))

    job = bench.finished("iris")

    assert job.status == "Failed"
    assert "/no/such/program" in job.failure_reason


def test_job_that_needs_too_much_memory_says_so(bench):
    bench.create("iris", code="import time; x = b'x' * 900_000_000; time.sleep(60)")

    job = bench.finished("iris")

    assert job.failure_reason == (
        "AlgorithmError: OutOfMemory: the training process needed more memory than there is for ml.m5.large, "
        "exit code: 137. Use less data at a time, or a machine with more memory."
    )


def put_source(bench, key, files):
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text))
    bench.objects.put("data", key, body.getvalue())


def test_requirements_that_cannot_be_had_name_their_line(bench):
    put_source(bench, "src.tar.gz", {"requirements.txt": b"\nfarero-no-such-thing==1\n"})
    bench.create(
        "iris",
        code="pass",
        hyperparameters={"sagemaker_submit_directory": '"s3://data/src.tar.gz"'},
    )

    job = bench.finished("iris", 60)

    assert job.status == "Failed"
    assert job.failure_reason.startswith("ClientError: E-")
    assert "requirements.txt line 2 (farero-no-such-thing==1)" in job.failure_reason


def test_requirements_in_included_files_reach_the_script(bench):
    files = {
        "train.py": b"import farewheel; print(farewheel.WORD)\n",
        "requirements.txt": b"-r more/parts.txt\n",
        "more/parts.txt": b"./farewheel-1.0-py3-none-any.whl\n",
        "farewheel-1.0-py3-none-any.whl": wheel("farewheel", "WORD = 'from the wheel'"),
    }
    put_source(bench, "src.tar.gz", files)
    uri = '"s3://data/src.tar.gz"'
    given = {"sagemaker_submit_directory": uri, "sagemaker_program": '"train.py"'}
    image = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
    bench.create("iris", image=image, entrypoint=(), hyperparameters=given)

    job = bench.finished("iris", 60)

    assert job.status == "Completed", job.failure_reason
    assert "from the wheel" in bench.messages(job)


def wheel(name, text):
    """Return a wheel of one module."""
    body, info = io.BytesIO(), f"{name}-1.0.dist-info"
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr(f"{name}.py", text)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(f"{info}/WHEEL", tags)
        archive.writestr(f"{info}/RECORD", "")
    return body.getvalue()


def test_source_archive_is_fetched_for_the_process(bench):
    put_source(bench, "src.tar.gz", {"train.py": b"print(1)"})
    code = "import os, tarfile; print(tarfile.open(os.environ['FARERO_SOURCE_ARCHIVE']).getnames())"
    uri = '"s3://data/src.tar.gz"'
    bench.create("iris", code=code, hyperparameters={"sagemaker_submit_directory": uri})
    missing = '"s3://data/none.tar.gz"'
    bench.create("lost", code=code, hyperparameters={"sagemaker_submit_directory": missing})

    assert bench.messages(bench.finished("iris")) == ["['train.py']"]
    assert bench.finished("lost").failure_reason == (
        "ClientError: Data download failed:NoSuchKey (404): The specified key does not exist., "
        "s3://data/none.tar.gz of hyperparameter sagemaker_submit_directory"
    )


def test_image_that_is_not_known_fails_with_what_is(bench):
    bench.create("iris", entrypoint=())

    assert bench.finished("iris").failure_reason.startswith(
        "ClientError: Image '123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1' cannot run here."
    )


def test_step_that_keeps_failing_is_given_up(bench):
    bench.create("iris", code="pass")
    item = WorkItem(kind="job.reconcile", key="iris", due=bench.clock.now(), attempts=6, version=1)

    bench.lifecycle.reconcile(item)

    job = bench.job("iris")
    assert job.failure_reason.startswith("InternalServerError: We encountered an internal error.")
    assert job.phase == "done"


def test_job_cannot_make_the_platform_read_or_write_through_links(bench):
    secret = bench.settings.data_dir / "secret"
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
    bench.create("iris", code=code, checkpoint_uri="s3://data/ckpt")

    job = bench.finished("iris")

    assert job.failure_reason == "AlgorithmError: the process said nothing, exit code: 1"
    assert [item.key for item in bench.objects.list("data")] == []
    assert [path.name for path in secret.iterdir()] == ["key"]


def test_data_that_went_away_fails_as_on_aws(bench):
    bench.objects.put("data", "in/a.csv", b"1\n")
    bench.create("iris", channels=(Channel(name="train", s3_uri="s3://data/in/"),))
    bench.objects.delete("data", "in/a.csv")

    job = bench.finished("iris")

    assert job.failure_reason == (
        "ClientError: Data download failed:NoSuchKey (404): The specified key does not exist., "
        "S3Uri s3://data/in/ of channel 'train'"
    )
    assert [item.status for item in job.transitions] == ["Starting", "Downloading", "Failed"]


def test_stop_lets_the_process_save_its_model(bench):
    bench.create("iris", code=WAIT)
    bench.settle(lambda: is_ready(bench, "iris"))

    bench.commands.stop("iris", bench.clock.now())
    status = bench.job("iris").status
    bench.commands.stop("iris", bench.clock.now())
    job = bench.finished("iris")

    assert status == "Stopping"
    assert (job.status, job.secondary, job.failure_reason) == ("Stopped", "Stopped", None)
    assert [item.status for item in job.transitions][2:] == [
        "Training",
        "Stopping",
        "Uploading",
        "Stopped",
    ]
    assert members(bench.read("out/iris/output/model.tar.gz")) == {
        "weights.txt": b"saved at the end"
    }


def test_job_stopped_before_it_ran_never_runs(bench):
    bench.create("iris", code="print('ran')")
    bench.commands.stop("iris", bench.clock.now())

    job = bench.finished("iris")

    assert [item.status for item in job.transitions] == ["Starting", "Stopping", "Stopped"]
    assert bench.messages(job) == []


def test_process_whose_start_was_never_written_down_is_stopped_all_the_same(bench):
    bench.create("iris", code=WAIT)
    job = bench.job("iris")
    bench.training.download(job)
    bench.compute.start(bench.training.process(job, Path(sys.executable)))
    bench.wait(lambda: is_ready(bench, "iris"))

    bench.commands.stop("iris", bench.clock.now())
    job = bench.finished("iris")

    assert (job.status, job.exit_code) == ("Stopped", 0)
    assert bench.objects.head("data", "out/iris/output/model.tar.gz")


def test_run_time_limit_ends_the_job(bench):
    bench.create("iris", code=WAIT, max_runtime_s=4)  # by then it can save its model

    job = bench.finished("iris")

    assert (job.status, job.secondary) == ("Stopped", "MaxRuntimeExceeded")
    assert course(job)[-1] == (
        "MaxRuntimeExceeded",
        "Training job runtime exceeded MaxRuntimeInSeconds provided",
    )
    assert bench.objects.head("data", "out/iris/output/model.tar.gz")


def test_second_attempt_keeps_the_checkpoints_of_the_first(bench):
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
    bench.create("iris", code=code, checkpoint_uri="s3://data/ckpt")
    half = bench.training.folder(bench.job("iris")) / "model" / "half"
    bench.settle(half.exists)

    bench.kill()
    bench.start()
    bench.lifecycle.resume()
    job = bench.finished("iris")

    assert (job.status, job.attempt, bench.messages(job)) == ("Completed", 2, ["again False"])
    assert bench.read("ckpt/1.ckpt") == b"1"


def test_job_whose_process_went_down_with_the_platform_runs_again_once(bench):
    bench.create("iris", code=WAIT)
    bench.settle(lambda: is_ready(bench, "iris"))

    bench.kill()
    bench.start()
    bench.lifecycle.resume()
    bench.settle(lambda: bench.job("iris").attempt == 2 and is_ready(bench, "iris"))
    again = bench.job("iris")
    bench.kill()
    bench.start()
    bench.lifecycle.resume()
    job = bench.finished("iris")

    assert [item.status for item in again.transitions][3:] == [
        "Restarting",
        "Downloading",
        "Training",
    ]
    assert job.status == "Failed"
    assert job.failure_reason.startswith("InternalServerError: The platform was stopped twice")


def test_worker_that_died_at_any_step_goes_on_where_it_was(bench):
    bench.objects.put("data", "in/a.csv", b"1\n")
    bench.create("iris", code=TRAIN, channels=(Channel(name="train", s3_uri="s3://data/in"),))
    step = bench.lifecycle._step

    phases = []
    while bench.job("iris").phase != "done":
        phases.append(str(bench.job("iris").phase))
        step("iris")
        # What a forerunner did and could not write down is done once more.
        step("iris")

    job = bench.job("iris")
    assert job.status == "Completed"
    assert bench.messages(job) == ["rows 1"]
    assert phases[0] == "prepare"


class Crash(BaseException):
    """The worker's death: no handler catches it."""


def test_worker_killed_at_any_commit_runs_the_process_once(bench):
    bench.objects.put("data", "in/a.csv", b"1\n")
    crashes = iter(range(100))
    survived = False

    while not survived:
        at = next(crashes)
        name = f"iris-{at}"
        channel = Channel(name="train", s3_uri="s3://data/in")
        bench.create(name, code=TRAIN, channels=(channel,))
        survived = not crash_at_commit(bench, name, at)
        job = bench.finished(name)

        assert (job.status, job.attempt) == ("Completed", 1)
        assert bench.messages(job) == ["rows 1"]
        assert len(job.transitions) == 5
    assert at > 8


def crash_at_commit(bench, name, at):
    """Run the job's handler until its commit number `at`, which never happens; return whether it came so far."""
    count = iter(range(1000))

    def before_commit(_):
        if next(count) == at:
            raise Crash

    event.listen(bench.store.engine, "commit", before_commit)
    try:
        for _ in range(200):
            if bench.job(name).phase == "done":
                return False
            bench.lifecycle.reconcile(
                WorkItem(
                    kind="job.reconcile", key=name, due=bench.clock.now(), attempts=0, version=1
                )
            )
            bench.wake.wait(0.05)
    except Crash:
        return True
    finally:
        event.remove(bench.store.engine, "commit", before_commit)
    raise AssertionError


def test_names_are_unique_until_the_job_is_deleted(bench):
    bench.create("iris", code="pass", tags=[Tag(key="team", value="a")])
    with pytest.raises(Conflict, match="Training job names must be unique"):
        bench.create("iris", code="pass")
    with pytest.raises(Conflict, match="while it is in status InProgress"):
        bench.commands.delete("iris")
    job = bench.finished("iris")
    with bench.store.read() as db:
        tags = tag_rows.find(db, job.arn)
    bench.commands.delete("iris")

    assert tags == [Tag(key="team", value="a")]
    with bench.store.read() as db:
        assert tag_rows.find(db, job.arn) == []
    bench.create("iris", code="pass")


def test_stopping_what_has_ended_is_refused(bench):
    bench.create("iris", code="pass")
    bench.finished("iris")

    with pytest.raises(Invalid, match="is in status Completed"):
        bench.commands.stop("iris", bench.clock.now())
    with pytest.raises(NotFound, match=r"Requested resource not found\."):
        bench.commands.stop("other", bench.clock.now())


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
def test_what_cannot_run_is_refused_at_the_call(bench, members, words):
    bench.objects.put("data", "k", b"1")

    with pytest.raises(Invalid, match=words.replace("(", r"\(")):
        bench.create("iris", **members)
