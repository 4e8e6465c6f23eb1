"""Scenarios of `make faults`: what a full disk, a log that fails, poison, and those who send too much, do to others."""

import asyncio
import contextlib
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any

import aiohttp

from contracts.ids import new_id
from gateway.ring import STREAMED
from tests.faults.load import Storm, WrongError
from tests.faults.scenarios import Figures, Run, mixed, storm
from tests.kit.client import Client
from tests.kit.poison import NotUtf8, poison_producer
from tests.kit.stack import local_stack

P99_MS = 250
LOGS_BYTES, HOME_BYTES = 4_000_000, 1_500_000_000
BACK_SECONDS = 10.0


class CannotBeHadError(WrongError):
    """This machine lacks what the scenario needs; it is passed over."""


@contextlib.contextmanager
def small_disk(folder: pathlib.Path, size: int) -> Iterator[None]:
    """A file system of its own, which can be filled without harm to others; only root of Linux may make one."""
    folder.mkdir(parents=True, exist_ok=True)
    if sys.platform != "linux" or os.geteuid() != 0:
        raise CannotBeHadError("passed over: a small disk needs root on Linux")
    options = f"size={size},mode=0755"
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, check=False)
    if made.returncode:
        raise CannotBeHadError("passed over: this machine does not let root mount a tmpfs")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: pathlib.Path) -> pathlib.Path:
    """Take what space there is; unlink the file to give it back."""
    path = folder / "filler"
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while file.write(b"\0" * 65_536):
            pass
    return path


@contextlib.asynccontextmanager
async def on_small_disk(run: Run, part: str, size: int) -> AsyncIterator[tuple[Run, pathlib.Path]]:
    """The scenario's run on a stack of its own, of which this part (a folder of its home) is on a small disk."""
    with contextlib.ExitStack() as stack:
        places: list[pathlib.Path] = []

        def mount(home: pathlib.Path) -> None:
            places.append(home / part)
            stack.enter_context(small_disk(home / part, size))

        local = await asyncio.to_thread(stack.enter_context, local_stack(prepare=mount))
        async with Client(local.url, local.api_key) as client:
            yield replace(run, stack=local, client=client), places[0]


async def logs_full(run: Run) -> Figures:
    """The logs' disk is full while PostgreSQL stops, and a service is killed, during payments."""
    async with on_small_disk(run, "logs", LOGS_BYTES) as (own, folder):
        stops = max(1, run.count(4))

        async def fill_and_stop(sending: Storm) -> None:
            filler = await asyncio.to_thread(fill, folder)
            for number in range(stops):
                await sending.at((number + 0.5) / (stops + 1))
                await asyncio.to_thread(own.stack.restart, "postgres", signal.SIGQUIT)
            await asyncio.to_thread(own.stack.restart, "invoicing")
            await sending.at(1)
            filler.unlink()

        return await storm(own, await mixed(own, run.count(400), run.count(100)), fill_and_stop) | {"stops": stops}


async def log_raises(run: Run) -> Figures:
    """Every line of every log raises while PostgreSQL stops during payments."""
    broken, stops = run.orders / "log", max(1, run.count(4))

    async def stop(sending: Storm) -> None:
        for number in range(stops):
            await sending.at((number + 0.5) / (stops + 1))
            await asyncio.to_thread(run.stack.restart, "postgres", signal.SIGQUIT)

    broken.touch()
    try:
        return await storm(run, await mixed(run, run.count(400), run.count(100)), stop) | {"stops": stops}
    finally:
        broken.unlink()


async def data_full(run: Run) -> Figures:
    """The disk of PostgreSQL and Kafka is full during payments; within ten seconds of there being space all is well."""
    async with on_small_disk(run, "", HOME_BYTES) as (own, folder):
        wishes = await mixed(own, run.count(400), run.count(100))
        answers = Counter[str]()
        back = 0.0

        async def fill_it(sending: Storm) -> None:
            nonlocal back
            await sending.at(0.3)
            filler = await asyncio.to_thread(fill, folder)
            await _while_full(own, answers)
            filler.unlink()
            back = await _back_after(own)
            await sending.at(1)

        figures = await storm(own, wishes, fill_it)
        if strange := [answer for answer in answers if not answer.startswith(("2", "503 application/problem+json"))]:
            raise WrongError(f"while the disk was full some were answered {strange}")
        if back > BACK_SECONDS:
            raise WrongError(f"{back:.1f} s after there was space an invoice could not be made yet")
        return figures | {"back_s": round(back, 1), "answers": dict(answers)}


