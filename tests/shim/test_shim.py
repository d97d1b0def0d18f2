"""The start-up hook, seen from child processes: plain Python, boto3, and the real SDKs."""

import json
import os
import subprocess
import sys

import pytest

from farero.shim import shim_dir

URL = "http://127.0.0.1:4747"


def run(program, *, python=sys.executable, paths=(), cwd=None, **environ):
    """Run a program with the shim on PYTHONPATH; return its last line, which is JSON."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "FARERO_", "PYTHON"))}
    env = {
        **kept,
        "PYTHONPATH": os.pathsep.join([str(shim_dir()), *map(str, paths)]),
        "AWS_ACCESS_KEY_ID": "AKIATEST",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        **environ,
    }
    done = subprocess.run(
        [str(python), "-c", program], env=env, cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


IS_ON = """
import json, sys
print(json.dumps(any(getattr(f, "__module__", "") == "sitecustomize" for f in sys.meta_path)))
"""


@pytest.mark.parametrize(
    ("environ", "is_on"),
    [
        ({"AWS_ENDPOINT_URL": URL}, True),
        ({"AWS_ENDPOINT_URL": "http://localhost:4747/"}, True),
        ({"AWS_ENDPOINT_URL": "http://[::1]:4747"}, True),
        ({"AWS_ENDPOINT_URL_STS": URL}, True),
        ({}, False),
        ({"AWS_ENDPOINT_URL": URL, "FARERO_SHIM": "0"}, False),
        ({"AWS_ENDPOINT_URL": "https://sagemaker.us-east-1.amazonaws.com"}, False),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1@example.com"}, False),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1.example.com"}, False),
    ],
)
def test_acts_only_when_the_endpoint_is_on_this_machine(environ, is_on):
    assert run(IS_ON, **environ) is is_on


def test_start_imports_nothing():
    program = "import sys, json; names = sorted(sys.modules); print(json.dumps(names))"

    with_shim = run(program, AWS_ENDPOINT_URL=URL)
    without = run(program, AWS_ENDPOINT_URL="")
    bare = run(program, PYTHONPATH="")

    assert set(with_shim) - set(bare) == {"sitecustomize"}
    assert set(without) - set(bare) == {"sitecustomize"}


CLIENTS = """
import boto3, json
def url(service, **more):
    return boto3.client(service, **more).meta.endpoint_url
waiter = boto3.client("sagemaker").get_waiter("endpoint_in_service").config
print(json.dumps({
    "sts": url("sts", endpoint_url="https://sts.us-east-1.amazonaws.com"),
    "sts of China": url("sts", endpoint_url="https://sts.cn-north-1.amazonaws.com.cn/"),
    "another sts": url("sts", endpoint_url="https://sts.example.com"),
    "s3": url("s3", endpoint_url="https://s3.us-east-1.amazonaws.com"),
    "waiter": [waiter.delay, waiter.max_attempts],
}))
"""


def test_named_sts_host_gives_way_and_waiters_look_every_second():
    assert run(CLIENTS, AWS_ENDPOINT_URL=URL) == {
        "sts": URL,
        "sts of China": URL,
        "another sts": "https://sts.example.com",
        "s3": "https://s3.us-east-1.amazonaws.com",
        "waiter": [1.0, 3600],
    }


def test_switched_off_everything_is_as_ever():
    found = run(CLIENTS, AWS_ENDPOINT_URL=URL, FARERO_SHIM="0")

    assert found["sts"] == "https://sts.us-east-1.amazonaws.com"
    assert found["waiter"] == [30, 120]


def test_hidden_sitecustomize_runs_too(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("NAME = 'mine'\n")

    found = run(
        "import json, sitecustomize, sys; sys.stdout.write(json.dumps(sitecustomize.NAME))",
        paths=[tmp_path],
        AWS_ENDPOINT_URL=URL,
    )

    assert found == "mine"


@pytest.fixture
def lookalike(tmp_path):
    """A package by the SDK's name whose modules are shaped as the SDK's are."""
    package = tmp_path / "sagemaker"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "session.py").write_text(
        "import time\n"
        "def wait(): time.sleep(9000)\n"
        "def retries(): time.sleep(0.05)\n"
        "def _send_telemetry_request(url): raise SystemExit(url)\n"
        "def follow():\n"
        "    last_describe_job_call = time.time()\n"
        "    return time.time() - last_describe_job_call >= 30\n"
        "def limit(): return 30\n"
    )
    (package / "other.py").write_text("time = 'mine'\n")
    return tmp_path


def test_pauses_are_short_and_telemetry_is_not_sent(lookalike):
    program = """
