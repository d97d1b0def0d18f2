"""The container of bias and attributions with models that run: trees, kernel, failures, and what is left behind."""

import json
import signal
import subprocess
import sys
import tarfile

import numpy as np
import pytest
import xgboost as xgb

from farero_monitor.clarify import job
from farero_monitor.clarify.models import ModelError

pytestmark = pytest.mark.journey
NAMES = ["price", "rooms", "size", "age"]
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
ROLE = "arn:aws:iam::123456789012:role/clarify"


@pytest.fixture(scope="module")
def prices(shared_platform, tmp_path_factory):
    """A regression model in the platform, its booster, and its data."""
    folder = tmp_path_factory.mktemp("prices")
    rng = np.random.default_rng(4)
    x = rng.normal(size=(300, 3)).round(3)
    y = 3 * x[:, 0] - x[:, 1] + 0.2 * x[:, 2] * x[:, 0]
    booster = xgb.train({"max_depth": 3}, xgb.DMatrix(x, y), 20)
    booster.save_model(folder / "model.ubj")
    with tarfile.open(folder / "model.tar.gz", "w:gz") as archive:
        archive.add(folder / "model.ubj", "model.ubj")
    owner = shared_platform.owner
    environ = shared_platform.client_env | {
        "AWS_ACCESS_KEY_ID": owner["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": owner["secret_access_key"],
    }
    client = shared_platform.client("s3")
    client.create_bucket(Bucket="clarify-models")
    client.upload_file(str(folder / "model.tar.gz"), "clarify-models", "model.tar.gz")
    client.upload_file(str(folder / "model.tar.gz"), "clarify-models", "gone.tar.gz")
    sagemaker = shared_platform.client("sagemaker")
    client.put_object(Bucket="clarify-models", Key="broken.tar.gz", Body=b"no archive")
    for name in ("model", "gone", "broken"):
        container = {"Image": IMAGE, "ModelDataUrl": f"s3://clarify-models/{name}.tar.gz"}
        sagemaker.create_model(
            ModelName=f"clarify-{name}", ExecutionRoleArn=ROLE, PrimaryContainer=container
        )
    client.delete_object(Bucket="clarify-models", Key="gone.tar.gz")
    return booster, x, y, environ


@pytest.fixture
def folder(prices, tmp_path):
    """A job's folder with the data of the model, and a function that writes its configuration."""
    _, x, y, environ = prices
    data, target = tmp_path / "processing/input/data", tmp_path / "processing/input/config"
    data.mkdir(parents=True)
    target.mkdir(parents=True)
    np.savetxt(
        data / "a.csv", np.column_stack([y, x]), "%.6g", ",", header=",".join(NAMES), comments=""
    )

    def write(predictor=None, **shap):
        told = {
            "dataset_type": "text/csv", "label": "price", "methods": {"shap": shap},
            "predictor": {"model_name": "clarify-model", "content_type": "text/csv", **(predictor or {})},
        }  # fmt: skip
        (target / "analysis_config.json").write_text(json.dumps(told))
        return environ | {"SAGEMAKER_BASE_DIR": str(tmp_path)}

    write.data = data / "a.csv"
    write.read = lambda: json.loads((tmp_path / "processing/output/analysis.json").read_text())
    return write


def _global(analysis):
    return analysis["explanations"]["kernel_shap"]["label0"]["global_shap_values"]


def _left(platform):
    return _of_jobs(platform.client("sagemaker"))


def _of_jobs(sagemaker):
    told = sagemaker.list_endpoints(NameContains="sm-clarify")
    return [one["EndpointName"] for one in told["Endpoints"] if one["EndpointStatus"] != "Deleting"]


def test_an_xgboost_model_is_explained_by_its_trees(prices, folder):
    booster, x, _, _ = prices

    job.run(folder(seed=1))

    held = booster.predict(xgb.DMatrix(x), pred_contribs=True)[:, :-1]
    found = _global(folder.read())
    assert [found[name] for name in NAMES[1:]] == pytest.approx(np.abs(held).mean(axis=0), rel=1e-4)


def test_kernel_and_trees_agree_on_the_order(shared_platform, folder):
    orders = []
    for method in ("tree", "kernel"):
        job.run(folder() | {"shap_method": method})
        found = _global(folder.read())
        orders.append(sorted(found, key=found.get))

    assert orders == [["age", "size", "rooms"]] * 2
    assert _left(shared_platform) == []


def test_a_baseline_in_s3_is_read(prices, shared_platform, folder):
    booster, *_ = prices
    shared_platform.client("s3").put_object(
        Bucket="clarify-models", Key="base.csv", Body=b"1,0,0\n-1,0,0\n"
    )

    job.run(folder(baseline="s3://clarify-models/base.csv"))

    expected = booster.predict(xgb.DMatrix(np.array([[1.0, 0, 0], [-1.0, 0, 0]]))).mean()
    label = folder.read()["explanations"]["kernel_shap"]["label0"]
    assert label["expected_value"] == pytest.approx(expected, abs=1e-5)


def test_a_model_that_fails_is_heard_in_its_own_words(prices, shared_platform, folder):
    _, x, y, _ = prices
    wide = np.column_stack([y, x, x[:, 0]])
    np.savetxt(folder.data, wide, "%.6g", ",", header=",".join([*NAMES, "extra"]), comments="")

    with pytest.raises(ModelError, match=r"failed: .*4 columns came, the model has 3 features"):
        job.run(folder())

    assert _left(shared_platform) == []


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("gone", r"Could not find model data at s3://clarify-models/gone\.tar\.gz"),
        ("broken", r"The endpoint for model clarify-broken failed: .*the archive is not gzip"),
    ],
)
def test_an_endpoint_that_does_not_start_says_why(shared_platform, folder, model, reason):
    with pytest.raises(ModelError, match=reason):
        job.run(folder({"model_name": f"clarify-{model}"}))

    assert _left(shared_platform) == []


