"""The composition root: settings → seams → domain → rooms → gateway and worker. The only file that wires."""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import inspect
from typing import TYPE_CHECKING, Any

from farero.aws.services.cloudwatch import CloudWatch
from farero.aws.services.cloudwatch.alarms import AlarmFamily
from farero.aws.services.cloudwatch.anomaly import AnomalyFamily
from farero.aws.services.cloudwatch.dashboards import DashboardFamily
from farero.aws.services.cloudwatch.metrics import MetricFamily
from farero.aws.services.events import EventBridge
from farero.aws.services.iam import Iam
from farero.aws.services.logs import CloudWatchLogs
from farero.aws.services.logs.tail import LiveTail
from farero.aws.services.s3 import S3
from farero.aws.services.sagemaker import SageMaker
from farero.aws.services.sagemaker.endpoint_configs import EndpointConfigs
from farero.aws.services.sagemaker.endpoints import Endpoints
from farero.aws.services.sagemaker.models import Models
from farero.aws.services.sagemaker.monitoring import Monitoring
from farero.aws.services.sagemaker.processing import Processing as ProcessingRoom
from farero.aws.services.sagemaker.search import Search
from farero.aws.services.sagemaker.tags import Tags
from farero.aws.services.sagemaker.training import Training as TrainingRoom
from farero.aws.services.sagemaker_runtime import SageMakerRuntime
from farero.aws.services.sns import Sns
from farero.aws.services.sqs import Sqs
from farero.aws.services.sts import Sts
from farero.base.clock import SystemClock
from farero.compute.environments import Environments
from farero.compute.local import LocalCompute
from farero.compute.pythons import Pythons
from farero.endpoints import instances
from farero.endpoints.capture import CaptureSpool, capture_target
from farero.endpoints.commands import EndpointCommands
from farero.endpoints.definitions import Definitions
from farero.endpoints.invocations import Invocations
from farero.endpoints.lifecycle import EndpointLifecycle
from farero.endpoints.preparing import Preparer
from farero.endpoints.proxy import Proxy
from farero.endpoints.publish import CapturePublisher
from farero.endpoints.replicas import Replicas
from farero.endpoints.router import Router, RoutingStamp
from farero.endpoints.upkeep import PREPARE, Workplace
from farero.gateway import links, pages
from farero.gateway.admin import Admin
from farero.gateway.asgi import Gateway
from farero.gateway.authenticate import Authenticator, FormCheck
from farero.gateway.levels import variants
from farero.gateway.metrics import MetricsPage
from farero.identity.bootstrap import METRICS_TOKEN, bootstrap
from farero.identity.credentials import Credentials
from farero.identity.directory import Directory
from farero.jobs import hosts
from farero.jobs.algorithm_metrics import AlgorithmMetrics
from farero.jobs.commands import JobCommands, ProcessingCommands
from farero.jobs.lifecycle import PROCESSING, JobLifecycle
from farero.jobs.processing import Processing
from farero.jobs.training import Training
from farero.monitoring.runs import Runs
from farero.monitoring.schedules import KIND as MONITORING
from farero.monitoring.schedules import Schedules as MonitoringSchedules
from farero.notify.deliver import Deliverer
from farero.notify.dispatch import Dispatcher, publisher, sender
from farero.notify.envelope import Envelopes
from farero.notify.events import targets as event_targets
from farero.notify.events.publish import Events
from farero.notify.events.rules import Rules
from farero.notify.events.schedules import FIRE, Schedules
from farero.notify.events.targets import EventTargets
from farero.notify.events.to_logs import to_log_group
from farero.notify.guard import Guard
from farero.notify.http import Poster
from farero.notify.lanes import Lanes
from farero.notify.mail import Mailer
from farero.notify.queues import Queues
from farero.notify.senders import Senders
from farero.notify.signing import Signer
from farero.notify.subscriptions import Subscriptions as Listeners
from farero.notify.topics import DELIVER, Topics
from farero.objects.local import LocalObjects
from farero.store import jobs as job_rows
from farero.store import migrations
from farero.store import work as work_rows
from farero.store.engine import Store
from farero.telemetry.alarms.anomaly import Bands, Detectors
from farero.telemetry.alarms.keeper import EVALUATE, TURN, Alarms
from farero.telemetry.filter_apply import MetricFilters
from farero.telemetry.insights.queries import Queries
from farero.telemetry.insights.runner import QueryRunner
from farero.telemetry.logs import Logs
from farero.telemetry.metrics.ingest import Metrics
from farero.telemetry.metrics.queries import MetricQueries
from farero.telemetry.resources import LOOK_EVERY_S, Resources
from farero.telemetry.ship import LogShipper
from farero.telemetry.subscriptions import Subscriptions
from farero.telemetry.totals import Totals
from farero.work import items
from farero.work.outbox import DISPATCH
from farero.work.ticks import Tick
from farero.work.wake import WakeSocket, poke
from farero.work.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Generator

    from farero.base.clock import Clock
    from farero.base.config import Settings
    from farero.compute.base import Compute

