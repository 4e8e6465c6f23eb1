"""How auth keeps what must not be read from its tables: only keyed hashes. No I/O."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import unicodedata
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

TOKEN_BYTES = 32
LINK_BYTES = 16


def address_of(email: str) -> str:
    """The one form of an address: addresses that differ in case or blanks alone are the same mailbox.

    >>> address_of("  Ana.Diaz@Example.COM ")
    'ana.diaz@example.com'
    """
    return unicodedata.normalize("NFC", email).strip().lower()


def new_token(size: int = TOKEN_BYTES) -> str:
    """Random text for a cookie or a link, of 8 bits a byte."""
    return secrets.token_urlsafe(size)


def new_code() -> str:
    """Six digits, each of the million as likely."""
    return f"{secrets.randbelow(1_000_000):06d}"


def sha256(text: str) -> bytes:
    """Of a session's text: it holds 256 random bits, and the gateway computes the same."""
    return hashlib.sha256(text.encode()).digest()


@dataclass(frozen=True, slots=True)
class Pepper:
    """A key that no table holds: without it nobody finds a code, a link or an address from what a table says."""

    key: bytes

    def _mac(self, what: str, text: str) -> bytes:
        return hmac.digest(self.key, f"{what}\0{text}".encode(), "sha256")

    def account(self, email: str) -> bytes:
        """By which everything of an address is found: its people, guesses, password, devices."""
        return self._mac("account", address_of(email))

    def token(self, text: str) -> bytes:
        return self._mac("token", text)

    def code(self, sign_in_id: str, code: str) -> bytes:
        """Of a code for one request, so that equal codes do not look alike."""
        return self._mac("code", f"{sign_in_id}\0{code}")

    def browser(self, cookie: str) -> bytes:
        return self._mac("browser", cookie)

    def client(self, address: str) -> bytes:
        """Of a network address; those of one IPv6 network are one client."""
        found = ip_address(address) if address else None
        if isinstance(found, IPv6Address):
            address = str(ip_network((address, 64), strict=False))
        return self._mac("client", address)

    def password(self, text: str) -> str:
        """What Argon2 gets instead of the password itself."""
        return self._mac("password", unicodedata.normalize("NFKC", text)).hex()
