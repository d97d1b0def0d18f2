"""Anomaly detectors: put, describe, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from farero.aws.services.cloudwatch import pages
from farero.aws.wire.messages import AwsError
from farero.base.errors import NotFound

if TYPE_CHECKING:
    from farero.base.context import Context
    from farero.records.alarms import AnomalyDetector
    from farero.telemetry.alarms.anomaly import Detectors

    #: A wire dict with AWS's member names.
    Value = dict[str, Any]

_SINGLE = ("Namespace", "MetricName", "Dimensions", "Stat")
_KINDS = {
    "SINGLE_METRIC": "SingleMetricAnomalyDetector", "METRIC_MATH": "MetricMathAnomalyDetector",
}  # fmt: skip


class AnomalyFamily:
    """The operations on anomaly detectors."""

    def __init__(self, detectors: Detectors) -> None:
        self._detectors = detectors

    def put_anomaly_detector(self, ctx: Context, req: Value) -> Value:
        """Keep a model of a metric or an expression, or configure the one that is kept."""
        _ = ctx
        config = _config(req)
        for name in ("Configuration", "MetricCharacteristics"):
            if name in req:
                config[name] = req[name]
        self._detectors.put(config)
        return {}

    def describe_anomaly_detectors(self, ctx: Context, req: Value) -> Value:
        """Return detectors by metric or kind, by page."""
        _ = ctx
        kinds = req.get("AnomalyDetectorTypes") or ["SINGLE_METRIC"]
        ids = req.get("AnomalyDetectorIds")
        found = [
            one
            for one in self._detectors.list()
            if (one.id in ids if ids else any(_KINDS[kind] in one.config for kind in kinds))
            and _matches(one, req)
        ]
        skip, count = pages.offset(req.get("NextToken", "")), req.get("MaxResults", 50)
        answer: Value = {
            "AnomalyDetectors": [self._described(one) for one in found[skip : skip + count]]
        }
        if len(found) > skip + count:
            answer["NextToken"] = pages.token(skip + count)
        return answer

    def delete_anomaly_detector(self, ctx: Context, req: Value) -> Value:
        """Delete a detector, by its id or by what it watches."""
        _ = ctx
        given = req.get("AnomalyDetectorId")
        try:
            self._detectors.delete(given or self._detectors.id_of(_config(req)))
        except NotFound as error:
            raise AwsError("ResourceNotFoundException", str(error), 404) from error
        return {}

    def _described(self, one: AnomalyDetector) -> Value:
        config = one.config
        found: Value = {"AnomalyDetectorId": one.id, "StateValue": self._detectors.state(one)}
        found["Configuration"] = config.get("Configuration", {})
        if "MetricCharacteristics" in config:
            found["MetricCharacteristics"] = config["MetricCharacteristics"]
        if single := config.get("SingleMetricAnomalyDetector"):
            plain: Value = {
                "Dimensions": [],
                **{key: single[key] for key in _SINGLE if key in single},
            }
            return {**found, **plain, "SingleMetricAnomalyDetector": plain}
        return {**found, "MetricMathAnomalyDetector": config["MetricMathAnomalyDetector"]}


def _config(req: Value) -> Value:
    """Return the one thing that a request names, plain members as a single metric."""
    plain = {key: req[key] for key in _SINGLE if key in req}
    named = [name for name in _KINDS.values() if name in req]
    if len(named) + bool(plain) != 1:
        raise AwsError(
            "InvalidParameterCombination",
            "Exactly one of a single metric and MetricMathAnomalyDetector must be specified.",
            400,
        )
    if named == ["MetricMathAnomalyDetector"]:
        if not req[named[0]].get("MetricDataQueries"):
            raise _missing("MetricDataQueries")
        return {named[0]: req[named[0]]}
    single = plain or req["SingleMetricAnomalyDetector"]
    for name in ("Namespace", "MetricName", "Stat"):
        if name not in single:
            raise _missing(name)
    return {"SingleMetricAnomalyDetector": single}


def _matches(one: AnomalyDetector, req: Value) -> bool:
    single = one.config.get("SingleMetricAnomalyDetector", {})
    for name in ("Namespace", "MetricName"):
        if name in req and single.get(name) != req[name]:
            return False
    if "Dimensions" not in req:
        return True
    wanted, own = (
        {(d["Name"], d["Value"]) for d in given.get("Dimensions", ())} for given in (req, single)
    )
    return wanted == own


def _missing(name: str) -> AwsError:
    return AwsError("MissingParameter", f"The parameter {name} is required.", 400)
