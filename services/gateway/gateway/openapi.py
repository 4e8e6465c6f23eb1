"""One OpenAPI document from those of the services: what stands in contracts/openapi.json. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gateway.routes import find_route

Document = dict[str, Any]

PROBLEM = {
    "type": "object",
    "description": "RFC 9457. `type` ends in a stable slug; some problems carry further members.",
    "required": ["type", "status", "title", "detail", "request_id"],
    "properties": {
        "type": {"type": "string", "pattern": "^urn:paidup:problem:[a-z0-9-]+$"},
        "status": {"type": "integer"},
        "title": {"type": "string"},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {
                    "field": {"type": "string", "description": "dotted path, as lines.0.quantity"},
                    "message": {"type": "string"},
                },
            },
        },
    },
}
EXPECTED = {
    "401": "No key, or one that is unknown, expired or revoked",
    "403": "The key lacks the scope",
    "422": "Something in the request can't be accepted: `errors` says what and where",
    "429": "Too many requests: see Retry-After",
    "503": "Not now: see Retry-After",
    "default": "Any other problem",
}
DROPPED = ("HTTPValidationError", "ValidationError")

STREAM: Document = {
    "get": {
        "operationId": "stream_events",
        "summary": "Events as they happen",
        "description": (
            "Server-sent events: `event` is the type, `data` a CloudEvent in JSON. Resume with Last-Event-ID within "
            "ten minutes; `event: reset` says that events are missing. Needs the scope events:read."
        ),
        "parameters": [{"name": "Last-Event-ID", "in": "header", "required": False, "schema": {"type": "string"}}],
        "responses": {
            "200": {
                "description": "An endless stream",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            }
        },
    }
}


def merge(documents: Mapping[str, Document], *, title: str = "Paidup", version: str = "1") -> Document:
    """The public API. `documents`: the OpenAPI of each service by its name; paths that it doesn't own are left out."""
    paths: Document = {"/v1/events/stream": _finished(STREAM, keyless=False)}
    schemas: Document = {"Problem": PROBLEM}
    for owner, document in sorted(documents.items()):
        renamed = _without_clashes(owner, document, schemas)
        schemas |= {
            name: schema
            for name, schema in renamed.get("components", {}).get("schemas", {}).items()
            if name not in DROPPED
        }
        for path, item in renamed.get("paths", {}).items():
            route = find_route(path)
            if route is not None and route.owner == owner:
                paths[path] = _finished(item, keyless=route.keyless)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": "Customers see what they owe and pay it."},
        "servers": [{"url": "/"}],
        "security": [{"apiKey": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "responses": {"Problem": _problem("A problem")},
            "securitySchemes": {"apiKey": {"type": "http", "scheme": "bearer", "description": "An API key: pk_…"}},
        },
    }


def _problem(description: str) -> Document:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {"application/problem+json": {"schema": schema}}}


def _finished(item: Document, *, keyless: bool) -> Document:
    """Each operation with the problems that it may answer."""
    finished: Document = {}
    for method, operation in item.items():
        if not isinstance(operation, dict):
            finished[method] = operation
            continue
        answers = {status: answer for status, answer in operation.get("responses", {}).items() if status != "422"}
        problems = {status: _problem(text) for status, text in EXPECTED.items()}
        finished[method] = operation | {"responses": problems | answers} | ({"security": []} if keyless else {})
    return finished


def _without_clashes(owner: str, document: Document, schemas: Document) -> Document:
    """The document with those schemas renamed whose name stands for something else already."""
    own = document.get("components", {}).get("schemas", {})
    text = json.dumps(document)
    for name, schema in own.items():
        if name in schemas and schemas[name] != schema:
            other = f"{owner.capitalize()}{name}"
            text = text.replace(f'"#/components/schemas/{name}"', f'"#/components/schemas/{other}"')
            text = text.replace(f'"{name}": {json.dumps(schema)}', f'"{other}": {json.dumps(schema)}')
    renamed: Document = json.loads(text)
    return renamed
