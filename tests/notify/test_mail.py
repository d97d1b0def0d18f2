"""Mail to a real server: one that takes, refuses, hangs and recovers."""

import json
import re
import socket

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from botocore.awsrequest import AWSRequest

from farero.notify.mail import Mailer


def mail_server(cloud, url, timeout_s=5.0):
    """Let the cloud send over this server."""
    envelopes = cloud.worker.deliverer._envelopes
    mailer = Mailer(url, "farero@example.com", envelopes, timeout_s=timeout_s)
    senders = cloud.worker.deliverer._senders
    senders._mailer = mailer
    senders._by_protocol |= {"email": mailer.send, "email-json": mailer.send}


def subscribed(cloud, protocol="email", address="ana@example.com"):
    sns = cloud.client("sns")
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol=protocol, Endpoint=address)
    cloud.run()
    return topic


def visit(cloud, url):
    return cloud.send(AWSRequest("GET", url.replace("127.0.0.1:4747", "localhost:4747")).prepare())


def confirm(cloud, inbox):
    _, text = inbox.texts[-1]
    return visit(cloud, re.search(r"http://\S+", text)[0])


def deliveries(cloud, state=""):
    return cloud.gateway.asgi._admin._pages["GET", "deliveries"]({"state": state})["deliveries"]


def test_a_mailbox_is_told_once_its_link_was_visited(cloud, inbox):
    mail_server(cloud, inbox.url)
    topic = subscribed(cloud)
    sns = cloud.client("sns")
    sns.publish(TopicArn=topic, Message="too early")
    cloud.run()

    page = confirm(cloud, inbox)
    sns.publish(TopicArn=topic, Subject="Grüße", Message="Zeile 1\nZeile 2 " + "x" * 2000)
    cloud.run()

    assert (page.status_code, "Subscription confirmed!" in page.text) == (200, True)
    assert len(inbox.mails) == 2
    mail, text = inbox.read(1)
    assert (mail["Subject"], mail["To"], mail["From"]) == (
        "Grüße",
        "ana@example.com",
        "farero@example.com",
    )
    assert text == "Zeile 1\nZeile 2 " + "x" * 2000


def test_an_unknown_link_confirms_nothing(cloud):
    page = visit(cloud, "http://127.0.0.1:4747/_farero/sns/confirm?TopicArn=arn&Token=<script>")

    assert (page.status_code, "<script>" in page.text) == (400, False)


def test_email_json_is_the_envelope(cloud, inbox):
    mail_server(cloud, inbox.url)
    topic = subscribed(cloud, "email-json")
    _, text = inbox.texts[0]
    visit(cloud, json.loads(text)["SubscribeURL"])

    cloud.client("sns").publish(TopicArn=topic, Message="hello")
    cloud.run()

    _, text = inbox.texts[1]
    assert json.loads(text)["Message"] == "hello"


def test_without_a_server_the_mail_waits_and_says_why(cloud):
    subscribed(cloud)

    (waiting,) = deliveries(cloud)
    assert (waiting["state"], "FARERO_SMTP_URL" in waiting["reason"]) == ("pending", True)


def test_a_server_that_refuses_is_tried_again_until_it_takes(cloud, inbox, wait_for):
    mail_server(cloud, inbox.url)
    inbox.answer = "451 try later"
    subscribed(cloud)
    assert "451 try later" in deliveries(cloud)[0]["reason"]

    inbox.answer = "250 OK"
    wait_for(lambda: cloud.run() and inbox.mails)

    assert len(inbox.mails) == 1


def test_a_refused_recipient_is_named(cloud, inbox):
    mail_server(cloud, inbox.url)
    inbox.refused = {"ana@example.com"}
    subscribed(cloud)

    assert (
        deliveries(cloud)[0]["reason"]
        == "the mail server refused the recipient: 550 no such mailbox"
    )


def test_a_server_that_hangs_is_left(cloud):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mail_server(cloud, f"smtp://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.2)
        subscribed(cloud)

    assert deliveries(cloud)[0]["reason"] == "the receiver did not answer in time"


def test_nobody_listening_is_said(cloud):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    mail_server(cloud, f"smtp://127.0.0.1:{port}")
    subscribed(cloud)

    assert "could not be reached" in deliveries(cloud)[0]["reason"]


def test_a_login_is_used(cloud, inbox):
    seen = []

    def check(_server, _session, _envelope, mechanism, data):
        seen.append((mechanism, data.login, data.password))
        return AuthResult(success=True)

    handler = type(inbox)()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    controller = Controller(
        handler,
        hostname="127.0.0.1",
        port=port,
        ready_timeout=60,
        authenticator=check,
        auth_require_tls=False,
    )
    controller.start()
    try:
        mail_server(cloud, f"smtp://us%40er:p%2Fw@127.0.0.1:{port}")
        subscribed(cloud)
    finally:
        controller.stop()

    assert len(handler.mails) == 1
    assert seen[0][1:] == (b"us@er", b"p/w")


@pytest.mark.parametrize("subject", ["a\tb"])
def test_a_subject_with_breaks_is_refused(cloud, subject):
    sns = cloud.client("sns")
    topic = sns.create_topic(Name="t")["TopicArn"]

    with pytest.raises(sns.exceptions.InvalidParameterException, match="Subject"):
        sns.publish(TopicArn=topic, Message="x", Subject=subject)
