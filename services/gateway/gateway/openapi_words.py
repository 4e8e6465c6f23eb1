"""Words, formats and examples for the public API's document, from openapi_words.toml and the catalogue of problems."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contracts.problems import PROBLEMS

Document = dict[str, Any]
WORDS: Mapping[str, Any] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
ID = re.compile(r"(^|_)ids?$")
# Ids of other systems, and ids that callers choose.
READABLE_IDS = {"SurchargeRuleView.id", "TicketAuthor.id"}
FOREIGN_IDS = {
    "vat_id",
    "external_id",
    "customer_external_id",
    "provider_id",
    "payout_id",
    "payout_line_id",
    "request_id",
    "message_id",
}


def describe_schemas(schemas: Document) -> None:
    """Each field with a description, each schema under its own title, ids and integers with their formats."""
    for name, schema in schemas.items():
        schema["title"] = name
        for field, described in schema.get("properties", {}).items():
            own = WORDS["of"].get(f"{name}.{field}") or described.get("description") or WORDS["fields"].get(field)
            if own is None:
                raise ValueError(f"{name}.{field} has no description: write one into openapi_words.toml")
            described["description"] = own
            described.pop("title", None)
            _format(described, _is_id(name, field))


def _is_id(schema: str, field: str) -> bool:
    foreign = field in FOREIGN_IDS or f"{schema}.{field}" in READABLE_IDS
    return ID.search(field) is not None and not foreign


def describe_parameters(parameters: list[Document]) -> None:
    """Each parameter with a description and its format."""
    for parameter in parameters:
        name = parameter["name"]
        parameter.setdefault("description", WORDS["parameters"].get(name) or WORDS["fields"].get(name))
        _format(parameter["schema"], False)  # whatever is no id is 404, not refused by a client


def _format(schema: Document, is_id: bool) -> None:
    for one in (schema, *schema.get("anyOf", ()), schema.get("items", {})):
        if one.get("type") == "integer":
            one.setdefault("format", "int64")
        elif one.get("type") == "string" and is_id and "format" not in one:
            one["format"] = "uuid"


def tag_of(path: str, operation: Document) -> str:
    if operation.get("tags"):
        return str(operation["tags"][0])
    found = next((tag for start, tag in WORDS["tags_by_path"].items() if path.startswith(start)), None)
    if found is None:
        raise ValueError(f"{path} has no tag: name one in its route, or under [tags_by_path] in openapi_words.toml")
    return str(found)


def tags() -> list[Document]:
    return [{"name": name, "description": text} for name, text in WORDS["tags"].items()]


def add_example(operation: Document) -> None:
    """The request's body with an example that can be sent as it stands."""
    example = WORDS["examples"].get(operation["operationId"])
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body is not None and example is not None:
        body["example"] = example


def problem_text(status: int) -> str:
    """The slugs of a status and what they mean, as a list."""
    kinds = sorted((slug, kind.meaning) for slug, kind in PROBLEMS.items() if status in kind.statuses)
    return "\n".join(f"- `{slug}`: {meaning}" for slug, meaning in kinds)
