"""Payments of a scenario: prepared while all is calm, sent until each is answered, followed until each is final."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import aiohttp
import asyncpg

from contracts.ids import new_id
from tests.kit.client import Client
from tests.kit.stack import LocalStack

CLIENTS = 32
FINAL_SECONDS = 30
CARD_TOKEN, BANK_TOKEN = "pm_card_visa", "pm_usBankAccount_success"
DECLINED_TOKEN = "pm_card_visa_chargeDeclined"

T = TypeVar("T")
R = TypeVar("R")


class WrongError(Exception):
    """What a scenario promises does not hold."""


@dataclass
class Wish:
    """One payment of one invoice under one Idempotency-Key; `body` is the same at each try."""

    path: str
    body: dict[str, Any]
    customer_id: str
    invoice_id: str
    minor: int
    declined: bool = False
    key: str = field(default_factory=new_id)
    answered: set[str] = field(default_factory=set)
    tries: int = 0


async def spread(many: Iterable[T], act: Callable[[T], Awaitable[R]], clients: int = CLIENTS) -> list[R]:
    """Act on all, so many at once; the results in the order of `many`."""
    waiting = list(enumerate(many))[::-1]
    done: dict[int, R] = {}

    async def client() -> None:
        while waiting:
            place, one = waiting.pop()
            done[place] = await act(one)

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())
    return [done[place] for place in range(len(done))]


async def persist(
    client: Client,
    path: str,
    body: Any,
    key: str | None = None,
    *,
    patient: bool = False,
    verb: str = "POST",
    done: Container[int] = (200, 201, 202, 204),
    seconds: float = 180,
) -> tuple[Any, int]:
    """Ask until there is an answer that is no outage, and how many tries it took; a refusal is WrongError.

    `patient`: a refusal may be of a service that has not heard yet what another one has made.
    `done`: the statuses that will do.
    """
    headers = {"Idempotency-Key": key} if key else {}
    end = time.monotonic() + seconds
    for tries in range(1, 1_000_000):
        said: Any = None
        try:
            async with asyncio.timeout(15):
                status, said = await client.ask(verb, path, body, **headers)
            if status in done:
                return said, tries
            if status < 500 and status != 429 and not patient and not _under_way(status, said):
                raise WrongError(f"{path} answered {status}: {said}")
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            said = repr(error)
        if time.monotonic() > end:
            raise WrongError(f"{path} had no answer in {seconds:.0f} s: {said}")
        await asyncio.sleep(min(0.5, 0.05 * tries))
    raise AssertionError


async def uploaded(client: Client, file: bytes, seconds: float = 120) -> Any:
    """Send a bank's file until it is taken; its run."""
    end, said = time.monotonic() + seconds, None
    while time.monotonic() < end:
        try:
            async with asyncio.timeout(30):
                status, said = await client.upload("/v1/bank-statements", file)
            if status in (200, 202):
                return said
            if status < 500 and status != 409:
                raise WrongError(f"a bank's file was refused: {said}")
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            said = repr(error)
        await asyncio.sleep(0.2)
    raise WrongError(f"a bank's file had no answer in {seconds:.0f} s: {said}")


def _under_way(status: int, said: Any) -> bool:
    return status == 409 and isinstance(said, dict) and said["type"].endswith(":request-in-progress")


async def customers(client: Client, count: int) -> list[str]:
    async def one(number: int) -> str:
        body = {"external_id": f"F-{new_id()}", "name": f"Customer {number}"}
        return str((await persist(client, "/v1/customers", body))[0]["id"])

    return await spread(range(count), one, 8)


async def offline(client: Client, count: int, whose: Sequence[str]) -> list[Wish]:
    """Offline payments, each with an invoice of its own."""
    return await spread(range(count), lambda number: receipt(client, whose[number % len(whose)], 1_000 + number))


async def cards(client: Client, count: int, whose: Sequence[str]) -> list[Wish]:
    """Card payments, each with an invoice and a quote of its own; the card of each tenth customer is declined."""
    tokens = [DECLINED_TOKEN if place % 10 == 9 else CARD_TOKEN for place in range(len(whose))]
    methods = [await method(client, customer, token) for customer, token in zip(whose, tokens, strict=True)]

    async def one(number: int) -> Wish:
        place = number % len(whose)
        return await charge(client, whose[place], methods[place], 1_000 + number, tokens[place] == DECLINED_TOKEN)

    return await spread(range(count), one)


async def receipt(client: Client, customer: str, minor: int) -> Wish:
    invoice = await issued(client, customer, minor)
    body = {
        "customer_id": customer, "amount_minor": minor, "currency": "USD", "received_on": "2026-03-01",
        "reference": "cheque", "invoices": [{"invoice_id": invoice}],
    }  # fmt: skip
    return Wish("/v1/payments/offline", body, customer, invoice, minor)


async def charge(client: Client, customer: str, method_id: str, minor: int, declined: bool = False) -> Wish:
    invoice = await issued(client, customer, minor)
    asked = {"customer_id": customer, "method_id": method_id, "invoices": [{"invoice_id": invoice}]}
    quote = (await persist(client, "/v1/quotes", asked, patient=True))[0]
    body = {"quote_id": quote["id"], "accept_surcharge": True}
    return Wish("/v1/payments", body, customer, invoice, minor, declined)


async def issued(client: Client, customer: str, minor: int, *, draft: bool = False) -> str:
    """The id of a new invoice."""
    body = {
        "customer_id": customer, "number": f"F-{new_id()}", "currency": "USD",
        "issued_on": "2026-01-02", "due_on": "2026-02-01",
        "lines": [{"description": "Subscription", "quantity": 1, "unit_price_minor": minor}],
        "draft": draft,
    }  # fmt: skip
    return str((await persist(client, "/v1/invoices", body))[0]["id"])


