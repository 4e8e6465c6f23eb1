"""The registry of services, read from services.toml: every list of services comes from here."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from contracts.topics import TOPICS, Topic


@dataclass(frozen=True, slots=True)
class Path:
    """A path of the public API that a service owns, with everything below it."""

    path: str
    keyless: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """`port` is the place in a stack's block of ports; `hears` names the topics of others that it reads.

    `larger` and `downloads` name requests by method and path template, as `POST /v1/bank-statements`.
    """

    name: str
    port: int
    database: bool = True
    hears: tuple[str, ...] = ()
    streams: bool = False
    waits: bool = False
    paths: tuple[Path, ...] = ()
    larger: Mapping[str, int] = field(default_factory=dict)
    downloads: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()

    @property
    def says(self) -> tuple[Topic, ...]:
        """The topics on which this service alone writes."""
        return tuple(topic for topic in TOPICS if topic.owner == self.name and not topic.commands)

    @property
    def reads(self) -> tuple[str, ...]:
        """The topics that it may read: what it hears, and every public topic where it streams them."""
        streamed = [topic.name for topic in TOPICS if topic.public and not topic.commands] if self.streams else []
        return tuple(sorted({*self.hears, *streamed}))


def _read(name: str, entry: dict[str, Any]) -> Service:
    paths = tuple(Path(path, **more) for path, more in entry.pop("paths", {}).items())
    lists: dict[str, Any] = {key: tuple(entry.pop(key, ())) for key in ("hears", "downloads", "scopes")}
    return Service(name, paths=paths, **lists, **entry)


SERVICES: tuple[Service, ...] = tuple(
    _read(name, entry)
    for name, entry in tomllib.loads((resources.files("contracts") / "services.toml").read_text()).items()
)
WITH_DATABASE: tuple[str, ...] = tuple(service.name for service in SERVICES if service.database)
