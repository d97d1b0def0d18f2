"""What a gateway process runs: rooms, and what stands before them."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from farero.aws.services.sagemaker.monitoring_definitions import JobDefinitions
from farero.aws.services.sagemaker.processing import Processing as ProcessingRoom
from farero.aws.services.sagemaker.search import Search
from farero.aws.services.sagemaker.tags import Tags
from farero.aws.services.sagemaker.training import Training as TrainingRoom
from farero.aws.services.sagemaker_runtime import SageMakerRuntime
from farero.aws.services.sns import Sns
from farero.aws.services.sqs import Sqs
from farero.aws.services.sts import Sts
from farero.endpoints.capture import CaptureSpool, capture_target
from farero.endpoints.commands import EndpointCommands
from farero.endpoints.definitions import Definitions
from farero.endpoints.invocations import Invocations
from farero.endpoints.proxy import Proxy
from farero.endpoints.router import Router
from farero.endpoints.serverless import Used
from farero.endpoints.waking import Slots, Waker
from farero.gateway import links, pages
from farero.gateway.admin import Admin
from farero.gateway.asgi import Gateway
from farero.gateway.authenticate import Authenticator, FormCheck
from farero.gateway.fast_path import FastPath
from farero.gateway.levels import variants
from farero.gateway.metrics import MetricsPage
from farero.identity.bootstrap import METRICS_TOKEN
from farero.identity.directory import Directory
from farero.jobs.commands import JobCommands, ProcessingCommands
from farero.monitoring.alerts import Alerts as MonitoringAlerts
from farero.monitoring.checks import Checks as MonitoringChecks
from farero.monitoring.definitions import Definitions as MonitoringDefinitions
from farero.monitoring.schedules import Schedules as MonitoringSchedules
from farero.telemetry.alarms.anomaly import Detectors
from farero.telemetry.totals import Totals
from farero.work.wake import poke

if TYPE_CHECKING:
    from farero.app.core import App


class GatewayApp:
    """What a gateway process runs."""

    def __init__(self, app: App) -> None:
        settings, clock = app.settings, app.clock
        self.router = Router(app.store, app.stamp, capture_of=capture_target)
        serverless = settings.run_dir / "serverless"
        worker = settings.run_dir / "worker.sock"
        self.waker = Waker(Used(serverless), clock, lambda line: poke(worker, line))
        self.slots = Slots(serverless) if settings.gateways > 1 else None
        self.proxy = Proxy(
            clock=clock,
            timeout_s=settings.invocation_timeout_s,
            serverless_wait_s=settings.serverless_wait_s,
            wake=self.waker.wake,
            slots=self.slots,
        )
        self.spool = CaptureSpool(settings.spool_dir, clock)
        self.totals = Totals(settings.run_dir / "totals", lambda: variants(app.store))
        self.invocations = Invocations(
            clock,
            self.totals,
            put=app.metrics.put,
            peaks=self.proxy.take_peaks,
            uses=self.proxy.take_uses,
        )
        self.directory = Directory(app.store, clock)
        commands = EndpointCommands(app.store, app.objects, app.poke, app.stamp)
        definitions = Definitions(app.store, app.objects)
        checks = MonitoringChecks(app.store, app.objects, app.logs, settings.region)
        schedules = MonitoringSchedules(app.store, checks, app.poke)
        families = (
            Models(definitions, app.store),
            EndpointConfigs(definitions, app.store),
            Endpoints(commands, app.store),
            Tags(app.store),
            Search(app.store),
            TrainingRoom(JobCommands(app.store, app.objects, app.poke), app.store),
            ProcessingRoom(ProcessingCommands(app.store, app.objects, app.poke), app.store),
            JobDefinitions(MonitoringDefinitions(app.store), app.store),
            Monitoring(schedules, MonitoringAlerts(app.store), app.store),
        )
        runtime = SageMakerRuntime(
            self.router, self.proxy, self.spool, self.invocations, settings, clock
        )
        self.rooms: dict[str, object] = {
            "s3": S3(app.objects, FormCheck(self.directory.find, clock)),
            "sagemaker": SageMaker(families),
            "sagemaker-runtime": runtime,
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
        authenticator = Authenticator(self.directory.find, clock)
        self.asgi = Gateway(
            rooms=self.rooms,
            authenticator=authenticator,
            admin=Admin(
                pages.pages(app, self.spool),
                MetricsPage(app, self.totals, settings.keys_dir / METRICS_TOKEN),
                links.links(app),
            ),
            settings=settings,
            clock=clock,
        )
        self.fast_path = FastPath(self.asgi, authenticator, runtime, self.proxy, clock)

    def look_at_serverless(self) -> None:
        """Ask for replicas where requests of serverless variants wait, and reach out for those that have come."""
        if load := self.proxy.take_load():
            self.waker.look(load)
            for endpoint, variant in load:
                self.proxy.connect(self.router.replicas(endpoint, variant))

    def forget_gone(self) -> None:
        """Let go of what is kept open to replicas, and known of variants, that are not there any more."""
        self.proxy.forget_others(self.router.replica_ids())
        variants = self.router.variants()
        self.waker.forget_others(variants)
        if self.slots is not None:
            self.slots.forget_others(variants)

    def close(self) -> None:
        """Close connections and spool files; store the last metrics."""
        self.proxy.close()
        if self.slots is not None:
            self.slots.close()
        self.spool.close()
        self.invocations.flush()
        self.totals.close()
