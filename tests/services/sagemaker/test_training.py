import dataclasses
import datetime as dt
from typing import ClassVar

import pytest
from botocore.exceptions import ClientError

from farero.aws.services.sagemaker.training import Training
from farero.base.errors import NotFound
from farero.jobs.commands import JobCommands
from farero.jobs.transitions import enter, finish
from farero.objects.local import LocalObjects
from farero.records.job import FinalMetric, JobStatus, Phase, Secondary
from farero.store import tags as tag_rows
from farero.store import work
from farero.store.jobs import training as rows

ARN = "arn:aws:sagemaker:us-east-1:123456789012:training-job/"
TAKEN = (
    "Training job names must be unique within an AWS account and region, and a training job with this name "
    f"already exists ({ARN}iris)"
)
#: What the SageMaker SDK 2.257.7 sends for `Estimator.fit({'train': 's3://…/train.csv'})`.
REQUEST = {
    "TrainingJobName": "sagemaker-xgboost-2026-01-05-10-00-00-000",
    "AlgorithmSpecification": {
        "TrainingImage": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.0-1-cpu-py3",
        "TrainingInputMode": "File",
    },
    "OutputDataConfig": {"S3OutputPath": "s3://data/out/"},
    "StoppingCondition": {"MaxRuntimeInSeconds": 86400},
    "ResourceConfig": {
        "VolumeSizeInGB": 30,
        "InstanceCount": 1,
        "InstanceType": "ml.m4.xlarge",
    },
    "RoleArn": "arn:aws:iam::123456789012:role/SageMakerRole",
    "InputDataConfig": [
        {
            "ChannelName": "train",
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "S3Prefix",
                    "S3Uri": "s3://data/train.csv",
                    "S3DataDistributionType": "FullyReplicated",
                }
            },
        }
    ],
    "DebugHookConfig": {"S3OutputPath": "s3://data/out/", "CollectionConfigurations": []},
    "ProfilerConfig": {"S3OutputPath": "s3://data/out/", "DisableProfiler": False},
}


class Room(Training):
    """The room with the part of the service's error table that these operations meet."""

    errors: ClassVar = {NotFound: ("ValidationException", 400)}


@pytest.fixture
def objects(store, clock, tmp_path):
    blobs = LocalObjects(store, tmp_path / "objects", clock)
    blobs.ensure_bucket("data")
    blobs.put("data", "train.csv", b"1,2\n")
    return blobs


@pytest.fixture
def sagemaker(store, objects, client_of):
    return client_of(Room(JobCommands(store, objects, poke=lambda: None), store), "sagemaker")


def create(sagemaker, name="iris", **members):
    return sagemaker.create_training_job(**{**REQUEST, "TrainingJobName": name, **members})


def error(call, **members):
    with pytest.raises(ClientError) as caught:
        call(**members)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def end(store, clock, name, status="Completed", **members):
    """Let a job end as the life cycle does, without its process."""
    now = clock.now()
    with store.begin() as db:
        job = enter(rows.get(db, name), Secondary.TRAINING, now)
        job = dataclasses.replace(job, started_at=now, phase=Phase.DONE, **members)
        clock.advance(seconds=90)
        rows.update(db, finish(job, JobStatus(status), Secondary(status), clock.now()))


def test_new_job_is_described_as_it_was_asked_for(sagemaker, clock, store):
    answer = create(sagemaker)

    description = sagemaker.describe_training_job(TrainingJobName="iris")

    now = clock.now()
    del description["ResponseMetadata"]
    assert answer["TrainingJobArn"] == ARN + "iris"
    assert description == {
        **REQUEST,
        "TrainingJobName": "iris",
        "TrainingJobArn": ARN + "iris",
        "ModelArtifacts": {"S3ModelArtifacts": "s3://data/out/iris/output/model.tar.gz"},
        "TrainingJobStatus": "InProgress",
        "SecondaryStatus": "Starting",
        "CreationTime": now,
        "LastModifiedTime": now,
        "SecondaryStatusTransitions": [
            {"Status": "Starting", "StartTime": now, "StatusMessage": "Starting the training job"}
        ],
        "EnableNetworkIsolation": False,
        "EnableInterContainerTrafficEncryption": False,
        "EnableManagedSpotTraining": False,
        "ProfilingStatus": "Enabled",
    }
    with store.read() as db:
        assert [(item.kind, item.key) for item in work.list_all(db)] == [("job.reconcile", "iris")]


