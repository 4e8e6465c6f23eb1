"""The contracts as other systems rely on them: generated files are current, examples fit, nothing released breaks."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from jsoncompat import check_compat

from contracts import generate
from contracts.envelope import Event, MalformedError, message, read_headers, type_registry
from contracts.topics import TOPICS

EVENTS = sorted(type_registry.items())
RELEASED = sorted((generate.HERE / "released").glob("*.json"))


class TestGeneratedFiles:
    def test_are_current(self) -> None:
        stale = [
            str(path.name) for path, text in generate.files().items() if not path.exists() or path.read_text() != text
        ]
        assert stale == [], "run `make schemas`"

    @pytest.mark.parametrize(("name", "event"), EVENTS)
    def test_example_fits_its_schema_and_model(self, name: str, event: type[Event]) -> None:
        example = json.loads((generate.HERE / "examples" / f"{name}.json").read_text())
        jsonschema.validate(example, generate.schema_of(event))
        if event.erases:
            assert example is None
            return
        assert json.loads(event.model_validate(example).model_dump_json(exclude_none=True)) == example


def _broken(schema: dict[str, Any]) -> dict[str, Any]:
    name = schema["required"][0]
    kept = {key: value for key, value in schema["properties"].items() if key != name}
    return schema | {"properties": kept, "required": [key for key in schema["required"] if key != name]}


class TestReleased:
    @pytest.mark.parametrize(("name", "event"), [(n, e) for n, e in EVENTS if not (e.topic.commands or e.erases)])
    def test_readers_ignore_unknown_fields(self, name: str, event: type[Event]) -> None:
        example = (generate.example_of(event) or {}) | {"added_later": {"anything": 1}}
        jsonschema.validate(example, generate.schema_of(event))
        assert event.model_validate(example) == event.model_validate(generate.example_of(event))

    @pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.stem)
    def test_can_still_be_read(self, path: Path) -> None:
        event = type_registry[path.stem]
        role = "deserializer" if event.topic.commands else "serializer"
        assert check_compat(path.read_text(), json.dumps(generate.schema_of(event)), role)

    def test_removed_field_is_found(self) -> None:
        released = generate.schema_of(type_registry["InvoicePaid"])
        assert not check_compat(json.dumps(released), json.dumps(_broken(released)), "serializer")

    def test_holds_every_event(self) -> None:
        assert {path.stem for path in RELEASED} == set(type_registry)


class TestTopics:
    def test_public_bodies_hold_no_names_or_addresses(self) -> None:
        personal = {"name", "email", "address", "account_manager"}
        for name, event in EVENTS:
            if event.topic.public and not event.topic.commands:
                assert not personal & set(event.model_fields), name

    def test_every_event_has_one_topic(self) -> None:
        assert {event.topic for event in type_registry.values()} == set(TOPICS)


class TestHeaders:
    def test_are_read_back_as_written(self) -> None:
        event = type_registry["KeyRevoked"].model_validate({"key_id": "k"})
        sent = message(event, sequence=7, time=datetime(2026, 3, 1, tzinfo=UTC), customer="c")
        read = read_headers(sent.headers("paidup/auth"))
        assert (read.id, read.type, read.subject, read.sequence, read.customer) == (sent.id, "KeyRevoked", "k", 7, "c")

    @pytest.mark.parametrize(
        "headers",
        [
            [],
            [("ce_id", b"1"), ("ce_type", b"\xff")],
            [("ce_id", b"1"), ("ce_type", b"T"), ("ce_subject", b"s"), ("sequence", b"x")],
        ],
    )
    def test_foreign_ones_are_refused(self, headers: list[tuple[str, bytes]]) -> None:
        with pytest.raises(MalformedError):
            read_headers(headers)