#: An upload in parts that rests so long is given up; its parts would take the disk for ever.
ABANDONED_AFTER = dt.timedelta(days=7)
ROOMS = (
    S3,
    SageMaker,
    SageMakerRuntime,
    CloudWatchLogs,
    Iam,
    Sts,
    Sns,
    Sqs,
    CloudWatch,
    EventBridge,
)
SAGEMAKER_FAMILIES = (
    Models,
    EndpointConfigs,
    Endpoints,
    Tags,
    Search,
    TrainingRoom,
    ProcessingRoom,
)
CLOUDWATCH_FAMILIES = (MetricFamily, AlarmFamily, AnomalyFamily, DashboardFamily)


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
        self.queries = Queries(self.telemetry, clock, account=settings.account)
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
        self.store.close()
        self.telemetry.close()


class GatewayApp:
    """What a gateway process runs."""

    def __init__(self, app: App) -> None:
        settings, clock = app.settings, app.clock
        self.router = Router(app.store, app.stamp, capture_of=capture_target)
        self.proxy = Proxy(clock=clock, timeout_s=settings.invocation_timeout_s)
        self.spool = CaptureSpool(settings.spool_dir, clock)
        self.totals = Totals(settings.run_dir / "totals", lambda: variants(app.store))
        self.invocations = Invocations(
            clock, self.totals, put=app.metrics.put, peaks=self.proxy.take_peaks
        )
        self.directory = Directory(app.store, clock)
        commands = EndpointCommands(app.store, app.objects, app.poke, app.stamp)
        definitions = Definitions(app.store, app.objects)
        families = (
            Models(definitions, app.store),
            EndpointConfigs(definitions, app.store),
            Endpoints(commands, app.store),
            Tags(app.store),
            Search(app.store),
            TrainingRoom(JobCommands(app.store, app.objects, app.poke), app.store),
            ProcessingRoom(ProcessingCommands(app.store, app.objects, app.poke), app.store),
            Monitoring(MonitoringSchedules(app.store, app.poke), app.store),
        )
        self.rooms: dict[str, object] = {
            "s3": S3(app.objects, FormCheck(self.directory.find, clock)),
            "sagemaker": SageMaker(families),
            "sagemaker-runtime": SageMakerRuntime(
                self.router, self.proxy, self.spool, self.invocations, settings, clock
            ),
            "logs": CloudWatchLogs(
                app.logs,
                app.filters,
                app.subscriptions,
                app.queries,
                LiveTail(app.telemetry, clock),
            ),
            "cloudwatch": CloudWatch(
                (
                    MetricFamily(app.metrics, app.metric_queries),
                    AlarmFamily(app.alarms, app.metric_queries),
                    AnomalyFamily(Detectors(app.store, clock, app.metric_queries)),
                    DashboardFamily(app.store),
                )
            ),
            "iam": Iam(app.store),
            "sts": Sts(app.credentials, app.store),
            "sns": Sns(app.topics, app.listeners, app.store),
            "sqs": Sqs(app.queues, app.store),
            "events": EventBridge(app.rules, app.events, app.store),
        }
        self.asgi = Gateway(
            rooms=self.rooms,
            authenticator=Authenticator(self.directory.find, clock),
            admin=Admin(
                pages.pages(app, self.spool),
                MetricsPage(app, self.totals, settings.keys_dir / METRICS_TOKEN),
                links.links(app),
            ),
            settings=settings,
            clock=clock,
        )

    def close(self) -> None:
        """Close connections and spool files; store the last metrics."""
        self.proxy.close()
        self.spool.close()
        self.invocations.flush()
        self.totals.close()