async def _while_full(run: Run, answers: Counter[str], seconds: float = 15) -> None:
    async with _session(run.stack.api_key) as session:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            body = {"external_id": f"full-{new_id()}", "name": "Acme"}
            async with session.post(f"{run.stack.url}/v1/customers", json=body) as answer:
                answers[f"{answer.status} {answer.content_type}"] += 1
            await asyncio.sleep(0.2)


async def _back_after(run: Run) -> float:
    """Seconds until an invoice is made, and told: payments has heard of it."""
    began = time.monotonic()
    async with _session(run.stack.api_key) as session:
        while time.monotonic() < began + 60:
            with contextlib.suppress(aiohttp.ClientError):
                body = {"external_id": f"back-{new_id()}", "name": "Acme"}
                async with session.post(f"{run.stack.url}/v1/customers", json=body) as answer:
                    seen = answer.headers.get("Paidup-Seen", "")
                    made = answer.status == 201
                if made:
                    async with session.get(f"{run.stack.url}/v1/payments", headers={"Paidup-Seen": seen}) as answer:
                        if answer.status == 200:
                            return time.monotonic() - began
            await asyncio.sleep(0.1)
    raise WrongError("a minute after there was space nothing is told yet")


def _session(key: str) -> aiohttp.ClientSession:
    headers = {"Authorization": f"Bearer {key}"}
    return aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0))


async def beside_honest(run: Run, attack: Callable[[str], Awaitable[Any]], seconds: float) -> Figures:
    """An honest caller looks at invoices and makes customers while a customer's key attacks."""
    customer = await run.client.customer()
    body = {"name": "attacker", "scopes": ["*"], "customer_id": customer}
    key = (await run.client.make("/v1/api-keys", body))["key"]
    attacking = asyncio.create_task(attack(key))
    took: list[float] = []
    answers = Counter[int]()
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            began = time.monotonic()
            path, told = (
                ("/v1/customers", {"external_id": new_id(), "name": "B"}) if len(took) % 2 else ("/v1/payments", None)
            )
            status, _ = await run.client.ask("POST" if told else "GET", path, told)
            took.append(1000 * (time.monotonic() - began))
            answers[status] += 1
            await asyncio.sleep(0.02)
    finally:
        attacking.cancel()
        await asyncio.wait([attacking])
    p99 = statistics.quantiles(took, n=100)[98]
    if set(answers) - {200, 201}:
        raise WrongError(f"an honest caller was answered {dict(answers)}")
    if p99 > P99_MS:
        raise WrongError(f"an honest caller's p99 was {p99:.0f} ms")
    return {"asked": len(took), "p99_ms": round(p99)}


async def slow_bodies(run: Run) -> Figures:
    """800 bodies and 20 uploads that stall: they end by themselves, and others do not notice."""
    count = run.count(800)
    ended = Counter[int]()

    async def attack(key: str) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(_stall(run, key, "/v1/quotes", 1_000_000, 500_000, ended))
                if number < count // 40:
                    group.create_task(_stall(run, key, "/v1/bank-statements", 100_000_000, 500_000, ended))

    figures = await beside_honest(run, attack, 40)
    left = count + count // 40 - ended.total()
    if left:
        raise WrongError(f"{left} bodies that stall are still waited for after 40 s")
    return figures | {"stalled": ended.total(), "answers": dict(ended)}


