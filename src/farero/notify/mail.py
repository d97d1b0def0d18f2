"""Mail of a topic, over the server of FARERO_SMTP_URL: STARTTLS where it is offered, TLS at once for smtps://."""

from __future__ import annotations

import contextlib
import re
import smtplib
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from farero.base.errors import Invalid
from farero.records.notify import NoteType

if TYPE_CHECKING:
    from collections.abc import Generator

    from farero.notify.envelope import Envelopes
    from farero.records.notify import Note, Subscription

TIMEOUT_S = 15.0
DEFAULT_SUBJECT = "AWS Notification Message"
CONFIRM_SUBJECT = "AWS Notification - Subscription Confirmation"
NO_SERVER = (
    "there is no mail server: start Farero with FARERO_SMTP_URL=smtp://user:password@host:587; mail that waits is "
    "sent then"
)
ADDRESS = re.compile(r"[^\s@<>,;:\"()\[\]\\]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")


class Mailer:
    """Sends the mails of topics."""

    def __init__(
        self, smtp_url: str, sender: str, envelopes: Envelopes, *, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._url = smtp_url
        self._sender = sender
        self._envelopes = envelopes
        self._timeout_s = timeout_s

    def send(self, note: Note, to: Subscription, signature_version: str) -> None:
        """Hand one mail to the server. Raises Invalid without a server, SMTPException and OSError when it fails."""
        if not self._url:
            raise Invalid(NO_SERVER)
        mail = self.compose(note, to, signature_version)
        with self._connect() as server:
            server.send_message(mail)

    def compose(self, note: Note, to: Subscription, signature_version: str) -> EmailMessage:
        """Return the mail: the plain message, or the envelope for email-json."""
        mail = EmailMessage(policy=SMTP.clone(max_line_length=998))
        is_confirmation = note.type is NoteType.CONFIRMATION
        subject = CONFIRM_SUBJECT if is_confirmation else note.subject or DEFAULT_SUBJECT
        mail["Subject"] = " ".join(subject.split())
        mail["From"] = self._sender
        mail["To"] = to.endpoint
        mail["Message-ID"] = f"<{note.message_id}.{to.id}@farero>"
        mail["Date"] = note.sent_at
        if not is_confirmation:
            mail["List-Unsubscribe"] = f"<{self._envelopes.unsubscribe_url(to.arn)}>"
        if to.protocol == "email-json":
            text = self._envelopes.write(note, to, signature_version)
        elif is_confirmation:
            text = (
                f"You have chosen to subscribe to the topic:\n{note.topic_arn}\n\n"
                f"To confirm this subscription, visit:\n{self._envelopes.page_url(note)}\n\n"
                "If you did not ask for this, no action is needed: nothing will be sent.\n"
            )
        else:
            text = note.message
        mail.set_content(text, cte="quoted-printable")
        return mail

    @contextlib.contextmanager
    def _connect(self) -> Generator[smtplib.SMTP]:
        parts = urlsplit(self._url)
        host, context = parts.hostname or "localhost", ssl.create_default_context()
        is_safe = parts.scheme == "smtps"
        if is_safe:
            made: smtplib.SMTP = smtplib.SMTP_SSL(
                host, parts.port or 465, timeout=self._timeout_s, context=context
            )
        else:
            made = smtplib.SMTP(host, parts.port or 25, timeout=self._timeout_s)
        with made as server:
            server.ehlo()
            if not is_safe and server.has_extn("starttls"):
                server.starttls(context=context)
                server.ehlo()
                is_safe = True
            if parts.username:
                if not is_safe and host not in ("localhost", "127.0.0.1", "::1"):
                    raise Invalid(f"{host} offers no STARTTLS; the password is not sent in clear")
                server.login(unquote(parts.username), unquote(parts.password or ""))
            yield server
