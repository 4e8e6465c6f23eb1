"""A month of a company's business over the public API: invoices, payments of every kind, refunds, payouts, bank files.

Some things are planted that can't agree. Of each the class is known beforehand, and no other may stay open at the end.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date, timedelta
from typing import Any

import asyncpg

from contracts.ids import new_id
from paidup_local import business_clock
from payments.providers.stripe_adapter import StripeAdapter
from tests.kit.client import Client
from tests.kit.provider_sandbox import Payer, payer
from tests.kit.stack import LocalStack

CUSTOMERS, CLIENTS, SECONDS = 40, 16, 90
CARD, DEBIT, STUCK = "pm_card_visa", "pm_usBankAccount_success", "pm_usBankAccount_processing"
FORMATS = ("camt.053", "bai2", "mt940", "csv")
FIRST_PLANTED = 5_000_000  # US cents; far above every other invoice, so that each planted amount is the only one
CLASSES = ("missing_here", "missing_there", "wrong_amount", "short_payment", "doubled", "wrong_currency")

Exceptional = tuple[str, int, str]
"""Class, minor units and currency of an exception: planted amounts are all different."""


@dataclass(frozen=True)
class Size:
    """How much happens. `planted`: of each kind of exception."""

    invoices: int
    cards: int
    debits: int
    transfers: int
    cheques: int
    returns: int
    chargebacks: int
    refunds: int
    planted: int
    days: int

    @property
    def payments(self) -> int:
        return self.cards + self.debits + self.transfers + self.cheques

    def part(self, of: int) -> Size:
        """As many days, and a share of what happens in them."""
        counts = {each.name: max(1, getattr(self, each.name) // of) for each in fields(self) if each.name != "days"}
        return replace(self, **counts)


FULL = Size(20_000, 7_000, 3_000, 3_000, 2_000, 400, 60, 300, 5, 28)
SMALL = Size(300, 90, 45, 60, 30, 6, 4, 6, 2, 4)


@dataclass(frozen=True)
class Bill:
    customer: str
    invoice: str
    number: str
    minor: int


@dataclass
class Month:
    """One month; `run` lets it pass, and `expected` is then what has to be open."""

    stack: LocalStack
    client: Client
    size: Size
    say: Callable[[str], None] = lambda text: None
    expected: Counter[Exceptional] = field(default_factory=Counter)
    days: list[date] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.dice = random.Random(20260301)
        self.tag = f"M{new_id()[-6:].upper()}"
        self.account = f"DE{new_id().replace('-', '')[-18:]}"
        self.numbers = iter(range(10**9))
        self.planted = iter(range(10**9))
        self.customers: list[str] = []
        self.methods: dict[tuple[str, str], str] = {}
        self.going: dict[str, list[str]] = defaultdict(list)
        self.stuck: list[str] = []
        self.issued: list[str] = []
        self.transferred: list[Bill] = []

    async def run(self) -> None:
        self.database = await asyncpg.connect(self.stack.database_url("payments"))
        adapter = StripeAdapter(
            url=f"http://127.0.0.1:{self.stack.settings.port_of('sandbox')}",
            key=self.stack.environment("payments")["PAYMENTS_PROVIDER_KEY"],
            webhook_secret="",
        )
        try:
            self.foreign = await payer(adapter, customer_id=f"another system {self.tag}")
            await self._prepare()
            for number in range(self.size.days):
                began = time.monotonic()
                await self._day(number)
                self.say(f"  {self.days[-1]}: {self.done.total()} in all, {time.monotonic() - began:.1f} s")
                await self._next("1d")
            await self._next("10d")
        finally:
            await adapter.close()
            await self.database.close()

    async def _each(self, items: Iterable[Any], act: Callable[[Any], Awaitable[Any]]) -> list[Any]:
        waiting = iter(list(enumerate(items)))
        results: dict[int, Any] = {}

        async def one() -> None:
            for place, item in waiting:
                results[place] = await act(item)

        await asyncio.gather(*(one() for _ in range(CLIENTS)))
        return [results[place] for place in range(len(results))]

    async def _prepare(self) -> None:
        self.customers = await self._each(range(CUSTOMERS), lambda n: self.client.customer(name=f"{self.tag} {n}"))
        await self._each(self.customers, self._methods)

    async def _methods(self, customer: str) -> None:
        for token in (CARD, DEBIT):
            self.methods[customer, token] = await self.client.method(customer, token)

    async def _next(self, by: str) -> None:
        await asyncio.to_thread(business_clock.advance, self.stack.settings, by)

    # --- a day

    def _share(self, of: int, day: int) -> int:
        """Of so many in the month, those of this day."""
        return of * (day + 1) // self.size.days - of * day // self.size.days

    async def _day(self, number: int) -> None:
        size, today = self.size, business_clock.today(self.stack.settings)
        self.days.append(today)
        bills = await self._issue(self._share(size.invoices, number), today)
        self.dice.shuffle(bills)
        counts = [self._share(each, number) for each in (size.cards, size.debits, size.transfers, size.cheques)]
        cards, debits, transfers, cheques = _split(bills, counts)
        lines = [self._line(bill.minor, today, f"Invoice {bill.number}") for bill in transfers]
        await self._each(cards, lambda bill: self._charge(bill, CARD))
        await self._each(debits, lambda bill: self._charge(bill, DEBIT))
        lines += await self._each(cheques, lambda bill: self._cheque(bill, today))
        for each in range(size.planted):
            if each % size.days == number % min(size.days, size.planted) or size.days < size.planted:
                lines += await self._plant(today)
        await self._none(
            "SELECT id FROM payments WHERE way = 'collect' AND reconciliation = 'waiting' AND id <> ALL($1)"
        )
        await self._go_back(number)
        await self._pay_out()
        await self._bank_file(lines, today, FORMATS[number % len(FORMATS)])
        self.transferred += transfers
        self.done.update(cards=len(cards), debits=len(debits), transfers=len(transfers), cheques=len(cheques))
        await self.balanced(today)

    async def _issue(self, count: int, today: date) -> list[Bill]:
        return await self._each((next(self.numbers) for _ in range(count)), lambda n: self._bill(1_000 + n, today, n))

    async def _bill(self, minor: int, today: date, number: int, **more: Any) -> Bill:
        customer, name = self.customers[number % CUSTOMERS], f"{self.tag}-{number:06}"
        dates = {"issued_on": str(today), "due_on": str(today + timedelta(days=14))}
        invoice = await self.client.invoice(customer, minor, number=name, **dates, **more)
        self.issued.append(invoice)
        return Bill(customer, invoice, name, minor)

    async def _charge(self, bill: Bill, token: str, method: str | None = None) -> str:
        method = method or self.methods[bill.customer, token]
        payment = await self.client.pay(await self.client.quote(bill.customer, method, bill.invoice))
        self.going[token].append(payment["id"])
        return str(payment["id"])

    async def _cheque(self, bill: Bill, today: date) -> Any:
        """Recorded by hand, and in the bank's file when it is cashed."""
        reference = f"CHQ {bill.number}"
        await self.client.receive(bill.customer, bill.minor, bill.invoice, reference=reference, received_on=str(today))
        return self._line(bill.minor, today, f"deposit {reference}")

    def _line(self, minor: int, today: date, text: str) -> dict[str, Any]:
        return {"amount_minor": minor, "currency": "USD", "booked_on": str(today), "text": text}

    # --- what can't agree

    async def _plant(self, today: date) -> list[Any]:
        """One exception of each kind, and of two kinds of `missing_here`; the transfers among them."""
        unknown, foreign, stuck, more, less, euros = (FIRST_PLANTED + 10 * next(self.planted) for _ in range(6))
        lines = [self._line(unknown, today, "rent of a garage")]
        self._expect("missing_here", unknown)
        await self._charge_of_another_system(foreign)
        self._expect("missing_here", foreign)
        late = await self._bill(stuck, today, next(self.numbers))
        method = await self.client.method(late.customer, STUCK)
        self.stuck.append(await self._charge(late, STUCK, method))
        self._expect("missing_there", stuck)
        for minor, change, why in ((more, 1, "wrong_amount"), (less, -1, "short_payment")):
            bill = await self._bill(minor, today, next(self.numbers))
            lines.append(self._line(minor + change, today, f"Invoice {bill.number}"))
            self._expect(why, minor + change)
        bill = await self._bill(euros, today, next(self.numbers), currency="EUR")
        lines.append(self._line(euros, today, f"Invoice {bill.number}"))
        self._expect("wrong_currency", euros)
        twice = await self._bill(FIRST_PLANTED + 10 * next(self.planted), today, next(self.numbers))
        for text in ("Invoice", "once more, invoice"):
            lines.append(self._line(twice.minor, today, f"{text} {twice.number}"))
        self._expect("doubled", twice.minor)
        return lines

    def _expect(self, why: str, minor: int) -> None:
        self.expected[why, minor, "USD"] += 1

    async def _charge_of_another_system(self, minor: int) -> None:
        theirs: Payer = self.foreign
        await theirs.charge(f"order-{self.tag}-{minor}", minor)

    # --- what goes back

    async def _go_back(self, number: int) -> None:
        """Payments of today are refunded, returned by their bank, disputed by their holder."""
        size = self.size
        refunds, chargebacks = self._share(size.refunds, number), self._share(size.chargebacks, number)
        returns = self._share(size.returns, number)
        cards, debits = self.going.pop(CARD, []), self.going.pop(DEBIT, [])
        back = await self.database.fetch(
            "SELECT id::text, customer_id::text, provider_id, amount FROM payments WHERE id = ANY($1::uuid[])",
            [*cards[: refunds + chargebacks], *debits[:returns]],
        )
        found = {row["id"]: row for row in back}
        await self._each(enumerate(cards[:refunds]), lambda one: self._refund(found[one[1]], whole=one[0] % 2 == 0))
        disputed = cards[refunds : refunds + chargebacks]
        await self._each(
            enumerate(disputed), lambda one: self._dispute(found[one[1]], ("lose", "win")[(number + one[0]) % 2])
        )
        await self._each(debits[:returns], lambda one: self._return(found[one]))
        self.done.update(refunds=refunds, chargebacks=chargebacks, returns=returns)
        await self._none("SELECT id FROM payments WHERE going_back <> reversed AND id <> ALL($1)")
        taken = {found[payment]["customer_id"] for payment in (*disputed, *debits[:returns])}
        await self._each(sorted(taken), self._methods)  # what a bank took back may have ended the method

    async def _refund(self, payment: Any, *, whole: bool) -> None:
        await self.client.refund(payment["id"], None if whole else payment["amount"] // 3)

    async def _dispute(self, payment: Any, end: str) -> None:
        made = await self._sandbox(f"payment_intents/{payment['provider_id']}/dispute")
        await self.client.until(f"/v1/payments/{payment['id']}", lambda told: told["disputed_minor"], SECONDS)
        await self._sandbox(f"disputes/{made['id']}/{end}")

    async def _return(self, payment: Any) -> None:
        await self._sandbox(f"payment_intents/{payment['provider_id']}/return", code="R01")

    # --- the bank

    async def _pay_out(self) -> None:
        made = (await self._sandbox("payouts", everything=True, paid=True))["items"]
        self.done.update(payouts=len(made))
        sql = """SELECT w.id FROM unnest($2::text[]) AS w (id) LEFT JOIN payouts p ON p.provider_id = w.id AND p.booked
            WHERE p.provider_id IS NULL AND $1::uuid[] IS NOT NULL"""
        await self._none(sql, [payout["id"] for payout in made])

    async def _bank_file(self, lines: Sequence[Any], today: date, form: str) -> None:
        """The bank's lines name invoices, so payments has to have heard of those."""
        sql = """SELECT w.id FROM unnest($2::uuid[]) AS w (id)
            WHERE NOT EXISTS (SELECT FROM invoices i WHERE i.id = w.id) AND $1::uuid[] IS NOT NULL"""
        await self._none(sql, self.issued)
        self.issued.clear()
        shuffled = list(lines)
        self.dice.shuffle(shuffled)
        told = {"format": form, "account": self.account, "lines": shuffled, "payouts": True, "from": str(today)}
        file = await asyncio.to_thread(lambda: self.stack.sandbox("bank-file", **told, to=str(today)))
        status, run = await self.client.upload("/v1/bank-statements", file)
        assert status == 202, run
        run = await self.client.until(f"/v1/reconciliation/runs/{run['id']}", lambda r: r["status"] == "done", SECONDS)
        self.done.update(lines=run["lines"])

    async def _sandbox(self, path: str, **body: Any) -> Any:
        return await asyncio.to_thread(lambda: self.stack.sandbox(path, **body))

    async def _none(self, sql: str, *more: Any) -> None:
        """Return once the query has no row; those that are stuck for good are its first parameter."""
        end = time.monotonic() + SECONDS
        while left := await self.database.fetch(sql, self.stuck, *more):
            assert time.monotonic() < end, f"{len(left)} are left of: {sql}"
            await asyncio.sleep(0.05)

    # --- what has to hold

    async def balanced(self, day: date) -> None:
        """The day's report sums to zero in every currency, and each account moves from its opening to its closing."""
        report = await self.client.get(f"/v1/reports/daily-reconciliation?date={day}")
        for each in report["currencies"]:
            assert each["sum_minor"] == 0, (day, each)
            for account in each["accounts"]:
                moves = ("charges", "receipts", "reversals", "disputes", "payouts")
                moved = sum(account[f"{name}_minor"] for name in moves)
                assert account["opening_minor"] + moved == account["closing_minor"], (day, account)

    async def open(self) -> Counter[Exceptional]:
        """Every exception that is open."""
        found: Counter[Exceptional] = Counter()
        cursor: str | None = ""
        while cursor is not None:
            page = await self.client.get(
                f"/v1/reconciliation/exceptions?state=open&limit=100{cursor and f'&cursor={cursor}'}"
            )
            found.update((one["class"], one["amount_minor"], one["currency"]) for one in page["items"])
            cursor = page["next_cursor"]
        return found

    async def settle_down(self, seconds: float = 30) -> Counter[Exceptional]:
        """What is open once it is what was planted, or after that time."""
        end = time.monotonic() + seconds
        while (found := await self.open()) != self.expected and time.monotonic() < end:  # noqa: ASYNC110
            await asyncio.sleep(0.3)
        return found


def _split(bills: Sequence[Bill], counts: Sequence[int]) -> list[list[Bill]]:
    starts = [sum(counts[:place]) for place in range(len(counts) + 1)]
    return [list(bills[first:last]) for first, last in itertools.pairwise(starts)]
