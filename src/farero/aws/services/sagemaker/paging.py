"""Pages of SageMaker's listings: what the requests have in common, and the token that leads to the next page."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, TypeVar

from farero.base.errors import Invalid
from farero.store.endpoints import ListQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Value = dict[str, Any]

Item = TypeVar("Item")

#: Of a listing without MaxResults (observed; the reference names 10 for most).
DEFAULT_SIZE = 10


def list_query(req: Value, *, sort_by: str = "CreationTime", descending: bool = True) -> ListQuery:
    """Return what a List… request asks for, with one row more than the page so that its end is seen.

    sort_by, descending: the operation's defaults.
    """
    order = "Descending" if descending else "Ascending"
    return ListQuery(
        name_contains=req.get("NameContains"),
        created_before=req.get("CreationTimeBefore"),
        created_after=req.get("CreationTimeAfter"),
        modified_before=req.get("LastModifiedTimeBefore"),
        modified_after=req.get("LastModifiedTimeAfter"),
        status=req.get("StatusEquals"),
        sort_by=req.get("SortBy", sort_by),
        descending=req.get("SortOrder", order) == "Descending",
        limit=page_size(req) + 1,
        offset=read_token(req.get("NextToken")),
    )


def page(req: Value, member: str, found: Sequence[Item], shown: Callable[[Item], Value]) -> Value:
    """Return one page of a listing that was asked for with one row more."""
    size = page_size(req)
    answer: Value = {member: [shown(item) for item in found[:size]]}
    if len(found) > size:
        answer["NextToken"] = make_token(read_token(req.get("NextToken")) + size)
    return answer


def page_size(req: Value) -> int:
    """Return how many items the page may hold."""
    return int(req.get("MaxResults", DEFAULT_SIZE))


def make_token(offset: int) -> str:
    """Return the token of the page that begins at `offset`."""
    return base64.urlsafe_b64encode(f"from {offset}".encode()).decode()


def read_token(token: str | None) -> int:
    """Return the offset in a token. Raises Invalid for a token that is none of ours."""
    if token is None:
        return 0
    try:
        word, _, number = base64.urlsafe_b64decode(token).decode().partition(" ")
        if word == "from" and number.isdigit():
            return int(number)
    except (binascii.Error, ValueError):
        pass
    raise Invalid("Invalid pagination token.")
