"""The scenarios of `make faults`: what each breaks while payments are under way, and what has to hold afterwards."""

import asyncio
import pathlib
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import asyncpg
from aiokafka import AIOKafkaProducer

from chassis.messaging import dead_letters
from contracts import topics
from contracts.ids import new_id
from contracts.services import SERVICES, WITH_DATABASE
from tests.faults import crashes, load, machine, poison, records
from tests.faults.inside.sitecustomize import BUG_MINOR
from tests.faults.load import Storm, Wish, WrongError
from tests.kit.client import Client
from tests.kit.stack import LocalStack

Figures = dict[str, Any]


@dataclass
class Run:
    """What a scenario is given. `dice` is seeded: what is random repeats. `orders`: see `inside`."""

    stack: LocalStack
    client: Client
    scale: float
    dice: random.Random
    orders: pathlib.Path
    forged: set[str]  # aggregates of made-up events, in the topics for good

    def count(self, full: int) -> int:
        return max(1, round(full * self.scale))

    async def money(self) -> float:
        """Seconds that `paidup check-money` took; WrongError unless it finds the forged events alone."""
        began = time.monotonic()
        found = await asyncio.to_thread(self.stack.paidup_json, "check-money", check=False)
        wrong = [one for one in found["violations"] if not any(forged in one for forged in self.forged)]
        if wrong:
            raise WrongError(f"check-money: {found['count']} violations, as {wrong[:3]}")
        if self.forged and found["ok"]:
            raise WrongError(f"check-money does not name the {len(self.forged)} forged events")
        return round(time.monotonic() - began, 1)

    async def ready(self) -> None:
        await asyncio.to_thread(self.stack.wait_ready, seconds=90)

    async def rules(self, **changed: Any) -> None:
        await self.control("rules", **changed)

    async def control(self, path: str, **body: Any) -> Any:
        """Tell the provider's sandbox; its answer."""
        return await self._sandbox("POST", path, body)

    async def told(self, path: str) -> Any:
        """Ask the provider's sandbox."""
        return await self._sandbox("GET", path, None)

    async def _sandbox(self, verb: str, path: str, body: Any) -> Any:
        base = f"http://127.0.0.1:{self.stack.settings.port_of('sandbox')}/_control/{path}"
        async with aiohttp.ClientSession() as session, session.request(verb, base, json=body) as answer:
            answer.raise_for_status()
            return await answer.json() if "json" in answer.content_type else await answer.read()


async def storm(run: Run, wishes: list[Wish], break_it: Callable[[Storm], Awaitable[Any]]) -> Figures:
    """Send all while something breaks them; then every promise about payments is looked at."""
    run.dice.shuffle(wishes)
    sending = Storm(run.client, wishes)
    async with asyncio.TaskGroup() as group:
        group.create_task(sending.send())
        group.create_task(_broken(run, sending, break_it))
    return await _holds(run, wishes)


async def _holds(run: Run, wishes: list[Wish]) -> Figures:
    retried = sum(wish.tries > 1 for wish in wishes)
    final = await load.all_final(run.stack, wishes)
    await load.none_doubled(run.stack, run.client, wishes)
    await all_taken(run)
    return {
        "accepted": len(wishes), "final": len(wishes), "retried": retried, "all_final_s": round(final, 1),
        "check_money_s": await run.money(),
    }  # fmt: skip


async def _broken(run: Run, sending: Storm, break_it: Callable[[Storm], Awaitable[Any]]) -> None:
    await break_it(sending)
    await run.ready()


async def mixed(run: Run, offline: int, cards: int, *, mailed: bool = False) -> list[Wish]:
    """`mailed`: one customer has a contact, who is mailed of each of its invoices and payments."""
    whose = await load.customers(run.client, 20)
    if mailed:
        body = {"customer_id": whose[0], "email": f"{new_id()}@example.com"}
        await load.persist(run.client, "/v1/contacts", body, patient=True)
    return await load.offline(run.client, offline, whose) + await load.cards(run.client, cards, whose)


async def kills(run: Run) -> Figures:
    """kill -9 of random service processes, 20 times, while 2,000 payments are under way."""
    times = run.count(20)
    names = await asyncio.to_thread(run.stack.names)
    services = [name for name in names if name.split("-")[0] in (*WITH_DATABASE, "gateway")]

    async def kill(sending: Storm) -> None:
        for number in range(times):
            await sending.at((number + 0.5) / (times + 1))
            await asyncio.sleep(run.dice.random() * 0.3)
            await asyncio.to_thread(run.stack.kill, run.dice.choice(services))

    wishes = await mixed(run, run.count(1_000), run.count(1_000))
    return await storm(run, wishes, kill) | {"kills": times}


