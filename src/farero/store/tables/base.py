"""What all tables share: the metadata, and a type for aware UTC times."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Column, Integer, MetaData, Table
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

metadata = MetaData()


class UtcTime(TypeDecorator[dt.datetime]):
    """An aware UTC datetime, kept as whole microseconds since 1970: sorts, compares, loses nothing."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> int | None:
        """Turn a time into microseconds."""
        _ = dialect
        return None if value is None else to_micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> dt.datetime | None:
        """Turn microseconds into a time."""
        _ = dialect
        return None if value is None else from_micros(value)


_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICRO = dt.timedelta(microseconds=1)


def to_micros(value: dt.datetime) -> int:
    """Return whole microseconds since 1970-01-01 UTC."""
    return (value - _EPOCH) // _MICRO


def from_micros(value: int) -> dt.datetime:
    """Return the aware UTC time of `value` microseconds since 1970."""
    return _EPOCH + dt.timedelta(microseconds=value)


#: One row each: `schema` (number of the last migration) and `routing` (raised by every change gateways must see).
versions = Table(
    "versions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("value", BigInteger, nullable=False),
)
