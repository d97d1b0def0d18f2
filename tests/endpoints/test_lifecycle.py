"""Endpoints from what was asked for to what runs, with real processes."""

import asyncio
import io
import json
import os
import shutil
import signal
import tarfile
from pathlib import Path

import pytest
from tests.conftest import PATIENCE

from farero.base.errors import Conflict, Invalid, NotFound
from farero.endpoints import upkeep
from farero.endpoints.proxy import Proxy

PREFIX = (
    "The primary container for production variant AllTraffic did not pass the ping health check."
)


def pids(domain, name="iris"):
    return {s.name: s.pid for s in domain.compute.list(f"endpoint/{name}/") if s.state == "running"}


def invoke(domain, body=b"name", name="iris", target=None, times=1):
    """Send requests as a gateway does and return the answers' bodies."""

    async def main():
        proxy = Proxy(clock=domain.clock)

        async def find():
            return domain.router.pick(await domain.router.get(name), target)

        try:
            return [(await proxy.invoke(name, find, {}, body))[1].body for _ in range(times)]
        finally:
            proxy.close()

    return asyncio.run(main())


def test_an_endpoint_comes_into_service_and_answers(domain, wait_status):
    domain.create(model={"MODEL_NAME": "one"})

    endpoint = wait_status("InService")

    (variant,) = endpoint.current.variants
    assert (variant.current_count, variant.current_weight) == (1, 1.0)
    assert variant.runs == "xgboost"
    assert endpoint.pending is None
    assert invoke(domain)[0].startswith(b"one ")


def test_its_environment_is_that_of_the_contract(domain, wait_status):
    domain.create(model={"SAGEMAKER_PROGRAM": "inference.py"})
    wait_status("InService")

    (pid,) = pids(domain).values()
    entries = Path(f"/proc/{pid}/environ").read_text().split("\0")
    environment = dict(entry.split("=", 1) for entry in entries if "=" in entry)

    (replica,) = domain.replicas()
    assert environment["FARERO_SOCKET"] == replica.socket_path
    assert environment["FARERO_FRAMEWORK"] == "xgboost"
    assert environment["FARERO_FRAMEWORK_VERSION"] == "1.7"
    assert environment["FARERO_IMAGE"].endswith("sagemaker-xgboost:1.7-1")
    assert environment["SAGEMAKER_PROGRAM"] == "inference.py"
    assert environment["AWS_ENDPOINT_URL"] == domain.settings.url
    assert Path(environment["SAGEMAKER_BASE_DIR"]).is_dir()


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (
            {
                "BEHAVIOUR": "report:"
                + json.dumps(
                    {
                        "cause": "E-IMPORT",
                        "message": "No module named 'lightgbm'",
                        "file": "code/inference.py",
                        "line": 3,
                    }
                )
            },
            "Cause E-IMPORT: code/inference.py line 3: No module named 'lightgbm'.",
        ),
        ({"BEHAVIOUR": "exit:3"}, "Cause E-EXIT: the model process exited with code 3"),
        ({"BEHAVIOUR": "signal:11"}, "Cause E-SEGFAULT: the model process crashed with SIGSEGV"),
    ],
    ids=[
        "a report fails at once",
        "an exit fails after five tries",
        "a crash fails after five tries",
    ],
)
def test_a_container_that_does_not_start_fails_with_its_cause(domain, wait_status, model, words):
    domain.create(model=model)

    endpoint = wait_status("Failed")

    assert endpoint.failure_reason.startswith(PREFIX)
    assert words in endpoint.failure_reason
    assert "Last log lines: program starts" in endpoint.failure_reason
    with pytest.raises(NotFound):
        invoke(domain)


def test_a_container_that_takes_long_to_die_at_each_start_fails_too(
    domain, wait_status, monkeypatch
):
    monkeypatch.setattr(upkeep, "DEATHS_WITHIN_S", 0.1)
    domain.create(model={"BEHAVIOUR": "exit:3"})

    endpoint = wait_status("Failed")

    assert "exited with code 3" in endpoint.failure_reason
    assert "(5 times within " in endpoint.failure_reason


def test_nothing_is_left_of_a_failed_endpoint_but_its_row(domain, wait_status, wait_for):
    domain.create(model={"BEHAVIOUR": 'report:{"cause":"E-MODEL-FN"}'})
    wait_status("Failed")

    wait_for(lambda: not domain.replicas())

    assert domain.compute.list("endpoint/iris/") == []


