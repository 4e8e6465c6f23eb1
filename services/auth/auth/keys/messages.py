"""The events of auth."""

from datetime import datetime

from auth.keys.domain import ApiKey
from contracts.auth import CredentialEnded, KeyCreated, KeyRevoked
from contracts.envelope import Message, message


def of(key: ApiKey, now: datetime) -> list[Message]:
    """The events of the key's newest change. A revoked key ends as a credential, too, which the gateway hears."""
    if key.revoked_at is None:
        return [message(KeyCreated(key_id=key.id), sequence=key.sequence, time=now, customer=key.customer_id)]
    ended = CredentialEnded(credential_id=key.id, kind="key")
    return [
        message(KeyRevoked(key_id=key.id), sequence=key.sequence, time=now, customer=key.customer_id),
        message(ended, sequence=1, time=now, customer=key.customer_id),
    ]
