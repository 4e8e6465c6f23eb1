"""Why a request can't be met."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request can't be met: a stable slug, what happened and what to do, and the field at fault.

    `conflict`: the request is sound, the state of things is in its way.
    """

    code: str
    detail: str
    field: str | None = None
    conflict: bool = False
