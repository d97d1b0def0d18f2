"""Who may call: credentials, users, roles, policies and what binds them."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - dataclass fields are read at run time
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What signs a request, and whose it is."""

    #: `AKIA…` for a lasting key, `ASIA…` for a temporary one.
    access_key_id: str
    secret_access_key: str = field(repr=False)
    #: Token that must come along with a temporary key; None for a lasting one.
    session_token: str | None = field(default=None, repr=False)
    #: Moment from which a temporary key is refused.
    expires_at: dt.datetime | None = None
    #: ARN and id as sts:GetCallerIdentity returns them.
    principal_arn: str
    user_id: str
    #: The owner may do everything.
    is_owner: bool = False
    #: False while iam:UpdateAccessKey has the key Inactive.
    is_active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """A user, role, group, managed policy or instance profile."""

    #: `user`, `role`, `group`, `policy` or `instance-profile`.
    kind: str
    #: Name; of a managed policy its ARN.
    name: str
    arn: str
    #: Unique id, e.g. `AROA…` for a role.
    id: str
    path: str = "/"
    created_at: dt.datetime
    #: What else belongs to it, under AWS's names: documents, attachments, inline policies, tags, members.
    document: dict[str, Any] = field(default_factory=dict[str, Any])
