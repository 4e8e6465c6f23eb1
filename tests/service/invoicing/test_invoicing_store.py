"""Invoicing on a real database: issuing, the book, pages, and the plans of its queries."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from chassis.clock import Clock
from chassis.db.pool import open_pool
from chassis.http.problems import Problem
from chassis.messaging.records import Received
from chassis.messaging.work import Cause, Units, Wake
from contracts.allocation import Part
from contracts.envelope import Amount
from contracts.ids import new_id
from contracts.invoicing import AllocatedPart, CreateCustomer, IssueInvoice
from contracts.money import Money
from contracts.payments import PaymentReconciled
from contracts.refusals import Refusal
from invoicing import handlers, issuing, messages, store
from invoicing.api.invoices import decide
from invoicing.store.activity import ACTIVITY
from invoicing.store.aging import AGING
from invoicing.store.book import LOAD_OLDEST
from invoicing.store.customers import SEARCHED
from invoicing.store.invoices import CALLED, EXPECTED_BY, INVOICE
from invoicing.store.lists import TABS
from invoicing.store.summary import BALANCES, LAST_INVOICE, LAST_PAID, OPEN_SUMS
from tests.kit.postgres import drop_database, fresh_database

DAY = date(2026, 1, 1)
PAGE = f"SELECT {INVOICE} FROM invoices WHERE customer_id = $1"
NEWEST = "ORDER BY issued_on DESC, id DESC LIMIT 21"


@pytest_asyncio.fixture
async def units() -> AsyncIterator[Units]:
    database = await fresh_database("invoicing")
    pool = await open_pool(database.work_url, size=4, application="test")
    yield Units(pool, Clock("UTC"), Wake())
    await pool.close()
    await drop_database(database)


async def customer(units: Units) -> str:
    async with units.begin() as work:
        made, _ = await issuing.create_customer(CreateCustomer(external_id=new_id(), name="Acme"), work)
        return str(made["id"])


def wish(customer_id: str, number: str, *, day: date = DAY, minor: int = 100, **more: Any) -> IssueInvoice:
    line = {"description": "Work", "unit_price_minor": minor}
    return IssueInvoice.model_validate(
        {
            "customer_id": customer_id,
            "number": number,
            "currency": "USD",
            "issued_on": day,
            "due_on": day,
            "lines": [line],
        }
        | more
    )


def chosen(who: str | None, **more: Any) -> store.Filter:
    return store.Filter(who, drafts=True, today=date(2027, 1, 1), **more)


async def issue(units: Units, *asked: IssueInvoice) -> list[issuing.Issued | Refusal]:
    async with units.begin() as work:
        return await issuing.issue(asked, work)


def received(payment_id: str, who: str, minor: int, *asked: tuple[str, int]) -> Received[PaymentReconciled]:
    event = PaymentReconciled(
        payment_id=payment_id, customer_id=who, way="receive", status="succeeded", reconciliation="matched",
        amount=Amount(amount_minor=minor, currency="USD"), surcharge=Amount(amount_minor=0, currency="USD"),
        total=Amount(amount_minor=minor, currency="USD"), effective_on=DAY,
        asked=tuple(AllocatedPart(invoice_id=i, amount=Amount(amount_minor=m, currency="USD")) for i, m in asked),
    )  # fmt: skip
    return Received(event, new_id(), 1, b"", Cause())


class TestIssuing:
    async def test_is_idempotent_by_number(self, units: Units) -> None:
        who = await customer(units)
        first, again, other = await issue(units, wish(who, "A"), wish(who, "A"), wish(who, "A", minor=101))
        assert isinstance(first, issuing.Issued)
        assert isinstance(again, issuing.Issued)
        assert isinstance(other, Refusal)
        assert (again.invoice.id, other.code) == (first.invoice.id, "number-taken")
        (later,) = await issue(
            units, wish(who, "A", lines=[{"description": "Work", "quantity": "1.0", "unit_price_minor": 100}])
        )
        assert isinstance(later, issuing.Issued)
        assert later.repeated
        assert await units.pool.fetchval("SELECT count(*) FROM outbox WHERE type = 'InvoiceIssued'") == 1

    async def test_bad_invoice_does_not_touch_the_others(self, units: Units) -> None:
        who = await customer(units)
        unknown, good = await issue(units, wish(new_id(), "A"), wish(who, "B"))
        assert isinstance(unknown, Refusal)
        assert (unknown.code, unknown.field) == ("unknown-customer", "customer_id")
        assert isinstance(good, issuing.Issued)

    async def test_refused_request_does_not_change_anothers_draft(self, units: Units) -> None:
        who = await customer(units)
        for number, draft in (("A", True), ("B", False)):
            _, good = await issue(units, wish(new_id(), number, draft=draft), wish(who, number, draft=not draft))
            assert isinstance(good, issuing.Issued)
            assert good.invoice.state == ("open" if draft else "draft")

    @pytest.mark.parametrize(("first", "what"), [("draft", "issue"), ("open", "void")])
    async def test_change_may_be_sent_again(self, units: Units, first: str, what: Any) -> None:
        (made,) = await issue(units, wish(await customer(units), "A", draft=first == "draft"))
        assert isinstance(made, issuing.Issued)
        for _ in range(2):
            async with units.begin() as work:
                changed = await decide(made.invoice, work, what)
        assert changed.state == ("open" if what == "issue" else "void")
        assert await units.pool.fetchval("SELECT max(sequence) FROM outbox WHERE topic = 'invoicing.invoice.v1'") < 3


class TestSettling:
    async def test_is_saved_whole_and_reversed(self, units: Units) -> None:
        who, payment = await customer(units), new_id()
        outcomes = await issue(units, *(wish(who, f"N{n}", day=DAY + timedelta(days=n)) for n in range(3)))
        ids = [outcome.invoice.id for outcome in outcomes if isinstance(outcome, issuing.Issued)]
        async with units.begin() as work:
            book = await store.load_book(work, payments=[payment], oldest={(who, "USD"): 250})
            book.settle(payment, who, Money(250, "USD"), [], DAY)
            work.emit(*messages.of(book.take_facts(), work.now))
            await store.save_book(work, book)
        rows = await units.pool.fetch("SELECT state, settled FROM invoices ORDER BY due_on")
        assert [tuple(row) for row in rows] == [("paid", 100), ("paid", 100), ("open", 50)]
        async with units.begin() as work:
            book = await store.load_book(work, payments=[payment])
            assert set(book.invoices) == set(ids)
            book.reverse(payment, DAY)
            await store.save_book(work, book)
        assert await units.pool.fetchval("SELECT sum(settled) FROM invoices") == 0
        assert await units.pool.fetchval("SELECT sum(amount) FROM entries") == 300

    async def test_only_reachable_invoices_are_loaded(self, units: Units) -> None:
        who = await customer(units)
        await issue(units, *(wish(who, f"N{n:02}", day=DAY + timedelta(days=n)) for n in range(20)))
        async with units.begin() as work:
            book = await store.load_book(work, oldest={(who, "USD"): 250})
        assert sorted(invoice.number for invoice in book.invoices.values()) == ["N00", "N01", "N02"]

    async def test_next_oldest_is_paid_in_one_batch(self, units: Units) -> None:
        who = await customer(units)
        outcomes = await issue(units, *(wish(who, f"N{n}", day=DAY + timedelta(days=n)) for n in range(3)))
        oldest = next(outcome.invoice.id for outcome in outcomes if isinstance(outcome, issuing.Issued))
        async with units.begin() as work:
            await handlers.settle_invoices(
                [received(new_id(), who, 100, (oldest, 100)), received(new_id(), who, 150)], work
            )
        rows = await units.pool.fetch("SELECT state, settled FROM invoices ORDER BY due_on")
        assert [tuple(row) for row in rows] == [("paid", 100), ("paid", 100), ("open", 50)]
        assert await units.pool.fetchval("SELECT count(*) FROM credits") == 0

    async def test_each_receipt_reaches_past_a_thousand_invoices(self, units: Units) -> None:
        who = await customer(units)
        await issue(units, *(wish(who, f"N{n}", minor=1) for n in range(1_500)))
        async with units.begin() as work:
            await handlers.settle_invoices([received(new_id(), who, 120) for _ in range(12)], work)
        assert await units.pool.fetchval("SELECT sum(settled) FROM invoices") == 1_440
        assert await units.pool.fetchval("SELECT count(*) FROM credits") == 0

    async def test_thousand_invoices_and_the_rest_as_credit(self, units: Units) -> None:
        who = await customer(units)
        await issue(units, *(wish(who, f"N{n}", minor=1) for n in range(1_005)))
        async with units.begin() as work:
            await handlers.settle_invoices([received(new_id(), who, 1_005), received(new_id(), who, 5)], work)
        assert await units.pool.fetchval("SELECT sum(settled) FROM invoices") == 1_005
        assert await units.pool.fetchval("SELECT sum(balance) FROM credits") == 5

    async def test_held_invoices_do_not_block_others(self, units: Units) -> None:
        who = await customer(units)
        held = await issue(units, *(wish(who, f"H{n}", minor=1) for n in range(1_000)))
        await issue(units, *(wish(who, f"P{n}", day=DAY + timedelta(days=1), minor=1) for n in range(5)))
        parts = [Part(one.invoice.id, Money(1, "USD")) for one in held if isinstance(one, issuing.Issued)]
        async with units.begin() as work:
            book = await store.load_book(work, invoices=[part.invoice_id for part in parts])
            book.reserve(new_id(), who, parts, "USD")
            await store.save_book(work, book)
        async with units.begin() as work:
            await handlers.settle_invoices([received(new_id(), who, 3)], work)
        assert await units.pool.fetchval("SELECT sum(settled) FROM invoices WHERE number LIKE 'P%'") == 3

    async def test_voiding_waits_for_the_allocation(self, units: Units) -> None:
        who, payment = await customer(units), new_id()
        (outcome,) = await issue(units, wish(who, "A"))
        assert isinstance(outcome, issuing.Issued)

        async def void() -> None:
            async with units.begin() as work:
                await decide(outcome.invoice, work, "void")

        async with units.begin() as work:
            await store.lock_customers(work, [who])
            book = await store.load_book(work, payments=[payment], oldest={(who, "USD"): 100})
            voiding = asyncio.create_task(void())
            await asyncio.wait([voiding], timeout=0.3)
            book.settle(payment, who, Money(100, "USD"), [], DAY)
            work.emit(*messages.of(book.take_facts(), work.now))
            await store.save_book(work, book)
        with pytest.raises(Problem) as refused:
            await voiding
        assert refused.value.slug == "not-voidable"
        assert await units.pool.fetchval("SELECT state FROM invoices") == "paid"


class TestBook:
    async def test_sums_by_day_equal_the_entries(self, units: Units) -> None:
        who = await customer(units)
        await issue(units, *(wish(who, f"N{n}", day=DAY + timedelta(days=n % 2)) for n in range(6)))
        sums = await units.pool.fetch("SELECT * FROM owed_by_day ORDER BY 1, 2, 3, 4")
        plain = await units.pool.fetch(
            """SELECT customer_id, effective_on, currency, due_on, sum(amount)::bigint AS amount FROM entries
        GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"""
        )
        assert [tuple(row) for row in sums] == [tuple(row) for row in plain]
        assert len(sums) == 2

    async def test_is_append_only(self, units: Units) -> None:
        for statement in ("DELETE FROM entries", "UPDATE entries SET amount = 1", "DELETE FROM credit_entries"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await units.pool.execute(statement)


class TestLists:
    async def test_pages_have_no_gap_and_no_repetition(self, units: Units) -> None:
        who = await customer(units)
        await issue(units, *(wish(who, f"N{n}", day=DAY + timedelta(days=n % 3)) for n in range(25)))
        for sort in ("-issued_on", "due_on", "number", "-total", "balance", "-balance"):
            seen: list[str] = []
            after = None
            while True:
                rows = await store.list_invoices(
                    units.pool, store.Page(chosen(who, tab="open", status="overdue"), sort, 10, after)
                )
                seen += [row["id"] for row in rows[:10]]
                if len(rows) <= 10:
                    break
                last = store.invoice_of(rows[9])
                after = (getattr(last, sort.lstrip("-")), last.id)
            assert (len(seen), len(set(seen))) == (25, 25)

    @pytest.mark.parametrize(("q", "found"), [("n-7", 1), ("1.07", 1), ("widget", 2), ("100%", 0), ("po-9", 1)])
    async def test_search_finds_numbers_amounts_orders_and_text(self, units: Units, q: str, found: int) -> None:
        who = await customer(units)
        line = {"description": "Blue Widget", "unit_price_minor": 100}
        await issue(
            units,
            wish(who, "N-7", minor=107),
            wish(who, "M-1", lines=[line], po_number="PO-9"),
            wish(who, "M-2", lines=[line]),
        )
        rows = await store.list_invoices(units.pool, store.Page(chosen(who, q=q), "-issued_on", 20, None))
        assert len(rows) == found

    @pytest.mark.parametrize(
        ("sql", "arguments", "index"),
        [
            (AGING, 2, "owed_by_day_pkey"),
            (f"{PAGE} AND state = 'open' {NEWEST}", 1, "invoices_open_newest"),
            (f"{PAGE} {NEWEST}", 1, "invoices_newest"),
            (LOAD_OLDEST, 0, "invoices_payable"),
            (f"{PAGE} ORDER BY number, id LIMIT 21", 1, "invoices_numbers_of_customer"),
        ],
    )  # fmt: skip
    async def test_hot_queries_have_their_index(self, units: Units, sql: str, arguments: int, index: str) -> None:
        values: list[Any] = [new_id(), DAY][:arguments] or [[new_id()], ["USD"], [100], 1_000]
        plan = "\n".join(row[0] for row in await units.pool.fetch(f"EXPLAIN {sql}", *values))
        assert index in plan
        assert "Seq Scan" not in plan


def numbered(outcomes: list[issuing.Issued | Refusal]) -> dict[str, str]:
    return {one.invoice.number: one.invoice.id for one in outcomes if isinstance(one, issuing.Issued)}


async def reserve(units: Units, who: str, by: date | None, *parts: tuple[str, int]) -> str:
    payment = new_id()
    async with units.begin() as work:
        book = await store.load_book(work, invoices=[one for one, _ in parts])
        book.reserve(payment, who, [Part(one, Money(minor, "USD")) for one, minor in parts], "USD", expected_by=by)
        await store.save_book(work, book)
    return payment


async def settle(units: Units, *events: Received[PaymentReconciled]) -> None:
    async with units.begin() as work:
        await handlers.settle_invoices(events, work)


class TestSummary:
    TODAY = date(2026, 4, 1)

    async def test_rows_of_each_age_sum_to_it(self, units: Units) -> None:
        who = await customer(units)
        days = [date(2025, 12, 1), date(2026, 1, 15), date(2026, 2, 20), date(2026, 3, 20), date(2026, 4, 1)]
        wishes = [
            wish(who, f"{currency}-{n}", day=day, minor=100 + n, currency=currency)
            for currency in ("USD", "JPY") for n, day in enumerate(days)
        ]  # fmt: skip
        ids = numbered(await issue(units, *wishes, wish(who, "LATER", day=date(2026, 5, 1), minor=7)))
        await reserve(units, who, None, (ids["USD-0"], 100), (ids["USD-1"], 1))
        await settle(units, received(new_id(), who, 50, (ids["USD-3"], 50)))
        summary = await store.load_summary(units.pool, who, self.TODAY)
        assert [one["currency"] for one in summary["currencies"]] == ["JPY", "USD"]
        for one in summary["currencies"]:
            for age in ("amount_due", "days_0_30", "days_31_60", "days_61_90", "over_90"):
                asked = replace(chosen(who, age=age, currency=one["currency"], status="unpaid"), today=self.TODAY)
                rows = await store.list_invoices(units.pool, store.Page(asked, "due_on", 100, None))
                assert sum(store.invoice_of(row).balance for row in rows) == one[f"{age}_minor"], age
        usd = summary["currencies"][1]
        assert usd["in_progress_minor"] == 101
        assert usd["payable_now_minor"] == sum(100 + n for n in range(5)) + 7 - 101 - 50
        assert (usd["payable_count"], usd["overdue_count"], usd["overdue_payable_count"]) == (5, 4, 3)
        assert usd["overdue_payable_minor"] == 100 + 102 + 53
        assert summary["counts"] == {"open": 10, "in_progress": 1, "overdue": 8}
        assert summary["last_invoice"]["number"] == "LATER"

    async def test_counts_are_those_of_the_tabs(self, units: Units) -> None:
        who = await customer(units)
        ids = numbered(await issue(units, *(wish(who, f"N{n}") for n in range(4))))
        await reserve(units, who, None, (ids["N0"], 100), (ids["N1"], 40))
        asked = replace(chosen(who), today=self.TODAY)
        counts = await store.count_invoices(units.pool, asked)
        summary = await store.load_summary(units.pool, who, self.TODAY)
        assert summary["counts"].items() <= counts.items()

    @pytest.mark.parametrize("status", [None, "unpaid", "overdue", "in_progress", "paid"])
    async def test_counts_are_the_lengths_of_lists(self, units: Units, status: str | None) -> None:
        who = await customer(units)
        late = {"due_on": self.TODAY - timedelta(days=3)}
        wishes = (wish(who, f"N{n}", **(late if n % 2 else {})) for n in range(6))
        ids = numbered(await issue(units, *wishes))
        await reserve(units, who, None, (ids["N0"], 100), (ids["N1"], 40), (ids["N3"], 103))
        asked = replace(chosen(who), today=self.TODAY, status=status)
        counts = await store.count_invoices(units.pool, asked)

        async def length(**more: Any) -> int:
            return len(await store.list_invoices(units.pool, store.Page(replace(asked, **more), "number", 99, None)))

        assert {tab: await length(tab=tab) for tab in TABS} == {tab: counts[tab] for tab in TABS}
        assert {one: await length(status=one) for one in ("unpaid", "overdue")} == {
            one: counts[one] for one in ("unpaid", "overdue")
        }

    async def test_last_paid_is_what_has_not_gone_back(self, units: Units) -> None:
        who, payment = await customer(units), new_id()
        await issue(units, wish(who, "A"))
        await settle(units, received(payment, who, 150))
        summary = await store.load_summary(units.pool, who, self.TODAY)
        assert summary["last_paid"] == {"payment_id": payment, "currency": "USD", "amount_minor": 150, "on": DAY}
        async with units.begin() as work:
            book = await store.load_book(work, payments=[payment])
            book.reverse(payment, DAY)
            await store.save_book(work, book)
        assert (await store.load_summary(units.pool, who, self.TODAY))["last_paid"] is None

    async def test_day_of_money_stays(self, units: Units) -> None:
        who, first = await customer(units), new_id()
        await settle(units, received(first, who, 150))
        ids = numbered(await issue(units, wish(who, "A", day=DAY + timedelta(days=9))))
        second = new_id()
        async with units.begin() as work:
            book = await store.load_book(work, invoices=[ids["A"]], credits_of=[(who, "USD")])
            book.reserve(second, who, [Part(ids["A"], Money(100, "USD"))], "USD", credit=100)
            await store.save_book(work, book)
        later = received(second, who, 0, (ids["A"], 100))
        event = later.event.model_copy(update={"effective_on": DAY + timedelta(days=9)})
        await settle(units, replace(later, event=event))
        assert await units.pool.fetchval("SELECT effective_on FROM settlements WHERE payment_id = $1", first) > DAY
        summary = await store.load_summary(units.pool, who, self.TODAY)
        assert summary["last_paid"] == {"payment_id": first, "currency": "USD", "amount_minor": 150, "on": DAY}

    async def test_customer_without_anything_has_nothing(self, units: Units) -> None:
        found = await store.load_summary(units.pool, await customer(units), self.TODAY)
        assert found["currencies"] == []
        assert found["counts"] == {"open": 0, "in_progress": 0, "overdue": 0}
        assert (found["last_invoice"], found["last_paid"]) == (None, None)

    @pytest.mark.parametrize(
        ("sql", "values", "index"),
        [
            (OPEN_SUMS, 2, "Index Only Scan using invoices_open_newest"),
            (LAST_INVOICE, 1, "invoices_newest"),
            (LAST_PAID, 1, "settlements_newest"),
        ],
    )
    async def test_queries_have_their_index(self, units: Units, sql: str, values: int, index: str) -> None:
        plan = await units.pool.fetch(f"EXPLAIN {sql}", *[new_id(), DAY][:values])
        assert index in "\n".join(row[0] for row in plan)
        assert "Seq Scan" not in "\n".join(row[0] for row in plan)


class TestActivity:
    async def test_is_the_newest_of_all_kinds(self, units: Units) -> None:
        who, other = await customer(units), await customer(units)
        days = [DAY - timedelta(days=20 - n) for n in range(14)]
        made = numbered(await issue(units, *(wish(who, f"A{n}", day=day) for n, day in enumerate(days))))
        await issue(units, wish(other, "X"), wish(who, "LATER", day=DAY + timedelta(days=3)))
        kept, back = new_id(), new_id()
        await settle(units, received(kept, who, 60, (made["A13"], 60)))
        await settle(units, received(back, who, 70, (made["A12"], 30), (made["A13"], 40)))
        async with units.begin() as work:
            book = await store.load_book(work, payments=[back])
            book.reverse(back, DAY)
            await store.save_book(work, book)
        found = await store.load_activity(units.pool, who, DAY)
        assert {(one["code"], one["amount_minor"]) for one in found[:2]} == {
            ("payment_returned", 70),
            ("payment_confirmed", 60),
        }
        assert [one["number"] for one in found[2:]] == [f"A{n}" for n in range(13, 5, -1)]
        assert {one["payment_id"] for one in found[:2]} == {kept, back}
        assert [one["on"] for one in found] == sorted((one["on"] for one in found), reverse=True)

    async def test_reads_indexes_alone(self, units: Units) -> None:
        plan = "\n".join(row[0] for row in await units.pool.fetch(f"EXPLAIN {ACTIVITY}", new_id(), DAY))
        for index in ("invoices_newest", "settlements_newest", "entries_reversed"):
            assert index in plan
        assert "Seq Scan" not in plan


class TestBalances:
    async def test_are_those_of_each_summary(self, units: Units) -> None:
        today = date(2026, 4, 1)
        one, other, third = [await customer(units) for _ in range(3)]
        days = [date(2026, 1, 15), date(2026, 4, 1), date(2026, 5, 1)]
        for who in (one, other):
            currencies = ("USD", "JPY") if who == one else ("USD",)
            wishes = [wish(who, new_id(), day=day, currency=each) for each in currencies for day in days]
            ids = list(numbered(await issue(units, *wishes)).values())
            await reserve(units, who, None, (ids[0], 30), (ids[1], 100))
        await issue(units, wish(third, "PAID"))
        await settle(units, received(new_id(), third, 100))
        balances = await store.load_balances(units.pool, [one, other, third], today)
        assert balances.keys() == {one, other}
        for who, rows in balances.items():
            summary = {
                each["currency"]: each for each in (await store.load_summary(units.pool, who, today))["currencies"]
            }
            assert [row["currency"] for row in rows] == list(summary)
            for row in rows:
                each = summary[row["currency"]]
                assert row["outstanding_minor"] == each["outstanding_minor"]
                assert row["overdue_minor"] == each["outstanding_minor"] - each["amount_due_minor"]
                assert row["in_progress_minor"] == each["in_progress_minor"]

    async def test_page_reads_indexes_alone(self, units: Units) -> None:
        plan = "\n".join(row[0] for row in await units.pool.fetch(f"EXPLAIN {BALANCES}", [new_id()], DAY))
        assert {"owed_by_day_pkey", "reservations_placed"} <= set(plan.split())
        assert "Seq Scan" not in plan


class TestExpectedBy:
    async def test_is_the_last_day_of_what_is_pending(self, units: Units) -> None:
        who, days = await customer(units), [DAY + timedelta(days=2), DAY + timedelta(days=5)]
        ids = numbered(await issue(units, wish(who, "A"), wish(who, "B")))
        for day in days:
            await reserve(units, who, day, (ids["A"], 10))
        rows = await store.list_invoices(units.pool, store.Page(chosen(who), "number", 10, None))
        assert [row["expected_by"] for row in rows] == [days[1], None]
        one = await store.load_invoice(units.pool, ids["A"], who)
        assert one is not None
        assert one["expected_by"] == days[1]

    async def test_other_payments_are_passed_over_by_index(self, units: Units) -> None:
        sql = f"SELECT {EXPECTED_BY} FROM invoices i WHERE customer_id = $1 ORDER BY issued_on DESC, id DESC LIMIT 21"
        plan = "\n".join(row[0] for row in await units.pool.fetch(f"EXPLAIN {sql}", new_id()))
        assert "reservations_placed" in plan
        assert "Seq Scan" not in plan


class TestSearchPlans:
    async def plan(self, units: Units, sql: str, *values: Any) -> str:
        return "\n".join(row[0] for row in await units.pool.fetch(f"EXPLAIN {sql}", *values))

    async def test_customers_are_found_by_trigrams(self, units: Units) -> None:
        found = f"SELECT id FROM customers WHERE {SEARCHED} LIKE $1 OFFSET 0"
        sql = f"SELECT id FROM customers WHERE id IN ({found}) ORDER BY external_id LIMIT 101"
        plan = await self.plan(units, sql, "%acme%")
        assert "customers_searched" in plan
        assert "Seq Scan" not in plan

    async def test_old_spellings_have_their_own_index(self, units: Units) -> None:
        plan = await self.plan(units, f"SELECT id FROM invoices WHERE {CALLED.format('$1::text[]')}", ["A"])
        assert {"invoices_by_normal_number", "invoices_number_key"} <= set(plan.replace(":", " ").split())
        assert "Seq Scan" not in plan

    async def test_numbers_of_all_customers_are_a_range(self, units: Units) -> None:
        sql = "SELECT id FROM invoices WHERE lower(number) ~>=~ $1 AND lower(number) ~<~ $2"
        assert "invoices_number " in await self.plan(units, sql, "inv-", "inv-z")


async def test_external_id_like_another_id_stays_apart(units: Units) -> None:
    async with units.begin() as work:
        one, _ = await issuing.create_customer(CreateCustomer(external_id="ONE", name="One"), work)
        two, _ = await issuing.create_customer(CreateCustomer(external_id=str(one["id"]), name="Two"), work)
        by_name = wish(one["id"], "B").model_copy(update={"customer_id": None, "customer_external_id": str(one["id"])})
        outcomes = await issuing.issue([wish(one["id"], "A"), by_name], work)
    assert [outcome.invoice.customer_id for outcome in outcomes] == [one["id"], two["id"]]
