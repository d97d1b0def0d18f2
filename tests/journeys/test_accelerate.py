"""`farero deploy --accelerate`: XGBoost and TorchScript by quicker engines, said where users look, by real clients."""

import json
import os
import runpy
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
import xgboost as xgb

pytestmark = pytest.mark.journey

ROWS = np.random.default_rng(4).normal(size=(40, 4)).astype(np.float32)
BODY = "\n".join(",".join(map(str, row)) for row in ROWS.tolist())


@pytest.fixture(scope="module")
def classifier():
    labels = (ROWS[:, 0] > 0).astype(int) + (ROWS[:, 1] > 0)
    return xgb.train(
        {"objective": "multi:softprob", "num_class": 3, "nthread": 1},
        xgb.DMatrix(ROWS, labels, nthread=1),
        20,
    )


@pytest.fixture(scope="module")
def model(classifier, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "quick.json"
    classifier.save_model(path)
    return path


def ask(shared_platform, endpoint):
    answer = shared_platform.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=endpoint, Body=BODY, ContentType="text/csv", Accept="text/csv"
    )
    return np.loadtxt(answer["Body"].read().decode().splitlines(), delimiter=",")


def resolved(described):
    return described["ProductionVariants"][0]["DeployedImages"][0]["ResolvedImage"]


def test_an_endpoint_is_accelerated_says_so_everywhere_and_can_go_back(
    shared_platform, classifier, model
):
    sagemaker = shared_platform.client("sagemaker")
    exact = classifier.predict(xgb.DMatrix(ROWS, nthread=1))

    deployed = shared_platform.farero("deploy", str(model), "--name", "quick-one", "--accelerate")
    quick = ask(shared_platform, "quick-one")
    shown = shared_platform.farero("show", "quick-one").stdout
    as_json = json.loads(shared_platform.farero("--json", "show", "quick-one").stdout)
    described = sagemaker.describe_endpoint(EndpointName="quick-one")
    tags = sagemaker.list_tags(ResourceArn=described["EndpointArn"])["Tags"]
    shared_platform.farero("deploy", str(model), "--name", "quick-one", "--update")
    plain = ask(shared_platform, "quick-one")
    after = sagemaker.describe_endpoint(EndpointName="quick-one")

    words = "parity proven on 20000 rows: the same leaf in each of 60 trees - sums bit for bit"
    assert "accelerated by leaf masks" in deployed.stdout
    assert words in " ".join(deployed.stdout.split())
    assert words in " ".join(shown.split())
    assert words in as_json["Engines"]["AllTraffic"]
    assert tags == [{"Key": "farero:engine:AllTraffic", "Value": as_json["Engines"]["AllTraffic"]}]
    assert "+leaf-masks-" in resolved(described)
    np.testing.assert_allclose(quick, exact, rtol=1e-6)
    assert plain.astype(np.float32).tolist() == exact.tolist()
    assert "+" not in resolved(after).partition(":")[2]
    assert sagemaker.list_tags(ResourceArn=after["EndpointArn"])["Tags"] == []


def test_a_model_that_cannot_be_converted_serves_and_says_why(shared_platform, tmp_path):
    data = xgb.DMatrix(ROWS, ROWS[:, 0], nthread=1)
    booster = xgb.train({"booster": "gblinear", "nthread": 1}, data, 3)
    booster.save_model(tmp_path / "straight.json")

    deployed = shared_platform.farero(
        "--json", "deploy", str(tmp_path / "straight.json"), "--name", "straight", "--accelerate"
    )

    told = json.loads(deployed.stdout)["engines"]
    assert told == {"AllTraffic": "not accelerated: the booster is gblinear - not trees"}
    found = ask(shared_platform, "straight")
    assert found.astype(np.float32).tolist() == booster.predict(data).tolist()
    shared_platform.wait(lambda: "gblinear, not trees" in shared_platform.farero("logs", "straight").stdout)  # fmt: skip


