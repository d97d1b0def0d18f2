"""Search: resources by any of their properties.

Filters compare what Describe shows ("Search" API reference: Filter, NestedFilters, SearchExpression). A resource that
is not there yet finds nothing, as in an account that has none.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, cast

from farero.aws.services.sagemaker import endpoints, models, training
from farero.aws.services.sagemaker.paging import page
from farero.aws.services.sagemaker.paging import read_token as offset_of
from farero.aws.services.sagemaker.tags import shown_tags
from farero.base.errors import Invalid
from farero.store import endpoints as rows
from farero.store.endpoints import ListQuery
from farero.store.jobs import JobQuery
from farero.store.jobs import training as job_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from farero.base.context import Context
    from farero.store.engine import Store

    Value = dict[str, Any]
    #: Returns every resource of one kind, as Describe shows it.
    Finder = Callable[[], list[Value]]

_EVERYTHING = ListQuery(limit=1_000_000)
#: The member of a SearchRecord by resource, where the names differ.
_MEMBERS = {"ExperimentTrial": "Trial", "ExperimentTrialComponent": "TrialComponent"}
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "GreaterThan": lambda found, wanted: found > wanted,
    "GreaterThanOrEqualTo": lambda found, wanted: found >= wanted,
    "LessThan": lambda found, wanted: found < wanted,
    "LessThanOrEqualTo": lambda found, wanted: found <= wanted,
}


class Search:
    """The operation Search of the service `sagemaker`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._finders: dict[str, Finder] = {
            "Endpoint": self._find_endpoints,
            "Model": self._find_models,
            "TrainingJob": self._find_training_jobs,
        }

    def search(self, ctx: Context, req: Value) -> Value:
        """Return one page of the resources that pass the expression."""
        _ = ctx
        resource: str = req["Resource"]
        expression = req.get("SearchExpression", {})
        finder = self._finders.get(resource)
        found = [item for item in (finder() if finder else []) if passes(item, expression)]
        sort_by = req.get("SortBy", "LastModifiedTime")
        is_descending = req.get("SortOrder", "Descending") == "Descending"
        found.sort(key=lambda item: _sortable(item, sort_by), reverse=is_descending)
        member = _MEMBERS.get(resource, resource)
        offset = offset_of(req.get("NextToken"))
        answer = page(req, "Results", found[offset:], lambda item: _record(member, item))
        answer["TotalHits"] = {"Value": len(found), "Relation": "EqualTo"}
        return answer

    def _find_endpoints(self) -> list[Value]:
        with self._store.read() as db:
            return [
                endpoints.describe(endpoint) | _tags(shown_tags(db, endpoint.arn))
                for endpoint in rows.list_page(db, _EVERYTHING)
            ]

    def _find_models(self) -> list[Value]:
        with self._store.read() as db:
            return [
                models.describe(model) | _tags(shown_tags(db, model.arn))
                for model in rows.list_models(db, _EVERYTHING)
            ]

    def _find_training_jobs(self) -> list[Value]:
        with self._store.read() as db:
            return [
                training.describe(job) | _tags(shown_tags(db, job.arn))
                for job in job_rows.search(db, JobQuery(limit=_EVERYTHING.limit))
            ]


def passes(item: Value, expression: Value) -> bool:
    """Say whether a resource fits a SearchExpression; And unless it says Or."""
    checks = [_fits(item, one) for one in expression.get("Filters", [])]
    checks += [_fits_nested(item, one) for one in expression.get("NestedFilters", [])]
    checks += [passes(item, one) for one in expression.get("SubExpressions", [])]
    if not checks:
        return True
    return any(checks) if expression.get("Operator") == "Or" else all(checks)


def _fits_nested(item: Value, nested: Value) -> bool:
    """Say whether one element of a list fits all filters at once."""
    path = nested["NestedPropertyName"]
    elements = [cast("Value", value) for value in _values(item, path) if isinstance(value, dict)]
    return any(
        all(
            _fits(element, one | {"Name": one["Name"].removeprefix(f"{path}.")})
            for one in nested["Filters"]
        )
        for element in elements
    )


def _fits(item: Value, one: Value) -> bool:
    values = _values(item, one["Name"])
    operator = one.get("Operator", "Equals")
    if operator == "Exists":
        return bool(values)
    if operator == "NotExists":
        return not values
    if "Value" not in one:
        raise Invalid(f"The filter on {one['Name']} with operator {operator} needs a Value.")
    wanted: str = one["Value"]
    if operator == "NotEquals":
        return bool(values) and all(_text(value) != wanted for value in values)
    return any(_compares(value, operator, wanted) for value in values)


def _compares(value: object, operator: str, wanted: str) -> bool:
    if operator == "Equals":
        return _text(value) == wanted or _same_number(value, wanted)
    if operator == "Contains":
        return wanted in _text(value)
    if operator == "In":
        return _text(value) in [part.strip() for part in wanted.split(",")]
    other = _like(value, wanted)
    return other is not None and _COMPARE[operator](value, other)


def _values(item: object, path: str) -> list[object]:
    """Return what a dotted path leads to; through a list it leads to each element.

    `Tags.KEY` and `HyperParameters.KEY` name an entry.
    """
    if not path:
        return [item]
    if isinstance(item, list):
        elements = cast("list[object]", item)
        tagged = _tag_value(elements, path)
        return tagged or [v for one in elements for v in _values(one, path)]
    if not isinstance(item, dict):
        return []
    members = cast("Value", item)
    if path in members:
        found: object = members[path]
        return cast("list[object]", found) if isinstance(found, list) else [found]
    name, _, rest = path.partition(".")
    return _values(members[name], rest) if name in members and rest else []


def _tag_value(elements: list[object], key: str) -> list[object]:
    pairs = [cast("Value", one) for one in elements if isinstance(one, dict) and "Key" in one]
    return [pair["Value"] for pair in pairs if pair["Key"] == key]


def _like(value: object, wanted: str) -> object | None:
    """Return `wanted` as the kind of thing that `value` is; None if it is none."""
    try:
        if isinstance(value, dt.datetime):
            moment = dt.datetime.fromisoformat(wanted)
            return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
        return float(wanted) if isinstance(value, int | float) else None
    except ValueError:
        return None


def _same_number(value: object, wanted: str) -> bool:
    other = _like(value, wanted)
    return other is not None and value == other


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, dt.datetime) else str(value)


def _sortable(item: Value, path: str) -> tuple[bool, Any]:
    values = _values(item, path) or (
        _values(item, "CreationTime") if path == "LastModifiedTime" else []
    )
    value = values[0] if values else None
    if isinstance(value, dt.datetime):
        return (True, value.timestamp())
    return (value is not None, value if isinstance(value, int | float) else str(value or ""))


def _tags(found: list[Value]) -> Value:
    return {"Tags": found} if found else {}


def _record(member: str, item: Value) -> Value:
    # The dashboard's record of a model holds the model (SearchRecord: ModelDashboardModel).
    return {member: {"Model": item} if member == "Model" else item}
