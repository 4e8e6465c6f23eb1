"""Who may ask, and what for; and the events of auth."""

from typing import ClassVar, Literal, get_args

from contracts import topics
from contracts.envelope import Event

EVERY_SCOPE = "*"
SCOPES = (
    "customers:read", "customers:write", "invoices:read", "invoices:write", "methods:read", "methods:write",
    "payments:read", "payments:write", "keys:write", "events:read", EVERY_SCOPE,
)  # fmt: skip
"""What a caller may do, as `<what>:<how>`. A caller with `*` may do all."""

Audience = Literal["auth", "invoicing", "payments", "gateway"]
"""A service that takes internal tokens. Each token is for one of them."""
AUDIENCES: tuple[Audience, ...] = get_args(Audience)

CallerKind = Literal["system", "contact", "staff"]
"""A program with an API key, a customer's contact, or one of the company's own people."""

CredentialKind = Literal["key", "session"]
"""By which a caller comes in: an API key, or the session of a person who signed in."""


class KeyState(Event):
    topic: ClassVar[topics.Topic] = topics.KEY
    aggregate: ClassVar[str] = "key_id"

    key_id: str


class KeyCreated(KeyState):
    """An API key was made."""


class KeyRevoked(KeyState):
    """An API key is refused from now on."""


class CredentialEnded(Event):
    """An API key or a session is refused from now on."""

    topic: ClassVar[topics.Topic] = topics.CREDENTIAL
    aggregate: ClassVar[str] = "credential_id"

    credential_id: str
    kind: CredentialKind