def test_empty_structures_are_left_out_and_switches_are_kept(sagemaker):
    create(sagemaker, HyperParameters={}, Environment={}, EnableNetworkIsolation=True)

    description = sagemaker.describe_training_job(TrainingJobName="iris")

    assert description["EnableNetworkIsolation"] is True
    assert not {"HyperParameters", "Environment", "VpcConfig"} & set(description)


def test_job_on_several_instances_says_that_one_host_trains(sagemaker):
    create(sagemaker, ResourceConfig={**REQUEST["ResourceConfig"], "InstanceCount": 2})

    description = sagemaker.describe_training_job(TrainingJobName="iris")

    assert description["SecondaryStatusTransitions"][0]["StatusMessage"] == (
        "Starting the training job on 1 host of the 2 asked for: this machine is one host"
    )


def test_ended_job_tells_its_times_metrics_and_transitions(sagemaker, store, clock):
    create(sagemaker)
    began = clock.now()
    metric = FinalMetric(name="validation:rmse", value=0.5, timestamp=began)
    end(store, clock, "iris", metrics=(metric,))

    description = sagemaker.describe_training_job(TrainingJobName="iris")

    ended = began + dt.timedelta(seconds=90)
    assert description["TrainingJobStatus"] == description["SecondaryStatus"] == "Completed"
    assert (description["TrainingStartTime"], description["TrainingEndTime"]) == (began, ended)
    assert description["TrainingTimeInSeconds"] == description["BillableTimeInSeconds"] == 90
    assert description["FinalMetricDataList"] == [
        {"MetricName": "validation:rmse", "Value": 0.5, "Timestamp": began}
    ]
    assert "FailureReason" not in description
    assert description["SecondaryStatusTransitions"][-1] == {
        "Status": "Completed",
        "StartTime": ended,
        "EndTime": ended,
        "StatusMessage": "Training job completed",
    }


def test_waiter_of_boto3_sees_the_end(sagemaker, store, clock):
    create(sagemaker)
    end(store, clock, "iris")

    sagemaker.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName="iris")


def test_name_that_was_used_is_refused_with_awss_words(sagemaker):
    create(sagemaker)

    assert error(create, sagemaker=sagemaker) == (
        "ResourceInUse",
        TAKEN,
    )


def test_unknown_job_is_refused_with_awss_words(sagemaker):
    words = ("ValidationException", "Requested resource not found.")

    assert error(sagemaker.describe_training_job, TrainingJobName="no") == words
    assert error(sagemaker.stop_training_job, TrainingJobName="no") == words
    assert error(sagemaker.delete_training_job, TrainingJobName="no") == words


def channel(**members):
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://data/train.csv"}
    source |= members.pop("source", {})
    return {"ChannelName": "train", "DataSource": {"S3DataSource": source}, **members}


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"TrainingJobName": "a_b"}, "failed to satisfy constraint"),
        ({"RoleArn": "SageMakerRole-that-is-no-arn"}, "failed to satisfy constraint"),
        ({"OutputDataConfig": {"S3OutputPath": "s3://nobucket/"}}, "Could not find the bucket"),
        ({"InputDataConfig": [channel(), channel()]}, "Duplicate channel name: train"),
        ({"InputDataConfig": [channel(InputMode="Pipe")]}, "input mode Pipe cannot be served here"),
        (
            {"InputDataConfig": [channel(source={"S3DataType": "AugmentedManifestFile"})]},
            "S3DataType AugmentedManifestFile cannot be read here",
        ),
        (
            {"InputDataConfig": [channel(source={"S3Uri": "s3://data/none"})]},
            "No S3 objects found under S3 URL",
        ),
        (
            {"AlgorithmSpecification": {"AlgorithmName": "a", "TrainingInputMode": "File"}},
            "needs TrainingImage",
        ),
    ],
)
def test_what_cannot_run_is_refused_at_the_call(sagemaker, members, words):
    code, message = error(sagemaker.create_training_job, **{**REQUEST, **members})

    assert code == "ValidationException"
    assert words in message


