"""The address that a mail about a ticket is answered to. It is signed, so only support can make one."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from uuid import UUID

PREFIX, LENGTH = "ticket+", 48
NUMBER_BYTES, ID_BYTES, SIGNATURE_BYTES = 5, 16, 9


@dataclass(frozen=True, slots=True)
class Answered:
    """Which ticket an address is of, by its number, and who may write to it."""

    number: int
    person_id: str


@dataclass(frozen=True, slots=True)
class Addresses:
    """Makes and reads the addresses of one domain. If `secret` changes, older addresses end.

    Mail servers may change letters to lower case, so the token is of letters and digits whose case means nothing.

    >>> made = Addresses("replies.example", b"secret").of(1042, "01890a5d-ac96-774b-bcce-b302099a8057")
    >>> len(made.partition("@")[0])
    55
    >>> Addresses("replies.example", b"secret").read(made.upper()).number
    1042
    >>> Addresses("replies.example", b"another").read(made) is None
    True
    """

    domain: str
    secret: bytes

    def of(self, number: int, person_id: str) -> str:
        ids = number.to_bytes(NUMBER_BYTES, "big") + UUID(person_id).bytes
        token = base64.b32encode(ids + self._signature(ids)).decode().lower()
        return f"{PREFIX}{token}@{self.domain}"

    def read(self, address: str) -> Answered | None:
        """None: no address that was made here."""
        name, _, domain = address.lower().rpartition("@")
        token = name.removeprefix(PREFIX)
        if domain != self.domain.lower() or token == name or len(token) != LENGTH or not token.isascii():
            return None
        try:
            found = base64.b32decode(token.upper())
        except binascii.Error:
            return None
        ids, signature = found[:-SIGNATURE_BYTES], found[-SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._signature(ids)):
            return None
        return Answered(int.from_bytes(ids[:NUMBER_BYTES], "big"), str(UUID(bytes=ids[NUMBER_BYTES:])))

    def _signature(self, ids: bytes) -> bytes:
        return hmac.new(self.secret, b"reply address\0" + ids, hashlib.sha256).digest()[:SIGNATURE_BYTES]
