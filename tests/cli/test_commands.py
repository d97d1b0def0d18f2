"""The `farero` command as a person meets it."""

import json
import subprocess

import numpy as np
import pytest
import xgboost as xgb

from farero.cli.main import common_first


@pytest.fixture
def model(tmp_path):
    """A model file."""
    rows = np.random.default_rng(3).random((100, 4), dtype=np.float32)
    path = tmp_path / "prices.ubj"
    xgb.train({"max_depth": 2}, xgb.DMatrix(rows, rows.sum(axis=1)), 10).save_model(path)
    return path


@pytest.mark.parametrize(
    ("given", "sorted_"),
    [
        (["ls", "--json"], ["--json", "ls"]),
        (
            ["show", "x", "--region", "eu-west-1", "-q"],
            ["--region", "eu-west-1", "-q", "show", "x"],
        ),
        (["run", "a.py", "--json"], ["run", "a.py", "--json"]),
        (["--json", "run", "x", "-y"], ["--json", "run", "x", "-y"]),
        (["ls", "--", "--json"], ["ls", "--", "--json"]),
        (["ls", "--region=a"], ["--region=a", "ls"]),
    ],
)
def test_common_flags_may_stand_anywhere(given, sorted_):
    assert common_first(given) == sorted_


def test_what_needs_a_running_farero_says_how_to_start_it(tmp_path, platform):
    platform.farero("down")

    for command in (["ls"], ["status"], ["invoke", "x", "-d", "1"], ["capture", "tail", "x"]):
        done = platform.farero(*command, check=False)
        assert done.returncode == 3, command
        assert done.stderr.startswith("E-NOT-RUNNING  "), command
        assert "fix:   farero up -d" in done.stderr, command


def test_a_second_start_finds_the_first_and_a_busy_port_names_its_holder(platform, tmp_path):
    again = platform.farero("up", "-d")
    other = subprocess.run(
        ["farero", "up", "-d", "--data-dir", str(tmp_path / "other")],
        env=platform.env, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip

    assert "already running" in again.stdout
    assert other.returncode == 1
    assert str(platform.port) in other.stderr
    assert str(platform.control.info()["pid"]) in other.stderr


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("bash", "export AWS_PROFILE=farero"),
        ("fish", "set -gx AWS_PROFILE farero;"),
        ("powershell", "$env:AWS_PROFILE = 'farero'"),
    ],
)
def test_env_speaks_every_shell(shared_platform, shell, line):
    assert line in shared_platform.farero("env", "--shell", shell).stdout.splitlines()


