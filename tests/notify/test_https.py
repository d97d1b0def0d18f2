"""TLS to receivers: the certificate is checked, against the name of the URL."""

import datetime as dt
import ipaddress
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from farero.base.clock import SystemClock
from farero.notify.guard import Guard, parse_url
from farero.notify.http import Poster


@pytest.fixture
def certificate(tmp_path):
    """A certificate of 127.0.0.1 that is its own authority: the path of its PEM with the key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "receiver")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "receiver.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def secure(make_receiver, certificate):
    """A receiver that speaks TLS."""
    receiver = make_receiver()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    receiver.server.socket = context.wrap_socket(receiver.server.socket, server_side=True)
    return receiver


def post(url):
    return Poster(Guard("127.0.0.1,localhost"), SystemClock(), total_s=60).post(
        parse_url(url), {}, b"{}"
    )


def test_a_trusted_receiver_is_told(secure, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    assert post(f"https://127.0.0.1:{secure.port}/hook").status == 200
    assert [one.body for one in secure.posts] == ["{}"]


def test_a_receiver_that_nobody_vouches_for_is_not(secure):
    with pytest.raises(ssl.SSLCertVerificationError):
        post(f"https://127.0.0.1:{secure.port}/hook")

    assert secure.posts == []


def test_a_certificate_of_another_name_is_refused(secure, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    with pytest.raises(ssl.SSLCertVerificationError):
        post(f"https://localhost:{secure.port}/hook")

    assert secure.posts == []
