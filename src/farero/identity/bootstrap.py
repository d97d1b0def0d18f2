"""What the first start makes: the owner's key, an AWS profile for it, the default execution role, Prometheus' token."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from farero.base import ids
from farero.base.arns import managed_policy_arn, role_arn
from farero.identity.profiles import update_file, write_secret
from farero.records.identity import Credential, Entity
from farero.store import identity as rows

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from farero.base.clock import Clock
    from farero.base.config import Settings
    from farero.store.engine import Store

ROLE = "AmazonSageMaker-ExecutionRole-farero"
PROFILE = "farero"
SESSION = "owner"
#: What Prometheus shows to read `/metrics`, and may do nothing else with.
METRICS_TOKEN = "metrics-token"  # noqa: S105 - the name of a file
MANAGED = ("AmazonSageMakerFullAccess", "AmazonS3FullAccess")
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


def bootstrap(settings: Settings, store: Store, clock: Clock) -> Credential:
    """Make what is missing; return the owner's key. Doing it again changes nothing."""
    path = settings.keys_dir / "owner.json"
    settings.keys_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings.keys_dir.chmod(0o700)
    with store.begin() as db:
        role = rows.find_entity(db, "role", ROLE)
        if role is None:
            role = execution_role(settings.account, clock.now())
            rows.insert_entity(db, role)
        kept = _read_key(path)
        owner = rows.find_credential(db, kept["access_key_id"]) if kept else None
        if owner is None:
            owner = _owner(settings.account, role, kept)
            if kept is None:
                # Written before the row: a crash in between leaves a file whose key the next start takes up.
                write_secret(path, json.dumps(_key_file(owner), indent=2) + "\n")
            rows.insert_credential(db, owner, created_at=clock.now())
    if not (settings.keys_dir / METRICS_TOKEN).exists():
        write_secret(settings.keys_dir / METRICS_TOKEN, secrets.token_urlsafe(32) + "\n")
    write_profile(settings, owner)
    return owner


def execution_role(account: str, now: dt.datetime) -> Entity:
    """Return the role that SageMaker's jobs and endpoints run with."""
    return Entity(
        kind="role",
        name=ROLE,
        arn=role_arn(account, ROLE),
        id=ids.unique_id("AROA"),
        created_at=now,
        document={
            "AssumeRolePolicyDocument": json.dumps(TRUST),
            "Description": "Default execution role, made by the first farero up",
            "MaxSessionDuration": 43200,
            "AttachedPolicies": [managed_policy_arn(name) for name in MANAGED],
        },
    )


def write_profile(
    settings: Settings, owner: Credential, environ: Mapping[str, str] | None = None
) -> None:
    """Write the profile `farero` into AWS's two files; every other line of theirs stays, `default` too."""
    source = os.environ if environ is None else environ
    home = Path.home() / ".aws"
    secrets_file = Path(source.get("AWS_SHARED_CREDENTIALS_FILE") or home / "credentials")
    config_file = Path(source.get("AWS_CONFIG_FILE") or home / "config")
    update_file(
        secrets_file.expanduser(),
        PROFILE,
        {
            "aws_access_key_id": owner.access_key_id,
            "aws_secret_access_key": owner.secret_access_key,
            "aws_session_token": None,
        },
    )
    update_file(
        config_file.expanduser(),
        f"profile {PROFILE}",
        {"region": settings.region, "output": "json", "endpoint_url": settings.url},
    )


def _owner(account: str, role: Entity, kept: dict[str, str] | None) -> Credential:
    return Credential(
        access_key_id=kept["access_key_id"] if kept else ids.unique_id("AKIA"),
        secret_access_key=kept["secret_access_key"] if kept else ids.secret_key(),
        principal_arn=f"arn:aws:sts::{account}:assumed-role/{ROLE}/{SESSION}",
        user_id=f"{role.id}:{SESSION}",
        is_owner=True,
    )


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
