"""The scenarios of what comes after Paid, and of the bank: refunds, chargebacks, payouts, files, a dark provider."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any

import asyncpg

from contracts.ids import new_id
from tests.bench import loading
from tests.faults import load
from tests.faults.load import Storm, Wish, WrongError
from tests.faults.scenarios import Figures, Run, all_taken
from tests.kit import bank_files

WORKERS = 20
ACCOUNT = "DE02500105170137075030"
DISPUTED_TOKEN = "pm_card_createDispute"


# --- what the scenarios share


async def amid_kills(run: Run, services: Sequence[str], times: int, act: Coroutine[Any, Any, Any]) -> Any:
    """The result of `act`, while a process of these services dies so many times; all are up again afterwards."""
    names = [name for name in await asyncio.to_thread(run.stack.names) if name.split("-")[0] in services]

    async def kill() -> None:
        for _ in range(times):
            await asyncio.sleep(0.2 + run.dice.random() * 0.6)
            await asyncio.to_thread(run.stack.kill, run.dice.choice(names))

    async with asyncio.TaskGroup() as group:
        acting = group.create_task(act)
        group.create_task(kill())
    await run.ready()
    return acting.result()


async def rows(run: Run, service: str, sql: str, *values: Any) -> list[Any]:
    connection = await asyncpg.connect(run.stack.database_url(service))
    try:
        return list(await connection.fetch(sql, *values))
    finally:
        await connection.close()


async def payers_by(run: Run, tokens: Sequence[str]) -> list[tuple[str, str]]:
    """A customer and its method for each token; at most 20 customers."""
    whose = await load.customers(run.client, min(20, len(tokens)))
    methods = {
        (customer, token): await load.method(run.client, customer, token)
        for customer in whose
        for token in sorted(set(tokens))
    }
    places = [(whose[place % len(whose)], token) for place, token in enumerate(tokens)]
    return [(customer, methods[customer, token]) for customer, token in places]


async def wishes_for(run: Run, tokens: Sequence[str], least: int = 1_000) -> list[Wish]:
    """A payment by each token's method, each of an invoice and with a quote of its own."""
    payers = await payers_by(run, tokens)
    return await load.spread(range(len(payers)), lambda place: load.charge(run.client, *payers[place], least + place))


async def paid(run: Run, tokens: Sequence[str]) -> list[Wish]:
    wishes = await wishes_for(run, tokens)
    await Storm(run.client, wishes).send()
    await load.all_final(run.stack, wishes)
    return wishes


def ids_of(wishes: Sequence[Wish]) -> list[str]:
    return [next(iter(wish.answered)) for wish in wishes]


# Gone, invoice owed again: of all these payments, or none of it.
NOT_HERE = """
SELECT id::text, status, reversed, going_back, disputed FROM payments
WHERE id = ANY($1::uuid[]) AND (reversed, going_back, disputed) <> (0, 0, 0)
"""
NOT_OWED = (
    "SELECT id::text, state, settled FROM invoices WHERE id = ANY($1::uuid[]) AND (settled <> 0 OR state <> 'open')"
)
NOT_PAID = "SELECT id::text, state, settled FROM invoices WHERE id = ANY($1::uuid[]) AND state <> 'paid'"


# --- refunds


async def refunds(run: Run) -> Figures:
    """500 payments, each refunded twice by 20 workers, while services die and 30 % of the provider's replies are lost.

    Half of all that is asked for is given, half is refused.
    """
    wishes = await paid(run, [load.CARD_TOKEN] * run.count(500))
    twice = ids_of(wishes) * 2
    run.dice.shuffle(twice)
    kills = run.count(12)
    await run.rules(drop_replies=0.3)
    try:
        asking = load.spread(twice, lambda one: _refund(run, one), WORKERS)
        said = await amid_kills(run, ("auth", "gateway", "invoicing", "payments"), kills, asking)
        given = [one for one, answer in zip(twice, said, strict=True) if answer]
        if sorted(given) != sorted(set(twice)):
            raise WrongError(f"{len(given)} refunds of {len(set(given))} payments were accepted, not {len(wishes)}")
        final = await load.settled(run.stack, "payments", load.NOT_GONE, ids_of(wishes))
        final += await load.settled(run.stack, "invoicing", NOT_OWED, [wish.invoice_id for wish in wishes])
    finally:
        await run.rules(drop_replies=0)
    await _given_once(run, wishes)
    await all_taken(run)
    return {
        "refunded": len(given), "refused": len(twice) - len(given), "kills": kills, "all_final_s": round(final, 1),
        "check_money_s": await run.money(),
    }  # fmt: skip


