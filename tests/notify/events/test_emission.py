"""What happens on the platform is told to rules, in AWS's form and in the order in which it happened."""

import json

import pytest

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
ROLE = "arn:aws:iam::123456789012:role/SageMakerRole"
ARN = "arn:aws:sagemaker:us-east-1:123456789012"


@pytest.fixture
def sagemaker(cloud):
    cloud.client("s3").put_object(Bucket=cloud.bucket, Key="model.tar.gz", Body=b"model")
    return cloud.client("sagemaker")


def define(cloud, sagemaker):
    """Make the model `iris` and the config `iris-config`."""
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://{cloud.bucket}/model.tar.gz"}
    sagemaker.create_model(
        ModelName="iris",
        ExecutionRoleArn=ROLE,
        PrimaryContainer=container,
        Tags=[{"Key": "team", "Value": "a"}],
    )
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": "iris",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 2,
    }
    sagemaker.create_endpoint_config(EndpointConfigName="iris-config", ProductionVariants=[variant])


def test_models_and_configs_are_told_when_they_come_and_go(cloud, sagemaker, bridge):
    bridge.rule({"source": ["aws.sagemaker"]})
    define(cloud, sagemaker)
    sagemaker.delete_endpoint_config(EndpointConfigName="iris-config")
    sagemaker.delete_model(ModelName="iris")
    cloud.run()

    found = sorted(
        bridge.events(), key=lambda event: (event["resources"], not event["detail"]["Tags"])
    )

    kinds = [(event["detail-type"], event["resources"]) for event in found]
    config = ("SageMaker Endpoint Config State Change", [f"{ARN}:endpoint-config/iris-config"])
    model = ("SageMaker Model State Change", [f"{ARN}:model/iris"])
    assert kinds == [config, config, model, model]
    created, deleted = (event["detail"] for event in found[2:])
    assert created["ModelName"] == "iris"
    assert created["ModelArn"] == f"{ARN}:model/iris"
    assert created["PrimaryContainer"]["Image"] == IMAGE
    assert (created["Tags"], deleted["Tags"]) == ({"team": "a"}, {})
    assert isinstance(created["CreationTime"], int)


def test_an_endpoint_is_told_in_aws_form_in_the_transaction_that_makes_it(cloud, sagemaker, bridge):
    define(cloud, sagemaker)
    bridge.rule(
        {
            "source": ["aws.sagemaker"],
            "detail-type": ["SageMaker Endpoint State Change"],
            "detail": {"EndpointStatus": ["CREATING", "DELETING"]},
        }
    )
    sagemaker.create_endpoint(
        EndpointName="Iris", EndpointConfigName="iris-config", Tags=[{"Key": "team", "Value": "a"}]
    )
    sagemaker.delete_endpoint(EndpointName="Iris")
    with cloud.app.store.begin() as db:  # there is nothing that runs processes here
        db.exec_driver_sql("DELETE FROM work_items WHERE kind = 'endpoint.reconcile'")
    cloud.run()

    first, second = bridge.events()

    detail = first.pop("detail")
    assert first == {
        "version": "0",
        "id": first["id"],
        "detail-type": "SageMaker Endpoint State Change",
        "source": "aws.sagemaker",
        "account": "123456789012",
        "time": first["time"],
        "region": "us-east-1",
        "resources": [f"{ARN}:endpoint/iris"],
    }
    assert detail == {
        "EndpointName": "Iris",
        "EndpointArn": f"{ARN}:endpoint/iris",
        "EndpointConfigName": "iris-config",
        "ProductionVariants": [
            {
                "VariantName": "AllTraffic",
                "CurrentWeight": 0.0,
                "DesiredWeight": 1.0,
                "CurrentInstanceCount": 0,
                "DesiredInstanceCount": 2,
            }
        ],
        "EndpointStatus": "CREATING",
        "FailureReason": None,
        "CreationTime": detail["CreationTime"],
        "LastModifiedTime": detail["CreationTime"],
        "Tags": {"team": "a"},
    }
    assert second["detail"]["EndpointStatus"] == "DELETING"


def test_what_is_not_done_is_not_told(cloud, sagemaker, bridge):
    define(cloud, sagemaker)
    bridge.rule({"source": ["aws.sagemaker"]})

    with pytest.raises(sagemaker.exceptions.ClientError):
        sagemaker.create_model(
            ModelName="iris", ExecutionRoleArn=ROLE,
            PrimaryContainer={"Image": IMAGE, "ModelDataUrl": f"s3://{cloud.bucket}/model.tar.gz"},
        )  # fmt: skip
    cloud.run()

    assert bridge.events() == []


def test_a_platform_without_rules_writes_nothing_for_events(cloud, sagemaker):
    define(cloud, sagemaker)

    with cloud.app.store.read() as db:
        assert db.exec_driver_sql("SELECT count(*) FROM outbox").scalar() == 0


