"""Tags of everything that has a SageMaker ARN."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farero.aws.services.sagemaker.paging import make_token, read_token
from farero.base.errors import Invalid, NotFound
from farero.records.tag import Tag
from farero.store import tags as rows

if TYPE_CHECKING:
    from typing import Any

    from sqlalchemy import Connection

    from farero.base.context import Context
    from farero.store.engine import Store

    Value = dict[str, Any]

#: Of one resource (Tag API reference).
MOST_TAGS = 50
#: Of a page of ListTags without MaxResults.
PAGE_SIZE = 50


class Tags:
    """The operations on tags of the service `sagemaker`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add_tags(self, ctx: Context, req: Value) -> Value:
        """Add tags or change their values; returns all tags."""
        _ = ctx
        arn = req["ResourceArn"]
        with self._store.begin() as db:
            _check_exists(db, arn)
            rows.put(db, arn, read_tags(req))
            found = rows.find(db, arn)
            if len(found) > MOST_TAGS:
                raise Invalid(f"The resource {arn} would have more than {MOST_TAGS} tags.")
        return {"Tags": _shown(found)}

    def list_tags(self, ctx: Context, req: Value) -> Value:
        """Return one page of a resource's tags."""
        _ = ctx
        arn, offset = req["ResourceArn"], read_token(req.get("NextToken"))
        with self._store.read() as db:
            _check_exists(db, arn)
            found = rows.find(db, arn)
        end = offset + req.get("MaxResults", PAGE_SIZE)
        answer: Value = {"Tags": _shown(found[offset:end])}
        if end < len(found):
            answer["NextToken"] = make_token(end)
        return answer

    def delete_tags(self, ctx: Context, req: Value) -> Value:
        """Take tags away."""
        _ = ctx
        with self._store.begin() as db:
            _check_exists(db, req["ResourceArn"])
            rows.remove(db, req["ResourceArn"], req["TagKeys"])
        return {}


def read_tags(req: Value) -> list[Tag]:
    """Return the tags in a request; of a key that comes twice the last value counts."""
    given: list[dict[str, str]] = req.get("Tags") or []
    by_key = {tag["Key"]: tag["Value"] for tag in given}
    return [Tag(key=key, value=value) for key, value in by_key.items()]


def shown_tags(db: Connection, arn: str) -> list[Value]:
    """Return a resource's tags in AWS's form."""
    return _shown(rows.find(db, arn))


def _shown(found: list[Tag]) -> list[Value]:
    return [{"Key": tag.key, "Value": tag.value} for tag in found]


def _check_exists(db: Connection, arn: str) -> None:
    """Raise NotFound in AWS's words unless the ARN is that of something that is there."""
    if not rows.can_be_tagged(arn):
        raise Invalid(f"Tags cannot be kept for '{arn}' yet.")
    if not rows.exists(db, arn):
        kind = (
            arn.rpartition(":")[2]
            .partition("/")[0]
            .replace("-", " ")
            .replace("config", "configuration")
        )
        raise NotFound(kind, arn, f'Could not find {kind} "{arn}".')
