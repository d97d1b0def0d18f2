import pytest

from farero.aws.services.logs import CloudWatchLogs
from farero.aws.services.logs.tail import LiveTail
from farero.telemetry.filter_apply import MetricFilters
from farero.telemetry.insights.queries import Queries
from farero.telemetry.logs import Logs
from farero.telemetry.subscriptions import Subscriptions

GROUP = "/aws/sagemaker/Endpoints/iris"


@pytest.fixture
def counted():
    """Every datum that a metric filter has put."""
    return []


@pytest.fixture
def filters(store, clock, counted):
    return MetricFilters(store, clock, lambda _, data: counted.extend(data))


@pytest.fixture
def domain(store, clock, filters):
    return Logs(store, clock, filters)


@pytest.fixture
def queries(store, clock):
    return Queries(store, clock, account="123456789012")


@pytest.fixture
def subscriptions(store, clock):
    return Subscriptions(control=store, telemetry=store, clock=clock, account="123456789012")


@pytest.fixture
def logs(domain, filters, subscriptions, queries, store, clock, client_of):
    tail = LiveTail(store, clock)
    return client_of(CloudWatchLogs(domain, filters, subscriptions, queries, tail))


@pytest.fixture
def now_ms(clock):
    return int(clock.now().timestamp() * 1000)


@pytest.fixture
def stream(logs):
    """A group with one empty stream."""
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName="s")
    return {"logGroupName": GROUP, "logStreamName": "s"}