class WorkerApp:
    """What the worker process runs."""

    def __init__(self, app: App) -> None:
        settings, clock = app.settings, app.clock
        self._app = app
        environments = Environments(settings.envs_dir)
        pythons = Pythons(environments)
        self.shipper = LogShipper(
            app.telemetry,
            clock,
            app.filters,
            reader=AlgorithmMetrics(app.store, job_rows.training, app.metrics.put_within).read,
        )
        self.resources = Resources(
            clock,
            app.compute,
            put=app.metrics.put,
            find=(instances.find_in(app.store), hosts.find),
        )
        self.endpoints = EndpointLifecycle(
            Workplace(
                store=app.store,
                clock=clock,
                compute=app.compute,
                preparer=Preparer(settings, app.objects, environments),
                replicas=Replicas(
                    settings,
                    container_path=environments.container_path,
                    credentials=app.credentials.for_role,
                ),
                shipper=self.shipper,
                stamp=app.stamp,
                poke=app.poke,
                measured=self.resources.add,
            )
        )
        self.jobs = JobLifecycle(
            app.store,
            clock,
            app.compute,
            rows=job_rows.training,
            runner=Training(
                settings,
                app.objects,
                pythons,
                logs=app.logs,
                credentials=app.credentials.for_role,
            ),
            shipper=self.shipper,
        )
        self.processing = JobLifecycle(
            app.store,
            clock,
            app.compute,
            rows=job_rows.processing,
            runner=Processing(
                settings,
                app.objects,
                pythons,
                credentials=app.credentials.for_role,
                metrics=app.metrics,
            ),
            shipper=self.shipper,
            kind=PROCESSING,
        )
        self.monitoring = Runs(
            app.store,
            clock,
            app.objects,
            ProcessingCommands(app.store, app.objects, app.poke),
            settings,
        )
        self.queries = QueryRunner(
            app.telemetry, clock, url=settings.telemetry_url, account=settings.account
        )
        self.publisher = CapturePublisher(
            settings.spool_dir, app.objects, clock, every_s=settings.capture_publish_s
        )
        self.deliverer = deliverer(app)
        self.dispatcher = Dispatcher(
            app.store,
            clock,
            {
                "publish": publisher(app.topics),
                "sqs": sender(app.queues),
                "event": app.events.pass_on,
            },
        )
        self.worker = Worker(
            app.store,
            clock,
            {
                "endpoint.reconcile": self.endpoints.reconcile,
                PREPARE: self.endpoints.prepare,
                "job.reconcile": self.jobs.reconcile,
                PROCESSING: self.processing.reconcile,
                MONITORING: self.monitoring.turn,
                EVALUATE: app.alarms.evaluate,
                TURN: app.alarms.turn,
                DISPATCH: self.dispatcher.dispatch,
                DELIVER: self.deliverer.deliver,
                event_targets.DELIVER: event_deliverer(app).deliver,
                FIRE: Schedules(app.store, clock).fire,
            },
            app.poke,
        )
        self.ticks = (
            Tick(name="capture", every_s=0.3, run=self.publisher.publish_due),
            Tick(name="logs", every_s=0.3, run=self.shipper.ship_due),
            Tick(name="notifications", every_s=300.0, run=self.deliverer.forget_old),
            Tick(name="queues", every_s=60.0, run=app.queues.forget_expired),
            Tick(name="models", every_s=3600.0, run=self.endpoints.sweep_models),
            Tick(name="uploads", every_s=3600.0, run=self.collect_uploads),
            Tick(name="retention", every_s=60.0, run=app.logs.apply_retention),
            Tick(name="metrics", every_s=60.0, run=app.metrics.compact),
            Tick(name="resources", every_s=LOOK_EVERY_S, run=self.resources.measure_due),
            Tick(name="alarm history", every_s=3600.0, run=app.alarms.forget_old),
            Tick(name="filters", every_s=5.0, run=app.filters.tell_defaults),
            Tick(name="queries", every_s=0.1, run=self.queries.run_due),
            Tick(name="subscriptions", every_s=0.5, run=app.subscriptions.send_due),
        )

    def wake_socket(self) -> WakeSocket:
        """Open the worker's ear."""
        return WakeSocket(self._app.settings.run_dir / "worker.sock", self.put)

    def put(self, kind: str, key: str) -> None:
        """Put an item that is due now."""
        with self._app.store.begin() as db:
            items.put(db, kind, key, due=self._app.clock.now())

    def collect_uploads(self) -> None:
        """Abort multipart uploads that nobody has completed for a week."""
        begun_before = self._app.clock.now() - ABANDONED_AFTER
        self._app.objects.collect_uploads(begun_before=begun_before)

    def resume(self) -> None:
        """Take up what the worker before left: free its leases, look at every endpoint and unfinished job."""
        with self._app.store.begin() as db:
            work_rows.free_all(db, now=self._app.clock.now())
        self._app.objects.sweep()
        self.queries.resume()
        self.endpoints.resume()
        self.jobs.resume()
        self.processing.resume()
        self.monitoring.resume()

    def close(self) -> None:
        """End what runs beside the worker."""
        self.queries.close()