def test_stop_is_seen_at_once_and_refused_after_the_end(sagemaker, store, clock):
    create(sagemaker)

    sagemaker.stop_training_job(TrainingJobName="iris")
    stopping = sagemaker.describe_training_job(TrainingJobName="iris")
    end(store, clock, "iris", "Stopped")

    assert (stopping["TrainingJobStatus"], stopping["SecondaryStatus"]) == ("Stopping", "Stopping")
    assert error(sagemaker.stop_training_job, TrainingJobName="iris") == (
        "ValidationException",
        "The request was rejected because the training job is in status Stopped.",
    )


def test_only_an_ended_job_can_be_deleted(sagemaker, store, clock):
    create(sagemaker, Tags=[{"Key": "team", "Value": "a"}])
    code, _ = error(sagemaker.delete_training_job, TrainingJobName="iris")
    with store.read() as db:
        tags = tag_rows.find(db, ARN + "iris")
    end(store, clock, "iris")
    sagemaker.delete_training_job(TrainingJobName="iris")

    assert code == "ResourceInUse"
    assert [(tag.key, tag.value) for tag in tags] == [("team", "a")]
    assert (
        error(sagemaker.describe_training_job, TrainingJobName="iris")[0] == "ValidationException"
    )


@pytest.fixture
def three(sagemaker, store, clock):
    """Jobs b-1, a-2 and a-3, a minute apart; a-2 has ended."""
    start = clock.now()
    for name in ("b-1", "a-2", "a-3"):
        create(sagemaker, name)
        clock.advance(minutes=1)
    end(store, clock, "a-2")
    return start


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ["b-1", "a-2", "a-3"]),
        ({"SortOrder": "Ascending"}, ["b-1", "a-2", "a-3"]),
        ({"SortOrder": "Descending"}, ["a-3", "a-2", "b-1"]),
        ({"SortBy": "Name"}, ["a-2", "a-3", "b-1"]),
        ({"SortBy": "Status", "SortOrder": "Descending"}, ["b-1", "a-3", "a-2"]),
        ({"NameContains": "A-"}, ["a-2", "a-3"]),
        ({"NameContains": "none"}, []),
        ({"StatusEquals": "Completed"}, ["a-2"]),
        ({"StatusEquals": "InProgress"}, ["b-1", "a-3"]),
        ({"CreationTimeAfter": 1}, ["a-2", "a-3"]),
        ({"CreationTimeBefore": 1}, ["b-1", "a-2"]),
        ({"LastModifiedTimeAfter": 3}, ["a-2"]),
        ({"LastModifiedTimeBefore": 3}, ["b-1", "a-3"]),
        ({"MaxResults": 1}, ["b-1"]),
    ],
)
def test_jobs_are_listed_by_every_filter_and_order(sagemaker, three, filters, expected):
    times = {
        name: three + dt.timedelta(minutes=value)
        for name, value in filters.items()
        if "Time" in name
    }

    found = sagemaker.list_training_jobs(**{**filters, **times})["TrainingJobSummaries"]

    assert [job["TrainingJobName"] for job in found] == expected


def test_listing_pages_to_the_end(sagemaker, three):
    pages = list(
        sagemaker.get_paginator("list_training_jobs").paginate(PaginationConfig={"PageSize": 2})
    )

    assert [len(page["TrainingJobSummaries"]) for page in pages] == [2, 1]
    assert "NextToken" not in pages[-1]
    assert pages[0]["TrainingJobSummaries"][1] == {
        "TrainingJobName": "a-2",
        "TrainingJobArn": ARN + "a-2",
        "CreationTime": three + dt.timedelta(minutes=1),
        "TrainingEndTime": three + dt.timedelta(minutes=4, seconds=30),
        "LastModifiedTime": three + dt.timedelta(minutes=4, seconds=30),
        "TrainingJobStatus": "Completed",
        "SecondaryStatus": "Completed",
    }
    assert error(sagemaker.list_training_jobs, NextToken="junk")[0] == "ValidationException"
