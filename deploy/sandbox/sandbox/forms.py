"""Parameters of a request: Stripe's form encoding with brackets, and reading them strictly."""

from typing import Any
from urllib.parse import parse_qsl

from sandbox.errors import ApiError, invalid

Params = dict[str, Any]


def parse(encoded: str) -> Params:
    """`a[b]=1&c[]=2&d[0]=3` as nested dicts; lists are dicts of their positions until read by `strings`."""
    found: Params = {}
    for name, value in parse_qsl(encoded, keep_blank_values=True):
        _put(found, name.replace("]", "").split("["), value)
    return found


def _put(into: Params, path: list[str], value: str) -> None:
    for step in path[:-1]:
        inner = into.setdefault(step, {})
        if not isinstance(inner, dict):
            raise invalid(f"Invalid parameter: {path[0]}", path[0])
        into = inner
    into[path[-1] or str(len(into))] = value


def only(params: Params, *allowed: str) -> None:
    """Refuse parameters that this endpoint does not know."""
    for name in params:
        if name not in allowed and name != "expand":
            raise ApiError(400, f"Received unknown parameter: {name}", code="parameter_unknown", param=name)


def text(params: Params, name: str) -> str | None:
    value = params.get(name)
    if value is not None and not isinstance(value, str):
        raise invalid(f"Invalid string: {name}", name)
    return value or None


def required(params: Params, name: str) -> str:
    value = text(params, name)
    if value is None:
        raise ApiError(400, f"Missing required param: {name}.", code="parameter_missing", param=name)
    return value


def integer(params: Params, name: str) -> int | None:
    value = text(params, name)
    if value is None:
        return None
    if not value.lstrip("-").isdecimal() or len(value) > 15:
        raise invalid(f"Invalid integer: {value}", name, "parameter_invalid_integer")
    return int(value)


def boolean(params: Params, name: str) -> bool:
    value = (text(params, name) or "false").lower()
    if value not in ("true", "false"):
        raise invalid(f"Invalid boolean: {value}", name)
    return value == "true"


def strings(params: Params, name: str) -> list[str]:
    """A list, as `name[]=…` or `name[0]=…`."""
    value = params.get(name) or {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise invalid("Invalid array", name)
    return list(value.values())


def mapping(params: Params, name: str) -> dict[str, str]:
    value = params.get(name) or {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise invalid("Invalid hash", name)
    return value
