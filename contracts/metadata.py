"""Metadata: short texts that a caller keeps with a resource. Paidup does not use them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

MOST_METADATA = 20
_NO_NUL = r"^[^\x00]*$"

Metadata = Annotated[
    dict[
        Annotated[str, Field(min_length=1, max_length=40, pattern=_NO_NUL)],
        Annotated[str, Field(max_length=500, pattern=_NO_NUL)],
    ],
    Field(max_length=MOST_METADATA, description="At most 20 texts of the caller's own, by name; no event holds them"),
]
