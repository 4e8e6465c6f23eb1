"""The file of the provider's codes."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from payments.data_files import Strict, read_file
from payments.providers.codes import Code


class _Code(Strict):
    kind: Literal["return", "decline", "chargeback", "refund"]
    code: Annotated[str, Field(pattern="^[A-Za-z0-9_]{1,60}$")]
    since: date
    retry: bool
    disables: bool
    holds_autopay: bool
    words: Annotated[str, Field(min_length=1)]
    returned_as: Annotated[str | None, Field(pattern="^R[0-9]{2}$")] = None


class _Codes(Strict):
    codes: tuple[_Code, ...]

    @model_validator(mode="after")
    def _no_two_alike(self) -> _Codes:
        seen = [(code.kind, code.code, code.since) for code in self.codes]
        if len(set(seen)) < len(seen):
            raise ValueError("a code has two meanings from the same day on")
        returns = {code.code for code in self.codes if code.kind == "return"}
        strange = [code.returned_as for code in self.codes if code.returned_as and code.returned_as not in returns]
        if strange:
            raise ValueError(f"returned_as names {strange[0]}, which is no return of this file")
        return self


def read_codes(path: Path) -> tuple[Code, ...]:
    """What the provider's codes mean."""
    return tuple(Code(**code.model_dump()) for code in read_file(_Codes, path).codes)


CODES = read_codes(Path(__file__).with_name("provider_codes.toml"))
