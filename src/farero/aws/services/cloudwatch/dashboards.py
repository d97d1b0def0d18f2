"""Dashboards: pages of widgets as JSON, put, listed and given back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from farero.aws.wire.messages import AwsError
from farero.records.alarms import Dashboard
from farero.store import dashboards as rows
from farero.telemetry.dashboards import NoJsonError, parse, problems

if TYPE_CHECKING:
    from farero.base.context import Context
    from farero.store.engine import Store

    #: A wire dict with AWS's member names.
    Value = dict[str, Any]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_PAGE = 1000


class DashboardFamily:
    """The operations on dashboards."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put_dashboard(self, ctx: Context, req: Value) -> Value:
        """Store a dashboard; what is odd about it comes back as messages."""
        name: str = req["DashboardName"]
        if not _NAME.fullmatch(name):
            raise AwsError("InvalidParameterInput", f"The dashboard name {name} is invalid.", 400)
        try:
            found = problems(parse(req["DashboardBody"]))
        except NoJsonError as error:
            message = "The field DashboardBody must be a valid JSON object"
            raise AwsError("InvalidParameterInput", message, 400) from error
        with self._store.begin() as db:
            rows.put(db, Dashboard(name=name, body=req["DashboardBody"], modified_at=ctx.now))
        return {
            "DashboardValidationMessages": [
                {"DataPath": path, "Message": message} for path, message in found
            ]
        }

    def get_dashboard(self, ctx: Context, req: Value) -> Value:
        """Return one dashboard as it was put."""
        with self._store.read() as db:
            found = rows.find(db, req["DashboardName"])
        if found is None:
            raise _unknown(req["DashboardName"])
        return {
            "DashboardArn": _arn(ctx, found.name),
            "DashboardBody": found.body,
            "DashboardName": found.name,
        }

    def list_dashboards(self, ctx: Context, req: Value) -> Value:
        """Return dashboards by prefix, by page."""
        with self._store.read() as db:
            found = rows.list_from(
                db,
                prefix=req.get("DashboardNamePrefix", ""),
                after=req.get("NextToken", ""),
                limit=_PAGE + 1,
            )
        answer: Value = {
            "DashboardEntries": [
                {
                    "DashboardName": one.name,
                    "DashboardArn": _arn(ctx, one.name),
                    "LastModified": one.modified_at,
                    "Size": len(one.body.encode()),
                }
                for one in found[:_PAGE]
            ]
        }
        if len(found) > _PAGE:
            answer["NextToken"] = found[_PAGE - 1].name
        return answer

    def delete_dashboards(self, ctx: Context, req: Value) -> Value:
        """Delete dashboards, all or none."""
        _ = ctx
        with self._store.begin() as db:
            for name in req["DashboardNames"]:
                if rows.find(db, name) is None:
                    raise _unknown(name)
            rows.delete(db, req["DashboardNames"])
        return {}


def _unknown(name: str) -> AwsError:
    return AwsError("ResourceNotFound", f"Dashboard {name} does not exist", 404)


def _arn(ctx: Context, name: str) -> str:
    return f"arn:aws:cloudwatch::{ctx.account}:dashboard/{name}"
