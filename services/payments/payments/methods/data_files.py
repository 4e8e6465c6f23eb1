"""The files of consent texts, and of the currencies in which methods pay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from contracts.invoicing import Currency
from payments.data_files import Strict, read_file
from payments.methods.domain.methods import Currencies


@dataclass(frozen=True, slots=True)
class ConsentText:
    version: str
    text: str


class _Text(Strict):
    version: Annotated[str, Field(pattern="^[a-z0-9-]{1,60}$")]
    text: Annotated[str, Field(min_length=1)]


class _Texts(Strict):
    surcharge: Annotated[tuple[_Text, ...], Field(min_length=1)]
    terms: Annotated[tuple[_Text, ...], Field(min_length=1)]
    autopay: Annotated[tuple[_Text, ...], Field(min_length=1)]


def read_consent_texts(path: Path) -> tuple[dict[str, ConsentText], dict[str, str]]:
    """The text shown now for each kind of consent, and every text by its version."""
    found = read_file(_Texts, path)
    kinds: Mapping[str, Sequence[_Text]] = {
        "surcharge": found.surcharge,
        "terms": found.terms,
        "autopay": found.autopay,
    }
    shown = {kind: ConsentText(texts[-1].version, texts[-1].text) for kind, texts in kinds.items()}
    return shown, {each.version: each.text for texts in kinds.values() for each in texts}


class _MethodCurrencies(Strict):
    kind: Literal["card", "bank_account"]
    since: date
    currencies: Annotated[tuple[Currency, ...], Field(min_length=1)]
    called: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]


class _MethodsOfCurrencies(Strict):
    methods: tuple[_MethodCurrencies, ...]

    @model_validator(mode="after")
    def _no_two_alike(self) -> _MethodsOfCurrencies:
        seen = [(each.kind, each.since) for each in self.methods]
        if len(set(seen)) < len(seen):
            raise ValueError("a kind of method has two sets of currencies from the same day on")
        return self


def read_method_currencies(path: Path) -> tuple[Currencies, ...]:
    """Read in which currencies each kind of method pays."""
    found = read_file(_MethodsOfCurrencies, path).methods
    return tuple(Currencies(each.kind, each.since, each.currencies, each.called) for each in found)


CURRENCIES = read_method_currencies(Path(__file__).with_name("method_currencies.toml"))


CONSENT_TEXTS, EVERY_TEXT = read_consent_texts(Path(__file__).with_name("consent_texts.toml"))
