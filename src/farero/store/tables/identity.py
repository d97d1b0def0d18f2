"""Credentials, and IAM's things: users, roles, groups, policies, instance profiles."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, String, Table, Text

from farero.store.tables.base import UtcTime, metadata

#: Keys that sign requests.
credentials = Table(
    "credentials",
    metadata,
    Column("access_key_id", String(128), primary_key=True),
    Column("secret_access_key", String(256), nullable=False),
    Column("session_token", Text),
    Column("expires_at", UtcTime),
    Column("principal_arn", String(512), nullable=False),
    Column("user_id", String(256), nullable=False),
    #: Name of the IAM user the key belongs to; empty for a role's or the owner's.
    Column("user_name", String(128), nullable=False, default=""),
    Column("is_owner", Boolean, nullable=False, default=False),
    Column("is_active", Boolean, nullable=False, default=True),
    Column("created_at", UtcTime, nullable=False),
)
Index("credentials_user", credentials.c.user_name)
Index("credentials_expiry", credentials.c.expires_at)

#: One row a user, role, group, managed policy or instance profile; what only IAM reads is a JSON document.
iam_entities = Table(
    "iam_entities",
    metadata,
    #: `user`, `role`, `group`, `policy` or `instance-profile`.
    Column("kind", String(32), primary_key=True),
    #: Name; for a managed policy its ARN. Names of one kind differ by more than case.
    Column("name", String(512), primary_key=True),
    Column("arn", String(512), nullable=False),
    Column("id", String(64), nullable=False),
    Column("path", String(512), nullable=False, default="/"),
    Column("created_at", UtcTime, nullable=False),
    Column("document", Text, nullable=False, default="{}"),
)