import inspect, json, time
from sagemaker import other, session
class Clock:
    slept = []
    sleep = slept.append
session.time._module = Clock
session.wait()
session._send_telemetry_request("https://example.com")
print(json.dumps({
    "slept": Clock.slept,
    "looks": session.follow.__code__.co_consts[1],
    "others": [session.limit(), other.time],
    "real": time.sleep.__name__,
    "source": inspect.getsource(session).count("def "),
    "loader": type(session.__spec__.loader).__name__,
}))
"""

    assert run(program, paths=[lookalike], AWS_ENDPOINT_URL=URL) == {
        "slept": [1.0],
        "looks": 1,
        "others": [30, "mine"],
        "real": "sleep",
        "source": 5,
        "loader": "SourceFileLoader",
    }


def test_counted_tries_keep_their_pauses(lookalike):
    program = """
import json
from sagemaker import session
class Clock:
    slept = []
    sleep = slept.append
session.time._module = Clock
session.retries()
print(json.dumps(Clock.slept))
"""

    assert run(program, paths=[lookalike], AWS_ENDPOINT_URL=URL) == [0.05]


SDK_2 = """
import inspect, json, logging
import sagemaker.session as session, sagemaker.telemetry.telemetry_logging as telemetry
from sagemaker.serve.utils import telemetry_logger
follow = session._logs_for_job.__code__.co_consts
methods = [session.Session.logs_for_processing_job, session.Session.logs_for_transform_job]
print(json.dumps({
    "time": type(session.time).__name__,
    "thirty": [30 in follow, *[30 in m.__code__.co_consts for m in methods]],
    "telemetry": [telemetry._send_telemetry_request.__name__, telemetry_logger._send_telemetry.__name__],
}))
"""
SDK_3 = """
import json
import sagemaker.core.resources as resources, sagemaker.core.helper.session_helper as helper
import sagemaker.core.telemetry.telemetry_logging as telemetry
import sagemaker.core.processing as processing
print(json.dumps({
    "time": type(resources.time).__name__,
    "thirty": [30 in helper._logs_for_job.__code__.co_consts, 30 in processing.logs_for_processing_job.__code__.co_consts],
    "telemetry": [telemetry._send_telemetry_request.__name__, telemetry._emit_failure_telemetry.__name__],
}))
"""


@pytest.mark.network
@pytest.mark.parametrize(
    ("name", "program"), [("sdk2", SDK_2), ("sdk3", SDK_3)], ids=["2.x", "3.x"]
)
def test_real_sdk_is_changed_where_it_must_be(client_python, tmp_path, name, program):
    found = run(program, python=client_python(name), cwd=tmp_path, AWS_ENDPOINT_URL=URL)

    assert found["time"] == "Time"
    assert not any(found["thirty"])
    assert set(found["telemetry"]) == {"send_nothing"}


ROLE_2 = "import sagemaker; s = sagemaker.Session(); role = sagemaker.get_execution_role(s)"
ROLE_3 = (
    "from sagemaker.core.helper.session_helper import Session, get_execution_role;"
    "s = Session(); role = get_execution_role(s)"
)


@pytest.mark.network
@pytest.mark.journey
@pytest.mark.parametrize(
    ("name", "program"), [("sdk2", ROLE_2), ("sdk3", ROLE_3)], ids=["2.x", "3.x"]
)
def test_real_sdk_finds_role_and_bucket(client_python, shared_platform, tmp_path, name, program):
    tail = "; import json; print(json.dumps([role, s.default_bucket(), s.account_id()]))"
    environ = {
        k: v for k, v in shared_platform.client_env.items() if k.startswith(("AWS_", "FARERO_"))
    }
    keys = {"AWS_ACCESS_KEY_ID": shared_platform.owner["access_key_id"]}
    keys["AWS_SECRET_ACCESS_KEY"] = shared_platform.owner["secret_access_key"]

    found = run(program + tail, python=client_python(name), cwd=tmp_path, **environ | keys)

    assert found == [
        "arn:aws:iam::123456789012:role/AmazonSageMaker-ExecutionRole-farero",
        "sagemaker-us-east-1-123456789012",
        "123456789012",
    ]
