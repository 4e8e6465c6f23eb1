"""What pages show of payments in one answer: numbers, methods, proposals, options; over HTTP, on a real PostgreSQL."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from chassis.clock import Clock
from chassis.db.pool import open_pool
from chassis.http.identity import Identity
from chassis.http.seen import PATIENCE_SECONDS
from chassis.messaging.work import Units, Wake
from contracts.allocation import Part
from contracts.ids import new_id
from contracts.money import Money
from payments.__main__ import service
from payments.attention.store import TAKEN_BACK, UNCONFIRMED
from payments.collecting.domain.payment_numbers import number_of
from payments.collecting.store.payments import HELD
from payments.exceptions.domain import Open, Proposal
from payments.exceptions.store import open_exceptions
from payments.methods.domain.methods import Method, MethodKind
from payments.methods.store.methods import add_method
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

    async def test_names_its_customer(self, world: World) -> None:
        payment, _ = await paying.submitted(world.units, new_id())
        async with world.units.begin() as work:
            await keep_customers(work, {payment.customer_id: "Acme Ltd"})
        (one,) = (await world.get(f"/v1/payments?customer_id={payment.customer_id}"))["items"]
        assert one["customer_name"] == "Acme Ltd"


class TestReceiptPreview:
    async def test_is_what_settling_would_pay(self, world: World) -> None:
        customer = await self._customer(world)
        late = await invoice(world, customer, 600, due="2026-01-15")
        open_ = await invoice(world, customer, 1_000)
        for more, paid, credit in (
            ({}, [(late, 600, 0), (open_, 300, 700)], 0),
            ({"amount_minor": 1_700}, [(late, 600, 0), (open_, 1_000, 0)], 100),
            ({"invoices": [{"invoice_id": open_, "amount_minor": 200}]}, [(open_, 200, 800)], 700),
            ({"invoices": [{"invoice_id": open_}, {"invoice_id": late}]}, [(open_, 900, 100)], 0),
            ({"on_account": True}, [], 900),
        ):
            body = {"customer_id": customer, "amount_minor": 900, "currency": USD, **more}
            shown = await world.post("/v1/payments/offline/preview", body, expect=200)
            parts = [(one["invoice_id"], one["amount_minor"], one["stays_open_minor"]) for one in shown["allocations"]]
            assert (parts, shown["credit_minor"]) == (paid, credit)
        kept = "SELECT count(*) FROM payments WHERE customer_id = $1"
        assert await world.units.pool.fetchval(kept, customer) == 0

    async def test_wrong_names_are_refused(self, world: World) -> None:
        customer = await self._customer(world)
        mine = {"customer_id": customer, "amount_minor": 900, "currency": USD}
        euros = await invoice(world, customer, 600, currency="EUR")
        for more, field in (
            ({"customer_id": new_id()}, "customer_id"),
            ({"invoices": [{"invoice_id": new_id()}]}, "invoices.0.invoice_id"),
            ({"invoices": [{"invoice_id": euros}]}, "invoices.0.invoice_id"),
            ({"invoices": [{"invoice_id": euros, "amount_minor": 901}]}, "invoices"),
        ):
            problem = await world.post("/v1/payments/offline/preview", {**mine, **more}, expect=422)
            assert [one["field"] for one in problem["errors"]] == [field]

    async def _customer(self, world: World) -> str:
        async with world.units.begin() as work:
            await keep_customers(work, {(made := new_id()): "Acme Ltd"})
        return made


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
            "payable_now_minor": 1_000, "stays_open_minor": 600, "disputed_minor": 0,
        }  # fmt: skip
        assert await world.get(f"/v1/quotes/{made['id']}") == made

    async def test_says_what_is_in_dispute(self, world: World) -> None:
        payment, quote = await paying.submitted(world.units, new_id())
        disputed = await invoice(world, payment.customer_id, 1_000)
        await world.units.pool.execute("UPDATE invoices SET disputed = 1_200 WHERE id = $1", disputed)
        body = {"customer_id": payment.customer_id, "method_id": quote.method_id, "currency": USD, "all": True}
        parts = (await world.post("/v1/quotes", body))["allocations"]
        assert [one["disputed_minor"] for one in parts if one["invoice_id"] == disputed] == [1_000]

    async def test_waits_for_news_of_freed_invoices(self, world: World) -> None:
        body, invoice_id = await in_progress(world, "declined", reconciliation=None)
        asked = asyncio.create_task(world.post("/v1/quotes", body))
        await asyncio.sleep(0.2)
        assert not asked.done()
        await world.units.pool.execute(
            "UPDATE invoices SET status = 'open', payable_now = 1000 WHERE id = $1", invoice_id
        )
        assert (await asked)["amount_minor"] == 1_000

    @pytest.mark.parametrize(("status", "reconciliation"), [("processing", None), ("succeeded", "waiting")])
    async def test_invoice_of_running_payment_is_refused(
        self, world: World, status: str, reconciliation: str | None
    ) -> None:
        body, _ = await in_progress(world, status, reconciliation=reconciliation)
        began = time.monotonic()
        refused = await world.post("/v1/quotes", body, expect=422)
        assert refused["type"].endswith("payment-under-way")
        assert time.monotonic() - began < PATIENCE_SECONDS


async def in_progress(world: World, status: str, *, reconciliation: str | None) -> tuple[dict[str, Any], str]:
    """What to quote: an invoice in progress, whose only payment is in this state."""
    payment, quote = await paying.submitted(world.units, new_id())
    (part,) = payment.asked
    sql = "UPDATE payments SET status = $2, reconciliation = $3 WHERE id = $1"
    await world.units.pool.execute(sql, payment.id, status, reconciliation)
    sql = "UPDATE invoices SET status = 'in_progress', payable_now = 0 WHERE id = $1"
    await world.units.pool.execute(sql, part.invoice_id)
    wishes = [{"invoice_id": part.invoice_id}]
    return {"customer_id": payment.customer_id, "method_id": quote.method_id, "invoices": wishes}, part.invoice_id


async def method(world: World, customer: str, kind: MethodKind, **more: Any) -> str:
    made = Method(new_id(), customer, new_id(), kind, "credit" if kind == "card" else None, "visa", "0071", **more)
    async with world.units.begin() as work:
        await add_method(work, made)
    return made.id


class TestOptions:
    async def test_each_method_has_the_cost_of_its_quote(self, world: World) -> None:
        customer = (await paying.submitted(world.units, new_id()))[0].customer_id
        await world.units.pool.execute("UPDATE methods SET is_default = true WHERE customer_id = $1", customer)
        account = await method(world, customer, "bank_account")
        once = await method(world, customer, "card", saved=False)
        chosen = {"invoice_id": await invoice(world, customer, 20_000), "amount_minor": 10_000}
        body = {"customer_id": customer, "invoices": [chosen]}
        before = await world.units.pool.fetchval("SELECT count(*) FROM quotes")
        options = await world.post("/v1/quotes/options", body, expect=200)
        assert await world.units.pool.fetchval("SELECT count(*) FROM quotes") == before
        assert (options["amount_minor"], options["method_needed"], options["currency"]) == (10_000, True, USD)
        assert [one["surcharge_minor"] for one in options["items"]] == [300, 0]
        assert options["items"][1]["method_id"] == account
        for one in (await world.post("/v1/quotes/options", {**body, "method_id": once}, expect=200))["items"]:
            quote = await world.post("/v1/quotes", {**body, "method_id": one["method_id"]})
            for name in ("surcharge_minor", "surcharge_rate", "total_minor"):
                assert one[name] == quote[name]

    async def test_unusable_methods_say_why(self, world: World) -> None:
        customer = (await paying.submitted(world.units, new_id()))[0].customer_id
        await world.units.pool.execute("UPDATE methods SET removed_at = now() WHERE customer_id = $1", customer)
        await method(world, customer, "card", exp_year=2020, exp_month=8)
        await method(world, customer, "bank_account", verification="pending")
        await method(world, customer, "bank_account")
        chosen = {"invoice_id": await invoice(world, customer, 5_000, currency="JPY")}
        options = await world.post("/v1/quotes/options", {"customer_id": customer, "invoices": [chosen]}, expect=200)
        assert [(one["usable"], one["because"], one["total_minor"]) for one in options["items"]] == [
            (False, "method-expired", None),
            (False, "method-unverified", None),
            (False, "method-not-for-currency", None),
        ]
        assert options["items"][0]["values"] == {"expired": "2020-08"}
        assert options["items"][2]["values"]["currency"] == "JPY"

    async def test_credit_may_pay_all(self, world: World) -> None:
        customer = (await paying.submitted(world.units, new_id()))[0].customer_id
        await world.units.pool.execute("INSERT INTO credits VALUES ($1, $2, 'USD', 900, 1)", new_id(), customer)
        chosen = {"invoice_id": await invoice(world, customer, 1_000), "amount_minor": 900}
        body = {"customer_id": customer, "invoices": [chosen], "use_credit": True}
        options = await world.post("/v1/quotes/options", body, expect=200)
        assert (options["amount_minor"], options["credit_used_minor"], options["method_needed"]) == (0, 900, False)
        part = await world.post(
            "/v1/quotes/options", {**body, "invoices": [{**chosen, "amount_minor": 1_000}]}, expect=200
        )
        assert (part["amount_minor"], part["credit_used_minor"], part["method_needed"]) == (100, 900, True)

    async def test_wrong_choice_is_the_problem_of_quotes(self, world: World) -> None:
        customer = (await paying.submitted(world.units, new_id()))[0].customer_id
        for wish in ({"invoices": [{"invoice_id": new_id()}]}, {"all": True, "currency": "EUR"}, {"all": True}):
            body = {"customer_id": customer, **wish}
            quoted, optional = [
                await world.post(path, body, expect=422) for path in ("/v1/quotes", "/v1/quotes/options")
            ]
            assert (quoted["type"], quoted["errors"]) == (optional["type"], optional["errors"])


class TestAttention:
    async def test_all_that_waits_is_there(self, world: World) -> None:
        late, waiting, back = [(await paying.submitted(world.units, new_id()))[0] for _ in range(3)]
        customer, pool = late.customer_id, world.units.pool
        await pool.execute("UPDATE methods SET exp_year = 2020, exp_month = 8 WHERE customer_id = $1", customer)
        await method(world, customer, "bank_account", verification="pending")
        for table in ("payments", "invoices"):
            await pool.execute(f"UPDATE {table} SET customer_id = $1 WHERE customer_id <> $1 AND customer_id = ANY($2)",
                               customer, [waiting.customer_id, back.customer_id])  # fmt: skip
        await pool.execute("UPDATE payments SET expected_by = '2026-01-01' WHERE id = $1", late.id)
        await pool.execute(
            """UPDATE payments SET status = 'requires_action', act_by = '2026-01-02T10:00Z', next_action_url = 'https://b'
            WHERE id = $1""", waiting.id)  # fmt: skip
        await pool.execute(
            """INSERT INTO reversals (id, payment_id, customer_id, kind, state, currency, amount, surcharge, code,
            created_at, effective_on)
            VALUES ($1, $2, $3, 'return', 'succeeded', 'USD', 1000, 30, 'R01', now(), '2026-01-05')""",
            new_id(), back.id, customer)  # fmt: skip
        await pool.execute(
            """INSERT INTO autopay (customer_id, enabled, method_id, day, surcharge_consent, enabled_at, held_reason,
            held_at, sequence) VALUES ($1, true, $2, 'due', true, now(), 'stolen_card', now(), 1)""",
            customer, late.method_id)  # fmt: skip
        items = (await world.get(f"/v1/customers/{customer}/attention"))["items"]
        assert [one["code"] for one in items] == [
            "payment_needs_confirmation", "payment_not_confirmed", "payment_returned", "autopay_held", "method_expired",
            "method_unverified",
        ]  # fmt: skip
        confirm, overdue, returned, held, expired, _ = [one["values"] for one in items]
        assert (confirm["payment_id"], confirm["next_action_url"]) == (waiting.id, "https://b")
        assert overdue == {
            "amount_minor": 1_030, "currency": USD, "payment_id": late.id, "number": number_of(late.id),
            "invoices": 1, "invoice_number": "INV-1", "expected_by": "2026-01-01",
        }  # fmt: skip
        assert (returned["payment_id"], returned["reason"], returned["amount_minor"]) == (back.id, "R01", 1_030)
        assert (held["reason"], expired["expires"], expired["last4"]) == ("stolen_card", "2020-08", "4242")

    async def test_customer_at_rest_has_nothing(self, world: World) -> None:
        customer = (await paying.submitted(world.units, new_id()))[0].customer_id
        assert (await world.get(f"/v1/customers/{customer}/attention"))["items"] == []

    @pytest.mark.parametrize(
        ("sql", "indexes"),
        [
            (UNCONFIRMED, {"payments_of_customer_in_state", "payments_unconfirmed_of_customer"}),
            (TAKEN_BACK, {"reversals_by_banks_of_customer"}),
            (HELD, {"payments_of_customer_in_state", "payments_unconfirmed_of_customer"}),
        ],
    )
    async def test_queries_have_their_index(self, world: World, sql: str, indexes: set[str]) -> None:
        since = datetime.now(UTC)
        second = {UNCONFIRMED: since.date(), TAKEN_BACK: since, HELD: [new_id()]}[sql]
        plan = await world.units.pool.fetch(f"EXPLAIN {sql}", new_id(), second)
        text = "\n".join(row[0] for row in plan)
        assert indexes <= set(text.split())
        assert "Seq Scan" not in text


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


class TestExceptions:
    async def test_are_listed_by_person_and_age(self, world: World) -> None:
        payments = [(await paying.submitted(world.units, new_id()))[0] for _ in range(3)]
        async with world.units.begin() as work:
            doubts = [Open("missing_there", Money(5, USD), payment_id=one.id) for one in payments]
            first, second, third = await open_exceptions(work, doubts)
        me = new_id()
        for each, age in ((first, 3), (second, 2), (third, 1)):
            sql = "UPDATE exceptions SET created_at = now() - $2 * interval '1 hour', assigned_to = $3 WHERE id = $1"
            await world.units.pool.execute(sql, each, age, None if each == second else me)
        path = f"/v1/reconciliation/exceptions?assigned_to={me}"
        assert [one["id"] for one in (await world.get(path))["items"]] == [first, third]
        newest = await world.get(f"{path}&sort=-created_at&limit=1")
        assert [one["id"] for one in newest["items"]] == [third]
        older = await world.get(f"{path}&sort=-created_at&cursor={newest['next_cursor']}")
        assert [one["id"] for one in older["items"]] == [first]


class TestSetAside:
    async def test_kinds_of_errors_are_shown_alone(self, world: World) -> None:
        await world.units.pool.execute(
            """INSERT INTO dead_letters (consumer, topic, partition, "offset", key, raw_key, raw_value, raw_headers,
            error, state, created_at) VALUES ('payments', 'invoicing.invoice.v1', 3, 7, 'k', 'ana', 'ana', '[]',
            'ValidationError: ana@example.com', 'unreadable', now())"""
        )
        await world.units.pool.execute(
            """INSERT INTO tasks (queue, id, body, due_at, attempts, error, set_aside_at)
            VALUES ('refunds', '7', 'ana', now(), 5, 'TimeoutError: ana', now())"""
        )
        found = await world.get("/v1/dead-letters/payments")
        (letter,), (task,) = found["letters"], found["tasks"]
        assert (letter["topic"], letter["partition"], letter["offset"]) == ("invoicing.invoice.v1", 3, 7)
        assert (letter["error"], letter["state"]) == ("ValidationError", "unreadable")
        assert (task["queue"], task["id"], task["attempts"], task["error"]) == ("refunds", "7", 5, "TimeoutError")
        assert "ana" not in str(found)