async def _refund(run: Run, payment_id: str) -> bool:
    """Ask for all of it under a key of its own; whether it is given, and not refused since nothing is left."""
    path, key = f"/v1/payments/{payment_id}/refunds", new_id()
    while True:
        said, _ = await load.persist(run.client, path, {"reason": "twice"}, key, done=(202, 409))
        match said.get("type", "").rpartition(":")[2]:
            case "":
                return True
            case "nothing-left":
                return False
            case "request-in-progress":
                await asyncio.sleep(0.2)
            case other:
                raise WrongError(f"a refund of {payment_id} was refused: {other}")


async def _given_once(run: Run, wishes: Sequence[Wish]) -> None:
    """The provider's own record: one refund of each charge, of all of it."""
    intents = await asyncio.to_thread(run.stack.intents)

    async def look(wish: Wish) -> list[Any]:
        told = await run.told(f"payment_intents/{intents[next(iter(wish.answered))]}")
        return [refund for refund in told["refunds"] if refund["status"] != "failed"]

    found = await load.spread(wishes, look)
    wrong = [wish for wish, back in zip(wishes, found, strict=True) if len(back) != 1 or back[0]["amount"] < wish.minor]
    if wrong:
        raise WrongError(f"the provider gave {len(wrong)} payments back otherwise than once, as {wrong[0].answered}")


# --- bank files


