"""Logs, storage, jobs, access, doctor and languages, over a real platform."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from tests.console.conftest import Person, Stage

GROUP = "/console/filter"
SKLEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"


@pytest.fixture(scope="module")
def lines(stage: Stage) -> None:
    logs = stage.client("logs")
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName="one")
    now = int(time.time() * 1000)
    texts = ["ERROR it broke", "INFO it runs", "ERROR again"]
    events = [{"timestamp": now - 1000 + i, "message": text} for i, text in enumerate(texts)]
    logs.put_log_events(logGroupName=GROUP, logStreamName="one", logEvents=events)


@pytest.mark.usefixtures("lines")
def test_logs_show_what_the_pattern_finds(told_by: Any) -> None:
    async def story(person: Person) -> None:
        await person.open("/logs")
        await person.sees(GROUP)
        await person.open(f"/logs?group={quote(GROUP, safe='')}")
        await person.sees("INFO it runs")
        await person.open(f"/logs?group={quote(GROUP, safe='')}&filter=ERROR&range=15m")
        await person.sees("ERROR it broke")
        await person.sees("ERROR again")
        assert not any("INFO it runs" in one for one in person.texts)
        assert person.field("Filter").value == "ERROR"

    told_by(story)


@pytest.mark.usefixtures("lines")
def test_page_comes_though_the_platform_stood_still_for_a_while(stage: Stage, told_by: Any) -> None:
    [gateway] = stage.platform.control.info()["gateways"]

    async def story(person: Person) -> None:
        os.kill(gateway, signal.SIGSTOP)
        try:
            opened = asyncio.create_task(person.open("/logs"))
            await asyncio.wait([opened], timeout=4)  # NiceGUI alone gives a page up after three
            assert not opened.done()
        finally:
            os.kill(gateway, signal.SIGCONT)
        await opened
        await person.sees(GROUP)

    told_by(story)


@pytest.mark.usefixtures("lines")
def test_logs_tell_what_is_wrong_with_a_pattern(told_by: Any) -> None:
    async def story(person: Person) -> None:
        await person.open(f"/logs?group={quote(GROUP, safe='')}&filter={quote('{ $.a = ')}")
        await person.sees("InvalidParameterException")

    told_by(story)


def test_storage_lists_folders_and_offers_objects_for_download(stage: Stage, told_by: Any) -> None:
    s3 = stage.client("s3")
    s3.create_bucket(Bucket="shelf")
    s3.put_object(Bucket="shelf", Key="a/b c.txt", Body=b"12345")

    async def story(person: Person) -> None:
        await person.open("/storage")
        await person.sees("shelf")
        await person.open("/storage?bucket=shelf")
        await person.sees("a/")
        await person.open("/storage?bucket=shelf&prefix=a/")
        await person.sees("b c.txt")
        links = [str(one.props.get("href")) for one in person.elements]
        assert "/download?bucket=shelf&key=a%2Fb%20c.txt" in links
        answer = await person.user.http_client.get("/download?bucket=shelf&key=a/b c.txt")
        assert answer.content == b"12345"
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-disposition"].startswith("attachment;")
        assert (
            await person.user.http_client.get("/download?bucket=shelf&key=no")
        ).status_code == 404

    told_by(story)


def test_job_shows_its_steps_and_why_it_failed(stage: Stage, told_by: Any) -> None:
    bucket = stage.platform.bucket
    stage.client("s3").put_object(Bucket=bucket, Key="train/rows.csv", Body=b"no,numbers,here\n")
    sagemaker = stage.client("sagemaker")
    sagemaker.create_training_job(
        TrainingJobName="console-job",
        AlgorithmSpecification={
            "TrainingImage": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1",
            "TrainingInputMode": "File",
        },
        HyperParameters={"num_round": "5"},
        RoleArn="arn:aws:iam::123456789012:role/AmazonSageMaker-ExecutionRole-farero",
        InputDataConfig=[
            {
                "ChannelName": "train",
                "ContentType": "text/csv",
                "DataSource": {
                    "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/train/"}
                },
            }
        ],
        OutputDataConfig={"S3OutputPath": f"s3://{bucket}/models"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )

    async def story(person: Person) -> None:
        await person.open("/jobs")
        await person.sees("console-job")
        await person.open("/jobs/console-job")
        await person.until(lambda: "Failed" in person.texts, 40)
        reason = sagemaker.describe_training_job(TrainingJobName="console-job")["FailureReason"]
        await person.sees(reason[:60])

    told_by(story)


def test_processing_jobs_are_listed_newest_first_and_show_what_they_ran(
    stage: Stage, told_by: Any
) -> None:
    sagemaker = stage.client("sagemaker")

    def start(name: str, code: str) -> None:
        sagemaker.create_processing_job(
            ProcessingJobName=name, RoleArn="arn:aws:iam::123456789012:role/any",
            AppSpecification={"ImageUri": SKLEARN, "ContainerEntrypoint": ["python3", "-c", code]},
            Environment={"SHELF": "upper"},
            ProcessingResources={
                "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
            },
        )  # fmt: skip

    start("count-ok", "import os; print('counted', os.environ['SHELF'])")
    start("count-bad", "raise SystemExit('no shelf')")

    async def story(person: Person) -> None:
        await person.open("/jobs")
        await person.sees("count-ok")
        names = [one for one in person.texts if one.startswith("count-")]
        assert names == ["count-bad", "count-ok"]
        await person.open("/jobs/processing/count-ok")
        await person.until(lambda: "Completed" in person.texts, 40)
        await person.sees("counted upper")
        await person.sees("SHELF")
        await person.sees("python3 -c import os")
        await person.open("/jobs/processing/count-bad", language="es")
        await person.until(lambda: "Failed" in person.texts, 40)
        reason = sagemaker.describe_processing_job(ProcessingJobName="count-bad")["FailureReason"]
        await person.sees(reason[:60])
        await person.sees("Entorno")

    told_by(story)


def test_access_shows_users(told_by: Any, stage: Stage) -> None:
    stage.client("iam").create_user(UserName="ana")

    async def story(person: Person) -> None:
        await person.open("/access")
        await person.sees("ana")

    told_by(story)


def test_doctor_shows_how_it_stands(told_by: Any) -> None:
    async def story(person: Person) -> None:
        await person.open("/doctor")
        await person.sees("GB")
        await person.sees("Isolation")
        await person.sees("written, 0 lost")

    told_by(story)


def test_language_is_the_browsers_until_one_is_chosen(told_by: Any) -> None:
    async def story(person: Person) -> None:
        await person.open("/doctor", language="es-MX,es;q=0.9")
        await person.sees("Diagnóstico")
        await person.sees("English")
        person.user.http_client.cookies.set("farero_lang", "en")
        await person.open("/doctor", language="es-MX,es;q=0.9")
        await person.sees("Isolation")
        await person.sees("Español")

    told_by(story)
