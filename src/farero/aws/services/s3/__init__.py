"""The room of Amazon S3: its families of operations, and what all of them have in common."""

from __future__ import annotations

import asyncio
import functools
import inspect
from typing import TYPE_CHECKING, Any

from farero.aws.services.s3.buckets import BucketOperations
from farero.aws.services.s3.configs import Configurations
from farero.aws.services.s3.copies import Copies
from farero.aws.services.s3.errors import translate
from farero.aws.services.s3.listing import Listings
from farero.aws.services.s3.multipart import Multipart
from farero.aws.services.s3.post import PostObject, refuse_form
from farero.aws.services.s3.reads import Reads
from farero.aws.services.s3.writes import Writes
from farero.aws.wire.messages import AwsError
from farero.base.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Callable

    from farero.aws.services.s3.post import CheckForm
    from farero.aws.wire.messages import Value
    from farero.base.context import Context
    from farero.objects.local import LocalObjects

    Operation = Callable[..., Any]


class S3:
    """Object storage."""

    service = "s3"
    FAMILIES = (
        BucketOperations,
        Configurations,
        Reads,
        Writes,
        Copies,
        Multipart,
        Listings,
        PostObject,
    )
    #: Domain errors are told by `errors.translate`, which needs the request; nothing is left for a table.
    errors: dict[type[DomainError], tuple[str, int]] = {}  # noqa: RUF012 - read only

    def __init__(self, objects: LocalObjects, check_form: CheckForm = refuse_form) -> None:
        """check_form: raises AwsError unless the fields of an upload form hold a good signature of their policy."""
        self._objects = objects
        self._families = (
            BucketOperations(objects),
            Configurations(objects),
            Reads(objects),
            Writes(objects),
            Copies(objects),
            Multipart(objects),
            Listings(objects),
            PostObject(objects, check_form),
        )

    def find_operation(self, name: str) -> Operation | None:
        """Return the method for an operation, e.g. `get_object`, with the checks all of them share; or None."""
        for family in self._families:
            method = getattr(family, name, None)
            if method is not None and not name.startswith("_"):
                return self._guarded(method)
        return None

    def _guarded(self, method: Operation) -> Operation:
        if inspect.iscoroutinefunction(method):

            @functools.wraps(method)
            async def answer(ctx: Context, req: dict[str, Value]) -> dict[str, Value]:
                try:
                    if req.get("ExpectedBucketOwner"):
                        await asyncio.to_thread(self._check_owner, ctx, req)
                    return await method(ctx, req)
                except DomainError as error:
                    raise translate(error, req) from error

            return answer

        @functools.wraps(method)
        def answer_in_thread(ctx: Context, req: dict[str, Value]) -> dict[str, Value]:
            try:
                self._check_owner(ctx, req)
                return method(ctx, req)
            except DomainError as error:
                raise translate(error, req) from error

        return answer_in_thread

    def _check_owner(self, ctx: Context, req: dict[str, Value]) -> None:
        """Refuse a request that expects the bucket to be another account's; all of them are ours."""
        expected = req.get("ExpectedBucketOwner")
        if expected and expected != ctx.account:
            self._objects.buckets.get(req["Bucket"])
            raise AwsError("AccessDenied", "Access Denied", 403)
