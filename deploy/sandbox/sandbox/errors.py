"""Stripe's errors."""

from typing import Any


class ApiError(Exception):
    """An answer of Stripe's that is no success: an HTTP status and the fields of `error`."""

    def __init__(self, status: int, message: str, *, kind: str = "invalid_request_error", **fields: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"type": kind, "message": message, **fields}}


def missing(what: str, identifier: str, param: str = "id") -> ApiError:
    return ApiError(404, f"No such {what}: '{identifier}'", code="resource_missing", param=param)


def invalid(message: str, param: str, code: str = "parameter_invalid") -> ApiError:
    return ApiError(400, message, code=code, param=param)
