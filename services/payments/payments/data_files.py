"""The data that the service is shipped with: surcharge rules, what payers agree to, and the provider's codes."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from contracts.invoicing import Currency
from payments.domain import Code, SurchargeRule
from payments.domain.autopay import Retries
from payments.domain.methods import Currencies

HERE = Path(__file__).parent
SURCHARGE_RULES = HERE / "surcharge_rules.toml"


class DataFileError(ValueError):
    """A file of data that can't be used: its path, and what is wrong with it."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Rule(_Strict):
    id: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,60}$")]
    valid_from: date
    valid_until: date | None = None
    currency: Currency | None = None
    country: Annotated[str | None, Field(pattern="^[A-Z]{2}$")] = None
    state: Annotated[str | None, Field(pattern="^[A-Z0-9]{1,3}$")] = None
    brand: Annotated[str | None, Field(pattern="^[a-z_]{1,30}$")] = None
    funding: Literal["credit"] = "credit"
    rate: Annotated[Decimal, Field(ge=0, le=1)]
    cap_minor: Annotated[int | None, Field(ge=0)] = None
    source: Annotated[str, Field(min_length=1)]

    @model_validator(mode="after")
    def _whole(self) -> _Rule:
        if self.state is not None and self.country is None:
            raise ValueError("a rule for a state names its country too")
        if self.cap_minor is not None and self.currency is None:
            raise ValueError("a cap in minor units needs the currency that it is in")
        if self.valid_until is not None and self.valid_until < self.valid_from:
            raise ValueError("valid_until lies before valid_from")
        return self

    @property
    def criteria(self) -> tuple[str | date | None, ...]:
        return (self.state, self.country, self.brand, self.currency, self.valid_from)


class _Rules(_Strict):
    edition: date
    rules: Annotated[tuple[_Rule, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _no_two_alike(self) -> _Rules:
        for what, seen in (
            ("id", [rule.id for rule in self.rules]),
            ("criteria and day", [rule.criteria for rule in self.rules]),
        ):
            if len(set(seen)) < len(seen):
                raise ValueError(f"two rules have the same {what}: which of them holds can't be known")
        return self


@dataclass(frozen=True, slots=True)
class SurchargeFile:
    """An edition of the rules; the digest is of what it says, not of how it is written."""

    edition: date
    rules: tuple[SurchargeRule, ...]
    digest: bytes


def read_surcharge_rules(path: Path) -> SurchargeFile:
    """The rules of a file, each known by its edition and its name; `DataFileError` says what is wrong."""
    found = _read(_Rules, path)
    rules = tuple(
        SurchargeRule(
            f"{found.edition}/{rule.id}", rule.valid_from, rule.valid_until, rule.currency, rule.country, rule.state,
            rule.brand, rule.funding, rule.rate, rule.cap_minor, rule.source,
        )
        for rule in sorted(found.rules, key=lambda rule: rule.id)
    )  # fmt: skip
    said = [[str(getattr(rule, name)) for name in rule.__slots__] for rule in rules]
    return SurchargeFile(found.edition, rules, hashlib.sha256(orjson.dumps(said)).digest())


@dataclass(frozen=True, slots=True)
class ConsentText:
    version: str
    text: str


class _Text(_Strict):
    version: Annotated[str, Field(pattern="^[a-z0-9-]{1,60}$")]
    text: Annotated[str, Field(min_length=1)]


class _Texts(_Strict):
    surcharge: Annotated[tuple[_Text, ...], Field(min_length=1)]
    terms: Annotated[tuple[_Text, ...], Field(min_length=1)]
    autopay: Annotated[tuple[_Text, ...], Field(min_length=1)]


def read_consent_texts(path: Path) -> tuple[dict[str, ConsentText], dict[str, str]]:
    """The text shown now for each kind of consent, and every text by its version."""
    found = _read(_Texts, path)
    kinds: Mapping[str, Sequence[_Text]] = {
        "surcharge": found.surcharge,
        "terms": found.terms,
        "autopay": found.autopay,
    }
    shown = {kind: ConsentText(texts[-1].version, texts[-1].text) for kind, texts in kinds.items()}
    return shown, {each.version: each.text for texts in kinds.values() for each in texts}


class _Code(_Strict):
    kind: Literal["return", "decline", "chargeback", "refund"]
    code: Annotated[str, Field(pattern="^[A-Za-z0-9_]{1,60}$")]
    since: date
    retry: bool
    disables: bool
    holds_autopay: bool
    words: Annotated[str, Field(min_length=1)]
    returned_as: Annotated[str | None, Field(pattern="^R[0-9]{2}$")] = None


class _Codes(_Strict):
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
    return tuple(Code(**code.model_dump()) for code in _read(_Codes, path).codes)


class _Retry(_Strict):
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


class _Retries(_Strict):
    retries: tuple[_Retry, ...]

    @model_validator(mode="after")
    def _whole(self) -> _Retries:
        seen = [(each.kind, each.since) for each in self.retries]
        if len(set(seen)) < len(seen):
            raise ValueError("a kind of method has two sets of days from the same day on")
        return self


def read_retries(path: Path) -> tuple[Retries, ...]:
    """When autopay tries again, by kind of method."""
    found = _read(_Retries, path).retries
    return tuple(Retries(each.kind, each.since, each.days, each.within_days) for each in found)


class _MethodCurrencies(_Strict):
    kind: Literal["card", "bank_account"]
    since: date
    currencies: Annotated[tuple[Currency, ...], Field(min_length=1)]
    called: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]


class _MethodsOfCurrencies(_Strict):
    methods: tuple[_MethodCurrencies, ...]

    @model_validator(mode="after")
    def _no_two_alike(self) -> _MethodsOfCurrencies:
        seen = [(each.kind, each.since) for each in self.methods]
        if len(set(seen)) < len(seen):
            raise ValueError("a kind of method has two sets of currencies from the same day on")
        return self


def read_method_currencies(path: Path) -> tuple[Currencies, ...]:
    """In which currencies kinds of methods pay."""
    found = _read(_MethodsOfCurrencies, path).methods
    return tuple(Currencies(each.kind, each.since, each.currencies, each.called) for each in found)


def _read(model: type[Any], path: Path) -> Any:
    try:
        return model.model_validate(tomllib.loads(path.read_text()))
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as fault:
        raise DataFileError(f"{path}: {fault}") from fault


CODES = read_codes(HERE / "provider_codes.toml")
RETRIES = read_retries(HERE / "retry_days.toml")
CURRENCIES = read_method_currencies(HERE / "method_currencies.toml")
CONSENT_TEXTS, EVERY_TEXT = read_consent_texts(HERE / "consent_texts.toml")
