"""One OpenAPI document from those of the services: what stands in contracts/openapi.json. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from contracts.auth import SESSION_COOKIE
from gateway.openapi_words import (
    add_example,
    describe_parameters,
    describe_schemas,
    problem_text,
    tag_of,
    tags,
)
from gateway.routes import find_route

Document = dict[str, Any]

PROBLEM = {
    "type": "object",
    "description": "RFC 9457. `type` ends in a stable slug; some problems carry further members.",
    "required": ["type", "status", "title", "detail", "request_id"],
    "properties": {
        "type": {
            "type": "string",
            "description": "A URN that ends in a stable slug: read the slug, not the title.",
            "pattern": "^urn:paidup:problem:[a-z0-9-]+$",
            "examples": ["urn:paidup:problem:invalid-request"],
        },
        "status": {"type": "integer", "description": "The HTTP status again."},
        "title": {"type": "string", "description": "What kind of problem it is, for people."},
        "detail": {"type": "string", "description": "What is wrong and what to do, for people."},
        "request_id": {"type": "string", "description": "Name it when you report the problem."},
        "errors": {
            "type": "array",
            "description": "The fields at fault.",
            "items": {"$ref": "#/components/schemas/FieldError"},
        },
        "values": {
            "type": "object",
            "additionalProperties": {"type": ["string", "integer"]},
            "description": "The values of `detail`: render the slug with them in another language.",
        },
    },
}
FIELD_ERROR = {
    "type": "object",
    "required": ["field", "message"],
    "properties": {
        "field": {"type": "string", "description": "A dotted path, as lines.0.quantity."},
        "message": {"type": "string", "description": "What is wrong with it, for people."},
        "code": {"type": "string", "description": "What kind of fault it is, as `string-too-long`."},
        "values": {
            "type": "object",
            "additionalProperties": {"type": ["string", "integer"]},
            "description": "The values of `message`, as `max_length`: render `code` with them in another language.",
        },
    },
}
# What a 409 may carry beside: the quote to confirm instead, and the payment that is in the way.
CONFLICT = PROBLEM | {
    "properties": PROBLEM["properties"]  # type: ignore[operator]
    | {
        "new_quote": {
            "anyOf": [{"$ref": "#/components/schemas/QuoteView"}, {"type": "null"}],
            "description": "With `quote-stale`: the quote to confirm instead; null where nothing can be paid.",
        },
        "payment_id": {
            "type": "string",
            "format": "uuid",
            "description": "With `quote-used` the payment that it became; else the one that is in the way.",
        },
    }
}
EVERYWHERE = {
    "401": "No key, or one that is unknown, expired or revoked",
    "403": "The key lacks the scope",
    "404": "There is nothing of this id that the key may see",
    "422": "Something in the request can't be accepted: `errors` says what and where",
    "429": "Too many requests: see Retry-After",
    "502": "The service went away while answering: ask again",
    "503": "Not now: see Retry-After",
    "504": "The service has not answered in time",
}
OF_LINKS = {"410": "The link has ended, or what it led to is gone: ask for a new one"}
LINKS = ("/v1/registrations", "/v1/password/reset", "/v1/payer-links/{token}", "/v1/files/")
WITH_BODY = {
    "400": "The body is not JSON, or the Idempotency-Key is missing",
    "409": "The state of something is in the way, or a request with the same key is still running",
    "413": "The body is longer than 1 MiB",
    "415": "The body is sent as something else than JSON",
}
HEADERS: Document = {
    "X-Request-Id": {
        "description": "The request's id in every log: the caller's own when it sent a harmless one",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
    },
    "Paidup-Seen": {
        "description": "Send it with a later request, to any service, that has to know of this write",
        "schema": {"type": "string"},
    },
    "Idempotent-Replayed": {
        "description": "`true`: the answer of the first request with this key",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Retry-After": {"description": "In seconds", "schema": {"type": "string", "pattern": "^[0-9]+$"}},
    "WWW-Authenticate": {"description": "How to authenticate", "schema": {"type": "string"}},
}
SENT_WITH = {
    "401": ("WWW-Authenticate",), "409": ("Retry-After",), "429": ("Retry-After",), "502": ("Retry-After",),
    "503": ("Retry-After",),
}  # fmt: skip
KEY = "Idempotency-Key"
WRITES = ("post", "put", "patch")
SEEN: Document = {
    "name": "Paidup-Seen",
    "in": "header",
    "required": False,
    "description": (
        "As a write answered it: this waits up to two seconds until the write is known here, else it is 503. "
        "A malformed one is 422."
    ),
    "schema": {"type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:[0-9]{1,18}$"},
}
# deploy/openapi.py marks operations: the scopes that they need, and whether they need an Idempotency-Key or take one.
SCOPES, ONCE = "x-scopes", "x-once"
DROPPED = ("HTTPValidationError", "ValidationError")

PERSONS = "self"  # the scope of everybody who signed in, which no key has by itself
SESSION: Document = {
    "type": "apiKey",
    "in": "cookie",
    "name": SESSION_COOKIE,
    "description": (
        "The session of a person who signed in. Requests that change something also need the header `Paidup-CSRF: 1` "
        "and come from the portal's own pages."
    ),
}

STREAM: Document = {
    "get": {
        "operationId": "stream_events",
        "x-scopes": ["events:read"],
        "summary": "Events as they happen",
        "description": (
            "Server-sent events: `event` is the type, `data` a CloudEvent in JSON. Resume with Last-Event-ID within "
            "ten minutes; `event: reset` says that events are missing."
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
    paths: Document = {"/v1/events/stream": _finished("/v1/events/stream", STREAM, keyless=False)}
    schemas: Document = {"Problem": PROBLEM, "Conflict": CONFLICT, "FieldError": FIELD_ERROR}
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
                paths[path] = _finished(path, item, keyless=route.keyless)
    schemas = json.loads(json.dumps(schemas))
    describe_schemas(schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": "Customers see what they owe and pay it."},
        "servers": [{"url": "/"}],
        "security": [{"apiKey": []}, {"session": []}],
        "tags": tags(),
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "headers": HEADERS,
            "responses": {
                f"Problem{status}": _problem(text, status)
                for status, text in (EVERYWHERE | WITH_BODY | OF_LINKS).items()
            },
            "securitySchemes": {
                "apiKey": {"type": "http", "scheme": "bearer", "description": "An API key: paidup_sk_…"},
                "session": SESSION,
            },
        },
    }


def _problem(description: str, status: str) -> Document:
    schema = {"$ref": f"#/components/schemas/{'Conflict' if status == '409' else 'Problem'}"}
    slugs = problem_text(int(status))
    return {
        "description": description + (f"\n\n{slugs}" if slugs else ""),
        "headers": _headers("X-Request-Id", *SENT_WITH.get(status, ())),
        "content": {"application/problem+json": {"schema": schema}},
    }


def _headers(*names: str) -> Document:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _finished(path: str, item: Document, *, keyless: bool) -> Document:
    """Each operation with the problems and the headers that it may answer, its tag, its scope and its examples."""
    finished: Document = {}
    for method, operation in item.items():
        parameters = [one for one in operation.get("parameters", []) if one["name"].lower() != KEY.lower()]
        needs_key = operation.pop(ONCE, None)
        parameters += [] if needs_key is None else [_key(required=needs_key)]
        parameters += [] if keyless or item is STREAM else [SEEN]
        headers = _headers("X-Request-Id", *(["Paidup-Seen"] if method in WRITES else []))
        headers |= _headers("Idempotent-Replayed") if needs_key is not None else {}
        answers = {
            status: answer | {"headers": headers | answer.get("headers", {})}
            for status, answer in operation["responses"].items()
            if status.startswith(("2", "3"))
        }
        possible = [*EVERYWHERE, *(WITH_BODY if method in WRITES else ["409"] if method == "delete" else ())]
        possible += OF_LINKS if path.startswith(LINKS) else ()
        problems = {status: {"$ref": f"#/components/responses/Problem{status}"} for status in possible}
        describe_parameters(parameters)
        add_example(operation)
        scopes = operation.pop(SCOPES, [])
        finished[method] = operation | {"responses": dict(sorted((problems | answers).items()))}
        finished[method] |= {"tags": [tag_of(path, operation)], "description": _described(operation, scopes)}
        finished[method] |= {"security": _security(scopes)} if scopes else {}
        finished[method] |= ({"parameters": parameters} if parameters else {}) | ({"security": []} if keyless else {})
    return finished


def _security(scopes: Sequence[str]) -> list[Document]:
    """By what the operation can be asked for. What is for people who signed in, a key of all scopes may ask too."""
    return [{"apiKey": list(scopes)}, {"session": list(scopes)}]


def _described(operation: Document, scopes: Sequence[str]) -> str:
    """What the operation does, and the scope that a key needs for it."""
    says = operation.get("description") or f"{operation['summary']}."
    if PERSONS in scopes:
        return f"{says}\n\nFor a person who signed in."
    return f"{says}\n\nNeeds the scope `{'`, `'.join(scopes)}`." if scopes else says


def _key(*, required: bool) -> Document:
    """The code treats the header as optional, because a missing one has a problem of its own."""
    description = "A new one for each new request; the same one again when an answer was lost"
    schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"}
    key = {"name": KEY, "in": "header", "required": required, "description": description, "schema": schema}
    return key | ({"example": "order-4711"} if required else {})


def _without_clashes(owner: str, document: Document, schemas: Document) -> Document:
    """The document, with schemas renamed whose name another service uses already."""
    own = document.get("components", {}).get("schemas", {})
    text = json.dumps(document)
    for name, schema in own.items():
        if name in schemas and schemas[name] != schema:
            other = f"{owner.capitalize()}{name}"
            text = text.replace(f'"#/components/schemas/{name}"', f'"#/components/schemas/{other}"')
            text = text.replace(f'"{name}": {json.dumps(schema)}', f'"{other}": {json.dumps(schema)}')
    renamed: Document = json.loads(text)
    return renamed
