"""What pages show of payments in one answer: numbers, methods, proposals, options; over HTTP, on a real PostgreSQL."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from chassis.clock import Clock
from chassis.db.pool import open_pool
from chassis.http.identity import Identity
from chassis.messaging.work import Units, Wake
from contracts.allocation import Part
from contracts.ids import new_id
from contracts.money import Money
from payments.__main__ import service
from payments.collecting.domain.payment_numbers import number_of
from payments.exceptions.domain import Open, Proposal
from payments.exceptions.store import open_exceptions
from payments.projections.store import keep_customers
from payments.settings import Settings
from tests.kit import paying
from tests.kit.serving import Of, running

COMPANY = Identity("erp", "system", frozenset())
USD = "USD"


class World:
    """The service, and its database: `units` are those of the consumers."""

    def __init__(self, of: Of, units: Units) -> None:
        self.of, self.units = of, units

    async def get(self, path: str, who: Identity = COMPANY) -> Any:
        async with self.of(who) as client:
            return self._read(await client.get(path))

    async def post(self, path: str, body: Any, who: Identity = COMPANY, expect: int = 201) -> Any:
        async with self.of(who) as client:
            return self._read(await client.post(path, json=body), expect)

    def _read(self, answer: httpx2.Response, expect: int = 200) -> Any:
        assert answer.status_code == expect, answer.text
        return answer.json()


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("payments")
    async with (
        running("payments", service, Settings, folder) as (of, database),
        await open_pool(database.work_url, size=2, application="test") as pool,
    ):
        yield World(of, Units(pool, Clock("UTC"), Wake()))


async def invoice(world: World, customer: str, minor: int, *, currency: str = USD, due: str = "2026-02-01") -> str:
    """An open invoice of the customer, with its id as its number."""
    made = new_id()
    sql = """INSERT INTO invoices (id, customer_id, number, status, currency, issued_on, due_on, balance, payable_now,
        sequence) VALUES ($1::uuid, $2, $1::uuid::text, 'open', $3, '2026-01-02', $4::text::date, $5, $5, 1)"""
    await world.units.pool.execute(sql, made, customer, currency, due, minor)
    return made


class TestPayment:
    async def test_names_its_method_and_invoices(self, world: World) -> None:
        payment, _ = await paying.submitted(world.units, new_id())
        (invoice_id,) = [part.invoice_id for part in payment.asked]
        await world.units.pool.execute(
            "UPDATE payments SET allocated_invoices = $2, allocated_amounts = $3 WHERE id = $1",
            payment.id, [invoice_id, unknown := new_id()], [900, 100],
        )  # fmt: skip
        one = await world.get(f"/v1/payments/{payment.id}")
        assert one["method"] == {"kind": "card", "brand": "visa", "last4": "4242"}
        assert one["allocations"] == [
            {"invoice_id": invoice_id, "number": "INV-1", "amount_minor": 900},
            {"invoice_id": unknown, "number": None, "amount_minor": 100},
        ]
        page = await world.get(f"/v1/payments?customer_id={payment.customer_id}")
        assert page["items"] == [one]

    async def test_search_finds_number_and_reference(self, world: World) -> None:
        payment, _ = await paying.submitted(world.units, new_id())
        await world.units.pool.execute("UPDATE payments SET reference = 'Cheque 10%' WHERE id = $1", payment.id)
        own, number = f"/v1/payments?customer_id={payment.customer_id}", number_of(payment.id)
        for q, found in (("cheque", 1), ("10%25", 1), ("1_", 0), (number, 1), (number.lower(), 1), ("%00", 0)):
            assert len((await world.get(f"{own}&q={q}"))["items"]) == found, q
        assert [one["id"] for one in (await world.get(f"/v1/payments?q={number}"))["items"]] == [payment.id]
        assert (await world.get("/v1/payments?q=cheque"))["items"] == []


class TestQuote:
    async def test_says_what_stays_open(self, world: World) -> None:
        payment, quote = await paying.submitted(world.units, new_id())
        invoice_id = await invoice(world, payment.customer_id, 1_000)
        wish = {"invoice_id": invoice_id, "amount_minor": 400}
        body = {"customer_id": payment.customer_id, "method_id": quote.method_id, "invoices": [wish]}
        made = await world.post("/v1/quotes", body)
        (part,) = made["allocations"]
        assert part == {
            "invoice_id": invoice_id, "number": invoice_id, "due_on": "2026-02-01", "amount_minor": 400,
            "payable_now_minor": 1_000, "stays_open_minor": 600,
        }  # fmt: skip
        assert await world.get(f"/v1/quotes/{made['id']}") == made


class TestProposals:
    async def test_name_the_customer_and_what_is_left(self, world: World) -> None:
        payment, _ = await paying.submitted(world.units, new_id())
        await world.units.pool.execute("UPDATE payments SET expected_by = '2026-01-01' WHERE id = $1", payment.id)
        invoice_id = await invoice(world, payment.customer_id, 1_000)
        parts = (Part(invoice_id, Money(850, USD)), Part(new_id(), Money(5, USD)))
        proposals = [Proposal(payment.customer_id, parts, 0.5, ("names",)), Proposal(None, (), 0.1, ())]
        async with world.units.begin() as work:
            await keep_customers(work, {payment.customer_id: "Acme Ltd"})
            doubt = Open("missing_there", Money(855, USD), payment_id=payment.id, proposals=proposals)
            (exception,) = await open_exceptions(work, [doubt])
        path = f"/v1/reconciliation/exceptions/{exception}"
        one, other = (await world.get(path))["proposals"]
        assert (one["customer_name"], other["customer_name"]) == ("Acme Ltd", None)
        known, unknown = one["invoices"]
        assert (known["number"], known["balance_minor"], known["stays_open_minor"]) == (invoice_id, 1_000, 150)
        assert (unknown["number"], unknown["balance_minor"], unknown["stays_open_minor"]) == (None, None, None)
        listed = (await world.get("/v1/reconciliation/exceptions?state=open"))["items"]
        assert [each["proposals"] for each in listed if each["id"] == exception] == [[one, other]]
        await world.units.pool.execute("UPDATE exceptions SET state = 'resolved', resolved_at = now()")
        (known, _) = (await world.get(path))["proposals"][0]["invoices"]
        assert (known["number"], known["balance_minor"]) == (invoice_id, None)