def deliverer(app: App) -> Deliverer:
    """Return what brings messages to their subscriptions."""
    settings, clock = app.settings, app.clock
    envelopes = Envelopes(settings.url, app.signer)
    senders = Senders(
        settings,
        envelopes=envelopes,
        poster=Poster(app.guard, clock),
        mailer=Mailer(settings.smtp_url, settings.mail_from, envelopes),
        guard=app.guard,
    )
    return Deliverer(
        app.store,
        clock,
        senders=senders,
        queues=app.queues,
        envelopes=envelopes,
        lanes=Lanes(),
    )


def event_deliverer(app: App) -> EventTargets:
    """Return what brings events to the targets of rules."""
    return EventTargets(
        app.store,
        app.clock,
        queues=app.queues,
        within={
            "sns": event_targets.to_topic(app.topics),
            "sqs": event_targets.to_queue(app.queues),
        },
        outside={"logs": to_log_group(app.logs)},
    )


def supported_operations() -> dict[str, set[str]]:
    """Return, per service, the names of the operations that its room has."""
    found: dict[str, set[str]] = {}
    for room in ROOMS:
        families: tuple[type, ...] = getattr(room, "FAMILIES", ())
        if room is SageMaker:
            families = SAGEMAKER_FAMILIES
        if room is CloudWatch:
            families = CLOUDWATCH_FAMILIES
        names: set[str] = set()
        for cls in families or (room,):
            names |= {n for n, f in inspect.getmembers(cls, callable) if _is_operation(n, f)}
        found[room.service] = names
    return found


def _is_operation(name: str, function: Any) -> bool:
    if name.startswith("_") or not inspect.isfunction(function):
        return False
    return list(inspect.signature(function).parameters)[:2] == ["self", "ctx"]


def system_app(settings: Settings) -> App:
    """Return the app of a real process: system clock, prepared data directory."""
    clock = SystemClock()
    prepare(settings, clock)
    return App(settings, clock)


@contextlib.contextmanager
def closing(app: App) -> Generator[App]:
    """Close the app at the end."""
    try:
        yield app
    finally:
        app.close()
