"""Every filter by customer is taken out of the routes: what is left is row-level security, and it refuses."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import Request
from pydantic import SecretStr

from chassis.clock import Clock
from chassis.db.pool import open_pool
from chassis.db.reads import OfCustomer, Reads
from chassis.http.identity import Guard, Identity
from chassis.messaging.work import Units, Wake
from chassis.running import Running
from contracts.ids import new_id
from invoicing.__main__ import service as invoicing
from invoicing.settings import Settings as InvoicingSettings
from payments.__main__ import service as payments
from payments.settings import Settings as PaymentsSettings
from support.__main__ import service as support
from support.settings import Settings as SupportSettings
from tests.kit import paying
from tests.kit.serving import running, write_keys
from tests.kit.two_customers import contact_of, visitor_of
from tests.unit.test_who_may_use_routes import CONTACTS, EVERYBODY


@pytest.fixture
def without_filters(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the routes, everybody of a customer seems to see all customers. Where they read is decided as always."""
    whose: dict[str, Identity] = {}
    check, reads = Guard.check, Running.reads

    def unfiltered(self: Guard, request: Request) -> Identity:
        who = check(self, request)
        whose[who.subject] = who
        return replace(who, customer_id=None)

    def protected(self: Running[Any], who: Identity) -> Reads:
        found = reads(self, whose[who.subject])
        assert isinstance(found, OfCustomer)
        return found

    monkeypatch.setattr(Guard, "check", unfiltered)
    monkeypatch.setattr(Running, "reads", protected)


async def read_all(contact: httpx2.AsyncClient, names: set[str], ids: dict[str, str]) -> list[str]:
    """Ask each route for things of another; gives what it asked."""
    asked = []
    for name in sorted(names):
        path = name.removeprefix("GET ").format(**ids)
        for query in ("", f"?customer_id={ids['customer_id']}"):
            if query and "{" in name:
                continue
            answer = await contact.get(path + query)
            assert answer.status_code in (200, 404, 422), (name, answer.text)
            if "{" in name:
                assert answer.status_code == 404, (name, answer.text)
            if answer.status_code == 200:
                found = answer.json()
                assert found.get("items", []) == [], (name, found)
                assert not any(found.values()), (name, found)
            asked.append(name)
    return asked


@pytest.mark.usefixtures("without_filters")
@pytest.mark.parametrize("make", [contact_of, visitor_of])
class TestReading:
    async def test_invoices_of_another_are_not_there(
        self, make: Callable[[str, int], Identity], tmp_path: Path
    ) -> None:
        async with running("invoicing", invoicing, InvoicingSettings, tmp_path) as (of, _):
            async with of(Identity("erp", "system", frozenset())) as company:
                named = {"external_id": "ACME", "name": "Acme"}
                customer = (await company.post("/v1/customers", json=named)).json()["id"]
                line = {"description": "Subscription", "quantity": 1, "unit_price_minor": 10_000}
                body = {
                    "customer_id": customer, "number": "INV-1", "currency": "USD", "issued_on": "2026-01-02",
                    "due_on": "2026-02-01", "lines": [line],
                }  # fmt: skip
                invoice = (await company.post("/v1/invoices", json=body)).json()["id"]
            reading = {name for name in EVERYBODY if name.startswith(("GET /v1/invoices", "GET /v1/customers"))}
            reading -= {"GET /v1/customers/{customer_id}/attention"}  # of payments
            async with of(make(new_id(), int(time.time()))) as stranger:
                ids = {"customer_id": customer, "invoice_id": invoice}
                assert len(await read_all(stranger, reading, ids)) >= 9
            async with of(make(customer, int(time.time()))) as own:
                assert (await own.get(f"/v1/invoices/{invoice}")).status_code == 200
                assert len((await own.get(f"/v1/invoices/{invoice}/timeline")).json()["items"]) == 1

    async def test_payments_of_another_are_not_there(
        self, make: Callable[[str, int], Identity], tmp_path: Path
    ) -> None:
        async with running("payments", payments, PaymentsSettings, tmp_path) as (of, database):
            async with await open_pool(database.work_url, size=2, application="test") as pool:
                payment, quote = await paying.submitted(Units(pool, Clock("UTC"), Wake()))
            ids = {
                "customer_id": payment.customer_id, "payment_id": payment.id, "quote_id": quote.id,
                "setup_id": new_id(),
            }  # fmt: skip
            names = EVERYBODY | (CONTACTS if make is contact_of else set())
            reading = {
                name for name in names
                if name.startswith(("GET /v1/pay", "GET /v1/quotes"))
                or name.endswith(("-methods", "autopay", "attention"))
            }  # fmt: skip
            async with of(make(new_id(), int(time.time()))) as stranger:
                assert len(await read_all(stranger, {one for one in reading if one.startswith("GET")}, ids)) >= 5
            async with of(make(payment.customer_id, int(time.time()))) as own:
                assert (await own.get(f"/v1/payments/{payment.id}")).status_code == 200
                assert len((await own.get(f"/v1/payments/{payment.id}/timeline")).json()["items"]) == 1

    async def test_tickets_of_another_are_not_there(self, make: Callable[[str, int], Identity], tmp_path: Path) -> None:
        _, notify = write_keys(tmp_path, curve="X25519")
        secret = SecretStr("of-these-tests-alone")
        made = partial(SupportSettings, notify_keys=notify, files=str(tmp_path / "files"), files_secret=secret)
        async with running("support", support, made, tmp_path) as (
            of,
            database,
        ):
            customer = new_id()
            async with await open_pool(database.work_url, size=1, application="test") as pool:
                await pool.execute("INSERT INTO customers (id, name) VALUES ($1, 'Acme')", customer)
            async with of(Identity("erp", "system", frozenset())) as company:
                body = {"customer_id": customer, "subject": "Two boxes", "details": "One came."}
                asked = await company.post("/v1/tickets", json=body, headers={"Idempotency-Key": paying.KEY})
                ticket = asked.json()["id"]
                note = {"text": "secret", "internal": True}
                assert (await company.post(f"/v1/tickets/{ticket}/replies", json=note)).status_code == 201
            reading = {name for name in EVERYBODY if name.startswith("GET /v1/tickets")}
            async with of(make(new_id(), int(time.time()))) as stranger:
                assert len(await read_all(stranger, reading, {"customer_id": customer, "ticket_id": ticket})) == 3
            async with of(make(customer, int(time.time()))) as own:
                found = (await own.get(f"/v1/tickets/{ticket}")).json()
                assert [one["event"] for one in found["events"]] == ["asked"]  # the note does not exist there


@pytest.mark.usefixtures("without_filters")
class TestPaying:
    async def test_another_can_not_be_paid_for(self, tmp_path: Path) -> None:
        async with running("payments", payments, PaymentsSettings, tmp_path) as (of, database):
            async with await open_pool(database.work_url, size=2, application="test") as pool:
                payment, quote = await paying.submitted(Units(pool, Clock("UTC"), Wake()))
            wish = {"customer_id": payment.customer_id, "method_id": quote.method_id, "all": True, "currency": "USD"}
            confirm = {"quote_id": quote.id, "accept_surcharge": True}
            async with of(contact_of(new_id(), int(time.time()))) as stranger:
                quoted = await stranger.post("/v1/quotes", json=wish)
                assert (quoted.status_code, quoted.json()["errors"][0]["field"]) == (422, "method_id")
                paid = await stranger.post("/v1/payments", json=confirm, headers={"Idempotency-Key": paying.KEY})
                assert (paid.status_code, paid.json()["errors"][0]["field"]) == (422, "quote_id")