def test_boto3_asks_by_the_models_environment_and_kept_proofs_lie_beside_the_model(
    shared_platform, tmp_path
):
    """Trees of more than 64 leaves, which ONNX Runtime runs."""
    random = np.random.default_rng(9)
    rows = random.normal(size=(2000, 4)).astype(np.float32)
    data = xgb.DMatrix(rows, random.normal(size=2000), nthread=1)
    deep = xgb.train({"max_depth": 9, "nthread": 1}, data, 3)
    deep.save_model(tmp_path / "deep.json")
    sagemaker = shared_platform.client("sagemaker")
    shared_platform.farero("deploy", str(tmp_path / "deep.json"), "--name", "quick-base")
    base = sagemaker.describe_endpoint_config(
        EndpointConfigName=sagemaker.describe_endpoint(EndpointName="quick-base")[
            "EndpointConfigName"
        ]
    )["ProductionVariants"][0]["ModelName"]
    given = sagemaker.describe_model(ModelName=base)
    container = given["PrimaryContainer"] | {"Environment": {"FARERO_ACCELERATE": "onnx"}}
    names = {"ExecutionRoleArn": given["ExecutionRoleArn"], "ModelName": "quick-boto3"}
    sagemaker.create_model(**names, PrimaryContainer=container)
    variant = {
        "VariantName": "one", "ModelName": "quick-boto3", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1,
    }  # fmt: skip
    sagemaker.create_endpoint_config(EndpointConfigName="quick-boto3", ProductionVariants=[variant])

    sagemaker.create_endpoint(EndpointName="quick-boto3", EndpointConfigName="quick-boto3")
    sagemaker.get_waiter("endpoint_in_service").wait(
        EndpointName="quick-boto3", WaiterConfig={"Delay": 1, "MaxAttempts": 240}
    )

    assert "+onnxruntime-" in resolved(sagemaker.describe_endpoint(EndpointName="quick-boto3"))
    wanted = deep.predict(xgb.DMatrix(ROWS, nthread=1)).tolist()
    assert ask(shared_platform, "quick-boto3").astype(np.float32).tolist() == wanted
    kept = list(shared_platform.data_dir.glob("work/models/*.kept/*.proven"))
    assert kept
    assert all(path.stat().st_mode & 0o077 == 0 for path in {path.parent for path in kept})


def replica_of(shared_platform, endpoint):
    """Return the pid of its one replica, None while there is none."""
    found = shared_platform.control.call("list", prefix=f"endpoint/{endpoint}/")
    return next((one["pid"] for one in found if one["state"] == "running"), None)


def test_a_killed_replica_comes_back_by_its_kept_proof_without_xgboost(shared_platform, model):
    shared_platform.farero("deploy", str(model), "--name", "quick-again", "--accelerate")
    before = ask(shared_platform, "quick-again")
    killed = replica_of(shared_platform, "quick-again")

    os.kill(killed, signal.SIGKILL)
    new = shared_platform.wait(
        lambda: (pid := replica_of(shared_platform, "quick-again")) != killed and pid
    )
    body = BODY.splitlines()[0].encode()
    runtime = shared_platform.client("sagemaker-runtime")
    again = runtime.invoke_endpoint(
        EndpointName="quick-again", Body=body, ContentType="text/csv", Accept="text/csv"
    )["Body"].read()

    libraries = Path(f"/proc/{new}/maps").read_text(encoding="utf-8")
    assert "libxgboost" not in libraries
    assert "onnxruntime" not in libraries
    np.testing.assert_allclose([float(v) for v in again.split(b",")], before[0], rtol=1e-6)


@pytest.mark.parametrize("flag", ["--code", "--framework"])
def test_what_cannot_be_accelerated_is_refused_with_what_to_do(
    shared_platform, model, tmp_path, flag
):
    script = tmp_path / "inference.py"
    script.write_text("def model_fn(model_dir): ...\n", encoding="utf-8")
    value = {"--code": str(script), "--framework": "sklearn"}[flag]

    refused = shared_platform.farero(
        "deploy", str(model), "--name", "never", "--accelerate", flag, value, check=False
    )

    assert refused.returncode == 2
    assert "E-ACCELERATE" in refused.stderr
    assert "cannot be accelerated" in refused.stderr
    assert "fix:   leave --accelerate out" in refused.stderr