def test_env_of_bash_makes_boto3_reach_farero(shared_platform):
    code = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"
    script = f'eval "$(farero env)" && python -c "{code}"'

    done = subprocess.run(
        ["bash", "-euc", script],
        env=shared_platform.env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.stdout.strip().endswith(
        ":assumed-role/AmazonSageMaker-ExecutionRole-farero/owner"
    ), done.stderr


def test_run_gives_back_the_exit_code_of_the_script(shared_platform, tmp_path):
    (tmp_path / "a.py").write_text(
        "import os, sys\nprint(os.environ['AWS_PROFILE'], *sys.argv[1:])\nsys.exit(7)\n"
    )

    done = shared_platform.farero("run", str(tmp_path / "a.py"), "--json", "x", check=False)

    assert (done.returncode, done.stdout.strip()) == (7, "farero --json x")


def test_a_model_file_becomes_an_endpoint_and_goes_again(shared_platform, model):
    def not_shown():
        done = shared_platform.farero("show", "prices", check=False)
        return done if done.returncode else None

    deployed = shared_platform.farero("deploy", str(model), "--capture", "100")
    answer = shared_platform.farero("invoke", "prices", "-d", "0.1,0.2,0.3,0.4")
    as_json = json.loads(
        shared_platform.farero("invoke", "prices", "-d", "[0.1,0.2,0.3,0.4]", "--json").stdout
    )
    listed = json.loads(shared_platform.farero("ls", "--json").stdout)
    long = "prices-with-a-name-that-is-longer-than-its-column"
    shared_platform.farero("deploy", str(model), "--name", long)
    rows = shared_platform.farero("ls").stdout.splitlines()
    shared_platform.farero("rm", long, "--yes")
    shown = shared_platform.farero("show", "prices").stdout
    refused = shared_platform.farero("deploy", str(model), check=False)
    updated = shared_platform.farero("deploy", str(model), "--update")
    tail = shared_platform.farero("capture", "tail", "prices", "--no-follow").stdout
    logs = shared_platform.farero("logs", "prices").stdout
    removed = shared_platform.farero("rm", "prices", "--yes").stdout
    gone = shared_platform.wait(not_shown)  # it is Deleting until its replicas have ended

    assert "is InService after" in deployed.stdout
    assert float(answer.stdout) == json.loads(as_json["body"])["predictions"][0]["score"]
    assert ("prices", "InService") in [
        (e["EndpointName"], e["EndpointStatus"]) for e in listed["endpoints"]
    ]
    assert any(row.startswith(f"{long} ") and "InService" in row for row in rows)
    assert "capturing 100 % of requests (Started)" in shown
    assert (refused.returncode, refused.stderr.startswith("E-EXISTS  ")) == (1, True)
    assert "is InService after" in updated.stdout
    assert "0.1,0.2,0.3,0.4  ->  " in tail
    assert "serving XGBoost" in logs
    assert "deleted endpoint prices" in removed
    assert (gone.returncode, "Could not find endpoint" in gone.stderr) == (1, True)


def test_a_deployment_that_fails_says_why_and_what_to_do(shared_platform, model, tmp_path):
    (tmp_path / "inference.py").write_text("import nowhere_to_be_found\n")

    done = shared_platform.farero(
        "deploy",
        str(model),
        "--name",
        "broken",
        "--code",
        str(tmp_path / "inference.py"),
        check=False,
    )
    shared_platform.farero("rm", "broken", "--yes")

    assert done.returncode == 1
    assert (
        "Cause E-IMPORT: code/inference.py line 1: No module named 'nowhere_to_be_found'"
        in done.stderr
    )
    assert "fix:   farero logs broken" in done.stderr


def test_an_archive_is_packed_and_inspected(shared_platform, model, tmp_path):
    out = tmp_path / "model.tar.gz"

    packed = shared_platform.farero("pack", str(model), "-o", str(out))
    inspected = shared_platform.farero("inspect", str(out))
    missing = shared_platform.farero("inspect", str(tmp_path / "none.tar.gz"), check=False)

    assert "next: farero deploy" in packed.stdout
    assert "a model file: prices.ubj" in inspected.stdout
    assert (missing.returncode, missing.stderr.startswith("E-FILE  ")) == (2, True)


def test_try_tells_the_whole_story(shared_platform):
    done = shared_platform.farero("try")
    data = json.loads(shared_platform.farero("try", "--json").stdout)

    for words in ("train XGBoost", "->  setosa", "->  versicolor", "->  virginica", "for real."):
        assert words in done.stdout
    assert (data["captured"], len(data["predictions"])) == (3, 3)


def test_status_and_doctor_find_all_well(shared_platform):
    status = json.loads(shared_platform.farero("status", "--json").stdout)
    doctor = json.loads(shared_platform.farero("doctor", "--json").stdout)

    assert status["supervisor"]["ready"] is True
    assert {check["check"] for check in doctor} >= {
        "python",
        "data directory",
        "owner key",
        "running",
    }
    assert all(check["ok"] for check in doctor)


def test_wrong_usage_is_exit_code_2(shared_platform):
    assert shared_platform.farero("no-such-command", check=False).returncode == 2
    assert shared_platform.farero("deploy", check=False).returncode == 2
    assert shared_platform.farero("logs", "x", "--since", "soon", check=False).returncode in (1, 2)


def test_nothing_is_left_after_down(platform):
    import psutil

    pids = [p["pid"] for p in platform.control.info()["processes"]] + [
        platform.control.info()["pid"]
    ]

    platform.farero("down")

    # What has ended waits as a zombie until whoever adopted it looks.
    alive = [
        p.pid for p in psutil.process_iter(["status"]) if p.info["status"] != psutil.STATUS_ZOMBIE
    ]
    assert set(pids) & set(alive) == set()
    assert list((platform.data_dir / "run").glob("*.sock")) == []


def test_a_script_of_any_name_is_deployed(shared_platform, tmp_path):
    (tmp_path / "model.txt").write_text("7")
    (tmp_path / "my_handlers.py").write_text(
        "def model_fn(folder):\n    return int(open(folder + '/model.txt').read())\n"
        "def input_fn(body, kind):\n    return float(body)\n"
        "def predict_fn(data, model):\n    return data * model\n"
        "def output_fn(found, accept):\n    return str(found)\n"
    )
    shared_platform.farero(
        "deploy", str(tmp_path / "model.txt"), "--name", "by-script", "--framework", "sklearn",
        "--code", str(tmp_path / "my_handlers.py"),
    )  # fmt: skip
    assert shared_platform.farero("invoke", "by-script", "-d", "6").stdout.strip().startswith("42")
    shared_platform.farero("rm", "by-script", "--yes")


def test_a_serverless_endpoint_by_one_command(shared_platform, model):
    options = ["--serverless", "--memory", "1024", "--max-concurrency", "3", "--provisioned", "1"]
    shared_platform.farero("deploy", str(model), "--name", "on-demand", *options)

    assert float(shared_platform.farero("invoke", "on-demand", "-d", "1,2,3,4").stdout) > 0
    shown = json.loads(shared_platform.farero("--json", "show", "on-demand").stdout)
    assert shown["ProductionVariants"][0]["CurrentServerlessConfig"] == {
        "MemorySizeInMB": 1024, "MaxConcurrency": 3, "ProvisionedConcurrency": 1,
    }  # fmt: skip
    shared_platform.farero("rm", "on-demand", "--yes")


def test_only_serverless_endpoints_have_a_provisioned_concurrency(shared_platform, model):
    done = shared_platform.farero("deploy", str(model), "--provisioned", "1", check=False)

    assert done.returncode == 2
    assert "fix:   add --serverless, or give --workers instead" in done.stderr
