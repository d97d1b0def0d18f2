"""A rolling update that fails between two batches, with real processes: what is left of the old fleet is made whole."""

import json

import pytest

BAD = "report:" + json.dumps({"cause": "E-MODEL-LOAD", "message": "bad model"})
ROLLING = {
    "RollingUpdatePolicy": {
        "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 50},
        "WaitIntervalInSeconds": 1,
    }
}


@pytest.fixture
def half_way(domain, tmp_path, wait_for, wait_status):
    """A function that has half of a fleet of two updated; how the other half and the old model start then: by files."""

    def update():
        two = {"InitialInstanceCount": 2}
        models = {
            name: {"MODEL_NAME": name, "BEHAVIOUR": BAD, "WHEN": str(tmp_path / f"{name} fails")}
            for name in ("old", "new")
        }
        config = domain.config("c1", ("AllTraffic", models["old"], two))
        domain.commands.create(domain.ctx, "iris", config)
        wait_status("InService")
        config = domain.config("c2", ("AllTraffic", models["new"], two))
        domain.commands.update(domain.ctx, "iris", config, deployment=ROLLING)
        wait_for(lambda: domain.get().pending.share == 0.5)
        assert len(domain.replicas()) == 3

    return update


def generations(domain):
    return sorted((one.generation, one.state.value) for one in domain.replicas())


def test_a_batch_that_does_not_start_is_taken_back_and_the_old_fleet_made_whole(
    domain, tmp_path, half_way, wait_for, wait_status
):
    half_way()

    (tmp_path / "new fails").touch()
    wait_for(lambda: domain.get().status == "RollingBack")
    endpoint = wait_status("InService")

    assert "Cause E-MODEL-LOAD: bad model." in endpoint.failure_reason
    assert (endpoint.current.config_name, endpoint.pending, endpoint.current.part) == (
        "c1",
        None,
        1,
    )
    assert generations(domain) == [(1, "ready"), (1, "ready")]


def test_an_old_fleet_that_does_not_start_again_serves_with_what_is_left_of_it(
    domain, tmp_path, half_way, wait_for, wait_status
):
    half_way()

    (tmp_path / "old fails").touch()
    (tmp_path / "new fails").touch()
    wait_for(lambda: domain.get().status == "RollingBack")
    endpoint = wait_status("InService")

    assert endpoint.failure_reason.count("Cause E-MODEL-LOAD: bad model.") == 2
    assert (endpoint.current.config_name, endpoint.pending) == ("c1", None)
    assert (1, "ready") in generations(domain)
    (tmp_path / "old fails").unlink()
    wait_for(lambda: generations(domain) == [(1, "ready"), (1, "ready")])


def test_a_platform_that_starts_anew_half_way_goes_on(domain, half_way, wait_for, wait_status):
    half_way()

    domain.stop_worker()
    domain.start_worker()
    endpoint = wait_status("InService")

    assert (endpoint.current.config_name, endpoint.failure_reason) == ("c2", None)
    wait_for(lambda: generations(domain) == [(2, "ready"), (2, "ready")])
