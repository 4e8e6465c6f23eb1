"""What auth says."""

from datetime import datetime

from auth.domain import ApiKey
from contracts.auth import KeyCreated, KeyRevoked
from contracts.envelope import Message, message


def of(key: ApiKey, now: datetime) -> Message:
    """The event of the key's newest change."""
    event = KeyRevoked(key_id=key.id) if key.revoked_at else KeyCreated(key_id=key.id)
    return message(event, sequence=key.sequence, time=now, customer=key.customer_id)