async def method(client: Client, customer: str, token: str) -> str:
    path = f"/v1/customers/{customer}/payment-methods"
    return str((await persist(client, path, {"provider_token": token, "accept_terms": True}, patient=True))[0]["id"])


class Storm:
    """Sends all wishes; `progress` tells how many are accepted while it does. `patient`: see `persist`."""

    def __init__(self, client: Client, wishes: Sequence[Wish], *, patient: bool = False) -> None:
        self.client, self.wishes, self.patient = client, wishes, patient
        self.progress = 0

    async def send(self) -> None:
        await spread(self.wishes, self._one)

    async def _one(self, wish: Wish) -> None:
        answer, tries = await persist(self.client, wish.path, wish.body, wish.key, patient=self.patient)
        wish.answered.add(answer["id"])
        wish.tries += tries
        self.progress += 1

    async def at(self, share: float) -> None:
        """Return once this share of the wishes is accepted."""
        while self.progress < share * len(self.wishes):  # noqa: ASYNC110
            await asyncio.sleep(0.005)


FINAL = "(p.status = 'declined' OR (p.status = 'succeeded' AND p.reconciliation = 'matched'))"
UNFINISHED = f"""
SELECT count(*) FROM unnest($1::uuid[]) AS w (id) LEFT JOIN payments p ON p.id = w.id WHERE p.id IS NULL OR NOT {FINAL}
"""
FIRST_UNFINISHED = f"""
SELECT p.id::text, p.way, p.status, p.reconciliation, p.created_at::text, a.state AS attempt, a.calls,
    (a.call_after - now())::text AS call_in, (SELECT count(*) FROM outbox) AS in_outbox
FROM payments p LEFT JOIN attempts a ON a.payment_id = p.id WHERE p.id = ANY($1::uuid[]) AND NOT {FINAL} LIMIT 1
"""
UNSETTLED = """
SELECT count(*) FROM unnest($1::uuid[], $2::bigint[]) AS w (id, minor) LEFT JOIN invoices i ON i.id = w.id
WHERE i.id IS NULL OR i.settled <> w.minor OR i.pending <> 0
"""
ENDED = "SELECT id::text, status FROM payments WHERE customer_id = ANY($1::uuid[])"


async def all_final(stack: LocalStack, wishes: Sequence[Wish], seconds: float = FINAL_SECONDS) -> float:
    """Seconds until every payment is final and every invoice holds just its money; WrongError past `seconds`."""
    began = time.monotonic()
    ids = [next(iter(wish.answered)) for wish in wishes]
    invoices, due = [w.invoice_id for w in wishes], [0 if w.declined else w.minor for w in wishes]
    payments = await asyncpg.connect(stack.database_url("payments"))
    invoicing = await asyncpg.connect(stack.database_url("invoicing"))
    try:
        while True:
            left = await payments.fetchval(UNFINISHED, ids), await invoicing.fetchval(UNSETTLED, invoices, due)
            if left == (0, 0):
                return time.monotonic() - began
            if time.monotonic() - began > seconds:
                first = [dict(row) for row in await payments.fetch(FIRST_UNFINISHED, ids)]
                wrong = f"{left[0]} payments and {left[1]} invoices are not as they should be, as {first}"
                raise WrongError(f"after {seconds:.0f} s {wrong}")
            await asyncio.sleep(0.1)
    finally:
        await payments.close()
        await invoicing.close()


NOT_GONE = """
SELECT id::text, status, reversed, going_back, disputed FROM payments WHERE id = ANY($1::uuid[])
    AND (reversed <> amount + surcharge OR going_back <> reversed OR disputed <> 0)
"""


async def settled(stack: LocalStack, service: str, sql: str, *values: Any, seconds: float = FINAL_SECONDS) -> float:
    """Seconds until no row of the query is left; WrongError with the first ones past `seconds`."""
    began, connection = time.monotonic(), await asyncpg.connect(stack.database_url(service))
    try:
        while left := await connection.fetch(sql, *values):
            if time.monotonic() - began > seconds:
                raise WrongError(f"after {seconds:.0f} s {len(left)} are not as they should be, as {dict(left[0])}")
            await asyncio.sleep(0.1)
    finally:
        await connection.close()
    return time.monotonic() - began


async def none_doubled(stack: LocalStack, client: Client, wishes: Sequence[Wish]) -> None:
    """Each key is one payment, also when it is sent again; none is there that nobody asked for."""
    await Storm(client, wishes[:: max(1, len(wishes) // 200)]).send()
    several = [wish.key for wish in wishes if len(wish.answered) != 1]
    if several:
        raise WrongError(f"{len(several)} keys are more than one payment, as {several[0]}")
    asked = {next(iter(wish.answered)): wish.declined for wish in wishes}
    if len(asked) != len(wishes):
        raise WrongError(f"{len(wishes)} keys are {len(asked)} payments")
    connection = await asyncpg.connect(stack.database_url("payments"))
    try:
        found = dict(await connection.fetch(ENDED, sorted({wish.customer_id for wish in wishes})))
    finally:
        await connection.close()
    wrong = {
        one for one in asked.keys() | found.keys() if found.get(one) != ("declined" if asked.get(one) else "succeeded")
    }
    if wrong or len(found) != len(asked):
        raise WrongError(f"{len(found)} payments for {len(asked)} keys; {len(wrong)} ended otherwise than they should")
