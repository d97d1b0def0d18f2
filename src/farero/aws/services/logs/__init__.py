"""The room `logs` (CloudWatch Logs): groups, events, metric filters, subscriptions, Logs Insights, live tail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from farero.aws.services.logs.events import Events
from farero.aws.services.logs.filters import Filters
from farero.aws.services.logs.groups import Groups
from farero.aws.services.logs.queries import Queries
from farero.aws.services.logs.subscriptions import Subscriptions
from farero.aws.services.logs.tail import LiveTail
from farero.base.errors import Conflict, DomainError, Invalid, LimitExceeded, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from farero.telemetry.filter_apply import MetricFilters
    from farero.telemetry.insights.queries import Queries as InsightsQueries
    from farero.telemetry.logs import Logs
    from farero.telemetry.subscriptions import Subscriptions as LogSubscriptions


class CloudWatchLogs:
    """All operations of the service, each a method of one of the families."""

    service = "logs"
    FAMILIES = (Groups, Events, Filters, Subscriptions, Queries, LiveTail)
    errors: ClassVar[dict[type[DomainError], tuple[str, int]]] = {
        NotFound: ("ResourceNotFoundException", 400),
        Conflict: ("ResourceAlreadyExistsException", 400),
        Invalid: ("InvalidParameterException", 400),
        LimitExceeded: ("LimitExceededException", 400),
    }

    def __init__(
        self,
        logs: Logs,
        filters: MetricFilters,
        subscriptions: LogSubscriptions,
        queries: InsightsQueries,
        tail: LiveTail,
    ) -> None:
        self._families = (
            Groups(logs, filters),
            Events(logs),
            Filters(filters),
            Subscriptions(subscriptions),
            Queries(queries),
            tail,
        )

    def find_operation(self, python_name: str) -> Callable[..., Any] | None:
        """Return the method for an operation by its botocore name; None if there is none."""
        if python_name.startswith("_"):
            return None
        for family in self._families:
            found = getattr(family, python_name, None)
            if callable(found):
                return found
        return None
