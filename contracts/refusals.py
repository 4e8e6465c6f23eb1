"""Why a request can't be met."""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as member


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request can't be met: a stable slug, what happened and what to do, and the field at fault.

    `conflict`: the request is sound, the state of things is in its way. `values`: what stands in `detail`, by name, so
    that it can be said in another language.
    """

    code: str
    detail: str
    field: str | None = None
    conflict: bool = False
    values: Mapping[str, str | int] = member(default_factory=dict)
