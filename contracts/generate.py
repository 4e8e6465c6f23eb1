"""Writes what other systems read of the contracts: `python -m contracts.generate` (AsyncAPI, JSON Schemas, examples).

`python -m contracts.generate --release` also keeps the schemas as released: later ones are held against them.
"""

import importlib
import json
import sys
import types
import typing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from contracts import invoicing
from contracts.envelope import Event, type_registry
from contracts.rights import ADMIN, rights
from contracts.services import SERVICES
from contracts.topics import PARTITIONS, TOPICS, Topic

HERE = Path(__file__).parent
SOURCES = tuple(importlib.import_module(f"contracts.{service.name}") for service in SERVICES if service.says)
ID = "01912d68-783e-7a03-8467-5661c1243ad4"
VERSION = "1.1.0"

HEADERS: dict[str, tuple[str, bool]] = {
    "ce_specversion": ("CloudEvents version, 1.0", True),
    "ce_id": ("Id of this event; a command with an id that was taken before is not taken again", True),
    "ce_type": ("The event's name", True),
    "ce_source": ("The service that says it", True),
    "ce_subject": ("Id of the aggregate, which is also the record's key", True),
    "ce_time": ("When it happened, RFC 3339 in UTC", True),
    "sequence": ("Place among the aggregate's events on this topic, from 1 without gaps", True),
    "customer": ("Id of the customer whom it concerns", False),
    "correlation": ("Id that everything of one request shares", False),
    "causation": ("Id of the event that led to this one", False),
    "actor": ("Who asked, as kind:id", False),
    "traceparent": ("W3C trace context", False),
}
COMMAND_HEADERS = ("ce_id", "ce_type")  # the others may be left out


def events_of(topic: Topic) -> list[type[Event]]:
    return [event for event in type_registry.values() if event.topic is topic]


def schema_of(event: type[Event]) -> dict[str, Any]:
    """The JSON Schema of an event's body as it is written; readers must ignore further properties."""
    if event.erases:
        schema = {"title": event.__name__, "description": event.__doc__, "type": "null"}
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    mode: typing.Literal["validation", "serialization"] = "validation" if event.topic.commands else "serialization"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **event.model_json_schema(mode=mode)}


def example_of(event: type[Event]) -> dict[str, Any] | None:
    """A body with every field set, the same each time; None for an event that erases."""
    if event.erases:
        return None
    body: dict[str, Any] = json.loads(_example_model(event).model_dump_json(exclude_none=True))
    return body


def _example_model(model: type[BaseModel]) -> BaseModel:
    hints = typing.get_type_hints(model, include_extras=True)
    values = {name: _example(name, hints[name]) for name in model.model_fields}
    if model is invoicing.IssueInvoice:
        del values["customer_id"]
    return model.model_validate(values)


def _example(name: str, hint: Any) -> Any:
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        return _example(name, typing.get_args(hint)[0])
    if origin is typing.Literal:
        return typing.get_args(hint)[0]
    if origin in (typing.Union, types.UnionType):
        return _example(name, typing.get_args(hint)[0])
    if origin is dict:
        return {"order": "4711"}
    if origin is tuple:
        return [_example(name, typing.get_args(hint)[0])]
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return _example_model(hint)
    return _plain_example(name, hint)