@pytest.mark.parametrize(
    ("model", "seconds", "cause"),
    [
        ({"BEHAVIOUR": "hang"}, 1, "E-PING-TIMEOUT"),
        ({"PING_STATUS": "503"}, 5, "E-PING-STATUS"),  # it has to listen by then
    ],
)
def test_a_container_that_is_not_healthy_in_time_fails(domain, wait_status, model, seconds, cause):
    changes = {"ContainerStartupHealthCheckTimeoutInSeconds": seconds}
    config = domain.config("c", ("AllTraffic", model, changes))
    domain.commands.create(domain.ctx, "iris", config)

    endpoint = wait_status("Failed")

    assert f"Cause {cause}: /ping " in endpoint.failure_reason


def test_a_container_that_becomes_ready_and_dies_again_and_again_is_a_crash_loop(
    domain, wait_status
):
    # The second variant keeps the endpoint from going into service meanwhile.
    config = domain.config(
        "c", ("AllTraffic", {"BEHAVIOUR": "die-after:1"}, {}), ("b", {"BEHAVIOUR": "hang"}, {})
    )
    domain.commands.create(domain.ctx, "iris", config)

    endpoint = wait_status("Failed", seconds=30)

    assert "Cause E-CRASH-LOOP: it died 5 times within " in endpoint.failure_reason
    assert "E-EXIT (the model process exited with code 7" in endpoint.failure_reason


@pytest.mark.parametrize("state", ["Creating", "InService", "Failed"])
def test_an_endpoint_can_be_deleted_in_any_state(domain, wait_for, wait_status, state):
    behaviour = {"Creating": "hang", "InService": "", "Failed": 'report:{"cause":"E-MODEL-FN"}'}[
        state
    ]
    domain.create(model={"BEHAVIOUR": behaviour})
    wait_status(state)

    domain.commands.delete(domain.ctx, "iris")

    with pytest.raises(NotFound):
        invoke(domain)
    wait_for(lambda: domain.get() is None)
    assert domain.replicas() == []
    assert list(domain.settings.work_dir.glob("replicas/*")) == []
    wait_for(lambda: domain.compute.list("endpoint/iris/") == [])


def test_a_deleted_name_can_be_used_again(domain, wait_for, wait_status):
    domain.create(model={"MODEL_NAME": "one"})
    wait_status("InService")
    domain.commands.delete(domain.ctx, "iris")
    wait_for(lambda: domain.get() is None)

    domain.commands.create(domain.ctx, "iris", domain.config("c2", model={"MODEL_NAME": "two"}))

    wait_status("InService")
    assert invoke(domain)[0].startswith(b"two ")


def test_a_replica_that_is_killed_comes_back_in_its_place(domain, wait_for, wait_status):
    domain.create()
    wait_status("InService")
    (before,) = pids(domain).values()

    os.kill(before, signal.SIGKILL)
    answer = invoke(domain)[0]

    assert int(answer.split()[1]) != before
    assert domain.get().status == "InService"


def test_a_crash_loop_backs_off_and_the_endpoint_stays_in_service(domain, wait_for, wait_status):
    domain.create()
    wait_status("InService")

    for count in range(1, 4):
        (pid,) = wait_for(lambda: list(pids(domain).values()))
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda count=count: len(domain.replicas()[0].deaths) == count)

    (replica,) = domain.replicas()
    assert (replica.start_after - replica.deaths[-1]).total_seconds() == pytest.approx(
        2.0, abs=0.01
    )
    assert domain.get().status == "InService"


def test_an_update_replaces_the_fleet_without_a_failed_request(domain, wait_status, wait_for):
    domain.create(model={"MODEL_NAME": "old"})
    wait_status("InService")
    config = domain.config("c2", model={"MODEL_NAME": "new"})
    answers = asyncio.run(
        _under_load(domain, lambda: domain.commands.update(domain.ctx, "iris", config), b"new")
    )

    names = [answer.split()[0] for answer in answers]
    assert set(names) == {b"old", b"new"}
    assert names == sorted(names, reverse=True)  # never back to the old one
    endpoint = domain.get()
    assert (endpoint.status, endpoint.current.config_name) == ("InService", "c2")
    wait_for(lambda: len(pids(domain)) == 1)


async def _under_load(domain, change, until):
    """Send requests all the while; return the answers once `until` was seen and the old fleet is gone."""
    proxy = Proxy(clock=domain.clock)
    answers = []

    async def find():
        return domain.router.pick(await domain.router.get("iris"))

    async def one():
        return (await proxy.invoke("iris", find, {}, b"name"))[1].body

    answers.append(await one())
    await asyncio.to_thread(change)
    deadline = domain.clock.monotonic() + PATIENCE * 20
    while domain.clock.monotonic() < deadline:
        answers.append(await one())
        if answers[-1].startswith(until) and len(pids(domain)) == 1:
            break
    proxy.close()
    return answers


