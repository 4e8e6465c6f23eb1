"""Events of auth."""

from typing import ClassVar

from contracts import topics
from contracts.envelope import Event


class KeyState(Event):
    topic: ClassVar[topics.Topic] = topics.KEY
    aggregate: ClassVar[str] = "key_id"

    key_id: str


class KeyCreated(KeyState):
    """An API key was made."""


class KeyRevoked(KeyState):
    """An API key is refused from now on."""
