"""Who asks, where and when: handed to every operation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The identity behind a verified signature."""

    #: The access key id that signed the request, e.g. `AKIA…` or `ASIA…`.
    access_key_id: str
    #: ARN as sts:GetCallerIdentity returns it, e.g. `arn:aws:sts::123456789012:assumed-role/R/s`.
    arn: str
    #: Unique id as sts:GetCallerIdentity returns it, e.g. `AROA…:session`.
    user_id: str
    #: The owner may do everything.
    is_owner: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One request's frame."""

    account: str
    region: str
    request_id: str
    now: dt.datetime
    principal: Principal
    #: Where the caller reached us, e.g. `http://127.0.0.1:4747`; for URLs in answers.
    base_url: str = ""
    #: When the request came, by the monotonic clock.
    received: float = 0.0
