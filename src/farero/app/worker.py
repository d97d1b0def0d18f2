"""What the worker process runs: handlers of work items, and ticks."""

from __future__ import annotations

import datetime as dt
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from farero.compute.environments import Environments
from farero.compute.pythons import Pythons
from farero.endpoints import instances
from farero.endpoints.lifecycle import EndpointLifecycle
from farero.endpoints.preparing import Preparer
from farero.endpoints.publish import CapturePublisher
from farero.endpoints.replicas import Replicas
from farero.endpoints.rounds import ROUNDS
from farero.endpoints.serverless import WAKE, Demand, Used
from farero.endpoints.upkeep import PREPARE, Workplace
from farero.jobs import hosts
from farero.jobs.algorithm_metrics import AlgorithmMetrics
from farero.jobs.commands import ProcessingCommands
from farero.jobs.lifecycle import PROCESSING, JobLifecycle
from farero.jobs.processing import Processing
from farero.jobs.training import Training
from farero.monitoring.runs import Runs
from farero.monitoring.schedules import KIND as MONITORING
from farero.notify.deliver import Deliverer
from farero.notify.dispatch import Dispatcher, publisher, sender
from farero.notify.envelope import Envelopes
from farero.notify.events import targets as event_targets
from farero.notify.events.schedules import FIRE, Schedules
from farero.notify.events.targets import EventTargets
from farero.notify.events.to_logs import to_log_group
from farero.notify.http import Poster
from farero.notify.lanes import Lanes
from farero.notify.mail import Mailer
from farero.notify.senders import Senders
from farero.notify.topics import DELIVER
from farero.store import jobs as job_rows
from farero.store import work as work_rows
from farero.telemetry.alarms.keeper import EVALUATE, TURN
from farero.telemetry.insights.queries import QUERIES
from farero.telemetry.insights.runner import QueryRunner
from farero.telemetry.resources import LOOK_EVERY_S, Resources
from farero.telemetry.ship import LogShipper
from farero.work import items
from farero.work.outbox import DISPATCH
from farero.work.ticks import Tick, Ticker
from farero.work.wake import TICK, WakeSocket
from farero.work.worker import Worker

if TYPE_CHECKING:
    from farero.app.core import App

log = logging.getLogger(__name__)

#: Serverless endpoints that are woken at the same time.
WAKING = 4
#: An upload in parts that rests so long is given up; its parts would take the disk for ever.
ABANDONED_AFTER = dt.timedelta(days=7)


class WorkerApp:
    """What the worker process runs."""

    def __init__(self, app: App) -> None:
        settings, clock = app.settings, app.clock
        self._app = app
        self._waking = ThreadPoolExecutor(WAKING, thread_name_prefix="wake")
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
                demand=Demand(
                    Used(settings.run_dir / "serverless"), clock, idle_s=settings.serverless_idle_s
                ),
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
                ROUNDS: self.endpoints.rounds,
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
            Tick(name="zygotes", every_s=5.0, run=self.endpoints.keep_zygotes),
            Tick(name="leftovers", every_s=3600.0, run=self.endpoints.sweep),
            Tick(name="uploads", every_s=3600.0, run=self.collect_uploads),
            Tick(name="retention", every_s=60.0, run=app.logs.apply_retention),
            Tick(name="metrics", every_s=60.0, run=app.metrics.compact),
            Tick(name="resources", every_s=LOOK_EVERY_S, run=self.resources.measure_due),
            Tick(name="alarm history", every_s=3600.0, run=app.alarms.forget_old),
            Tick(name="filters", every_s=5.0, run=app.filters.tell_defaults),
            Tick(name=QUERIES, every_s=0.1, run=self.queries.run_due, at_rest_s=2.0),
            Tick(name="subscriptions", every_s=0.5, run=app.subscriptions.send_due),
        )
        self.ticker = Ticker(self.ticks)

    def wake_socket(self) -> WakeSocket:
        """Open the worker's ear."""
        return WakeSocket(self._app.settings.run_dir / "worker.sock", self.put)

    def put(self, kind: str, key: str) -> None:
        """Put an item that is due now; a request that waits for its endpoint to wake is not sent through the queue."""
        if kind == WAKE:
            self._waking.submit(self._wake, key)
            return
        if kind == TICK:
            self.ticker.wake(key)
            return
        with self._app.store.begin() as db:
            items.put(db, kind, key, due=self._app.clock.now())

    def _wake(self, key: str) -> None:
        try:
            self.endpoints.wake(key)
        except Exception:  # the gateway calls again, for as long as the request waits
            log.exception("endpoint cannot be woken", extra={"key": key})

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
        self._waking.shutdown()
        self.endpoints.close()


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
