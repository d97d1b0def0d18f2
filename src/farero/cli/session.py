"""How commands reach the platform (or AWS, with --aws): boto3 clients made from settings and the owner's key."""

from __future__ import annotations

import contextlib
import json
import os
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from farero.base.clock import SystemClock
from farero.base.config import Settings, read_settings
from farero.base.errors import Invalid
from farero.cli.output import DENIED, FAILED, NOT_RUNNING, WRONG_USAGE, fail, options
from farero.identity.outgoing import sign

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.exceptions import ClientError


@cache
def settings() -> Settings:
    """Return the settings of this shell; a wrong value ends the command."""
    try:
        return read_settings(data_dir=options.data_dir, region=options.region)
    except Invalid as error:
        fail("E-SETTING", str(error), where="flags and FARERO_ variables",
             fix="farero --help   # what each setting may be", status=WRONG_USAGE)  # fmt: skip


def owner_key() -> dict[str, str]:
    """Return the owner's key; ends the command when there is none yet."""
    path = settings().keys_dir / "owner.json"
    if not path.exists():
        fail(
            "E-NOT-RUNNING",
            "Farero has never been started here",
            where=str(settings().data_dir),
            fix="farero up -d",
            status=NOT_RUNNING,
        )
    return json.loads(path.read_text(encoding="utf-8"))


def is_aws() -> bool:
    """Say whether commands go to AWS itself: asked for, and no endpoint is set."""
    return options.aws


def client(service: str) -> Any:
    """Return a boto3 client for `service`, without long retries."""
    import boto3  # heavy: 0.6 s, and half of the commands do without
    from botocore.config import Config

    config = Config(retries={"mode": "standard", "max_attempts": 3}, read_timeout=75)
    if is_aws():
        return guarded(
            lambda: boto3.Session(profile_name=options.profile, region_name=options.region).client(
                service, config=config
            )
        )
    key = owner_key()
    session = boto3.Session(
        aws_access_key_id=key["access_key_id"],
        aws_secret_access_key=key["secret_access_key"],
        region_name=settings().region,
    )
    return session.client(service, endpoint_url=settings().url, config=config)


def admin(method: str, name: str, query: str = "") -> Any:
    """Call one of the platform's own pages, signed by the owner; returns its JSON."""
    import http.client

    owner = owner_key()
    key = owner["access_key_id"], owner["secret_access_key"]
    url = f"{settings().url}/_farero/{name}" + (f"?{query}" if query else "")
    parts = urlsplit(url)
    scope = settings().region, "farero"
    signed = sign(method, url, key, scope=scope, now=SystemClock().now())
    gateway = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    with contextlib.closing(gateway):
        gateway.request(method, parts._replace(scheme="", netloc="").geturl(), headers=signed)
        answer = gateway.getresponse()
        body = answer.read()
    if answer.status == 200:
        return json.loads(body)
    fail(
        "E-ADMIN",
        body.decode("utf-8", "replace")[:500],
        where=f"{method} {url}",
        status=DENIED if answer.status == 403 else FAILED,
    )


def guarded(action: Callable[[], Any]) -> Any:
    """Run `action`, turning what can go wrong on the way to the platform into a four-part error."""
    try:
        return action()
    except ConnectionRefusedError:
        not_running()
    except Exception as error:
        _explain(error)
        raise


def _explain(error: Exception) -> None:
    """End the command where botocore says what is wrong."""
    from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError

    match error:
        case EndpointConnectionError():
            not_running()
        case ClientError():
            _refused(error)
        case BotoCoreError():
            fail("E-CLIENT", str(error), where="AWS's own configuration, or the connection",
                 fix="farero doctor", status=FAILED)  # fmt: skip
        case _:
            pass


def not_running() -> None:
    """End the command because nothing answers."""
    fail(
        "E-NOT-RUNNING",
        f"nothing answers at {settings().url}",
        where=str(settings().data_dir),
        fix="farero up -d",
        status=NOT_RUNNING,
    )


def _refused(error: ClientError) -> None:
    facts = error.response.get("Error", {})
    code = facts.get("Code", "Unknown")
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    request_id = error.response.get("ResponseMetadata", {}).get("RequestId", "")
    fail(
        code,
        facts.get("Message", str(error)),
        where=f"{error.operation_name}, request {request_id}",
        fix="farero doctor   # whose key is used"
        if status == 403
        else "farero ls --all   # what there is",
        status=DENIED if status == 403 else FAILED,
    )


def child_environment() -> dict[str, str]:
    """Return the variables that make AWS code reach the platform, as `farero env` prints them."""
    from farero.cli.environment import exports

    return {**os.environ, **exports()}
