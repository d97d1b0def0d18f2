"""Endpoint configs: create, describe, list, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farero.aws.services.sagemaker.paging import list_query, page
from farero.aws.services.sagemaker.tags import read_tags
from farero.base.arns import sagemaker_arn
from farero.store import endpoints as rows

if TYPE_CHECKING:
    from typing import Any

    from farero.base.context import Context
    from farero.endpoints.definitions import Definitions
    from farero.records.endpoint import EndpointConfig
    from farero.store.engine import Store

    Value = dict[str, Any]


class EndpointConfigs:
    """The operations on endpoint configs of the service `sagemaker`."""

    def __init__(self, definitions: Definitions, store: Store) -> None:
        self._definitions = definitions
        self._store = store

    def create_endpoint_config(self, ctx: Context, req: Value) -> Value:
        """Keep an endpoint config; its models must exist."""
        given = {
            name: value
            for name, value in req.items()
            if name not in ("EndpointConfigName", "Tags") and value not in (None, {}, [])
        }
        tags = read_tags(req)
        config = self._definitions.create_config(ctx, req["EndpointConfigName"], given, tags)
        return {"EndpointConfigArn": config.arn}

    def describe_endpoint_config(self, ctx: Context, req: Value) -> Value:
        """Return the endpoint config as it was created."""
        name = req["EndpointConfigName"]
        with self._store.read() as db:
            arn = sagemaker_arn(ctx.region, ctx.account, "endpoint-config", name)
            return describe(rows.get_config(db, name, arn))

    def list_endpoint_configs(self, ctx: Context, req: Value) -> Value:
        """Return one page of endpoint configs, newest first unless asked otherwise."""
        _ = ctx
        with self._store.read() as db:
            found = rows.list_configs(db, list_query(req))
        return page(req, "EndpointConfigs", found, _summary)

    def delete_endpoint_config(self, ctx: Context, req: Value) -> Value:
        """Forget an endpoint config; endpoints go on, but cannot be scaled with it."""
        self._definitions.delete_config(ctx, req["EndpointConfigName"])
        return {}


def describe(config: EndpointConfig) -> Value:
    """Return an endpoint config in AWS's form."""
    return {
        "EndpointConfigName": config.name,
        "EndpointConfigArn": config.arn,
        "EnableNetworkIsolation": False,
        **config.given,
        "CreationTime": config.created_at,
    }


def _summary(config: EndpointConfig) -> Value:
    return {
        "EndpointConfigName": config.name,
        "EndpointConfigArn": config.arn,
        "CreationTime": config.created_at,
    }
