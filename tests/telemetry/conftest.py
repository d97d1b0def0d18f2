import pytest

from farero.telemetry.logs import Logs
from farero.telemetry.ship import LogShipper


@pytest.fixture
def logs(store, clock):
    return Logs(store, clock)


@pytest.fixture
def shipper(store, clock):
    return LogShipper(store, clock)
