"""Who may do what at Kafka, from the registry of services: `deploy/acls.yaml` says it to whoever runs a broker."""

from dataclasses import dataclass
from typing import Literal

from contracts.services import SERVICES, Service
from contracts.topics import TOPICS

OUTSIDE = "outside"  # the principal of other systems
ADMIN = "admin"  # the super user: makes topics, gives rights, looks at everything


@dataclass(frozen=True, slots=True)
class Right:
    """Operations that a principal may carry out on a resource, named in full or by its beginning."""

    principal: str
    resource: Literal["topic", "group"]
    name: str
    operations: tuple[str, ...]
    pattern: Literal["literal", "prefixed"] = "literal"


def rights() -> tuple[Right, ...]:
    """A service writes its own topics alone, and reads what it hears in groups of its own name."""
    return (*(right for service in SERVICES for right in _of(service)), *_of_outsiders())


def _of(service: Service) -> list[Right]:
    written = [Right(service.name, "topic", topic.name, ("describe", "write")) for topic in service.says]
    read = [Right(service.name, "topic", name, ("describe", "read")) for name in service.reads]
    groups = []
    if service.database and service.hears:
        groups = [
            Right(service.name, "group", service.name, ("describe", "read")),
            Right(service.name, "group", f"{service.name}-", ("describe", "read"), "prefixed"),
        ]
    return [*written, *read, *groups]


def _of_outsiders() -> list[Right]:
    """Other systems read public events and send commands; they do not read each other's commands."""
    public = [topic.name for topic in TOPICS if topic.public and not topic.commands]
    commands = [topic.name for topic in TOPICS if topic.commands]
    return [
        *(Right(OUTSIDE, "topic", name, ("describe", "read")) for name in public),
        *(Right(OUTSIDE, "topic", name, ("describe", "write")) for name in commands),
        Right(OUTSIDE, "group", f"{OUTSIDE}.", ("describe", "read"), "prefixed"),
    ]


def principals() -> tuple[str, ...]:
    """Who needs a password at the broker, beside the super user."""
    return tuple(dict.fromkeys(right.principal for right in rights()))
