"""The few calls a job makes while it runs, signed with its role's credentials: models, endpoints, objects.

Only the standard library is needed, as a job's Python has no boto3. Calls go to AWS_ENDPOINT_URL, or to AWS itself.
Signatures: "Create a signed AWS API request" (Signature Version 4) in the IAM User Guide.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import http.client
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Longest wait for one answer.
TIMEOUT_S = 120.0
#: How often a call is made again when nobody answers or the answer is "too many" or "not now".
TRIES = 5
_AGAIN = (429, 500, 502, 503, 504)
_HOSTS = {
    "sagemaker": ("api.sagemaker", "sagemaker"),
    "runtime": ("runtime.sagemaker", "sagemaker"),
    "s3": ("s3", "s3"),
}


class AwsError(Exception):
    """A call that was refused or failed; the text is the service's own."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}" if code else message)
        self.code = code
        self.message = message


@dataclass(slots=True)
class Aws:
    """A signing client. Not for several threads at once."""

    region: str
    access_key: str
    secret: str
    token: str = ""
    #: Where all services are, e.g. `http://127.0.0.1:8080`; empty for AWS itself.
    endpoint: str = ""
    _open: dict[str, http.client.HTTPConnection] = field(
        default_factory=dict[str, http.client.HTTPConnection]
    )

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Aws:
        """Return the client that the environment describes."""
        return cls(
            region=environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1",
            access_key=environ.get("AWS_ACCESS_KEY_ID", ""),
            secret=environ.get("AWS_SECRET_ACCESS_KEY", ""),
            token=environ.get("AWS_SESSION_TOKEN", ""),
            endpoint=environ.get("AWS_ENDPOINT_URL", ""),
        )

    def sagemaker(self, operation: str, **given: Any) -> dict[str, Any]:
        """Call an operation of SageMaker. Raises AwsError."""
        headers = {
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": f"SageMaker.{operation}",
        }
        content = self._send(
            "sagemaker", "POST", "/", body=json.dumps(given).encode(), headers=headers
        )
        return json.loads(content) if content else {}

    def invoke(self, endpoint: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        """Ask an endpoint. Raises AwsError, for a model's own failure with the model's own words."""
        path = f"/endpoints/{quote(endpoint)}/invocations"
        return self._send("runtime", "POST", path, body=body, headers=headers)

    def read(self, uri: str) -> bytes:
        """Return an object of S3. Raises AwsError."""
        bucket, key = _place(uri)
        return self._send("s3", "GET", f"/{bucket}/{quote(key, safe='/-_.~')}")

    def find(self, uri: str) -> list[str]:
        """Return the URIs of the objects that one begins, an object itself among them. Raises AwsError."""
        bucket, prefix = _place(uri)
        found: list[str] = []
        after = ""
        while True:
            query = {"list-type": "2", "prefix": prefix} | (
                {"continuation-token": after} if after else {}
            )
            listed = ET.fromstring(self._send("s3", "GET", f"/{bucket}", query=query))  # noqa: S314 - the platform's own answer
            found += [str(key.text) for key in listed.iterfind("{*}Contents/{*}Key")]
            after = listed.findtext("{*}NextContinuationToken") or ""
            if not after:
                break
        folder = prefix if not prefix or prefix.endswith("/") else prefix + "/"
        return [
            f"s3://{bucket}/{key}"
            for key in found
            if not key.endswith("/") and (key == prefix or key.startswith(folder))
        ]

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        for connection in self._open.values():
            connection.close()
        self._open.clear()

    def _send(  # noqa: PLR0913
        self, service: str, method: str, path: str, *, body: bytes = b"",
        query: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None,
    ) -> bytes:  # fmt: skip
        asked = "&".join(
            f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
            for name, value in sorted((query or {}).items())
        )
        for left in reversed(range(TRIES)):
            try:
                status, content = self._once(service, method, (path, asked), body, headers or {})
            except (OSError, http.client.HTTPException) as error:
                self.close()
                if not left:
                    raise AwsError("", f"{self._url(service)} does not answer: {error}") from error
            else:
                if status < 300:
                    return content
                if not left or status not in _AGAIN:
                    raise _error(status, content)
            time.sleep(0.2 * 2 ** (TRIES - 1 - left))
        raise AssertionError("unreachable")

    def _once(
        self,
        service: str,
        method: str,
        at: tuple[str, str],
        body: bytes,
        headers: Mapping[str, str],
    ) -> tuple[int, bytes]:
        connection = self._open.get(service)
        url = urlsplit(self._url(service))
        if connection is None:
            kind = (
                http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
            )
            connection = self._open[service] = kind(url.netloc, timeout=TIMEOUT_S)
        signed = self._signed(_HOSTS[service][1], method, url.netloc, at, body, headers)
        path, query = at
        connection.request(method, f"{path}?{query}" if query else path, body, signed)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def _url(self, service: str) -> str:
        return self.endpoint or f"https://{_HOSTS[service][0]}.{self.region}.amazonaws.com"

    def _signed(  # noqa: PLR0913, PLR0917
        self, service: str, method: str, host: str, at: tuple[str, str], body: bytes,
        headers: Mapping[str, str],
    ) -> dict[str, str]:  # fmt: skip
        now = dt.datetime.now(dt.UTC)
        day, moment = f"{now:%Y%m%d}", f"{now:%Y%m%dT%H%M%SZ}"
        digest = hashlib.sha256(body).hexdigest()
        sent = {name.lower(): value for name, value in headers.items()} | {
            "host": host, "x-amz-date": moment, "x-amz-content-sha256": digest,
        }  # fmt: skip
        if self.token:
            sent["x-amz-security-token"] = self.token
        names = ";".join(sorted(sent))
        lines = "".join(f"{name}:{sent[name].strip()}\n" for name in sorted(sent))
        request = f"{method}\n{at[0]}\n{at[1]}\n{lines}\n{names}\n{digest}"
        scope = f"{day}/{self.region}/{service}/aws4_request"
        hashed = hashlib.sha256(request.encode()).hexdigest()
        key = f"AWS4{self.secret}".encode()
        for part in (day, self.region, service, "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashed}"
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        sent["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, SignedHeaders={names}, "
            f"Signature={signature}"
        )
        return sent


def _place(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket:
        raise AwsError("", f"'{uri}' is no S3 URI like s3://bucket/key.")
    return bucket, key


def _error(status: int, content: bytes) -> AwsError:
    """Return what went wrong, in the service's words: JSON of SageMaker, XML of S3."""
    text = content.decode("utf-8", "replace").strip()
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if isinstance(found, dict):
        told: dict[str, Any] = {str(key).lower(): value for key, value in found.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - JSON
        code = str(told.get("__type") or told.get("code") or f"HTTP {status}").rpartition("#")[2]
        return AwsError(code, str(told.get("originalmessage") or told.get("message") or text))
    try:
        tree = ET.fromstring(text)  # noqa: S314 - the platform's own answer
        return AwsError(tree.findtext("{*}Code") or "", tree.findtext("{*}Message") or text)
    except ET.ParseError:
        return AwsError(f"HTTP {status}", text[:1000])
