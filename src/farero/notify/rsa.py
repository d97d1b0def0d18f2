"""RSA keys and PKCS #1 v1.5 signatures in plain Python, for the signatures of SNS messages only (RFC 8017).

A cryptography library would be a fifth of the whole installation for three calls to `pow`; docs/decisions/0004 has
the numbers. Nothing secret is decrypted here; the key signs what its owner publishes.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from dataclasses import dataclass

BITS = 2048
EXPONENT = 65537
#: DigestInfo before the digest (RFC 8017 9.2, note 1).
_PREFIXES = {
    "sha1": bytes.fromhex("3021300906052b0e03021a05000414"),
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
}
#: Rounds after which a composite of this size passes with a chance below 2^-112 (FIPS 186-5, table B.1).
_ROUNDS = 8
_SMALL_PRIMES = tuple(
    n for n in range(3, 2000, 2) if all(n % d for d in range(3, math.isqrt(n) + 1, 2))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A private key; its public half is `n` and 65537."""

    n: int
    d: int
    p: int
    q: int


def make_key(bits: int = BITS) -> Key:
    """Make a key of `bits`; takes a few tenths of a second."""
    while True:
        p, q = _prime(bits // 2), _prime(bits // 2)
        n = p * q
        if n.bit_length() == bits and abs(p - q).bit_length() > bits // 2 - 100:
            d = pow(EXPONENT, -1, math.lcm(p - 1, q - 1))
            return Key(n=n, d=d, p=p, q=q)


def sign(key: Key, message: bytes, digest: str) -> bytes:
    """Return the signature of `message`; digest: `sha1` or `sha256`."""
    size = (key.n.bit_length() + 7) // 8
    padded = int.from_bytes(_padded(message, digest, size), "big")
    # By the Chinese remainder theorem: four times as fast.
    m_p = pow(padded, key.d % (key.p - 1), key.p)
    m_q = pow(padded, key.d % (key.q - 1), key.q)
    h = (m_p - m_q) * pow(key.q, -1, key.p) % key.p
    signature = m_q + h * key.q
    if pow(signature, EXPONENT, key.n) != padded:
        # A fault in one half would give the key away (Boneh, DeMillo, Lipton 1997).
        raise ArithmeticError("a signature did not verify")
    return signature.to_bytes(size, "big")


def _padded(message: bytes, digest: str, size: int) -> bytes:
    info = _PREFIXES[digest] + hashlib.new(digest, message, usedforsecurity=False).digest()
    return b"\x00\x01" + b"\xff" * (size - len(info) - 3) + b"\x00" + info


def _prime(bits: int) -> int:
    while True:
        # The two highest bits set, so that the product has all its bits; odd.
        number = secrets.randbits(bits) | 3 << (bits - 2) | 1
        is_fit = (
            all(number % small for small in _SMALL_PRIMES) and math.gcd(number - 1, EXPONENT) == 1
        )
        if is_fit and _passes(number):
            return number


def _passes(number: int) -> bool:
    """Test for primality as Miller and Rabin do, with random bases."""
    twos = ((number - 1) & -(number - 1)).bit_length() - 1
    odd = (number - 1) >> twos
    for _ in range(_ROUNDS):
        x = pow(secrets.randbelow(number - 3) + 2, odd, number)
        if x in (1, number - 1):
            continue
        for _ in range(twos - 1):
            x = x * x % number
            if x == number - 1:
                break
        else:
            return False
    return True