def _plain_example(name: str, hint: Any) -> Any:
    if hint is bool:
        return False
    if hint is int:
        return 12_500
    if hint is Decimal:
        return {"tax_rate": "0.0825"}.get(name, "2")
    if hint is datetime:
        return datetime(2026, 3, 1, 15, 4, 5, tzinfo=UTC)
    if hint is date:
        return date(2026, 3, 31) if name in ("due_on", "expected_by") else date(2026, 3, 1)
    known = {
        "currency": "USD", "number": "INV-1001", "email": "ap@example.com", "external_id": "ACME",
        "language": "en", "languages": "en", "brand_colour": "#0e5358", "expires": "2027-04",
    }  # fmt: skip
    return known.get(name, ID if name.endswith("_id") and name != "customer_external_id" else name.replace("_", " "))


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3 document of all topics: public events to receive, commands to send."""
    channels, operations, messages, schemas = {}, {}, {}, {}
    for topic in TOPICS:
        names = [event.__name__ for event in events_of(topic)]
        label = topic.name.replace(".", "_")
        channels[label] = {
            "address": topic.name,
            "description": topic.about + ("" if topic.public else " Internal: not for other systems."),
            "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
            "bindings": {"kafka": {"partitions": PARTITIONS, "bindingVersion": "0.5.0"}},
        }
        operations[label] = {
            "action": "receive" if topic.commands else "send",
            "channel": {"$ref": f"#/channels/{label}"},
            "summary": topic.about,
        }
        for event in events_of(topic):
            messages[event.__name__] = _message(event)
            schemas[event.__name__] = _inlined(event)
    headers = {name: _headers(commands=name == "CommandHeaders") for name in ("EventHeaders", "CommandHeaders")}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Paidup billing events",
            "version": VERSION,
            "description": "Events of an aggregate come in order, without gaps, at least once; the key is its id.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": {**schemas, **headers}},
    }


def _message(event: type[Event]) -> dict[str, Any]:
    headers = "CommandHeaders" if event.topic.commands else "EventHeaders"
    return {
        "name": event.__name__,
        "summary": (event.__doc__ or "").strip().split("\n")[0],
        "headers": {"$ref": f"#/components/schemas/{headers}"},
        "payload": {"$ref": f"#/components/schemas/{event.__name__}"},
        "examples": [{"payload": example_of(event)}],
    }


def _inlined(event: type[Event]) -> dict[str, Any]:
    """Its own definitions stand inside the schema, so their references are made absolute."""
    text = json.dumps({name: part for name, part in schema_of(event).items() if name != "$schema"})
    found: dict[str, Any] = json.loads(text.replace("#/$defs/", f"#/components/schemas/{event.__name__}/$defs/"))
    return found


def _headers(*, commands: bool) -> dict[str, Any]:
    required = [name for name, (_, must) in HEADERS.items() if (name in COMMAND_HEADERS if commands else must)]
    properties = {name: {"type": "string", "description": about} for name, (about, _) in HEADERS.items()}
    return {"type": "object", "properties": properties, "required": required}


def topics_yaml() -> str:
    """What `deploy/topics.yaml` says: names, partitions and clean-up of every topic."""
    lines = ["# Made by `make schemas` from contracts/topics.py.", "topics:"]
    for topic in TOPICS:
        policy = "compact" if topic.compacted else "delete"
        lines += [f"  - name: {topic.name}", f"    partitions: {PARTITIONS}", "    config:"]
        lines += [f"      cleanup.policy: {policy}", *([] if topic.compacted else ['      retention.ms: "-1"'])]
    return "\n".join(lines) + "\n"


def acls_yaml() -> str:
    """What `deploy/acls.yaml` says: the rights of every principal. Where none is given, nothing is allowed."""
    lines = [
        "# Made by `make schemas` from contracts/services.toml and contracts/topics.py.",
        f"# The super user, who needs no right, is User:{ADMIN}. Where no right is given, nothing is allowed.",
        "acls:",
    ]
    for right in rights():
        lines += [
            f"  - principal: User:{right.principal}",
            f"    resource: {right.resource}",
            f"    name: {right.name}",
            f"    pattern: {right.pattern}",
            f"    operations: [{', '.join(right.operations)}]",
        ]
    return "\n".join(lines) + "\n"


def files() -> dict[Path, str]:
    """Everything that is generated, by its path."""
    deploy = HERE.parent / "deploy"
    made = {HERE / "asyncapi.json": _text(asyncapi()), deploy / "topics.yaml": topics_yaml()}
    made[deploy / "acls.yaml"] = acls_yaml()
    for name, event in type_registry.items():
        made[HERE / "schemas" / f"{name}.json"] = _text(schema_of(event))
        made[HERE / "examples" / f"{name}.json"] = _text(example_of(event))
    return made


def _text(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    made = files()
    if "--release" in sys.argv[1:]:
        made |= {HERE / "released" / f"{name}.json": _text(schema_of(event)) for name, event in type_registry.items()}
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    sys.stdout.write(f"{len(made)} files written\n")


if __name__ == "__main__":
    main()
