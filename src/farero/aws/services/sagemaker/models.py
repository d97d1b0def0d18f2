"""Models: create, describe, list, delete."""

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
    from farero.records.endpoint import Model
    from farero.store.engine import Store

    Value = dict[str, Any]


class Models:
    """The operations on models of the service `sagemaker`."""

    def __init__(self, definitions: Definitions, store: Store) -> None:
        self._definitions = definitions
        self._store = store

    def create_model(self, ctx: Context, req: Value) -> Value:
        """Keep a model; its data must be there."""
        # An empty structure is left out: the SageMaker SDK 3.x checks every answer against the model.
        given = {
            name: value
            for name, value in req.items()
            if name not in ("ModelName", "Tags") and value not in (None, {}, [])
        }
        tags = read_tags(req)
        model = self._definitions.create_model(ctx, req["ModelName"], given, tags)
        return {"ModelArn": model.arn}

    def describe_model(self, ctx: Context, req: Value) -> Value:
        """Return the model as it was created."""
        name = req["ModelName"]
        with self._store.read() as db:
            arn = sagemaker_arn(ctx.region, ctx.account, "model", name)
            return describe(rows.get_model(db, name, arn))

    def list_models(self, ctx: Context, req: Value) -> Value:
        """Return one page of models, newest first unless asked otherwise."""
        _ = ctx
        with self._store.read() as db:
            found = rows.list_models(db, list_query(req))
        return page(req, "Models", found, _summary)

    def delete_model(self, ctx: Context, req: Value) -> Value:
        """Forget a model; endpoints go on."""
        self._definitions.delete_model(ctx, req["ModelName"])
        return {}


def describe(model: Model) -> Value:
    """Return a model in AWS's form."""
    return {
        "ModelName": model.name,
        "EnableNetworkIsolation": False,
        **model.given,
        "CreationTime": model.created_at,
        "ModelArn": model.arn,
    }


def _summary(model: Model) -> Value:
    return {"ModelName": model.name, "ModelArn": model.arn, "CreationTime": model.created_at}
