"""Monitoring: the job definitions of the four families. They differ in the names of their members alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farero.aws.services.sagemaker.monitoring import asked, query_of
from farero.aws.services.sagemaker.paging import page
from farero.aws.services.sagemaker.tags import read_tags
from farero.records.monitoring import MonitoringType
from farero.store import monitoring as rows

if TYPE_CHECKING:
    from typing import Any

    from farero.base.context import Context
    from farero.monitoring.definitions import Definitions
    from farero.records.monitoring import Definition
    from farero.store.engine import Store

    #: A wire dict with AWS's member names.
    Value = dict[str, Any]

_DATA = MonitoringType.DATA_QUALITY
_QUALITY = MonitoringType.MODEL_QUALITY
_BIAS = MonitoringType.MODEL_BIAS
_EXPLAINABILITY = MonitoringType.MODEL_EXPLAINABILITY
#: Members of all families, and ends of those that begin with the family's name.
_SHARED = ("JobResources", "NetworkConfig", "RoleArn", "StoppingCondition")
_OWN = ("BaselineConfig", "AppSpecification", "JobInput", "JobOutputConfig")


class JobDefinitions:
    """The operations on job definitions of the service `sagemaker`."""

    def __init__(self, definitions: Definitions, store: Store) -> None:
        self._definitions = definitions
        self._store = store

    def create_data_quality_job_definition(self, ctx: Context, req: Value) -> Value:
        """Keep how requests and answers are compared with a baseline."""
        return self._create(ctx, _DATA, req)

    def describe_data_quality_job_definition(self, ctx: Context, req: Value) -> Value:
        """Return a job definition of data quality."""
        _ = ctx
        return self._describe(_DATA, req)

    def list_data_quality_job_definitions(self, ctx: Context, req: Value) -> Value:
        """Return one page of job definitions of data quality."""
        _ = ctx
        return self._list(_DATA, req)

    def delete_data_quality_job_definition(self, ctx: Context, req: Value) -> Value:
        """Forget a job definition of data quality that no schedule uses."""
        _ = ctx
        return self._delete(_DATA, req)

    def create_model_quality_job_definition(self, ctx: Context, req: Value) -> Value:
        """Keep how answers are compared with labels."""
        return self._create(ctx, _QUALITY, req)

    def describe_model_quality_job_definition(self, ctx: Context, req: Value) -> Value:
        """Return a job definition of model quality."""
        _ = ctx
        return self._describe(_QUALITY, req)

    def list_model_quality_job_definitions(self, ctx: Context, req: Value) -> Value:
        """Return one page of job definitions of model quality."""
        _ = ctx
        return self._list(_QUALITY, req)

    def delete_model_quality_job_definition(self, ctx: Context, req: Value) -> Value:
        """Forget a job definition of model quality that no schedule uses."""
        _ = ctx
        return self._delete(_QUALITY, req)

    def create_model_bias_job_definition(self, ctx: Context, req: Value) -> Value:
        """Keep how answers are compared among groups."""
        return self._create(ctx, _BIAS, req)

    def describe_model_bias_job_definition(self, ctx: Context, req: Value) -> Value:
        """Return a job definition of bias."""
        _ = ctx
        return self._describe(_BIAS, req)

    def list_model_bias_job_definitions(self, ctx: Context, req: Value) -> Value:
        """Return one page of job definitions of bias."""
        _ = ctx
        return self._list(_BIAS, req)

    def delete_model_bias_job_definition(self, ctx: Context, req: Value) -> Value:
        """Forget a job definition of bias that no schedule uses."""
        _ = ctx
        return self._delete(_BIAS, req)

    def create_model_explainability_job_definition(self, ctx: Context, req: Value) -> Value:
        """Keep how attributions are compared with a baseline's."""
        return self._create(ctx, _EXPLAINABILITY, req)

    def describe_model_explainability_job_definition(self, ctx: Context, req: Value) -> Value:
        """Return a job definition of attributions."""
        _ = ctx
        return self._describe(_EXPLAINABILITY, req)

    def list_model_explainability_job_definitions(self, ctx: Context, req: Value) -> Value:
        """Return one page of job definitions of attributions."""
        _ = ctx
        return self._list(_EXPLAINABILITY, req)

    def delete_model_explainability_job_definition(self, ctx: Context, req: Value) -> Value:
        """Forget a job definition of attributions that no schedule uses."""
        _ = ctx
        return self._delete(_EXPLAINABILITY, req)

    def _create(self, ctx: Context, kind: MonitoringType, req: Value) -> Value:
        members = (*(f"{kind}{end}" for end in _OWN), *_SHARED)
        given = {name: req[name] for name in members if req.get(name) not in (None, {}, [])}
        made = asked(
            lambda: self._definitions.create(
                ctx, kind, req["JobDefinitionName"], given, read_tags(req)
            )
        )
        return {"JobDefinitionArn": made.arn}

    def _describe(self, kind: MonitoringType, req: Value) -> Value:
        with self._store.read() as db:
            found = asked(lambda: rows.get_definition(db, kind, req["JobDefinitionName"]))
        return found.given | {
            "JobDefinitionName": found.name,
            "JobDefinitionArn": found.arn,
            "CreationTime": found.created_at,
        }

    def _list(self, kind: MonitoringType, req: Value) -> Value:
        with self._store.read() as db:
            found = rows.list_definitions(db, query_of(req | {"MonitoringTypeEquals": kind.value}))
        return page(req, "JobDefinitionSummaries", found, _summary)

    def _delete(self, kind: MonitoringType, req: Value) -> Value:
        asked(lambda: self._definitions.delete(kind, req["JobDefinitionName"]))
        return {}


def _summary(found: Definition) -> Value:
    return {
        "MonitoringJobDefinitionName": found.name,
        "MonitoringJobDefinitionArn": found.arn,
        "CreationTime": found.created_at,
        "EndpointName": found.endpoint,
    }
