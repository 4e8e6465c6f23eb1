"""What a mail is rendered from: its facts, and what notify knows of the company, the customer and the invoices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chassis.running import Running
from contracts.auth import UNNAMED
from notify import store
from notify.domain.mails import UNKNOWN_FOR, Mail, Person

DEFAULT_COLOUR = "#0e5358"


@dataclass(frozen=True, slots=True)
class Company:
    name: str
    logo: str | None
    brand_colour: str
    time_zone: str
    languages: Sequence[str]
    reply_address: str | None


@dataclass(frozen=True, slots=True)
class View:
    mail: Mail
    person: Person
    company: Company
    customer: str | None
    method: Mapping[str, Any]
    invoices: Sequence[Mapping[str, Any]]
    portal: str
    now: datetime


async def load_view(running: Running[Any], mail: Mail, person: Person) -> View | None:
    """None: an invoice that the mail names has not been heard of yet; after some minutes it goes without."""
    named = invoices_of(mail.facts)
    invoices = await store.find_invoices(running.pool, named)
    now = running.clock.now()
    if len(invoices) < len(named) and now - mail.made_at < UNKNOWN_FOR:
        return None
    found = await store.find_company(running.pool)
    company = Company(**found) if found else Company(
        UNNAMED, None, DEFAULT_COLOUR, running.clock.zone, (), None
    )  # fmt: skip
    customer = await store.find_customer(running.pool, person.customer_id or mail.facts.get("customer_id"))
    method = await store.find_method(running.pool, mail.facts.get("method_id"))
    return View(mail, person, company, customer, method, invoices, running.settings.public_url.rstrip("/"), now)


def invoices_of(facts: Mapping[str, Any]) -> list[str]:
    """The ids of the invoices that a body names: `invoice_id`, or each of `asked`."""
    ids = [facts.get("invoice_id"), *(part["invoice_id"] for part in facts.get("asked", ()))]
    return list(dict.fromkeys(one for one in ids if one))
