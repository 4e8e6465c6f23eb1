"""The scenarios of `make faults`: what each breaks while payments are under way, and what has to hold afterwards."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import asyncpg
from aiokafka import AIOKafkaProducer

from chassis.messaging import dead_letters
from contracts import topics
from tests.faults import load, poison, records
from tests.faults.load import Storm, Wish, WrongError
from tests.kit.client import Client
from tests.kit.stack import LocalStack

Figures = dict[str, Any]


@dataclass
class Run:
    """What a scenario is given. `dice` is seeded: what is random repeats."""

    stack: LocalStack
    client: Client
    scale: float
    dice: random.Random

    def count(self, full: int) -> int:
        return max(1, round(full * self.scale))

    async def money(self) -> None:
        """WrongError unless `paidup check-money` finds nothing."""
        found = await asyncio.to_thread(self.stack.paidup_json, "check-money", check=False)
        if not found["ok"]:
            raise WrongError(f"check-money: {found['count']} violations, as {found['violations'][:3]}")

    async def ready(self) -> None:
        await asyncio.to_thread(self.stack.wait_ready, seconds=90)

    async def rules(self, **changed: Any) -> None:
        base = f"http://127.0.0.1:{self.stack.settings.port_of('sandbox')}/_control/rules"
        async with aiohttp.ClientSession() as session, session.post(base, json=changed) as answer:
            answer.raise_for_status()


async def storm(run: Run, wishes: list[Wish], break_it: Callable[[Storm], Awaitable[Any]]) -> Figures:
    """Send all while something breaks them; then every promise about payments is looked at."""
    run.dice.shuffle(wishes)
    sending = Storm(run.client, wishes)
    async with asyncio.TaskGroup() as group:
        group.create_task(sending.send())
        group.create_task(_broken(run, sending, break_it))
    retried = sending.retried
    final = await load.all_final(run.stack, wishes)
    await load.none_doubled(run.stack, run.client, wishes)
    await run.money()
    return {"accepted": len(wishes), "final": len(wishes), "retried": retried, "all_final_s": round(final, 1)}


async def _broken(run: Run, sending: Storm, break_it: Callable[[Storm], Awaitable[Any]]) -> None:
    await break_it(sending)
    await run.ready()


async def mixed(run: Run, offline: int, cards: int) -> list[Wish]:
    whose = await load.customers(run.client, 20)
    return await load.offline(run.client, offline, whose) + await load.cards(run.client, cards, whose)


async def kills(run: Run) -> Figures:
    """kill -9 of random service processes, 20 times, while 2,000 payments are under way."""
    times = run.count(20)
    names = await asyncio.to_thread(run.stack.names)
    services = [name for name in names if name.split("-")[0] in ("auth", "invoicing", "payments", "gateway")]

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
    before = sum((await records.ends(run.stack.kafka)).values())

    async def restart(sending: Storm) -> None:
        for number in range(times):
            await sending.at((number + 0.5) / (times + 1))
            await asyncio.to_thread(run.stack.restart, "kafka")

    figures = await storm(run, await mixed(run, run.count(2_500), run.count(200)), restart)
    return figures | {"restarts": times, "events": sum((await records.ends(run.stack.kafka)).values()) - before}


async def poisoned(run: Run) -> Figures:
    """50 poison messages among 5,000 good ones, on the commands and on the payments topic."""
    good, bad = run.count(4_000), max(2, run.count(25) // 5) * 5
    customer = (await load.customers(run.client, 1))[0]
    wishes = await load.offline(run.client, run.count(1_000), await load.customers(run.client, 20))
    foreign = poison.payments(bad)
    commands = [poison.issue(customer, number) for number in range(good)]
    inbound = [*commands, *poison.commands(bad, customer)]
    run.dice.shuffle(inbound)

    async def write(sending: Storm) -> None:
        async with AIOKafkaProducer(bootstrap_servers=run.stack.kafka, linger_ms=5) as producer:
            for one in inbound:
                await one.send(producer)
            for number, one in enumerate(foreign):
                await sending.at(number / len(foreign))
                await one.send(producer)
        until = await records.ends(run.stack.kafka, (topics.INBOUND.name, topics.PAYMENT.name))
        for group, topic in (("invoicing-inbound", topics.INBOUND.name), ("invoicing", topics.PAYMENT.name)):
            await records.taken_up_to(run.stack, group, {p: o for p, o in until.items() if p.topic == topic})
        await _settle(run, customer, len(commands), foreign, inbound)

    figures = await storm(run, wishes, write)
    return figures | {"good": good + len(wishes), "poison": 2 * bad, "issued": good}


async def _settle(
    run: Run, customer: str, good: int, foreign: list[poison.Record], inbound: list[poison.Record]
) -> None:
    """All good commands are invoices, each bad record is where it belongs; a person skips what waits."""
    connection = await asyncpg.connect(run.stack.database_url("invoicing"))
    try:
        issued = await connection.fetchval("SELECT count(*) FROM invoices WHERE customer_id = $1", customer)
        refused = await connection.fetchval(
            "SELECT count(*) FROM seen_commands WHERE id = ANY($1::text[])",
            [one.id for one in inbound if one.fate == "refused"],
        )
        letters = await connection.fetch(
            "SELECT id, key, state FROM dead_letters WHERE state IN ('waiting', 'unreadable')"
        )
        parked = {row["key"] for row in await connection.fetch("SELECT key FROM parked")}
        wanted = {
            fate: sum(one.fate == fate for one in [*foreign, *inbound]) for fate in ("waiting", "unreadable", "refused")
        }
        found = {
            "refused": refused,
            **{s: sum(row["state"] == s for row in letters) for s in ("waiting", "unreadable")},
        }
        if issued != good or found != wanted:
            raise WrongError(f"{issued} of {good} commands issued; set aside {found}, not {wanted}")
        strangers = parked - {one.subject for one in foreign if one.fate == "waiting"}
        if strangers:
            raise WrongError(f"{len(strangers)} other keys are parked, as {next(iter(strangers))}")
        await _skip(run, connection, [row["id"] for row in letters])
        await _forget(connection, [one.subject for one in foreign])
    finally:
        await connection.close()


async def _skip(run: Run, connection: Any, letters: list[int]) -> None:
    words = ("--service", "invoicing", "--reason", "poison")
    await asyncio.to_thread(run.stack.paidup, "dead-letters", "skip", *words, str(letters[0]))
    for letter in letters[1:]:
        if not await dead_letters.skip(connection, letter, "poison"):
            raise WrongError(f"dead letter {letter} can't be skipped")
    async with asyncio.timeout(30):
        while await connection.fetchval("SELECT count(*) FROM parked"):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def _forget(connection: Any, subjects: list[str]) -> None:
    """Made-up payments are in no book, so check-money would rightly miss them: their places in `seen` go."""
    await connection.execute("DELETE FROM seen WHERE aggregate = ANY($1::text[])", subjects)


async def thrice(run: Run) -> Figures:
    """Every event three times: while payments run, and then all again, shuffled across keys."""
    wishes = await mixed(run, run.count(500), run.count(200))
    echo, began = records.Echo(run.stack.kafka), asyncio.Event()

    async def repeat(sending: Storm) -> None:
        await sending.at(1)

    async with asyncio.TaskGroup() as group:
        group.create_task(echo.run(began))
        await began.wait()
        try:
            figures = await storm(run, wishes, repeat)
        finally:
            echo.stop()
    before = await records.state(run.stack)
    everything = await records.read_all(run.stack.kafka)
    originals = [one for one in everything if records.COPY not in dict(one.headers) and not poison.wrote(one.headers)]
    async with AIOKafkaProducer(bootstrap_servers=run.stack.kafka, linger_ms=5) as producer:
        copies = await records.copy(producer, records.shuffled([*originals, *originals], run.dice))
    await _all_taken(run)
    after = await records.state(run.stack)
    changed = [name for name, digest in after.items() if digest != before[name]]
    if changed:
        raise WrongError(f"events that came again changed {', '.join(changed)}")
    await run.money()
    return figures | {"events": len(originals), "copies": copies + echo.copies}


async def _all_taken(run: Run) -> None:
    until = await records.ends(run.stack.kafka)
    heard = {
        "invoicing": (topics.PAYMENT.name,),
        "invoicing-inbound": (topics.INBOUND.name,),
        "payments": (topics.INVOICE.name, topics.RESERVATION.name, topics.SETTLEMENT.name),
    }
    for group, names in heard.items():
        await records.taken_up_to(run.stack, group, {p: o for p, o in until.items() if p.topic in names})


SCENARIOS: dict[str, Callable[[Run], Awaitable[Figures]]] = {
    "kills": kills,
    "dropped-replies": dropped_replies,
    "postgres-stops": postgres_stops,
    "broker-restarts": broker_restarts,
    "poison": poisoned,
    "thrice": thrice,
}