def test_a_training_job_is_told_at_each_step(supervisor, cloud, bridge, wait_for):
    rows = "".join(f"{2 * n},{n},{n % 3}\n" for n in range(20))
    cloud.client("s3").put_object(Bucket=cloud.bucket, Key="train.csv", Body=rows.encode())
    bridge.rule({"detail-type": ["SageMaker Training Job State Change"]})
    sagemaker, wake = cloud.client("sagemaker"), cloud.worker.wake_socket()
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{cloud.bucket}/train.csv"}
    sagemaker.create_training_job(
        TrainingJobName="iris",
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        RoleArn=ROLE,
        InputDataConfig=[
            {
                "ChannelName": "train",
                "ContentType": "text/csv",
                "DataSource": {"S3DataSource": source},
            }
        ],
        OutputDataConfig={"S3OutputPath": f"s3://{cloud.bucket}/out"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
        HyperParameters={"num_round": "2", "objective": "reg:squarederror"},
    )
    heard = []

    def listen():
        wake.wait(0.05)
        cloud.run()
        heard.extend(bridge.events())
        return any(event["detail"]["TrainingJobStatus"] == "Completed" for event in heard)

    wait_for(listen, 30)
    wake.close()

    details = [event["detail"] for event in heard]
    assert [(one["TrainingJobStatus"], one["SecondaryStatus"]) for one in details] == [
        ("InProgress", "Starting"),
        ("InProgress", "Downloading"),
        ("InProgress", "Training"),
        ("InProgress", "Uploading"),
        ("Completed", "Completed"),
    ]
    last = details[-1]
    assert last["TrainingJobArn"] == f"{ARN}:training-job/iris"
    assert last["FailureReason"] is None
    assert last["ResourceConfig"]["InstanceType"] == "ml.m5.large"
    assert last["TrainingStartTime"] <= last["TrainingEndTime"] == last["LastModifiedTime"]
    assert len(last["SecondaryStatusTransitions"]) == 5


@pytest.mark.parametrize("cloud", [{"notify_allow_hosts": "127.0.0.1"}], indirect=True)
def test_an_alarm_is_told_to_a_topic_and_from_there_to_the_web(cloud, bridge, receiver):
    sns, cloudwatch = cloud.client("sns"), cloud.client("cloudwatch")
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=receiver.url)
    cloud.run()
    sns.confirm_subscription(TopicArn=topic, Token=receiver.posts[0].json["Token"])
    bridge.rule(
        {
            "source": ["aws.cloudwatch"],
            "detail-type": ["CloudWatch Alarm State Change"],
            "detail": {"state": {"value": ["ALARM"]}},
        },
        {"Id": "topic", "Arn": topic},
    )
    cloudwatch.put_metric_alarm(
        AlarmName="slow", Namespace="shop", MetricName="latency", Statistic="Average", Period=60,
        EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip

    cloudwatch.set_alarm_state(AlarmName="slow", StateValue="OK", StateReason="fine")
    cloudwatch.set_alarm_state(AlarmName="slow", StateValue="ALARM", StateReason="a test")
    cloud.run()

    [message] = receiver.posts[1:]

    event = json.loads(message.json["Message"])
    arn = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:slow"
    assert event["source"] == "aws.cloudwatch"
    assert event["resources"] == [arn]
    assert event["detail"]["alarmName"] == "slow"
    assert event["detail"]["state"]["value"] == "ALARM"
    assert event["detail"]["state"]["reason"] == "a test"
    assert event["detail"]["previousState"]["value"] == "OK"
    [metric] = event["detail"]["configuration"]["metrics"]
    assert metric["metricStat"]["metric"]["name"] == "latency"


def test_a_processing_job_is_told_at_each_status(supervisor, cloud, bridge, wait_for):
    code = b"print('done')\n"
    cloud.client("s3").put_object(Bucket=cloud.bucket, Key="code/work.py", Body=code)
    bridge.rule({"detail-type": ["SageMaker Processing Job State Change"]})
    sagemaker, wake = cloud.client("sagemaker"), cloud.worker.wake_socket()
    source = {
        "S3Uri": f"s3://{cloud.bucket}/code/work.py",
        "LocalPath": "/opt/ml/processing/input/code",
        "S3DataType": "S3Prefix",
        "S3InputMode": "File",
    }
    cluster = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 5}
    sagemaker.create_processing_job(
        ProcessingJobName="clean",
        AppSpecification={
            "ImageUri": IMAGE,
            "ContainerEntrypoint": ["python3", "/opt/ml/processing/input/code/work.py"],
        },
        RoleArn=ROLE,
        ProcessingResources={"ClusterConfig": cluster},
        ProcessingInputs=[{"InputName": "code", "S3Input": source}],
        Tags=[{"Key": "team", "Value": "a"}],
    )
    heard = []

    def listen():
        wake.wait(0.05)
        cloud.run()
        heard.extend(bridge.events())
        return any(event["detail"]["ProcessingJobStatus"] != "InProgress" for event in heard)

    wait_for(listen, 30)
    wake.close()

    details = [event["detail"] for event in heard]
    assert [one["ProcessingJobStatus"] for one in details] == ["InProgress", "Completed"]
    assert heard[-1]["resources"] == [f"{ARN}:processing-job/clean"]
    assert details[-1]["ProcessingResources"] == {"ClusterConfig": cluster}
    assert details[-1]["FailureReason"] is None
    assert details[-1]["Tags"] == {"team": "a"}
    assert details[-1]["ProcessingStartTime"] <= details[-1]["ProcessingEndTime"]