NETWORK = """
import sys, torch
nn = torch.nn
class Ecg(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv1d(3, 16, 5), nn.BatchNorm1d(16), nn.ReLU(), nn.MaxPool1d(2))
        self.memory, self.out = nn.LSTM(16, 8, batch_first=True), nn.Linear(8, 1)
    def forward(self, x):
        steps, _ = self.memory(self.layers(x.transpose(1, 2)).transpose(1, 2))
        return self.out(steps[:, -1])
torch.manual_seed(3)
torch.jit.script(Ecg().eval()).save(sys.argv[1])
"""
SIGNALS = np.random.default_rng(6).normal(size=(3, 200, 3)).astype(np.float32).tolist()


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """An ECG network as TorchScript, and a sample of its input beside it."""
    folder = tmp_path_factory.mktemp("network")
    (folder / "make.py").write_text(NETWORK)
    root = Path(__file__).resolve().parents[2]
    python = runpy.run_path(str(root / "scripts" / "torch_env.py"))["ensure"]()
    made = folder / "ecg.pt"
    subprocess.run([python, "-W", "ignore", folder / "make.py", made], check=True)
    sample = folder / "rows.json"
    sample.write_text(json.dumps({"signals": SIGNALS[:1]}))
    return made, sample


def signals_of(shared_platform, endpoint, rows):
    """What an endpoint answers to signals."""
    answer = shared_platform.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=endpoint, Body=json.dumps(rows), ContentType="application/json"
    )
    return json.loads(answer["Body"].read())


@pytest.mark.network
def test_a_torchscript_network_is_accelerated_with_a_sample_and_comes_back_without_pytorch(
    shared_platform, network
):
    made, sample = network
    shared_platform.farero("deploy", str(made), "--name", "ecg-plain")

    deployed = shared_platform.farero(
        "deploy", str(made), "--name", "ecg-quick", "--accelerate", "--sample", str(sample)
    )

    words = "parity proven on 22 batches of 1 to 7 rows of 200 x 3"
    assert words in " ".join(deployed.stdout.split())
    assert words in " ".join(shared_platform.farero("show", "ecg-quick").stdout.split())
    sagemaker = shared_platform.client("sagemaker")
    assert "+onnxruntime-1." in resolved(sagemaker.describe_endpoint(EndpointName="ecg-quick"))
    for rows in (SIGNALS, SIGNALS[:1], [one[:90] for one in SIGNALS]):
        wanted = signals_of(shared_platform, "ecg-plain", rows)
        found = signals_of(shared_platform, "ecg-quick", rows)
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)

    killed = replica_of(shared_platform, "ecg-quick")
    os.kill(killed, signal.SIGKILL)
    new = shared_platform.wait(
        lambda: (pid := replica_of(shared_platform, "ecg-quick")) != killed and pid
    )
    wanted = signals_of(shared_platform, "ecg-plain", SIGNALS)
    found = signals_of(shared_platform, "ecg-quick", SIGNALS)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    libraries = Path(f"/proc/{new}/maps").read_text(encoding="utf-8")
    assert "onnxruntime" in libraries
    assert "libtorch" not in libraries


@pytest.mark.network
def test_a_torchscript_network_without_a_sample_serves_and_says_what_to_add(
    shared_platform, network
):
    deployed = shared_platform.farero(
        "--json", "deploy", str(network[0]), "--name", "ecg-unknown", "--accelerate"
    )

    told = json.loads(deployed.stdout)["engines"]["AllTraffic"]
    assert told.startswith("not accelerated: there is no sample of its input deploy with --sample")
    assert len(signals_of(shared_platform, "ecg-unknown", SIGNALS)) == 3


def test_a_sample_cannot_be_added_to_a_model_in_s3(shared_platform, network):
    refused = shared_platform.farero(
        "deploy", "s3://bucket/model.tar.gz", "--name", "never", "--framework", "pytorch", "--accelerate",
        "--sample", str(network[1]), check=False,
    )  # fmt: skip

    assert refused.returncode == 2
    assert (
        "fix:   put sample.json, sample.csv or sample.npy into its model.tar.gz" in refused.stderr
    )
