"""The documents that the gateway serves, without a network: OpenAPI, a page to read it with, AsyncAPI."""

from __future__ import annotations

import functools
from importlib import resources
from importlib.resources.abc import Traversable

from chassis.http.problems import not_found

PAGE = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Paidup API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
START = b"""SwaggerUIBundle({ url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null });
"""
POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'"
)

Document = tuple[bytes, bytes]
PATHS = frozenset(
    {"/openapi.json", "/asyncapi.json", "/docs", "/docs/start.js", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"}
)  # those alone are kept: callers choose the path


def _contracts(name: str) -> Traversable:
    return resources.files("contracts") / name


def _swagger(name: str) -> Traversable:
    return resources.files("fastapi_offline") / "static" / name


def find_document(path: str) -> Document | None:
    """Media type and bytes of the document at a path; None if there is none."""
    return _document(path) if path in PATHS else None


@functools.cache
def _document(path: str) -> Document | None:
    match path:
        case "/openapi.json":
            return b"application/json", _read(_contracts("openapi.json"))
        case "/asyncapi.json":
            return b"application/json", _read(_contracts("asyncapi.json"))
        case "/docs":
            return b"text/html; charset=utf-8", PAGE
        case "/docs/start.js":
            return b"text/javascript", START
        case "/docs/swagger-ui-bundle.js":
            return b"text/javascript", _read(_swagger("swagger-ui-bundle.js"))
        case "/docs/swagger-ui.css":
            return b"text/css", _read(_swagger("swagger-ui.css"))
    return None


def _read(file: Traversable) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise not_found("document", file.name) from error