async def _stall(run: Run, key: str, path: str, length: int, sent: int, ended: Counter[int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", run.stack.settings.port)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: {length}\r\n"
    try:
        with contextlib.suppress(ConnectionError):
            writer.write(f"{head}Content-Type: application/json\r\n\r\n".encode() + b" " * sent)
            await writer.drain()
            line = await reader.readline()
            ended[int(line.split()[1]) if line else 0] += 1
            return
        ended[0] += 1
    finally:
        writer.close()


async def seen_never(run: Run) -> Figures:
    """A customer's key asks 95 times a second for what never comes."""

    async def attack(key: str) -> None:
        async with _session(key) as session, asyncio.TaskGroup() as group:
            for _ in range(95 * 20):
                group.create_task(_ask(session, f"{run.stack.url}/v1/payments", f"{new_id()}:1"))
                await asyncio.sleep(1 / 95)

    return await beside_honest(run, attack, 15)


async def _ask(session: aiohttp.ClientSession, url: str, seen: str) -> None:
    async with session.get(url, headers={"Paidup-Seen": seen}) as answer:
        await answer.read()


async def poison_everywhere(run: Run) -> Figures:
    """Poison on every topic that the gateway tails: its stream goes on, and check-money too."""
    sound = [("ce_id", b"1"), ("ce_type", b"Nothing"), ("ce_subject", b"poison"), ("sequence", b"1")]
    kinds: list[list[tuple[str, Any]]] = [
        [], sound[:2], [*sound, (NotUtf8("x"), b"1")], [*sound, ("customer", b"\xff")], [("ce_type", None)],
    ]  # fmt: skip
    heard = asyncio.create_task(_heard(run, subject := await run.client.customer()))
    async with poison_producer(run.stack.kafka()) as producer:
        for topic in (*STREAMED, "auth.key.v1"):
            for number in range(60):
                await producer.send(topic, b"", b"\xff" if number % 2 else None, number % 12, headers=kinds[number % 5])

    async def nothing(_: str) -> None: ...

    figures = await beside_honest(run, nothing, 5)
    while not heard.done():
        await run.client.invoice(subject)
        await asyncio.wait([heard], timeout=0.5)
    return figures | {"poison": 60 * (len(STREAMED) + 1), "heard": heard.result(), "check_money_s": await run.money()}


async def _heard(run: Run, customer: str) -> int:
    """Events of a customer's invoices that the stream gives, until there are three."""
    count = 0
    async with (
        asyncio.timeout(60),
        _session(run.stack.api_key) as session,
        session.get(f"{run.stack.url}/v1/events/stream") as answer,
    ):
        async for line in answer.content:
            count += line.startswith(b"data: ") and customer.encode() in line
            if count == 3:
                return count
    raise WrongError("the event stream ended")


async def _paying_p99(run: Run, count: int) -> float:
    """The p99 of answers to payments, in ms, one after another with pauses."""
    customer = await run.client.customer()
    invoices = [await run.client.invoice(customer) for _ in range(count)]
    took = []
    for invoice in invoices:
        began = time.monotonic()
        await run.client.receive(customer, 10_000, invoice)
        took.append(1000 * (time.monotonic() - began))
        await asyncio.sleep(0.01)
    return statistics.quantiles(took, n=100)[98]


async def _guess(session: aiohttp.ClientSession, url: str, answers: Counter[int]) -> None:
    """Try passwords of one address that has none, until cancelled."""
    body = {"email": f"{new_id()}@example.com", "password": "correct horse battery staple"}
    while True:
        async with session.post(f"{url}/v1/sign-in/password", json=body) as answer:
            await answer.read()
            answers[answer.status] += 1
        if answer.status in (429, 503):
            await asyncio.sleep(0.1)


async def passwords(run: Run) -> Figures:
    """Sixty machines try passwords at once: payments are answered at most twice as slowly."""
    count = run.count(600)
    calm = await _paying_p99(run, count)
    answers = Counter[int]()
    async with contextlib.AsyncExitStack() as stack:
        guessing = []
        for number in range(60):
            connector = aiohttp.TCPConnector(local_addr=(f"127.1.{number}.{os.getpid() % 250 + 1}", 0))
            session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
            guessing.append(asyncio.create_task(_guess(session, run.stack.url, answers)))
        try:
            flooded = await _paying_p99(run, count)
        finally:
            for one in guessing:
                one.cancel()
            await asyncio.wait(guessing)
    figures = {"calm_p99_ms": round(calm, 1), "flooded_p99_ms": round(flooded, 1), "answers": dict(answers)}
    if flooded > 2 * calm:
        raise WrongError(f"payments became more than twice as slow: {figures}")
    return figures


def passing_over(scenario: Callable[[Run], Awaitable[Figures]]) -> Callable[[Run], Awaitable[Figures]]:
    """Says what this machine lacks instead of failing."""

    async def attempt(run: Run) -> Figures:
        try:
            return await scenario(run)
        except CannotBeHadError as lacks:
            return {"passed over": str(lacks)}

    return attempt


SCENARIOS: dict[str, Callable[[Run], Awaitable[Figures]]] = {
    "logs-full": passing_over(logs_full),
    "data-full": passing_over(data_full),
    "log-raises": log_raises,
    "slow-bodies": slow_bodies,
    "passwords": passwords,
    "seen-never": seen_never,
    "poison-all": poison_everywhere,
}
