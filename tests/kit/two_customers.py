"""All that one customer has, and who may ask for it: by a key of one customer, as its contact, as a visitor."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import asyncpg

from chassis.http.identity import Identity, TokenSigner
from contracts.auth import Audience
from contracts.ids import new_id
from contracts.services import SERVICES
from gateway.routes import find_route
from tests.kit.client import SECONDS, Client
from tests.kit.mails import Catcher
from tests.kit.portal import Browser
from tests.kit.settling import all_heard
from tests.kit.stack import LocalStack

CONTACTS_SCOPES = frozenset(
    {
        "customers:read", "events:read", "invoices:read", "methods:read", "methods:write", "payments:read",
        "payments:write", "tickets:read", "tickets:write", "visits:read",
    }
)  # fmt: skip
VISITS_SCOPES = frozenset(
    {"customers:read", "events:read", "invoices:read", "payments:read", "tickets:read", "tickets:write"}
)


@dataclass(frozen=True)
class Things:
    """What a customer has. `ids` by the names that paths, bodies and parameters give them; `texts` are its own.

    `key`: its API key.
    """

    ids: Mapping[str, str]
    texts: frozenset[str]
    key: str = ""

    def __getattr__(self, name: str) -> str:
        return self.ids[name]

    @property
    def secrets(self) -> set[str]:
        return {*self.ids.values(), *self.texts}


@dataclass(frozen=True)
class People:
    """Browsers of a customer's contact, and of one of the company's people who looks at its portal."""

    contact: Browser
    visitor: Browser


async def things(client: Client, stack: LocalStack, session: aiohttp.ClientSession) -> tuple[Things, People]:
    """A new customer with invoices, payments, a saved method, a quote, a setup, a key, people, a link: all at rest."""
    tag = new_id()
    texts = {name: f"{name} {tag}" for name in ("name", "line", "terms", "ticket")}
    email = f"{tag}@example.com"
    customer = await client.customer(name=texts["name"], email=email)
    external = (await client.get(f"/v1/customers/{customer}"))["external_id"]
    line = [{"description": texts["line"], "quantity": 1, "unit_price_minor": 10_000}]
    invoices = [await client.invoice(customer, lines=line, terms=texts["terms"]) for _ in range(3)]
    method = await client.method(customer)
    for invoice in invoices[:2]:
        payment = await client.pay(await client.quote(customer, method, invoice))
        await client.paid(invoice)
    quote = await client.quote(customer, method, invoices[2])
    page = {"accept_terms": True, "return_url": "https://portal.example/back"}
    setup = await client.make(f"/v1/customers/{customer}/payment-methods/setup", page)
    key = await client.make("/v1/api-keys", {"name": texts["name"], "scopes": ["*"], "customer_id": customer})
    number = (await client.get(f"/v1/invoices/{invoices[2]}"))["number"]
    settled = await client.until(f"/v1/payments/{payment['id']}", lambda one: one["reconciliation"] == "matched")
    asked = {"customer_id": customer, "subject": texts["ticket"], "details": texts["ticket"]}
    file = await client.send_file("slip.txt", f'"{texts["ticket"]}"'.encode())  # it is read as JSON, as all answers are
    tickets = [await client.make("/v1/tickets", {**asked, "file_ids": each}, key=new_id()) for each in ([file], [])]
    raised = await client.make(f"/v1/invoices/{invoices[0]}/disputes", {"text": texts["ticket"]}, key=new_id())
    contacts = await client.until(f"/v1/contacts?customer_id={customer}", lambda page: page["items"])
    wish = {"customer_id": customer, "invoice_id": invoices[2]}
    link = await client.make("/v1/payer-links", wish)
    contact, visitor, visit = await _people(client, stack, session, customer, email)
    _, sessions = await contact.ask("GET", "/v1/sessions")
    await at_rest(stack, customer)
    mails = await client.get(f"/v1/mails?customer_id={customer}")
    ids = {
        "customer_id": customer, "invoice_id": invoices[2], "payment_id": payment["id"], "method_id": method,
        "quote_id": quote["id"], "setup_id": setup["id"], "key_id": key["id"], "external_id": external,
        "number": settled["number"], "invoice_number": number, "paid_invoice_id": invoices[0],
        "contact_id": contacts["items"][0]["id"], "person_id": contacts["items"][0]["id"],
        "session_id": sessions["items"][0]["id"], "visit_id": visit,
        "link_id": link["id"], "ticket_id": tickets[0]["id"], "dispute_id": raised["dispute"]["id"],
        "mail_id": mails["items"][0]["id"], "email": email, "file_id": file,
    }  # fmt: skip
    secrets = frozenset({*texts.values(), email, key["key"], link["url"].rpartition("/")[2]})
    return Things(ids, secrets, key["key"]), People(contact, visitor)


async def _people(
    client: Client, stack: LocalStack, session: aiohttp.ClientSession, customer_id: str, email: str
) -> tuple[Browser, Browser, str]:
    """A contact who signed in, and somebody of the company who looks at the portal, with the id of that visit."""
    catcher, staff = Catcher(stack.settings.mail_url), f"{new_id()}@paidup.example"
    await client.make("/v1/staff", {"email": staff, "role": "account_manager"})
    contact, manager = Browser(stack.url, session), Browser(stack.url, session)
    await contact.sign_in(email, catcher)
    await manager.sign_in(staff, catcher)
    return contact, *await manager.look_as(customer_id)


def strangers(like: Things) -> Things:
    """Ids and numbers of the same form that nothing has."""
    number = f"P-{new_id()[-5:].upper()}-{new_id()[-5:].upper()}"
    made = {name: new_id() for name in like.ids} | {"number": number, "email": f"{new_id()}@example.com"}
    return Things(made | {name: f"X-{new_id()}" for name in ("external_id", "invoice_number")}, frozenset())


class ByToken:
    """Asks the services themselves, as who the token names."""

    def __init__(self, stack: LocalStack, session: aiohttp.ClientSession, who: Identity) -> None:
        self._stack, self._session, self._who = stack, session, who
        self._signer = TokenSigner(stack.home / "keys/private.json")

    async def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        route = find_route(path.partition("?")[0])
        assert route is not None, path
        owner: Audience = route.owner
        token, _ = self._signer.sign(self._who, owner)
        url = f"http://127.0.0.1:{self._stack.settings.port_of(owner)}{path}"
        sent = {"Authorization": f"Bearer {token}", **(headers or {})}
        async with self._session.request(method, url, json=body, headers=sent) as answer:
            return answer.status, json.loads(await answer.text() or "null")


def contact_of(customer_id: str, signed_in_at: int) -> Identity:
    return Identity(
        new_id(), "contact", CONTACTS_SCOPES, customer_id, session=new_id(), signed_in_at=signed_in_at
    )  # fmt: skip


def visitor_of(customer_id: str, signed_in_at: int) -> Identity:
    return Identity(
        new_id(), "staff", VISITS_SCOPES, customer_id, acting_for=customer_id, session=new_id(),
        signed_in_at=signed_in_at,
    )  # fmt: skip


TABLES = """
SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = $1 AND NOT a.attisdropped
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' ORDER BY 1
"""


async def rows_of(stack: LocalStack, customer_id: str) -> dict[str, str]:
    """A digest of every row that the databases have of a customer, by table."""
    found = {}
    for service in (one.name for one in SERVICES if one.database):
        connection = await asyncpg.connect(stack.database_url(service))
        for name, column in (
            ("customers", "id"),
            *((row[0], "customer_id") for row in await connection.fetch(TABLES, "customer_id")),
        ):
            if name == "customers" and not await connection.fetchval("SELECT to_regclass('customers')"):
                continue
            rows = await connection.fetch(f"SELECT t::text FROM {name} t WHERE {column}::text = $1", customer_id)
            text = "\n".join(sorted(row[0] for row in rows))
            found[f"{service}.{name}"] = f"{len(rows)} rows {hashlib.sha256(text.encode()).hexdigest()[:12]}"
        await connection.close()
    return found


async def at_rest(stack: LocalStack, customer_id: str) -> None:
    """Return once every event and mail about the customer has arrived, and no row of it changed for a second."""
    notify = await asyncpg.connect(stack.database_url("notify"))
    try:
        async with asyncio.timeout(SECONDS):
            before = None
            while (now := await rows_of(stack, customer_id)) != before or await notify.fetchval(QUEUED, customer_id):
                await all_heard(stack)
                before = now
                await asyncio.sleep(1)
    finally:
        await notify.close()


QUEUED = "SELECT count(*) FROM mails WHERE customer_id = $1 AND state = 'queued'"
