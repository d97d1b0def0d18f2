"""What both programs have: settings → seams → domain, made in the order in which things start."""

from __future__ import annotations

import fcntl
from typing import TYPE_CHECKING

from farero.base.clock import SystemClock
from farero.compute.local import LocalCompute
from farero.endpoints.router import RoutingStamp
from farero.identity.bootstrap import bootstrap
from farero.identity.credentials import Credentials
from farero.notify.events.publish import Events
from farero.notify.events.rules import Rules
from farero.notify.guard import Guard
from farero.notify.queues import Queues
from farero.notify.signing import Signer
from farero.notify.subscriptions import Subscriptions as Listeners
from farero.notify.topics import Topics
from farero.objects.local import LocalObjects
from farero.store import migrations
from farero.store.engine import Store
from farero.telemetry.alarms.anomaly import Bands
from farero.telemetry.alarms.keeper import Alarms
from farero.telemetry.filter_apply import MetricFilters
from farero.telemetry.insights.queries import QUERIES, Queries
from farero.telemetry.logs import Logs
from farero.telemetry.metrics.ingest import Metrics
from farero.telemetry.metrics.queries import MetricQueries
from farero.telemetry.subscriptions import Subscriptions
from farero.work.wake import TICK, poke

if TYPE_CHECKING:
    from farero.base.clock import Clock
    from farero.base.config import Settings
    from farero.compute.base import Compute


def prepare(settings: Settings, clock: Clock) -> None:
    """Make folders, schema, owner key, role and default bucket; once, whoever comes first."""
    for folder in (
        settings.data_dir, settings.run_dir, settings.run_dir / "r", settings.logs_dir,
        settings.spool_dir, settings.objects_dir, settings.work_dir, settings.envs_dir,
    ):  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (settings.run_dir / "prepare.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        app = App(settings, clock)
        for store in {app.store, app.telemetry}:
            migrations.upgrade(store)
        bootstrap(settings, app.store, clock)
        app.objects.ensure_bucket(f"sagemaker-{settings.region}-{settings.account}")
        app.close()


class App:
    """Everything one process needs, made in the order in which things start."""

    def __init__(self, settings: Settings, clock: Clock, compute: Compute | None = None) -> None:
        self.settings = settings
        self.clock = clock
        self.store = Store(settings.sql_url)
        self.telemetry = (
            self.store
            if settings.telemetry_url == settings.sql_url
            else Store(settings.telemetry_url, durable=False)
        )
        self.objects = LocalObjects(self.store, settings.objects_dir, clock, region=settings.region)
        self.compute = compute or LocalCompute(settings.run_dir / "supervisor.sock")
        self.stamp = RoutingStamp(settings.run_dir / "routing")
        self.metrics = Metrics(self.telemetry, clock)
        self.metric_queries = MetricQueries(self.metrics, Bands(self.store, clock).band)
        self.alarms = Alarms(self.store, clock, self.metrics, self.metric_queries, self.poke)
        self.filters = MetricFilters(self.telemetry, clock, self.metrics.put_within)
        self.logs = Logs(self.telemetry, clock, self.filters)
        self.queries = Queries(
            self.telemetry,
            clock,
            account=settings.account,
            poke=lambda: poke(settings.run_dir / "worker.sock", f"{TICK} {QUERIES}"),
        )
        self.subscriptions = Subscriptions(
            control=self.store,
            telemetry=self.telemetry,
            clock=clock,
            account=settings.account,
            poke=self.poke,
        )
        self.credentials = Credentials(self.store, clock, settings)
        self.guard = Guard(settings.notify_allow_hosts, (settings.port, settings.console_port))
        self.signer = Signer(settings.keys_dir, clock)
        self.topics = Topics(self.store, clock, settings, self.poke)
        self.listeners = Listeners(self.store, clock, settings, guard=self.guard, poke=self.poke)
        self.queues = Queues(self.store, clock, settings)
        self.events = Events(self.store, clock, settings, self.poke)
        self.rules = Rules(self.store, clock, settings, self.poke)

    def poke(self) -> None:
        """Wake the worker."""
        poke(self.settings.run_dir / "worker.sock")

    def close(self) -> None:
        """Give back what is held."""
        self.stamp.close()
        self.store.close()
        self.telemetry.close()


def system_app(settings: Settings) -> App:
    """Return the app of a real process: system clock, prepared data directory."""
    clock = SystemClock()
    prepare(settings, clock)
    return App(settings, clock)
