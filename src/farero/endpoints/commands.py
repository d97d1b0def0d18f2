"""What a caller can ask of endpoints: create, update, reweigh, delete.

Each writes the desired state and its work item in one transaction and returns; `lifecycle.py` does the rest.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from farero.base.arns import sagemaker_arn
from farero.base.errors import Conflict, Invalid
from farero.endpoints import events, rollouts
from farero.endpoints.definitions import pin_data
from farero.endpoints.fleets import make_fleet, retain, reweigh
from farero.records.endpoint import IN_PROGRESS, Endpoint, EndpointStatus
from farero.store import alarms as alarm_rows
from farero.store import endpoints as rows
from farero.store import tags as tag_rows
from farero.store import versions
from farero.work import items

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from sqlalchemy import Connection

    from farero.base.context import Context
    from farero.endpoints.router import RoutingStamp
    from farero.objects.base import ObjectStore
    from farero.records.endpoint import EndpointConfig, Fleet, Model
    from farero.records.tag import Tag
    from farero.store.engine import Store

KIND = "endpoint.reconcile"


class EndpointCommands:
    """Creates, changes and deletes endpoints."""

    def __init__(
        self, store: Store, objects: ObjectStore, poke: Callable[[], None], stamp: RoutingStamp
    ) -> None:
        self._store = store
        self._objects = objects
        self._poke = poke
        self._stamp = stamp

    def create(
        self,
        ctx: Context,
        name: str,
        config_name: str,
        *,
        deployment: dict[str, Any] | None = None,
        tags: Sequence[Tag] = (),
    ) -> Endpoint:
        """Ask for a new endpoint.

        Raises Conflict if the name is taken, NotFound or Invalid if config, model or model data are missing.
        """
        arn = _arn(ctx, name)
        config, models = self._read_config(ctx, config_name)
        fleet = make_fleet(config, models, generation=1, now=ctx.now)
        rollouts.read(deployment, fleet)  # kept for updates that retain it
        endpoint = Endpoint(
            name=name,
            arn=arn,
            status=EndpointStatus.CREATING,
            created_at=ctx.now,
            modified_at=ctx.now,
            pending=fleet,
            generation=1,
            deployment=deployment,
        )
        with self._store.begin() as db:
            if rows.find(db, name) is not None:
                raise Conflict(
                    "endpoint", name, f'Cannot create already existing endpoint "{arn}".'
                )
            rows.insert(db, endpoint)
            tag_rows.put(db, arn, tags)
            events.tell_endpoint(db, endpoint, ctx.now)
            items.put(db, KIND, name, due=ctx.now)
        self._poke()
        return endpoint

    def update(  # noqa: PLR0913 - UpdateEndpoint has as many wishes
        self,
        ctx: Context,
        name: str,
        config_name: str,
        *,
        retains: bool = False,
        excluded: Collection[str] = (),
        deployment: dict[str, Any] | None = None,
        retains_deployment: bool = False,
    ) -> Endpoint:
        """Ask for another endpoint config behind a running endpoint; the old one serves until the new is ready.

        retains: keep weights, counts and capture of the running fleet, except the property types in `excluded`.
        deployment: how requests go over, as DeploymentConfig says; retains_deployment: as it was last.
        Raises Conflict if a change is under way, NotFound or Invalid if config, model or model data are missing, if
        the deployment is not to be had, or if one of its alarms is not there or in ALARM already.
        """
        with self._store.read() as db:
            _check_idle(rows.get(db, name, _arn(ctx, name)))
        config, models = self._read_config(ctx, config_name)
        with self._store.begin() as db:
            endpoint = rows.get_locked(db, name, _arn(ctx, name))
            current = _check_idle(endpoint)
            fleet = make_fleet(config, models, generation=endpoint.generation + 1, now=ctx.now)
            if any(v.serverless for v in fleet.variants) and not any(
                v.serverless for v in current.variants
            ):
                raise Invalid("An instance-based endpoint cannot be updated to a serverless one.")
            if retains:
                fleet = retain(fleet, current, excluded)
            if retains_deployment:
                deployment = endpoint.deployment
            fleet = _check_deployment(db, deployment, fleet, current).begin(fleet)
            endpoint = dataclasses.replace(
                endpoint,
                status=EndpointStatus.UPDATING,
                modified_at=ctx.now,
                pending=fleet,
                generation=fleet.generation,
                failure_reason=None,
                deployment=deployment,
                revision=endpoint.revision + 1,
            )
            rows.update(db, endpoint)
            events.tell_endpoint(db, endpoint, ctx.now)
            items.put(db, KIND, name, due=ctx.now)
        self._poke()
        return endpoint

    def update_weights(self, ctx: Context, name: str, wishes: Sequence[dict[str, Any]]) -> Endpoint:
        """Ask for other weights and counts of the running variants."""
        with self._store.begin() as db:
            endpoint = rows.get_locked(db, name, _arn(ctx, name))
            current = _check_idle(endpoint)
            arn = sagemaker_arn(ctx.region, ctx.account, "endpoint-config", current.config_name)
            rows.get_config(db, current.config_name, arn)
            endpoint = dataclasses.replace(
                endpoint,
                status=EndpointStatus.UPDATING,
                modified_at=ctx.now,
                current=reweigh(current, wishes),
                failure_reason=None,
                revision=endpoint.revision + 1,
            )
            rows.update(db, endpoint)
            events.tell_endpoint(db, endpoint, ctx.now)
            items.put(db, KIND, name, due=ctx.now)
        self._poke()
        return endpoint

    def delete(self, ctx: Context, name: str) -> None:
        """Take an endpoint out of service at once and clear it away; in any state. Raises NotFound."""
        with self._store.begin() as db:
            endpoint = rows.get_locked(db, name, _arn(ctx, name))
            if endpoint.status is not EndpointStatus.DELETING:
                endpoint = dataclasses.replace(
                    endpoint,
                    status=EndpointStatus.DELETING,
                    modified_at=ctx.now,
                    revision=endpoint.revision + 1,
                )
                rows.update(db, endpoint)
                events.tell_endpoint(db, endpoint, ctx.now)
            versions.raise_routing(db)
            items.put(db, KIND, name, due=ctx.now)
        self._stamp.touch()
        self._poke()

    def _read_config(self, ctx: Context, name: str) -> tuple[EndpointConfig, dict[str, Model]]:
        arn = sagemaker_arn(ctx.region, ctx.account, "endpoint-config", name)
        with self._store.read() as db:
            config = rows.get_config(db, name, arn)
            wanted = {variant["ModelName"] for variant in config.given["ProductionVariants"]}
            models = {
                model: rows.get_model(
                    db, model, sagemaker_arn(ctx.region, ctx.account, "model", model)
                )
                for model in wanted
            }
        for model in models.values():
            for container in model.containers:
                pin_data(self._objects, container)
        return config, models


def _arn(ctx: Context, name: str) -> str:
    return sagemaker_arn(ctx.region, ctx.account, "endpoint", name)


def _check_deployment(
    db: Connection, deployment: dict[str, Any] | None, fleet: Fleet, current: Fleet
) -> rollouts.Rollout:
    """Return what a DeploymentConfig asks for. Raises Invalid for a rollout that cannot begin."""
    rollout = rollouts.read(deployment, fleet, current)
    names = rollout.alarms
    found = alarm_rows.find_some(db, names)
    if missing := [name for name in names if name not in found]:
        raise Invalid(f"Alarms of AutoRollbackConfiguration are not there: {', '.join(missing)}.")
    if ringing := [name for name in names if found[name].state == "ALARM"]:
        raise Invalid(
            f"Alarms of AutoRollbackConfiguration are in ALARM already: {', '.join(ringing)}. An update would be "
            "taken back at once."
        )
    return rollout


def _check_idle(endpoint: Endpoint) -> Fleet:
    """Return the running fleet of an endpoint that may be changed. Raises Conflict or Invalid."""
    if endpoint.status in IN_PROGRESS or endpoint.status is EndpointStatus.DELETING:
        raise Conflict(
            "endpoint", endpoint.name, f'Cannot update in-progress endpoint "{endpoint.arn}".'
        )
    if endpoint.current is None:
        raise Invalid(
            f'Cannot update endpoint "{endpoint.arn}": it is in status {endpoint.status} and can only be deleted.'
        )
    return endpoint.current