async def bank_files_taken(run: Run) -> Figures:
    """5,000 transfers in two files that overlap, sent by several clients at once, while those who read them die."""
    lines, kills = run.count(5_000), run.count(10)
    owners = [f"B-{new_id()}" for _ in range(20)]
    for owner in owners:
        await load.persist(run.client, "/v1/customers", {"external_id": owner, "name": owner})
    tag = f"BF{new_id()[-8:]}"
    whose = [owners[number % len(owners)] for number in range(lines)]
    await loading.load(run.stack, whose, tag, minor=lambda number: 1_000 + number)
    first, second = range(lines * 9 // 10), range(lines // 2, lines)
    files = [_file(tag, first)] * 3 + [_file(tag, second)] * 2
    run.dice.shuffle(files)

    async def send() -> list[str]:
        answers = await asyncio.gather(*(load.uploaded(run.client, file) for file in files))
        return sorted({answer["id"] for answer in answers})

    runs = await amid_kills(run, ("payments", "invoicing"), kills, send())
    left = """SELECT number, state, settled, total FROM invoices
        WHERE number LIKE $1 AND (state <> 'paid' OR settled <> total)"""
    final = await load.settled(run.stack, "invoicing", left, f"{tag}-%")
    final += await load.settled(run.stack, "payments", "SELECT id::text FROM bank_statements WHERE status <> 'done'")
    found = [await run.client.get(f"/v1/reconciliation/runs/{one}") for one in runs]
    counts = Counter({name: sum(each[name] for each in found) for name in ("lines", "posted", "duplicate")})
    both = len(first) + len(second)
    if len(runs) != 2 or counts != {"lines": both, "posted": lines, "duplicate": both - lines}:
        raise WrongError(f"{len(runs)} runs came to {dict(counts)}, not {lines} posted of {both} lines")
    sql = """SELECT count(*) AS n, count(DISTINCT p.bank_line_id) AS lines FROM payments p
        JOIN bank_lines l ON l.id = p.bank_line_id WHERE l.statement_id = ANY($1::uuid[])"""
    (made,) = await rows(run, "payments", sql, runs)
    if tuple(made) != (lines, lines):
        raise WrongError(f"{made['n']} payments of {made['lines']} lines, not {lines}")
    await all_taken(run)
    return {"lines": both, **counts, "kills": kills, "all_final_s": round(final, 1), "check_money_s": await run.money()}


def _file(tag: str, numbers: Sequence[int]) -> bytes:
    made = (
        bank_files.Transfer(1_000 + one, reference=f"{tag}R{one}", text=f"Invoice {tag}-{one}") for one in numbers
    )  # fmt: skip
    return bank_files.content(bank_files.camt((bank_files.camt_entry(one, "USD") for one in made), account=ACCOUNT))


# --- returns and chargebacks


async def chargebacks(run: Run) -> Figures:
    """Returns, and disputes opened, won and lost, told late, doubled and shuffled, while services die.

    Some cards are disputed as soon as they are charged, and half of the replies to those calls are lost.
    """
    third, kills = run.count(100), run.count(12)
    returned = await paid(run, [load.BANK_TOKEN] * third)
    disputed = await paid(run, [load.CARD_TOKEN] * (2 * third))
    lost, won = disputed[:third], disputed[third:]
    at_once = await wishes_for(run, [DISPUTED_TOKEN] * max(2, third // 4))
    intents = await asyncio.to_thread(run.stack.intents)

    async def act() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(Storm(run.client, at_once).send())
            group.create_task(load.spread(acts, lambda one: one, 8))

    async def give_back(wish: Wish) -> None:
        await run.control(f"payment_intents/{intents[next(iter(wish.answered))]}/return", code="R01")

    async def dispute(wish: Wish, end: str) -> None:
        made = await run.control(f"payment_intents/{intents[next(iter(wish.answered))]}/dispute")
        await asyncio.sleep(run.dice.random() * 0.2)
        await run.control(f"disputes/{made['id']}/{end}")

    acts = [give_back(wish) for wish in returned]
    acts += [dispute(wish, "lose") for wish in lost] + [dispute(wish, "win") for wish in won]
    run.dice.shuffle(acts)
    await run.rules(drop_replies=0.5, webhooks={"delay_ms": 800, "duplicate": 3, "shuffle": True})
    try:
        await amid_kills(run, ("gateway", "invoicing", "payments"), kills, act())
        gone = [*returned, *lost]
        final = await load.settled(run.stack, "payments", load.NOT_GONE, ids_of(gone))
        final += await load.settled(run.stack, "payments", NOT_HERE, ids_of(won))
        held = """SELECT id::text, status, disputed, reversed FROM payments
            WHERE id = ANY($1::uuid[]) AND (disputed <> amount + surcharge OR reversed <> 0)"""
        final += await load.settled(run.stack, "payments", held, ids_of(at_once))
        final += await load.settled(run.stack, "invoicing", NOT_OWED, [wish.invoice_id for wish in gone])
        final += await load.settled(run.stack, "invoicing", NOT_PAID, [wish.invoice_id for wish in (*won, *at_once)])
    finally:
        await run.rules(drop_replies=0, webhooks={"delay_ms": 0, "duplicate": 1, "shuffle": False})
    await all_taken(run)
    return {
        "returned": third, "lost": third, "won": third, "disputed at once": len(at_once), "kills": kills,
        "all_final_s": round(final, 1), "check_money_s": await run.money(),
    }  # fmt: skip


# --- payouts


async def payouts(run: Run) -> Figures:
    """Five payouts of 40 payments each, booked while those who book them die; then the bank's file with all of them."""
    rounds, kills = 5, run.count(10)
    made: list[str] = []

    async def act() -> None:
        for _ in range(rounds):
            wishes = await wishes_for(run, [load.CARD_TOKEN] * run.count(40), 100_000)  # more than fees have taken
            await Storm(run.client, wishes).send()
            await load.all_final(run.stack, wishes)
            made.extend(one["id"] for one in (await run.control("payouts", everything=True, paid=True))["items"])

    await amid_kills(run, ("payments",), kills, act())
    if len(made) < rounds:
        raise WrongError(f"the provider made {len(made)} payouts, not {rounds}")
    missing = """SELECT w.id FROM unnest($1::text[]) AS w (id) LEFT JOIN payouts p ON p.provider_id = w.id AND p.booked
        WHERE p.provider_id IS NULL"""
    final = await load.settled(run.stack, "payments", missing, made)
    booked = """SELECT p.provider_id, p.amount, b.sum, b.n FROM payouts p LEFT JOIN LATERAL (
            SELECT sum(e.amount) AS sum, count(DISTINCT t.id) AS n FROM ledger_transactions t
            JOIN ledger_entries e ON e.transaction_id = t.id AND e.account = 'bank'
            WHERE t.payout_id = p.provider_id) b ON true
        WHERE p.provider_id = ANY($1::text[]) AND (b.sum IS DISTINCT FROM p.amount OR b.n <> 1)"""
    if wrong := await rows(run, "payments", booked, made):
        raise WrongError(f"{len(wrong)} payouts are not booked once, as {dict(wrong[0])}")
    told = {"format": "camt.053", "account": f"DE{new_id()[-12:]}", "lines": [], "payouts": True}
    file = await asyncio.to_thread(run.stack.sandbox, "bank-file", **told)
    await amid_kills(run, ("payments",), 2, load.uploaded(run.client, file))
    unconfirmed = "SELECT provider_id FROM payouts WHERE provider_id = ANY($1::text[]) AND bank_line_id IS NULL"
    final += await load.settled(run.stack, "payments", unconfirmed, made)
    await all_taken(run)
    return {
        "payouts": len(made),
        "kills": kills + 2,
        "all_final_s": round(final, 1),
        "check_money_s": await run.money(),
    }


# --- a provider that does not answer

DARK_SECONDS, RESOLVED_SECONDS = 600, 120
FAILED = """SELECT id::text, status, reason FROM payments
    WHERE id = ANY($1::uuid[]) AND status IN ('declined', 'cancelled', 'expired')"""
LAPSED = "SELECT payment_id::text, code FROM reversals WHERE payment_id = ANY($1::uuid[]) AND state = 'failed'"


async def dark(run: Run) -> Figures:
    """The provider is dark for ten minutes, and 200 payments and 20 refunds are asked for meanwhile: none fails.

    A quarter of them is under way from the start, the rest comes evenly until the end. Two minutes after its return
    each is final. A smaller scale shortens the dark, to 20 seconds at least.
    """
    seconds = max(20, round(DARK_SECONDS * run.scale))
    refunded = ids_of(await paid(run, [load.CARD_TOKEN] * run.count(20)))
    payers = await payers_by(run, [load.CARD_TOKEN] * run.count(150) + [load.BANK_TOKEN] * run.count(50))
    wishes: list[Wish] = []

    async def pay(payer: tuple[str, str], minor: int) -> None:
        wish = await load.charge(run.client, *payer, minor)  # quoted only now: a quote is good for 15 minutes
        await Storm(run.client, [wish]).send()
        wishes.append(wish)

    asked: list[Callable[[], Awaitable[Any]]] = [
        partial(pay, payer, 1_000 + place) for place, payer in enumerate(payers)
    ]
    asked += [partial(_refund, run, one) for one in refunded]
    run.dice.shuffle(asked)
    at_once = len(asked) // 4
    began = time.monotonic()

    async def ask(place: int) -> None:
        share = max(0, place - at_once) / (len(asked) - at_once)
        await asyncio.sleep(began + share * seconds - time.monotonic())
        await asked[place]()

    async def look() -> None:
        while time.monotonic() - began < seconds:
            failed = await rows(run, "payments", FAILED, ids_of(wishes))
            if wrong := [*failed, *await rows(run, "payments", LAPSED, refunded)]:
                raise WrongError(f"{len(wrong)} failed while the provider was dark, as {dict(wrong[0])}")
            await asyncio.sleep(0.5)

    await run.rules(dark_seconds=seconds)
    async with asyncio.TaskGroup() as group:
        group.create_task(look())
        for place in range(len(asked)):
            group.create_task(ask(place))
    final = await load.all_final(run.stack, wishes, RESOLVED_SECONDS)
    final += await load.settled(run.stack, "payments", load.NOT_GONE, refunded, seconds=RESOLVED_SECONDS - final)
    await load.none_doubled(run.stack, run.client, wishes)
    await all_taken(run)
    return {
        "payments": len(wishes), "refunds": len(refunded), "dark_s": seconds, "all_final_s": round(final, 1),
        "check_money_s": await run.money(),
    }  # fmt: skip


SCENARIOS: dict[str, Callable[[Run], Awaitable[Figures]]] = {
    "refunds": refunds,
    "bank-files": bank_files_taken,
    "chargebacks": chargebacks,
    "payouts": payouts,
    "dark": dark,
}