async def dropped_replies(run: Run) -> Figures:
    """The provider carries out 1,000 card payments and drops its reply to 30 % of them."""
    wishes = await load.cards(run.client, run.count(1_000), await load.customers(run.client, 20))

    async def drop(sending: Storm) -> None:
        await run.rules(drop_replies=0.3)
        await sending.at(1)

    try:
        return await storm(run, wishes, drop)
    finally:
        await run.rules(drop_replies=0)


async def postgres_stops(run: Run) -> Figures:
    """PostgreSQL stops at once, ten times, during payments."""
    times = run.count(10)

    async def stop(sending: Storm) -> None:
        for number in range(times):
            await sending.at((number + 0.5) / (times + 1))
            await asyncio.to_thread(run.stack.restart, "postgres", signal.SIGQUIT)

    return await storm(run, await mixed(run, run.count(500), run.count(500)), stop) | {"stops": times}


async def broker_restarts(run: Run) -> Figures:
    """Kafka is killed five times under at least 10,000 events."""
    times = max(2, run.count(5))
    before = sum((await records.ends(run.stack.kafka())).values())

    async def restart(sending: Storm) -> None:
        for number in range(times):
            await sending.at((number + 0.5) / (times + 1))
            await asyncio.to_thread(run.stack.restart, "kafka")

    figures = await storm(run, await mixed(run, run.count(2_500), run.count(200)), restart)
    return figures | {"restarts": times, "events": sum((await records.ends(run.stack.kafka())).values()) - before}


async def poisoned(run: Run) -> Figures:
    """50 poison messages of every kind among 5,000 good ones, on the commands and on the payments topic."""
    good, bad = run.count(4_000), max(6, run.count(25))
    bugs = bad // 6
    customer, *whose = await load.customers(run.client, 20)
    unsound = [await load.receipt(run.client, one, BUG_MINOR) for one in whose[:bugs]]
    wishes = [*await load.offline(run.client, run.count(1_000), whose), *unsound]
    foreign = poison.payments(bad - bugs)
    inbound = [poison.issue(customer, 100 + number) for number in range(good)]
    inbound += [poison.issue(customer, BUG_MINOR, "late") for _ in range(bugs)]
    inbound += poison.commands(bad - bugs, customer)
    run.dice.shuffle(inbound)

    async def write(sending: Storm) -> None:
        async with AIOKafkaProducer(**run.stack.kafka(), linger_ms=5) as producer:
            for one in inbound:
                await one.send(producer)
            for number, one in enumerate(foreign):
                await sending.at(number / len(foreign))
                await one.send(producer)
        await sending.at(1)
        until = await records.ends(run.stack.kafka(), (topics.INBOUND.name, topics.PAYMENT.name))
        heard = {"invoicing-inbound": topics.INBOUND.name} | dict.fromkeys(HEARERS, topics.PAYMENT.name)
        for group, topic in heard.items():
            await records.taken_up_to(run.stack, group, {p: o for p, o in until.items() if p.topic == topic})
        await _settle(run, customer, foreign, inbound, [next(iter(wish.answered)) for wish in unsound])

    bug = run.orders / "bug"
    bug.touch()
    try:
        figures = await storm(run, wishes, write)
    finally:
        bug.unlink(missing_ok=True)
    return figures | {"good": good + len(wishes) - bugs, "poison": 2 * bad, "of them bugs": 2 * bugs}


# Who hears payments: a made-up one that waits, waits in each of them.
HEARERS = tuple(one.name for one in SERVICES if one.database and topics.PAYMENT.name in one.hears)


async def _settle(
    run: Run, customer: str, foreign: list[poison.Record], inbound: list[poison.Record], late: Sequence[str] = ()
) -> None:
    """Good commands are invoices, each bad record is where it belongs; a person skips what waits.

    What a bug of its handler holds up, commands and the payments `late`, is replayed once that is mended.
    """
    fates = Counter(one.fate for one in inbound)
    held = {one.subject for one in inbound if one.fate == "late"}.union(late)
    for hearer in HEARERS:
        heard = (foreign, set[str]()) if hearer != "invoicing" else ([*foreign, *inbound], held)
        await _set_aside(run, hearer, *heard)
    connection = await asyncpg.connect(run.stack.database_url("invoicing"))
    try:
        refused = [one.id for one in inbound if one.fate == "refused"]
        found = {
            "taken": await connection.fetchval(ISSUED, customer), "refused": await connection.fetchval(TOLD, refused),
        }  # fmt: skip
        if found != (wanted := {name: fates[name] for name in found}):
            raise WrongError(f"of the commands became {found}, not {wanted}")
        if held:
            (run.orders / "bug").unlink()
            await asyncio.to_thread(run.stack.paidup, "dead-letters", "replay", "--service", "invoicing")
        await _none_parked(connection, [])
        issued = await connection.fetchval(ISSUED, customer)
        if issued != fates["taken"] + fates["late"]:
            raise WrongError(f"{issued} invoices, not {fates['taken'] + fates['late']}, once the bug was mended")
    finally:
        await connection.close()
    run.forged.update(one.subject for one in foreign if poison.FORGED[0] in one.more)


