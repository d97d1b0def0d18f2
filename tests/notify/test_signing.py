"""Signatures and the certificate, judged by another library and by the routine that receivers use (R12)."""

import datetime as dt
import json
import threading
from base64 import b64decode

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from farero.base.clock import ManualClock
from farero.notify import rsa as ours
from farero.notify.envelope import Envelopes
from farero.notify.signing import Signer, make_certificate
from farero.records.notify import Note, NoteType, Subscription

NOW = dt.datetime(2026, 1, 5, 10, 0, 0, 655_123, tzinfo=dt.UTC)
TOPIC = "arn:aws:sns:us-east-1:123456789012:alerts"
DIGESTS = {"1": hashes.SHA1, "2": hashes.SHA256}


@pytest.fixture(scope="module")
def signer(tmp_path_factory):
    return Signer(tmp_path_factory.mktemp("keys"), ManualClock())


def subscription():
    return Subscription(
        arn=f"{TOPIC}:0f0e", topic_arn=TOPIC, protocol="http", endpoint="http://x.example", owner="1", created_at=NOW
    )  # fmt: skip


def note(kind=NoteType.NOTIFICATION, **fields):
    fields = {"message": "hé\nllo", "subject": "S", "token": "t", **fields}
    return Note(type=kind, message_id="m-1", topic_arn=TOPIC, sent_at=NOW, **fields)


def validate(envelope, certificate):
    """Check a message as AWS's validators do ("Verifying the signatures of Amazon SNS messages")."""
    names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    if envelope["Type"] != "Notification":
        names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    text = "".join(f"{name}\n{envelope[name]}\n" for name in names if name in envelope)
    key = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    digest = DIGESTS[envelope["SignatureVersion"]]()
    key.verify(b64decode(envelope["Signature"]), text.encode(), padding.PKCS1v15(), digest)


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("sent", [note(), note(subject=None), note(NoteType.CONFIRMATION)], ids=["plain", "no-subject", "confirmation"])  # fmt: skip
def test_an_envelope_passes_the_receivers_check(signer, version, sent):
    text = Envelopes("http://127.0.0.1:4747", signer).write(sent, subscription(), version)

    validate(json.loads(text), signer.certificate())


@pytest.mark.parametrize(
    "member", ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Signature"]
)
def test_a_changed_envelope_does_not(signer, member):
    text = Envelopes("http://127.0.0.1:4747", signer).write(note(), subscription(), "2")
    envelope = json.loads(text)
    envelope[member] = ("A" if envelope[member][0] != "A" else "B") + envelope[member][1:]

    with pytest.raises(InvalidSignature):
        validate(envelope, signer.certificate())


def test_the_envelope_has_the_members_of_sns_in_its_order(signer):
    text = Envelopes("http://127.0.0.1:4747", signer).write(note(), subscription(), "1")

    assert text.startswith('{\n  "Type" : "Notification",\n  "MessageId" : "m-1",\n')
    assert list(json.loads(text)) == [
        "Type", "MessageId", "TopicArn", "Subject", "Message", "Timestamp", "SignatureVersion", "Signature",
        "SigningCertURL", "UnsubscribeURL",
    ]  # fmt: skip
    assert json.loads(text)["Timestamp"] == "2026-01-05T10:00:00.655Z"


def test_the_certificate_is_of_the_key_and_signed_by_itself(signer):
    certificate = x509.load_pem_x509_certificate(signer.certificate().encode())

    certificate.verify_directly_issued_by(certificate)
    assert certificate.public_key().key_size == 2048
    assert certificate.version is x509.Version.v3
    span = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert span == dt.timedelta(days=3650)


def test_a_certificate_beyond_2049_writes_its_years_in_full():
    key = ours.make_key(1024)
    pem = make_certificate(key, dt.datetime(2049, 1, 1, tzinfo=dt.UTC))

    assert x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc.year == 2058


@pytest.mark.parametrize("bits", [512, 1024, 2048])
def test_a_made_key_is_sound(bits):
    key = ours.make_key(bits)

    numbers = rsa.RSAPrivateNumbers(
        p=key.p, q=key.q, d=key.d, dmp1=key.d % (key.p - 1), dmq1=key.d % (key.q - 1), iqmp=pow(key.q, -1, key.p),
        public_numbers=rsa.RSAPublicNumbers(65537, key.n),
    )  # fmt: skip
    assert key.p != key.q
    assert key.n.bit_length() == bits
    if bits >= 1024:
        numbers.private_key()  # checks primes and exponents


def test_two_keys_are_never_the_same():
    assert ours.make_key(512) != ours.make_key(512)


@pytest.mark.parametrize("digest", ["sha1", "sha256"])
def test_signatures_equal_those_of_another_library(digest):
    key = ours.make_key(1024)
    theirs = rsa.RSAPrivateNumbers(
        p=key.p, q=key.q, d=key.d, dmp1=key.d % (key.p - 1), dmq1=key.d % (key.q - 1), iqmp=pow(key.q, -1, key.p),
        public_numbers=rsa.RSAPublicNumbers(65537, key.n),
    ).private_key()  # fmt: skip

    for message in (b"", b"x", b"y" * 10_000):
        expected = theirs.sign(
            message, padding.PKCS1v15(), {"sha1": hashes.SHA1, "sha256": hashes.SHA256}[digest]()
        )
        assert ours.sign(key, message, digest) == expected


@pytest.mark.parametrize(
    "number", [561, 1105, 1729, 2047, 3215031751, 3825123056546413051, 2**89 + 1]
)
def test_composites_that_fool_weaker_tests_are_seen(number):
    assert not ours._passes(number)


@pytest.mark.parametrize("number", [2003, 65537, 2**61 - 1, 2**127 - 1, 2**521 - 1])
def test_primes_pass(number):
    assert ours._passes(number)


def test_the_key_is_kept_for_its_owner_alone(tmp_path):
    Signer(tmp_path, ManualClock()).certificate()

    assert (tmp_path / "sns-signing.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["sns-signing.json"]


def test_processes_that_start_together_use_one_key(tmp_path):
    signers = [Signer(tmp_path, ManualClock()) for _ in range(4)]
    threads = [threading.Thread(target=signer.certificate) for signer in signers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({signer.certificate() for signer in signers}) == 1