def test_an_update_that_never_becomes_healthy_is_rolled_back(domain, wait_status, wait_for):
    domain.create(model={"MODEL_NAME": "old"})
    wait_status("InService")
    before = pids(domain)
    report = json.dumps({"cause": "E-MODEL-LOAD", "message": "bad model"})
    config = domain.config("c2", model={"BEHAVIOUR": f"report:{report}"})

    domain.commands.update(domain.ctx, "iris", config)
    wait_for(lambda: domain.get().failure_reason)
    endpoint = wait_status("InService")

    assert endpoint.current.config_name == "iris-config"
    assert "Cause E-MODEL-LOAD: bad model." in endpoint.failure_reason
    assert pids(domain) == before
    assert invoke(domain)[0].startswith(b"old ")
    assert len(domain.replicas()) == 1


def test_nothing_may_be_changed_while_a_change_is_under_way(domain, wait_status):
    domain.create(model={"BEHAVIOUR": "hang"})

    with pytest.raises(Conflict, match="Cannot update in-progress endpoint"):
        domain.commands.update(domain.ctx, "iris", "iris-config")


def test_a_failed_endpoint_can_only_be_deleted(domain, wait_status):
    domain.create(model={"BEHAVIOUR": 'report:{"cause":"E-MODEL-FN"}'})
    wait_status("Failed")

    with pytest.raises(Invalid, match="can only be deleted"):
        domain.commands.update(domain.ctx, "iris", "iris-config")


def test_more_instances_share_the_load_and_fewer_end(domain, wait_status, wait_for):
    domain.create()
    wait_status("InService")

    wish = {"VariantName": "AllTraffic", "DesiredInstanceCount": 3}
    assert domain.commands.update_weights(domain.ctx, "iris", [wish]).status == "Updating"
    endpoint = wait_status("InService")
    assert endpoint.current.variants[0].current_count == 3
    wait_for(
        lambda: len(set(invoke(domain, times=30))) == 3
    )  # each try connects anew, one after the other

    domain.commands.update_weights(domain.ctx, "iris", [wish | {"DesiredInstanceCount": 1}])
    wait_status("InService")
    wait_for(lambda: len(pids(domain)) == 1)
    assert len(set(invoke(domain, times=5))) == 1


def test_weights_and_targets_route_between_variants(domain, wait_status):
    config = domain.config(
        "c",
        ("a", {"MODEL_NAME": "a"}, {"InitialVariantWeight": 1.0}),
        ("b", {"MODEL_NAME": "b"}, {"InitialVariantWeight": 0.0}),
    )
    domain.commands.create(domain.ctx, "iris", config)
    wait_status("InService")

    assert {answer.split()[0] for answer in invoke(domain, times=10)} == {b"a"}
    assert invoke(domain, target="b")[0].startswith(b"b ")

    wishes = [{"VariantName": "a", "DesiredWeight": 0}, {"VariantName": "b", "DesiredWeight": 2}]
    domain.commands.update_weights(domain.ctx, "iris", wishes)
    wait_status("InService")
    assert {answer.split()[0] for answer in invoke(domain, times=10)} == {b"b"}


def test_a_new_worker_goes_on_where_the_old_one_stopped(domain, wait_status):
    domain.stop_worker()
    domain.create()
    domain.start_worker()

    wait_status("InService")


def test_replicas_lost_with_the_platform_come_back(domain, wait_status, wait_for):
    domain.create(model={"MODEL_NAME": "one"})
    wait_status("InService")
    domain.stop_worker()
    for name in pids(domain):
        domain.compute.stop(name, grace_s=0)
    wait_for(lambda: not pids(domain))
    for status in domain.compute.list("endpoint/"):
        domain.compute.forget(status.name)

    domain.start_worker()

    assert invoke(domain)[0].startswith(b"one ")
    assert domain.replicas()[0].deaths == ()