async def _set_aside(run: Run, service: str, bad: Sequence[poison.Record], held: set[str]) -> None:
    """The dead letters of a service are the bad records and those `held` by a bug. All but these are skipped."""
    fates = Counter(one.fate for one in bad)
    connection = await asyncpg.connect(run.stack.database_url(service))
    try:
        letters = await connection.fetch(
            "SELECT id, key, state FROM dead_letters WHERE state IN ('waiting', 'unreadable')"
        )
        found = {state: sum(row["state"] == state for row in letters) for state in ("waiting", "unreadable")}
        wanted = {"waiting": fates["waiting"] + len(held), "unreadable": fates["unreadable"]}
        if found != wanted:
            raise WrongError(f"{service} set aside {found}, not {wanted}")
        parked = {row["key"] for row in await connection.fetch("SELECT key FROM parked")}
        strangers = parked - held - {one.subject for one in bad if one.fate == "waiting"}
        if strangers:
            raise WrongError(f"{len(strangers)} other keys are parked in {service}, as {next(iter(strangers))}")
        await _skip(run, service, connection, [row["id"] for row in letters if row["key"] not in held])
        await _none_parked(connection, sorted(held))
        await _forget(connection, [one.subject for one in bad if one.topic == topics.PAYMENT.name])
    finally:
        await connection.close()


async def _none_parked(connection: Any, but: list[str]) -> None:
    """Return once no other key is parked."""
    async with asyncio.timeout(30):
        while await connection.fetchval("SELECT count(*) FROM parked WHERE key <> ALL($1::text[])", but):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


# Those of API calls are named otherwise.
ISSUED = "SELECT count(*) FROM invoices WHERE customer_id = $1 AND number LIKE 'IN-%'"
TOLD = "SELECT count(*) FROM seen_commands WHERE id = ANY($1::text[])"


async def _skip(run: Run, service: str, connection: Any, letters: list[int]) -> None:
    words = ("--service", service, "--reason", "poison")
    await asyncio.to_thread(run.stack.paidup, "dead-letters", "skip", *words, str(letters[0]))
    for letter in letters[1:]:
        await dead_letters.skip(connection, letter, "poison")


async def _forget(connection: Any, subjects: list[str]) -> None:
    """Made-up payments are in no book, and named as forged. In `seen` they would be named again: their places go."""
    await connection.execute("DELETE FROM seen WHERE aggregate = ANY($1::text[])", subjects)


async def thrice(run: Run) -> Figures:
    """Every event three times: while payments run, and then all again, shuffled across keys."""
    wishes = await mixed(run, run.count(500), run.count(200), mailed=True)
    echo, began = records.Echo(run.stack.kafka()), asyncio.Event()

    async def repeat(sending: Storm) -> None:
        await sending.at(1)

    async with asyncio.TaskGroup() as group:
        group.create_task(echo.run(began))
        await began.wait()
        try:
            figures = await storm(run, wishes, repeat)
        finally:
            echo.stop()
    await load.settled(run.stack, "notify", "SELECT id::text, kind FROM mails WHERE state = 'queued'", seconds=120)
    await all_taken(run)
    before = await records.state(run.stack)
    everything = await records.read_all(run.stack.kafka())
    originals = [one for one in everything if records.COPY not in dict(one.headers) and not poison.wrote(one.headers)]
    async with AIOKafkaProducer(**run.stack.kafka(), linger_ms=5) as producer:
        copies = await records.copy(producer, records.shuffled([*originals, *originals], run.dice))
    await all_taken(run)
    after = await records.state(run.stack)
    changed = [name for name, digest in after.items() if digest != before[name]]
    if changed:
        raise WrongError(f"events that came again changed {', '.join(changed)}")
    await run.money()
    return figures | {"events": len(originals), "copies": copies + echo.copies}


