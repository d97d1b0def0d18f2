"""What the links in notifications lead to: the signing certificate, and the page that confirms a mail's subscription.

They need no signature: who has the link has its secret (R3 lists them).
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from farero.aws.wire.messages import HttpResponse
from farero.base.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from farero.notify.signing import Signer
    from farero.notify.subscriptions import Subscriptions

    class Parts(Protocol):
        """What of the app these pages need."""

        signer: Signer
        listeners: Subscriptions


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<body><h1>{title}</h1><p>{text}</p></body></html>
"""
_HEADERS = [
    ("Content-Type", "text/html; charset=utf-8"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
]


def links(parts: Parts) -> Callable[[str, dict[str, str]], HttpResponse | None]:
    """Return what answers `sns/…` below /_farero/."""

    def answer(name: str, query: dict[str, str]) -> HttpResponse | None:
        if name == "sns/confirm":
            return _confirm(parts.listeners, query)
        if name.endswith(".pem") and name == f"sns/{parts.signer.certificate_name()}":
            kind = [
                ("Content-Type", "application/x-pem-file"),
                ("X-Content-Type-Options", "nosniff"),
            ]
            return HttpResponse(status=200, headers=kind, body=parts.signer.certificate().encode())
        return None

    return answer


def _confirm(listeners: Subscriptions, query: dict[str, str]) -> HttpResponse:
    try:
        confirmed = listeners.confirm(
            query.get("TopicArn", ""), query.get("Token", ""), needs_authentication=False
        )
    except DomainError:
        text = "This link is not valid (any more). Subscribe again to get a new one."
        return _page(400, "Not confirmed", text)
    text = f"{confirmed.endpoint} is subscribed to {confirmed.topic_arn}."
    return _page(200, "Subscription confirmed!", text)


def _page(status: int, title: str, text: str) -> HttpResponse:
    body = _PAGE.format(title=html.escape(title), text=html.escape(text))
    return HttpResponse(status=status, headers=list(_HEADERS), body=body.encode())
