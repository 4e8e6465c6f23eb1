"""The form of the hosted page, read strictly: a test card or account, the payer, and the consent."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sandbox.catalogue import ACCOUNT_NUMBERS, CARD_NUMBERS, ROUTING_NUMBER
from sandbox.records import Method, new_id

_WITH_STATES = ("US", "CA", "AU", "MX")
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Given:
    token: str
    billing: dict[str, Any]
    expires: tuple[int, int] | None
    deposits: bool

    def method(self, at: int) -> Method:
        """Not attached to a customer yet."""
        made = Method(new_id("pm"), at, None, self.token, billing=self.billing)
        if self.expires is not None:
            made.expires = list(self.expires)
        return made


def read_form(form: Mapping[str, str], kinds: Sequence[str], now: int) -> Given | dict[str, str]:
    """The values of the form, or its faults by field. Numbers that are no test numbers are shown to nobody."""
    wrong: dict[str, str] = {}
    kind = form.get("kind", kinds[0])
    if kind not in kinds:
        return {"kind": "Choose one of the ways to pay."}
    bank = kind == "us_bank_account"
    token = _account(form, wrong) if bank else _card(form, wrong)
    expires = None if bank else _expiry(form, wrong, now)
    billing = _billing(form, wrong)
    if form.get("agree") != "yes":
        wrong["agree"] = "Agree to the terms, or go back."
    return wrong or Given(token, billing, expires, bank and form.get("verify") == "deposits")


def billing_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """As Stripe's `billing_details`."""
    names = ("line1", "line2", "city", "state", "postal_code", "country")
    address = {name: str(given.get(name) or "") or None for name in names}
    return {"name": str(given.get("name") or "") or None, "address": address}


def _card(form: Mapping[str, str], wrong: dict[str, str]) -> str:
    number = re.sub(r"[\s-]", "", form.get("number", "")) or form.get("card", "")
    token = CARD_NUMBERS.get(number, "")
    if not token:
        wrong["number"] = "This page takes test cards alone. Choose one from the list."
    return token


def _account(form: Mapping[str, str], wrong: dict[str, str]) -> str:
    number = re.sub(r"\s", "", form.get("account_number", "")) or form.get("account", "")
    token = ACCOUNT_NUMBERS.get(number, "")
    if re.sub(r"\s", "", form.get("routing_number", "")) != ROUTING_NUMBER:
        wrong["routing_number"] = f"This page knows one bank alone: {ROUTING_NUMBER}."
    if not token:
        wrong["account_number"] = "This page takes test accounts alone. Choose one from the list."
    return token


def _expiry(form: Mapping[str, str], wrong: dict[str, str], now: int) -> tuple[int, int] | None:
    found = re.fullmatch(r"\s*(\d{1,2})\s*/\s*(?:20)?(\d\d)\s*", form.get("expires", ""), re.ASCII)
    if found is None or not 1 <= int(found[1]) <= 12:
        wrong["expires"] = "Enter month and year as 12/34."
        return None
    year, month = 2000 + int(found[2]), int(found[1])
    today = datetime.fromtimestamp(now, UTC)
    if (year, month) < (today.year, today.month):
        wrong["expires"] = "This card has expired."
    return year, month


def _billing(form: Mapping[str, str], wrong: dict[str, str]) -> dict[str, Any]:
    given = {name: form.get(name, "").strip() for name in ("name", "line1", "city", "state", "postal_code", "country")}
    given["state"], given["country"] = given["state"].upper(), given["country"].upper()
    for name, text in given.items():
        if len(text) > _LONGEST:
            wrong[name] = f"At most {_LONGEST} characters."
    if not given["name"]:
        wrong["name"] = "Enter the name on the card or account."
    if not re.fullmatch(r"[A-Z]{2}", given["country"], re.ASCII):
        wrong["country"] = "Choose a country."
    if not given["postal_code"]:
        wrong["postal_code"] = "Enter the postal code."
    if given["country"] in _WITH_STATES and not re.fullmatch(r"[A-Z]{2,3}", given["state"], re.ASCII):
        wrong["state"] = "Enter the state as two or three letters."
    return billing_of(given)
