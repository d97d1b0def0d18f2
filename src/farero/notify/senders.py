"""One message to one subscription, now: which protocol, which form, and what its refusal means."""

from __future__ import annotations

import http.client
import smtplib
from typing import TYPE_CHECKING

from farero.base.errors import DomainError
from farero.notify import apprise, envelope, slack
from farero.notify.guard import parse_url
from farero.records.notify import NoteType

if TYPE_CHECKING:
    from collections.abc import Callable

    from farero.base.config import Settings
    from farero.notify.envelope import Envelopes
    from farero.notify.guard import Guard
    from farero.notify.http import Answer, Poster
    from farero.notify.mail import Mailer
    from farero.records.notify import Note, Subscription

LAMBDA = "there is no Lambda here yet; subscribe an https or sqs endpoint"
#: Client errors that may pass by themselves ("Amazon SNS message delivery retries": the others are not tried again).
_PASSING = frozenset({408, 425, 429})
#: Slack says so when it is asked too often or ails.
_MAX_REASON = 300


class DeliveryFailed(Exception):  # noqa: N818 - the domain's own words
    """A receiver did not take a message."""

    def __init__(self, reason: str, *, is_final: bool = False, wait_s: int = 0) -> None:
        """is_final: trying again is no use. wait_s: not before so many seconds."""
        self.reason = reason
        self.is_final = is_final
        self.wait_s = wait_s
        super().__init__(reason)


class Senders:
    """Sends to everything but queues, whose messages move within the database."""

    def __init__(
        self,
        settings: Settings,
        *,
        envelopes: Envelopes,
        poster: Poster,
        mailer: Mailer,
        guard: Guard,
    ) -> None:
        self._settings = settings
        self._envelopes = envelopes
        self._poster = poster
        self._mailer = mailer
        self._guard = guard
        self._by_protocol: dict[str, Callable[[Note, Subscription, str], None]] = {
            "http": self._post,
            "https": self._post,
            "email": self._mailer.send,
            "email-json": self._mailer.send,
            "application": self._apprise,
            "lambda": self._refuse_lambda,
        }

    def lane(self, to: Subscription) -> str:
        """Return whom a subscription's messages go to, as `Lanes` counts them."""
        if to.protocol in ("http", "https"):
            try:
                place = parse_url(to.endpoint)
            except DomainError:
                return to.protocol
            return f"{place.host}:{place.port}"
        if to.protocol == "application":
            return f"apprise:{to.endpoint.partition(':')[0]}"
        return "email" if to.protocol.startswith("email") else to.protocol

    def send(self, note: Note, to: Subscription, signature_version: str) -> None:
        """Deliver; blocks while the receiver takes it. Raises DeliveryFailed."""
        send = self._by_protocol.get(to.protocol)
        if send is None:
            raise DeliveryFailed(f"nothing here speaks '{to.protocol}'", is_final=True)
        try:
            send(note, to, signature_version)
        except DeliveryFailed:
            raise
        except smtplib.SMTPRecipientsRefused as error:
            raise DeliveryFailed(_refusal(error)) from error
        except (OSError, http.client.HTTPException, DomainError) as error:
            raise DeliveryFailed(_words(error)) from error

    def _post(self, note: Note, to: Subscription, signature_version: str) -> None:
        place = parse_url(to.endpoint)
        is_allowed = self._guard.is_allowed(place.host, place.port)
        is_slack = slack.is_webhook(place, is_allowed_host=is_allowed)
        if is_slack:
            body = slack.write(note, self._console_url())
            headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "Farero"}
        else:
            is_raw = (
                note.type is NoteType.NOTIFICATION
                and to.attributes.get("RawMessageDelivery") == "true"
            )
            headers = envelope.headers(note, to, is_raw=is_raw)
            body = note.message if is_raw else self._envelopes.write(note, to, signature_version)
        answer = self._poster.post(place, headers, body.encode())
        if not answer.is_good:
            raise _failure(answer)

    def _apprise(self, note: Note, to: Subscription, _: str) -> None:
        apprise.send(to.endpoint, note.subject or "", note.message, self._settings)

    def _refuse_lambda(self, _note: Note, _to: Subscription, _version: str) -> None:
        raise DeliveryFailed(LAMBDA, is_final=True)

    def _console_url(self) -> str:
        port = self._settings.console_port
        return f"http://{self._settings.host}:{port}" if port else ""


def _failure(answer: Answer) -> DeliveryFailed:
    text = " ".join(answer.text.split())[:_MAX_REASON]
    is_final = 400 <= answer.status < 500 and answer.status not in _PASSING
    if 300 <= answer.status < 400:
        text = "a redirect, which is not followed"
        is_final = True
    reason = f"the receiver answered {answer.status}" + (f": {text}" if text else "")
    return DeliveryFailed(reason, is_final=is_final, wait_s=answer.retry_after_s or 0)


def _refusal(error: smtplib.SMTPRecipientsRefused) -> str:
    codes = [f"{code} {_decoded(text)}" for code, text in error.recipients.values()]
    return f"the mail server refused the recipient: {'; '.join(codes)}"


def _words(error: Exception) -> str:
    if isinstance(error, DomainError):
        return str(error)
    if isinstance(error, smtplib.SMTPResponseException):
        return f"the mail server answered {error.smtp_code} {_decoded(error.smtp_error)}"
    if isinstance(error, TimeoutError) or str(error).endswith("timed out"):  # smtplib hides it
        return "the receiver did not answer in time"
    return f"the receiver could not be reached: {error}" if str(error) else type(error).__name__


def _decoded(text: bytes | str) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text
