"""Requests by method and path template, and the most bytes that their bodies may have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

BODY_LIMIT = 1_048_576
NO_LARGER: Mapping[str, int] = MappingProxyType({})


class Templates:
    """
    >>> Templates(["GET /v1/tickets/{id}"]).find("GET", "/v1/tickets/7")
    'GET /v1/tickets/{id}'
    """

    def __init__(self, templates: Iterable[str]) -> None:
        self._patterns = [(re.compile(_pattern(template)), template) for template in templates]

    def find(self, method: str, path: str) -> str | None:
        """The first template that fits a request; None when none does."""
        asked = f"{method} {path}"
        return next((template for pattern, template in self._patterns if pattern.fullmatch(asked)), None)


class Limits:
    """`larger`: bytes by template, for bodies that are streamed. Every other body has at most `most`."""

    def __init__(self, larger: Mapping[str, int] = NO_LARGER, most: int = BODY_LIMIT) -> None:
        self._larger, self._templates, self._most = larger, Templates(larger), most

    def of(self, method: str, path: str) -> int:
        return self.streamed(method, path) or self._most

    def streamed(self, method: str, path: str) -> int:
        """The limit of a body that is streamed; 0 when this one is not."""
        template = self._templates.find(method, path)
        return self._larger[template] if template else 0


def _pattern(template: str) -> str:
    return "".join("[^/]+" if part.startswith("{") else re.escape(part) for part in re.split(r"({\w+})", template))
