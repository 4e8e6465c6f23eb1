"""The words at the end of an address that stops mails of one group to one person. Nobody else can make them."""

from __future__ import annotations

import base64
import binascii
import hmac
import uuid

from notify.domain.catalogue import GROUPS, Group

SIGNED = 16


def token_of(secret: bytes, person_id: str, group: Group) -> str:
    """
    >>> read_token(b"s", token_of(b"s", "01912d68-783e-7a03-8467-5661c1243ad4", "receipts"))
    ('01912d68-783e-7a03-8467-5661c1243ad4', 'receipts')
    """
    said = uuid.UUID(person_id).bytes + group.encode()
    return base64.urlsafe_b64encode(_mac(secret, said) + said).decode().rstrip("=")


def read_token(secret: bytes, token: str) -> tuple[str, Group] | None:
    """Whom it is about and which mails; None if it is not one of ours."""
    try:
        whole = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (ValueError, binascii.Error):
        return None
    mac, said = whole[:SIGNED], whole[SIGNED:]
    group = next((one for one in GROUPS if one.encode() == said[16:]), None)
    if group is None or not hmac.compare_digest(mac, _mac(secret, said)):
        return None
    return str(uuid.UUID(bytes=said[:16])), group


def _mac(secret: bytes, said: bytes) -> bytes:
    return hmac.digest(secret, b"unsubscribe\0" + said, "sha256")[:SIGNED]
