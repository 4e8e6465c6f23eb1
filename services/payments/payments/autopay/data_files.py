"""The file of days on which autopay tries again."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from payments.autopay.domain import Retries
from payments.data_files import Strict, read_file


class _Retry(Strict):
    kind: Literal["card", "bank_account"]
    since: date
    days: Annotated[tuple[Annotated[int, Field(ge=1, le=365)], ...], Field(max_length=3)]
    within_days: Annotated[int | None, Field(ge=1)] = None
    source: Annotated[str, Field(min_length=1)]

    @model_validator(mode="after")
    def _one_after_another(self) -> _Retry:
        if list(self.days) != sorted(set(self.days)):
            raise ValueError("the days of further tries come one after another, each once")
        return self


class _Retries(Strict):
    retries: tuple[_Retry, ...]

    @model_validator(mode="after")
    def _whole(self) -> _Retries:
        seen = [(each.kind, each.since) for each in self.retries]
        if len(set(seen)) < len(seen):
            raise ValueError("a kind of method has two sets of days from the same day on")
        return self


def read_retries(path: Path) -> tuple[Retries, ...]:
    """Read when autopay tries again, by kind of method."""
    found = read_file(_Retries, path).retries
    return tuple(Retries(each.kind, each.since, each.days, each.within_days) for each in found)


RETRIES = read_retries(Path(__file__).with_name("retry_days.toml"))
