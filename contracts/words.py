"""Pydantic's findings in words for people: they say what is expected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_OBJECT, _LIST, _WHOLE = "must be an object: {{…}}", "must be a list: […]", "must be a whole number"
_DAY, _INSTANT = "must be a day, as 2026-01-31", "must be an instant with its offset, as 2026-01-31T12:00:00Z"
WORDS = {
    "missing": "is missing",
    "extra_forbidden": "there is no such field here",
    "string_type": "must be text",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must hold at least {min_length}",
    "too_long": "must hold at most {max_length}",
    "model_type": _OBJECT, "model_attributes_type": _OBJECT, "dict_type": _OBJECT,
    "list_type": _LIST, "tuple_type": _LIST,
    "int_type": _WHOLE, "int_parsing": _WHOLE, "int_from_float": _WHOLE, "int_parsing_size": _WHOLE,
    "bool_type": "must be true or false", "bool_parsing": "must be true or false",
    "decimal_type": "must be a number", "decimal_parsing": "must be a number", "finite_number": "must be a number",
    "decimal_max_digits": "must have at most {max_digits} digits",
    "decimal_max_places": "must have at most {decimal_places} digits after the point",
    "greater_than": "must be more than {gt}", "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}", "less_than_equal": "must be at most {le}",
    "literal_error": "must be one of {expected}", "enum": "must be one of {expected}",
    "date_type": _DAY, "date_parsing": _DAY, "date_from_datetime_parsing": _DAY, "date_from_datetime_inexact": _DAY,
    "datetime_type": _INSTANT, "datetime_parsing": _INSTANT, "datetime_from_date_parsing": _INSTANT,
    "timezone_aware": _INSTANT,
}  # fmt: skip
JSON_WORDS = {"True": "true", "False": "false"}  # as whoever sends them writes them
PATTERNS = {
    r"^[^\x00]*$": "must not contain the character U+0000",
    r"^[^\x00]*[^\x00\s][^\x00]*$": "must not be blank, nor contain the character U+0000",
    "^[A-Z]{3}$": "must be three capital letters, as USD",
    "^[A-Za-z0-9_]+$": "must be made of letters, digits and _",
    "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$": "must be an id, as 018f0000-0000-7000-8000-000000000001",
    r"^[^@\s\x00]+@[^@\s\x00]+\.[^@\s\x00]+$": "must be an e-mail address, as ann@example.com",
}


def sentence(finding: Mapping[str, Any]) -> str:
    """The sentence of one of pydantic's errors. The words of a validator of ours stay as they are."""
    context = finding.get("ctx", {})
    if finding["type"] == "literal_error" and context["expected"] in JSON_WORDS:
        return f"must be {JSON_WORDS[context['expected']]}"
    if finding["type"] == "string_pattern_mismatch":
        return PATTERNS.get(context["pattern"], "is not written in the form that is expected here")
    words = WORDS.get(finding["type"])
    if words is None:
        return str(finding["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return words.format(**context)


def field(finding: Mapping[str, Any]) -> str:
    """`lines.0.quantity`.

    A validator of a whole model names the field at fault by
    `raise PydanticCustomError("due-too-early", "lies before issued_on", {"field": "due_on"})`.
    """
    own = finding.get("ctx", {}).get("field")
    return ".".join(str(part) for part in (*finding["loc"], *([own] if own else [])))


def code(finding: Mapping[str, Any]) -> str:
    """The kind of a finding, stable and in kebab-case."""
    return str(finding["type"]).replace("_", "-")


def values(finding: Mapping[str, Any]) -> dict[str, str | int]:
    """What a sentence in another language needs beside the kind: lengths, bounds, what is expected."""
    context = {name: value for name, value in finding.get("ctx", {}).items() if name not in ("field", "error")}
    return {name: value if isinstance(value, int) else str(value) for name, value in context.items()}