def test_an_endpoint_that_is_not_there_is_named(folder):
    with pytest.raises(ModelError, match="no-such-endpoint"):
        job.run(folder({"model_name": "", "endpoint_name": "no-such-endpoint"}))


def test_a_job_that_is_stopped_removes_its_endpoint(shared_platform, folder):
    told = folder({"endpoint_name_prefix": "stopped-sm-clarify"}, num_clusters=200) | {
        "shap_method": "kernel"
    }
    sagemaker = shared_platform.client("sagemaker")  # made before: the job is soon done
    running = subprocess.Popen([sys.executable, "-m", "farero_monitor.clarify"], env=told)
    try:
        shared_platform.wait(lambda: _of_jobs(sagemaker), 60)
        running.send_signal(signal.SIGTERM)
        running.wait(60)
    finally:
        running.kill()
        running.wait()

    shared_platform.wait(lambda: not _left(shared_platform), 30)
    assert running.returncode == 128 + signal.SIGTERM


@pytest.mark.parametrize("capture", ["0", "100"])
def test_an_endpoint_that_captures_is_not_asked_itself(
    shared_platform, folder, caplog, tmp_path, capture
):
    name = f"clarify-live-{capture}"
    with tarfile.open(_archive(shared_platform, tmp_path)) as archive:
        archive.extract("model.ubj", tmp_path, filter="data")
    shared_platform.farero(
        "deploy", str(tmp_path / "model.ubj"), "--name", name,
        *(["--capture", capture] if capture != "0" else []),
    )  # fmt: skip
    caplog.set_level("INFO", "farero_monitor")

    job.run(folder({"model_name": "", "endpoint_name": name}) | {"shap_method": "kernel"})

    assert ("Starting endpoint sm-clarify" in caplog.text) is (capture != "0")
    assert min(_global(folder.read()).values()) > 0
    assert _left(shared_platform) == []
    shared_platform.farero("rm", "--yes", name)


def _archive(platform, folder):
    platform.client("s3").download_file("clarify-models", "model.tar.gz", str(folder / "m.tar.gz"))
    return folder / "m.tar.gz"


def test_attributions_in_another_order_violate(folder, tmp_path):
    shap = {"agg_method": "mean_abs"}
    environ = folder(**shap)
    told = json.loads((tmp_path / "processing/input/config/analysis_config.json").read_text())
    del told["label"]
    told |= {"headers": NAMES[1:]}
    (tmp_path / "processing/input/config/analysis_config.json").write_text(json.dumps(told))
    lines = folder.data.read_text().splitlines()
    folder.data.write_text("\n".join(line.partition(",")[2] for line in lines) + "\n")
    baseline = {"rooms": 0.01, "size": 0.02, "age": 2.0}
    held = {"label0": {"global_shap_values": baseline, "expected_value": 0.0}}
    (tmp_path / "base.json").write_text(json.dumps({"explanations": {"kernel_shap": held}}))

    message = job.run(environ | {
        "analysis_type": "MODEL_EXPLAINABILITY", "dataset_format": '{"csv":{"header":true}}',
        "dataset_source": str(folder.data), "baseline_constraints": str(tmp_path / "base.json"),
        "inference_attribute": "None", "publish_cloudwatch_metrics": "Enabled",
        "monitoring_input_type": "BATCH_TRANSFORM_INPUT", "sagemaker_monitoring_schedule_name": "s",
    })  # fmt: skip

    output = tmp_path / "processing/output"
    (violation,) = json.loads((output / "constraint_violations.json").read_text())["violations"]
    score = json.loads((output / "drift_report.json").read_text())["attributions"]["label0"]["ndcg"]
    assert message == "CompletedWithViolations: Job completed successfully with 1 violations."
    assert violation["description"] == f"Feature attribution drift {score} exceeds threshold 0.9"
    assert score < 0.6
    assert "The order of the features has changed" in (output / "report.html").read_text()


def test_bias_and_attributions_together_of_a_regression(prices, shared_platform, folder, tmp_path):
    booster, x, y, _ = prices
    environ = folder(baseline=[[0, 0, 0]])
    target = tmp_path / "processing/input/config/analysis_config.json"
    told = json.loads(target.read_text()) | {
        "label_values_or_threshold": [1.0],
        "facet": [{"name_or_index": "age", "value_or_threshold": [0.5]}],
    }
    told["methods"] |= {
        name: {"methods": "all"} for name in ("pre_training_bias", "post_training_bias")
    }
    target.write_text(json.dumps(told))

    job.run(environ)

    found = folder.read()
    said, old = booster.predict(xgb.DMatrix(x)) > 1.0, x[:, 2] > 0.5
    (group,) = found["post_training_bias_metrics"]["facets"]["age"]
    (before,) = found["pre_training_bias_metrics"]["facets"]["age"]
    after = {one["name"]: one["value"] for one in group["metrics"]}
    assert group["value_or_threshold"] == f"(0.5, {x[:, 2].max()}]"
    assert after["DPPL"] == pytest.approx(said[~old].mean() - said[old].mean())
    dpl = next(one["value"] for one in before["metrics"] if one["name"] == "DPL")
    assert dpl == pytest.approx((y > 1)[~old].mean() - (y > 1)[old].mean())
    assert set(_global(found)) == set(NAMES[1:])
    assert _left(shared_platform) == []
