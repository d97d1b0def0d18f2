"""The endpoints domain with real processes: supervisor, store, worker thread; models that do as they are told."""

import dataclasses
import threading
from pathlib import Path

import pytest

from farero.base.clock import SystemClock
from farero.base.config import Settings
from farero.base.context import Context, Principal
from farero.compute.environments import FRAMEWORKS, Environments
from farero.endpoints.capture import capture_target
from farero.endpoints.commands import EndpointCommands
from farero.endpoints.definitions import Definitions
from farero.endpoints.lifecycle import EndpointLifecycle
from farero.endpoints.preparing import Preparer
from farero.endpoints.replicas import Replicas
from farero.endpoints.rounds import ROUNDS
from farero.endpoints.router import Router, RoutingStamp
from farero.endpoints.serverless import WAKE, Demand, Used
from farero.endpoints.upkeep import PREPARE, Workplace
from farero.objects.local import LocalObjects
from farero.store import endpoints as rows
from farero.store import migrations
from farero.store import work as work_rows
from farero.store.engine import Store
from farero.telemetry.ship import LogShipper
from farero.work import items
from farero.work.wake import WakeSocket, poke
from farero.work.worker import Worker

PROGRAM = Path(__file__).parent / "program"
OWNER = Principal(access_key_id="AKIA", arn="arn", user_id="id", is_owner=True)
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"


class Domain:
    """Everything that an endpoint needs, wired as `app.py` does it."""

    def __init__(self, supervisor):
        # What stands for the framework imports nothing, so there is nothing to fork from.
        self.settings = Settings(data_dir=supervisor.data_dir, zygotes=False)
        self.settings.data_dir.mkdir(parents=True, exist_ok=True)
        self.clock = SystemClock()
        self.store = Store(f"sqlite:///{self.settings.data_dir / 'test.db'}")
        migrations.upgrade(self.store)
        self.objects = LocalObjects(
            self.store, self.settings.objects_dir, self.clock, region="us-east-1"
        )
        self.objects.ensure_bucket("bucket")
        self.compute = supervisor.compute
        self.stamp = RoutingStamp(self.settings.run_dir / "routing")
        self.socket_path = self.settings.run_dir / "worker.sock"
        self.definitions = Definitions(self.store, self.objects)
        self.commands = EndpointCommands(self.store, self.objects, self.poke, self.stamp)
        self.router = Router(self.store, self.stamp, capture_of=capture_target)
        self.measured = []
        self.start_worker()

    def poke(self):
        poke(self.socket_path)

    def start_worker(self):
        # A bare Python stands for the framework's; the program under test imports none.
        bare = dict.fromkeys(FRAMEWORKS, FRAMEWORKS["none"])
        environments = Environments(self.settings.envs_dir, frameworks=bare)
        lifecycle = self.lifecycle = EndpointLifecycle(
            Workplace(
                store=self.store,
                clock=self.clock,
                compute=self.compute,
                preparer=Preparer(self.settings, self.objects, environments),
                replicas=Replicas(self.settings, container_path=lambda: PROGRAM),
                shipper=LogShipper(self.store, self.clock),
                stamp=self.stamp,
                demand=Demand(Used(self.settings.run_dir / "serverless"), self.clock, idle_s=300.0),
                poke=self.poke,
                measured=self.measured.append,
            )
        )
        handlers = {
            "endpoint.reconcile": lifecycle.reconcile,
            PREPARE: lifecycle.prepare,
            ROUNDS: lifecycle.rounds,
        }
        self.worker = Worker(self.store, self.clock, handlers)
        self.ear = WakeSocket(self.socket_path, self.put)
        with self.store.begin() as db:
            work_rows.free_all(db, now=self.clock.now())
        lifecycle.resume()
        self.thread = threading.Thread(target=self.worker.run_forever, args=(self.ear.wait,))
        self.thread.start()

    def put(self, kind, key):
        if kind == WAKE:
            self.lifecycle.wake(key)
            return
        with self.store.begin() as db:
            items.put(db, kind, key, due=self.clock.now())

    def stop_worker(self):
        self.ear.stop()
        self.thread.join()
        self.lifecycle.close()
        self.ear.close()

    def close(self):
        self.stop_worker()
        self.store.close()

    @property
    def ctx(self):
        return Context(
            account="123456789012",
            region="us-east-1",
            request_id="r",
            now=self.clock.now(),
            principal=OWNER,
        )

    def config(self, name, *variants, model=None, data=None, **members):
        """Make an endpoint config; each variant is (name, environment of its model, changes)."""
        given = []
        for variant, environment, changes in variants or (("AllTraffic", model or {}, {}),):
            model_name = f"{name}-{variant}"
            container = {"Image": IMAGE, "Environment": environment}
            if data is not None:
                container["ModelDataUrl"] = data
            self.definitions.create_model(self.ctx, model_name, {"PrimaryContainer": container})
            instances = (
                {}
                if "ServerlessConfig" in changes
                else {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
            )
            given.append({"VariantName": variant, "ModelName": model_name, **instances, **changes})
        self.definitions.create_config(self.ctx, name, {"ProductionVariants": given, **members})
        return name

    def create(self, name="iris", **facts):
        config = self.config(f"{name}-config", **facts)
        return self.commands.create(self.ctx, name, config)

    def get(self, name="iris"):
        with self.store.read() as db:
            return rows.find(db, name)

    def replicas(self, name="iris"):
        with self.store.read() as db:
            return rows.list_replicas(db, name)

    def set_age(self, name, **changes):
        with self.store.begin() as db:
            rows.update(db, dataclasses.replace(rows.find(db, name), **changes))


@pytest.fixture
def domain(supervisor):
    """The endpoints domain with a worker that runs."""
    made = Domain(supervisor)
    yield made
    made.close()


@pytest.fixture
def wait_status(domain, wait_for):
    """A function that waits until an endpoint has a status, and returns it."""

    def wait(status, name="iris", seconds=20):
        wait_for(lambda: (domain.get(name) and domain.get(name).status) == status, seconds)
        return domain.get(name)

    return wait
