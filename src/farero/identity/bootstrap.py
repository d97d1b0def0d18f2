"""What the first start makes: the owner's key, an AWS profile for it, and the default execution role."""

from __future__ import annotations

import configparser
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from farero.base import ids
from farero.base.arns import role_arn
from farero.records.identity import Credential, Entity
from farero.store import identity as rows

if TYPE_CHECKING:
    import datetime as dt

    from sqlalchemy import Connection

    from farero.base.clock import Clock
    from farero.base.config import Settings
    from farero.store.engine import Store

ROLE = "AmazonSageMaker-ExecutionRole-farero"
PROFILE = "farero"
SESSION = "owner"
MANAGED = ("AmazonSageMakerFullAccess", "AmazonS3FullAccess")


def bootstrap(settings: Settings, store: Store, clock: Clock) -> Credential:
    """Make what is missing; return the owner's key. Doing it again changes nothing."""
    path = settings.keys_dir / "owner.json"
    settings.keys_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with store.begin() as db:
        role = rows.find_entity(db, "role", ROLE)
        if role is None:
            role = execution_role(settings.account, clock.now())
            rows.insert_entity(db, role)
        owner = _read_key(path)
        known = rows.find_credential(db, owner["access_key_id"]) if owner else None
        if known is None:
            known = _make_owner(db, settings.account, role.id, clock.now(), owner)
    if owner is None:
        _write_secret(path, json.dumps(_key_file(known), indent=2) + "\n")
    write_profile(settings, known)
    return known


def execution_role(account: str, now: dt.datetime) -> Entity:
    """Return the role that SageMaker's jobs and endpoints run with."""
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sagemaker.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    return Entity(
        kind="role",
        name=ROLE,
        arn=role_arn(account, ROLE),
        id=ids.unique_id("AROA"),
        created_at=now,
        document={
            "AssumeRolePolicyDocument": json.dumps(trust),
            "Description": "Default execution role, made by the first farero up",
            "MaxSessionDuration": 43200,
            "AttachedPolicies": [f"arn:aws:iam::aws:policy/{name}" for name in MANAGED],
        },
    )


def write_profile(settings: Settings, owner: Credential) -> None:
    """Write the profile `farero` into AWS's two files; every other line of theirs stays, `default` too."""
    home = Path.home() / ".aws"
    secrets_file = Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE", home / "credentials"))
    config_file = Path(os.environ.get("AWS_CONFIG_FILE", home / "config"))
    _put_section(
        secrets_file.expanduser(),
        PROFILE,
        {
            "aws_access_key_id": owner.access_key_id,
            "aws_secret_access_key": owner.secret_access_key,
        },
    )
    _put_section(
        config_file.expanduser(),
        f"profile {PROFILE}",
        {"region": settings.region, "output": "json", "endpoint_url": settings.url},
    )


def _make_owner(
    db: Connection,
    account: str,
    role_id: str,
    now: dt.datetime,
    kept: dict[str, str] | None,
) -> Credential:
    owner = Credential(
        access_key_id=kept["access_key_id"] if kept else ids.unique_id("AKIA"),
        secret_access_key=kept["secret_access_key"] if kept else ids.secret_key(),
        principal_arn=f"arn:aws:sts::{account}:assumed-role/{ROLE}/{SESSION}",
        user_id=f"{role_id}:{SESSION}",
        is_owner=True,
    )
    rows.insert_credential(db, owner, created_at=now)
    return owner


def _key_file(owner: Credential) -> dict[str, str]:
    return {
        "access_key_id": owner.access_key_id,
        "secret_access_key": owner.secret_access_key,
        "profile": PROFILE,
    }


def _read_key(path: Path) -> dict[str, str] | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def _put_section(path: Path, section: str, values: dict[str, str]) -> None:
    """Replace one section of an INI file, leaving the text around it as it is."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    parsed = configparser.RawConfigParser()
    try:
        parsed.read_string(text)
        if parsed.has_section(section) and dict(parsed.items(section)) == values:
            return
    except configparser.Error:
        pass  # somebody's odd file: only our own section is touched
    kept: list[str] = []
    inside = False
    for line in text.splitlines():
        if line.strip().startswith("["):
            inside = line.strip() == f"[{section}]"
        if not inside:
            kept.append(line)
    while kept and not kept[-1].strip():
        kept.pop()
    block = [f"[{section}]", *(f"{name} = {value}" for name, value in values.items())]
    new = [*kept, "", *block] if kept else block
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write_secret(path, "\n".join(new) + "\n")


def _write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all; a link stays a link."""
    real = path.resolve() if path.is_symlink() else path
    partial = real.with_name(f".{real.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(real)
