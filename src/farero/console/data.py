"""Where pages get their data: the gateway, asked in threads; each answer is shared for a second by all tabs.

The clients are boto3's, made by botocore: what boto3 adds is moving files, which a visitor would wait for.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
import urllib.request
from typing import TYPE_CHECKING, Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from farero.base.config import Settings

FRESH_S = 1.0


class UnavailableError(Exception):
    """The platform did not give an answer; the text says why."""


class Cloud:
    """The gateway as the console sees it: a client with the owner's key."""

    def __init__(self, settings: Settings) -> None:
        """settings: where the gateway and the owner's key are."""
        self.settings = settings
        self._clients: dict[str, Any] = {}
        self._making = threading.Lock()
        self._session: Session | None = None
        self._kept: dict[object, tuple[float, Any]] = {}
        self._locks: dict[object, asyncio.Lock] = {}

    async def ask(self, service: str, operation: str, **params: Any) -> Any:
        """Call one operation; an equal call of the last second is answered from memory. Raises UnavailableError."""
        key = (service, operation, json.dumps(params, sort_keys=True, default=str))
        return await self._shared(key, lambda: self._call(service, operation, params))

    async def do(self, service: str, operation: str, **params: Any) -> Any:
        """Call one operation that changes something, and forget what was kept. Raises UnavailableError."""
        self._kept.clear()
        return await asyncio.to_thread(self._call, service, operation, params)

    async def read(self, uri: str, most_bytes: int) -> bytes:
        """Return an object of S3, which nobody here has any reason to trust. Raises UnavailableError."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        return await asyncio.to_thread(self._object, bucket, key, most_bytes)

    async def page(self, name: str, query: str = "") -> Any:
        """Read one of the platform's own pages. Raises UnavailableError."""
        return await self._shared(("page", name, query), lambda: self._page(name, query))

    async def _shared(self, key: object, read: Callable[[], Any]) -> Any:
        async with self._locks.setdefault(key, asyncio.Lock()):
            at, value = self._kept.get(key, (0.0, None))
            if time.monotonic() - at > FRESH_S or at == 0.0:
                value = await asyncio.to_thread(read)
                now = time.monotonic()
                self._kept[key] = (now, value)
                if len(self._kept) > 500:
                    self._kept = {k: v for k, v in self._kept.items() if v[0] > now - FRESH_S}
                    self._locks = {k: v for k, v in self._locks.items() if v.locked()}
            return value

    def _call(self, service: str, operation: str, params: dict[str, Any]) -> Any:
        try:
            found = getattr(self._client(service), operation)(**params)
        except ClientError as error:
            told = error.response.get("Error", {})
            raise UnavailableError(f"{told.get('Code', '')}: {told.get('Message', '')}") from error
        except (BotoCoreError, OSError) as error:
            raise UnavailableError(str(error)) from error
        found.pop("ResponseMetadata", None)  # new each time, though nothing has changed
        return found

    def _object(self, bucket: str, key: str, most_bytes: int) -> bytes:
        found = self._call("s3", "get_object", {"Bucket": bucket, "Key": key})
        with found["Body"] as body:
            if found["ContentLength"] > most_bytes:
                raise UnavailableError(f"s3://{bucket}/{key}: > {most_bytes:,} B")
            try:
                return body.read()
            except (BotoCoreError, OSError) as error:
                raise UnavailableError(str(error)) from error

    def _client(self, service: str) -> Any:
        with self._making:  # botocore's sessions are not safe for threads
            if service not in self._clients:
                self._clients[service] = self._make_client(service)
            return self._clients[service]

    def _make_client(self, service: str) -> Any:
        if self._session is None:
            key = self._key()
            self._session = Session()
            self._session.set_credentials(key["access_key_id"], key["secret_access_key"])
        config = Config(
            retries={"max_attempts": 1}, read_timeout=75, connect_timeout=3,
            s3={"addressing_style": "path"},
        )  # fmt: skip
        return self._session.create_client(
            service, self.settings.region, endpoint_url=self.settings.url, config=config
        )

    def _key(self) -> dict[str, str]:
        return json.loads((self.settings.keys_dir / "owner.json").read_text(encoding="utf-8"))

    def _page(self, name: str, query: str) -> Any:
        key = self._key()
        url = f"{self.settings.url}/_farero/{name}" + (f"?{query}" if query else "")
        request = AWSRequest("GET", url)
        credentials = Credentials(key["access_key_id"], key["secret_access_key"])
        SigV4Auth(credentials, "farero", self.settings.region).add_auth(request)
        wire = urllib.request.Request(url, headers=dict(request.headers.items()))  # noqa: S310 - our own gateway
        try:
            with urllib.request.urlopen(wire, timeout=30) as answer:  # noqa: S310
                return json.load(answer)
        except OSError as error:
            raise UnavailableError(str(error)) from error


def shared(
    read: Callable[[], Coroutine[Any, Any, Any]], keep_s: float
) -> Callable[[], Awaitable[Any]]:
    """Return a reader for all who look at the same thing: one asks for the others, and its answer lasts `keep_s`."""
    last: asyncio.Task[Any] | None = None
    until = 0.0

    async def look() -> Any:
        nonlocal last, until
        now = asyncio.get_running_loop().time()
        if last is None or (last.done() and now >= until):
            last, until = asyncio.create_task(read()), now + keep_s
        return await asyncio.shield(last)  # who leaves does not take the answer from the others

    return look
