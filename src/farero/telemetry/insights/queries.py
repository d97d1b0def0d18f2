"""Logs Insights: queries are asked for, looked up and stopped; a runner beside does them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from farero.base.errors import Conflict, Invalid, LimitExceeded, NotFound
from farero.records.logs import LogQuery, QueryDefinition
from farero.store import log_arrivals
from farero.store import log_queries as rows
from farero.store import logs as log_rows
from farero.telemetry.insights.evaluate import parse_object
from farero.telemetry.insights.parsing import LIMIT_ROWS, parse, read_source
from farero.telemetry.insights.scan import read_pointer
from farero.telemetry.insights.values import as_text, of_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from farero.base.clock import Clock
    from farero.store.engine import Store

#: "Logs Insights: concurrent queries: 30", "log groups in a single query: 50" (CloudWatch Logs quotas).
CONCURRENT = 30
GROUPS = 50
_UNENDED = ("Scheduled", "Running")
#: Name of the tick that runs them.
QUERIES = "queries"


class Queries:
    """What the operations on queries do."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        account: str,
        poke: Callable[[], None] = lambda: None,
    ) -> None:
        """poke: tells who runs them that one waits."""
        self._store = store
        self._clock = clock
        self._account = account
        self._poke = poke

    def start(
        self, text: str, groups: Sequence[str], *, start_ms: int, end_ms: int, limit: int | None
    ) -> str:
        """Schedule a query over a span of time, both ends included; return its id.

        groups: names; none where the text begins with `SOURCE '/name' | …`.
        Raises Malformed, NotFound for a group, Invalid, or LimitExceeded when 30 queries are at work.
        """
        named, text = read_source(text)
        names = tuple(dict.fromkeys(groups or named))
        parse(text)
        if not names:
            raise Invalid("A query needs a log group: logGroupName, or SOURCE '/name' before it.")
        if len(names) > GROUPS:
            raise Invalid(f"A query can search at most {GROUPS} log groups.")
        if end_ms < start_ms:
            raise Invalid("The end time of a query must not be before its start time.")
        query = LogQuery(
            id=str(uuid.uuid4()),
            groups=names,
            text=text,
            start_ms=start_ms,
            end_ms=end_ms,
            limit=min(limit or LIMIT_ROWS, LIMIT_ROWS),
            status="Scheduled",
            created_ms=self._now_ms(),
        )
        with self._store.begin() as db:
            for name in names:
                log_rows.get_group(db, name)
            if len(rows.list_queries(db, statuses=_UNENDED)) >= CONCURRENT:
                raise LimitExceeded("Account maximum query concurrency limit of [30] reached.")
            rows.insert(db, query)
        self._poke()
        return query.id

    def get(self, query_id: str) -> LogQuery:
        """Return a query with its rows. Raises NotFound."""
        with self._store.read() as db:
            return rows.get(db, query_id)

    def stop(self, query_id: str) -> None:
        """Cancel a query that has not ended. Raises NotFound, or Invalid if it has."""
        with self._store.begin() as db:
            query = rows.get(db, query_id)
            if query.status not in _UNENDED:
                raise Invalid(f"Query {query_id} is not running; its status is {query.status}.")
            rows.cancel(db, query_id, self._now_ms())

    def list(
        self, *, group: str = "", status: str = "", offset: int = 0, limit: int = 1000
    ) -> list[LogQuery]:
        """Return the queries of the last week without their rows, the newest first."""
        with self._store.read() as db:
            found = rows.list_queries(db, statuses=(status,) if status else (), limit=100_000)
        return [query for query in found if not group or group in query.groups][offset:][:limit]

    def record(self, pointer: str) -> dict[str, str]:
        """Return every field of the event that @ptr names. Raises NotFound, or Invalid for what is no pointer."""
        event_id = read_pointer(pointer)
        if event_id is None:
            raise Invalid("The specified logRecordPointer is invalid.")
        with self._store.read() as db:
            found = log_arrivals.find_event(db, event_id)
        if found is None:
            raise NotFound("log record", pointer, "The specified log record does not exist.")
        group, event = found
        members = parse_object(event.message) or {}
        fields = {name: as_text(of_json(value)) for name, value in members.items()}
        return fields | {
            "@timestamp": str(event.timestamp_ms),
            "@ingestionTime": str(event.ingested_ms),
            "@message": event.message,
            "@logStream": event.stream,
            "@log": f"{self._account}:{group}",
            "@ptr": pointer,
        }

    def put_definition(
        self, name: str, text: str, groups: Sequence[str], *, definition_id: str = ""
    ) -> str:
        """Keep a query under a name, or change the one of that id; return the id. Raises NotFound, Conflict."""
        with self._store.begin() as db:
            if definition_id and rows.find_definition(db, definition_id) is None:
                raise NotFound(
                    "query definition",
                    definition_id,
                    "The specified query definition does not exist.",
                )
            taken = [one for one in rows.list_definitions(db, prefix=name) if one.name == name]
            if taken and taken[0].id != definition_id:
                raise Conflict(
                    "query definition", name, f"A query definition of the name {name} exists."
                )
            made = definition_id or str(uuid.uuid4())
            rows.put_definition(
                db,
                QueryDefinition(
                    id=made,
                    name=name,
                    text=text,
                    groups=tuple(groups),
                    changed_ms=self._now_ms(),
                ),
            )
        return made

    def definitions(self, *, prefix: str, after: str, limit: int) -> list[QueryDefinition]:
        """Return kept queries by name, those after `after`."""
        with self._store.read() as db:
            return rows.list_definitions(db, prefix=prefix, after=after, limit=limit)

    def delete_definition(self, definition_id: str) -> bool:
        """Remove a kept query; False if there is none of that id."""
        with self._store.begin() as db:
            return rows.delete_definition(db, definition_id)

    def _now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)
