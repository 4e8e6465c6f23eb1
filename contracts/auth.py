"""Who may ask, and what for; and the events of auth."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator

from contracts import topics
from contracts.envelope import Event
from contracts.services import SERVICES

EVERY_SCOPE = "*"
SCOPES = (*sorted(scope for service in SERVICES for scope in service.scopes), EVERY_SCOPE)
"""What a caller may do, as `<what>:<how>`. A caller with `*` may do all."""

AUDIENCES = tuple(service.name for service in SERVICES)


def _known(name: str) -> str:
    if name not in AUDIENCES:
        raise ValueError(f"There is no service {name}.")
    return name


Audience = Annotated[str, AfterValidator(_known)]
"""A service that takes internal tokens. Each token is for one of them."""

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
