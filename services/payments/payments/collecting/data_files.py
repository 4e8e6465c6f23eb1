"""The file of surcharge rules, the shipped one or the deployment's own."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

import orjson
from pydantic import Field, model_validator

from contracts.invoicing import Currency
from payments.collecting.domain.surcharges import SurchargeRule
from payments.data_files import Strict, read_file

SURCHARGE_RULES = Path(__file__).with_name("surcharge_rules.toml")


class _Rule(Strict):
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


class _Rules(Strict):
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
    """An edition of the rules. The digest is of its content, not of its spelling in the file."""

    edition: date
    rules: tuple[SurchargeRule, ...]
    digest: bytes


def read_surcharge_rules(path: Path) -> SurchargeFile:
    """Read the rules of a file. Raises `DataFileError` with what is wrong."""
    found = read_file(_Rules, path)
    rules = tuple(
        SurchargeRule(
            f"{found.edition}/{rule.id}", rule.valid_from, rule.valid_until, rule.currency, rule.country, rule.state,
            rule.brand, rule.funding, rule.rate, rule.cap_minor, rule.source,
        )
        for rule in sorted(found.rules, key=lambda rule: rule.id)
    )  # fmt: skip
    said = [[str(getattr(rule, name)) for name in rule.__slots__] for rule in rules]
    return SurchargeFile(found.edition, rules, hashlib.sha256(orjson.dumps(said)).digest())