async def all_taken(run: Run) -> None:
    """Every consumer has taken all that its topics hold."""
    heard = {one.name: {*one.hears} - {topics.INBOUND.name} for one in SERVICES if one.database}
    heard["invoicing-inbound"] = {topics.INBOUND.name}
    until = await records.ends(run.stack.kafka(), set[str]().union(*heard.values()))
    for group, names in heard.items():
        await records.taken_up_to(run.stack, group, {p: o for p, o in until.items() if p.topic in names})


NOT_INVITED = """
SELECT w.id::text, m.state FROM unnest($1::uuid[]) AS w (id)
LEFT JOIN mails m ON m.person_id = w.id AND m.kind = 'invitation' AND m.state = 'sent' WHERE m.id IS NULL
"""


async def crash_points(run: Run) -> Figures:
    """Processes die before and after every commit, produce, provider call and offset commit, one after the other."""
    customer = (await load.customers(run.client, 1))[0]
    traffic = crashes.Traffic(run.client, run.stack, customer)
    deaths = {service: crashes.Deaths(run.orders, service) for service in crashes.POINTS}
    points = {service: crashes.around(names) for service, names in crashes.POINTS.items()}

    async def die(*services: str) -> None:
        for service in services:
            run.dice.shuffle(points[service])
            await deaths[service].at_each(points[service][: run.count(len(points[service]))])

    async def die_everywhere() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(die("auth"))
            group.create_task(die("notify"))
            group.create_task(die("invoicing", "payments"))  # a payment needs both
        traffic.stop.set()
        await run.ready()

    await run.rules(drop_replies=0.1, webhooks={"delay_ms": 2_500})
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(traffic.run())
            group.create_task(die_everywhere())
    finally:
        await run.rules(drop_replies=0, webhooks={"delay_ms": 0})
    final = await load.all_final(run.stack, traffic.wishes)
    final += await load.settled(run.stack, "payments", load.NOT_GONE, traffic.refunded)
    await all_taken(run)
    final += await load.settled(run.stack, "notify", NOT_INVITED, traffic.invited)
    await _settle(run, customer, traffic.foreign, traffic.commands)
    figures = await _holds(run, traffic.wishes) | {"all_final_s": round(final, 1)}
    await _much_later(run, deaths["payments"])
    passed = set[str]().union(*(each.passed() for each in deaths.values()))
    unknown = passed.difference(crashes.around(crashes.EVERYWHERE))
    if unknown:
        raise WrongError(f"nothing dies at {', '.join(unknown)}")
    return figures | {"deaths": sum(each.count() for each in deaths.values())}


async def _much_later(run: Run, deaths: crashes.Deaths) -> None:
    """A debit that does not clear in its window, and a call that was never answered while its key was remembered."""
    customer = (await load.customers(run.client, 1))[0]
    methods = [await load.method(run.client, customer, token) for token in (load.BANK_TOKEN, load.CARD_TOKEN)]
    debit = await load.charge(run.client, customer, methods[0], 1_000)
    never_made = await load.charge(run.client, customer, methods[1], 1_000, declined=True)
    connection = await asyncpg.connect(run.stack.database_url("payments"))
    try:
        await run.rules(bank_clear_seconds=0)
        await Storm(run.client, [debit]).send()
        provider_id = await _awaited(connection, "SELECT provider_id FROM payments WHERE id = $1", debit)
        await run.rules(dark_seconds=10)
        await Storm(run.client, [never_made]).send()
        await _awaited(connection, "SELECT true FROM attempts WHERE payment_id = $1 AND calls > 0", never_made)
        await asyncio.to_thread(run.stack.paidup, "clock", "advance", "10d")
        await deaths.at_each(crashes.around(crashes.MUCH_LATER))
        await run.control(f"payment_intents/{provider_id}/clear")
    finally:
        await connection.close()
        await run.rules(bank_clear_seconds=1)
    await run.ready()
    await _holds(run, [debit, never_made])


async def _awaited(connection: asyncpg.Connection, sql: str, wish: Wish) -> Any:
    async with asyncio.timeout(30):
        while not (found := await connection.fetchval(sql, next(iter(wish.answered)))):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    return found


SCENARIOS: dict[str, Callable[[Run], Awaitable[Figures]]] = {
    "kills": kills,
    "dropped-replies": dropped_replies,
    "postgres-stops": postgres_stops,
    "broker-restarts": broker_restarts,
    "poison": poisoned,
    "thrice": thrice,
    "crash-points": crash_points,
    "two-books": lambda run: machine.two_books(run.count(2_000)),
}
