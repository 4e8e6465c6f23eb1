"""Consents of payers, kept as evidence. Values in, values out."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Literal

from contracts.ids import new_id
from contracts.money import Money


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of a surcharge: its rate, its cap in minor units, and the rule that they come from."""

    rate: Decimal = Decimal(0)
    cap: int | None = None
    rule_id: str | None = None


@dataclass(frozen=True, slots=True)
class Consent:
    """Who said yes or no (`given`), when, to which version of a text, about which money."""

    id: str
    kind: Literal["surcharge", "terms", "autopay"]
    given: bool
    customer_id: str
    actor: str
    at: datetime
    text_version: str
    payment_id: str | None = None
    quote_id: str | None = None
    method_id: str | None = None
    setup_id: str | None = None
    amount: Money | None = None
    surcharge: Money | None = None
    terms: Terms | None = None
    request_id: str | None = None
    address_hash: str | None = None


@dataclass(frozen=True, slots=True)
class Witness:
    """Who made the request, and from where. The address is never kept; it is hashed with the deployment's `secret`."""

    actor: str
    request_id: str | None = None
    address: str | None = None
    secret: str = field(default="", repr=False)

    def to(self, consent: Consent) -> Consent:
        """Add a hash of the address. With the secret, one can check an address; two consents can't be compared.

        None without a secret: there are so few addresses that a reader of a plain hash could try them all.
        """
        hashed = None
        if self.address and self.secret:
            hashed = hmac.digest(self.secret.encode(), f"{consent.id}:{self.address}".encode(), "sha256").hex()
        return replace(consent, actor=self.actor, request_id=self.request_id, address_hash=hashed)


def to_method(
    kind: Literal["terms", "autopay"],
    customer_id: str,
    text_version: str,
    who: Witness,
    now: datetime,
    *,
    given: bool = True,
    method_id: str | None = None,
    setup_id: str | None = None,
    terms: Terms | None = None,
) -> Consent:
    """Consent to the terms of a method, of a setup, or of autopay with a method."""
    consent = Consent(
        new_id(), kind, given, customer_id, who.actor, now, text_version, method_id=method_id, setup_id=setup_id,
        terms=terms,
    )  # fmt: skip
    return who.to(consent)