def test_a_serverless_variant_is_one_replica_with_its_memory_limit(domain, wait_status):
    changes = {"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 2}}
    config = domain.config("c", ("AllTraffic", {}, changes))
    domain.commands.create(domain.ctx, "iris", config)

    endpoint = wait_status("InService")

    assert len(pids(domain)) == 1
    assert endpoint.current.variants[0].serverless == changes["ServerlessConfig"]


def test_model_data_that_changed_since_the_model_was_created_is_refused(domain, wait_status):
    domain.objects.put("bucket", "model.tar.gz", b"the first")
    container = {"Image": "xgboost:latest", "ModelDataUrl": "s3://bucket/model.tar.gz"}
    domain.definitions.create_model(domain.ctx, "m", {"PrimaryContainer": container})
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": "m",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    domain.definitions.create_config(domain.ctx, "c", {"ProductionVariants": [variant]})
    domain.objects.put("bucket", "model.tar.gz", b"another")

    domain.commands.create(domain.ctx, "iris", "c")

    assert (
        "Cause E-INTEGRITY: s3://bucket/model.tar.gz has changed"
        in wait_status("Failed").failure_reason
    )


def test_model_data_that_is_not_there_is_refused_with_aws_words(domain):
    container = {"Image": "xgboost:latest", "ModelDataUrl": "s3://bucket/nothing.tar.gz"}

    with pytest.raises(
        Invalid, match=r"^Could not find model data at s3://bucket/nothing\.tar\.gz\.$"
    ):
        domain.definitions.create_model(domain.ctx, "m", {"PrimaryContainer": container})


def test_a_folder_of_files_is_served_as_the_model(domain, wait_status):
    domain.objects.put("bucket", "model/code/inference.py", b"x = 1")
    domain.objects.put("bucket", "model/xgboost-model", b"{}")
    source = {"S3Uri": "s3://bucket/model/", "S3DataType": "S3Prefix", "CompressionType": "None"}
    container = {"Image": "xgboost:latest", "ModelDataSource": {"S3DataSource": source}}
    domain.definitions.create_model(domain.ctx, "m", {"PrimaryContainer": container})
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": "m",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    domain.definitions.create_config(domain.ctx, "c", {"ProductionVariants": [variant]})
    domain.commands.create(domain.ctx, "iris", "c")
    wait_status("InService")

    (replica,) = domain.replicas()
    model = domain.settings.work_dir / "replicas" / replica.id / "model"

    assert (model / "code" / "inference.py").read_text() == "x = 1"
    assert (model / "xgboost-model").read_bytes() == b"{}"


def serve_an_archive(domain):
    """Create the endpoint "iris" of a model in the bucket; return its configuration."""
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("model.json"))
    domain.objects.put("bucket", "model.tar.gz", body.getvalue())
    config = domain.config("c", data="s3://bucket/model.tar.gz")
    domain.commands.create(domain.ctx, "iris", config)
    return config


def test_a_model_whose_files_were_swept_is_fetched_again(domain, wait_status, wait_for):
    config = serve_an_archive(domain)
    wait_status("InService")
    models = domain.settings.work_dir / "models"
    (folder,) = models.iterdir()
    os.utime(folder, (0, 0))

    domain.lifecycle.sweep()
    assert [*models.iterdir()] == [folder]  # a replica looks into it

    domain.commands.delete(domain.ctx, "iris")
    wait_for(lambda: domain.replicas() == [] and domain.get() is None)
    os.utime(folder, (0, 0))
    domain.lifecycle.sweep()
    assert [*models.iterdir()] == []

    domain.commands.create(domain.ctx, "iris", config)
    wait_status("InService")
    assert (folder / "model.json").is_file()


def test_the_log_of_a_replica_stays_for_a_week_after_its_end(domain, wait_status, wait_for):
    domain.create()
    wait_status("InService")
    (path,) = domain.settings.logs_dir.glob("endpoints/iris/*.log")
    path.write_text("words\n")
    os.utime(path, (0, 0))

    domain.lifecycle.sweep()
    while_it_runs = path.exists()
    domain.commands.delete(domain.ctx, "iris")
    wait_for(lambda: domain.get() is None)
    path.touch()
    domain.lifecycle.sweep()
    soon_after = path.exists()
    os.utime(path, (0, 0))
    domain.lifecycle.sweep()

    assert (while_it_runs, soon_after, path.exists()) == (True, True, False)


def test_a_model_whose_files_have_gone_is_fetched_again(domain, wait_status, wait_for):
    config = serve_an_archive(domain)
    wait_status("InService")
    domain.commands.delete(domain.ctx, "iris")
    wait_for(lambda: domain.get() is None)
    (folder,) = (domain.settings.work_dir / "models").iterdir()
    shutil.rmtree(folder)

    domain.commands.create(domain.ctx, "iris", config)
    wait_status("InService")

    assert (folder / "model.json").is_file()
