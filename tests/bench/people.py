"""People before a stack: what their session costs in a request, how many sign in and ask for codes a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import aiohttp

from chassis.clock import Clock
from contracts.ids import new_id
from gateway.client import Upstream
from gateway.cookies import cookies_that_count
from gateway.credentials import Credentials, credential_of
from tests.bench import meter
from tests.bench.wire import Wire
from tests.kit.client import Client
from tests.kit.mails import Catcher
from tests.kit.portal import Browser
from tests.kit.stack import LocalStack

PASSWORD = "five words that nobody guesses"
CHECKS, REQUESTS, TURNS = 20_000, 3_000, 10
ASKING, A_MACHINE = 16, 20


@dataclass
class Person:
    """A contact who chose a password, in a browser that is known."""

    email: str
    browser: Browser

    async def sign_in(self) -> None:
        asked = {"email": self.email, "password": PASSWORD}
        status, answer = await self.browser.ask("POST", "/v1/sign-in/password", asked)
        assert status == 200, answer


@asynccontextmanager
async def people(stack: LocalStack, count: int) -> AsyncIterator[list[Person]]:
    """Contacts of as many customers, each signed in by a code, with a password."""
    catcher = Catcher(stack.settings.mail_url)
    async with AsyncExitStack() as closing:
        session = await closing.enter_async_context(aiohttp.ClientSession())
        client = await closing.enter_async_context(Client(stack.url, stack.api_key))

        async def one() -> Person:
            email = f"{new_id()}@example.com"
            customer = await client.customer(email=email)
            await client.until(f"/v1/contacts?customer_id={customer}", lambda page: page["items"])
            person = Person(email, Browser(stack.url, session))
            await person.browser.sign_in(email, catcher)
            status, answer = await person.browser.ask("PUT", "/v1/password", {"password": PASSWORD})
            assert status == 204, answer
            return person

        yield [await one() for _ in range(count)]


async def check_ms(stack: LocalStack, person: Person) -> float:
    """CPU of the gateway's check of a session whose pass it holds: cookies, foreign page, credential, pass."""
    auth = Upstream(f"http://127.0.0.1:{stack.settings.port_of('auth')}")
    clock = Clock("America/New_York", stack.settings.clock_file)
    credentials = Credentials(auth, stack.settings.secret("internal"), clock)
    cookie = "; ".join(f"{name}={value}" for name, value in person.browser.cookies.items())
    headers = [
        (b"host", b"pay.example"), (b"cookie", cookie.encode()), (b"paidup-csrf", b"1"),
        (b"origin", b"https://pay.example"), (b"sec-fetch-site", b"same-origin"),
    ]  # fmt: skip

    async def check() -> None:
        credential = credential_of(headers, cookies_that_count("POST", headers))
        await credentials.admit(credential, "invoicing")

    await check()
    began = time.process_time()
    for _ in range(CHECKS):
        await check()
    spent = time.process_time() - began
    auth.close()
    return round(spent * 1000 / CHECKS, 4)


async def gateway_ms(stack: LocalStack, person: Person) -> dict[str, float]:
    """CPU of the gateway for a whole request, by a key and by a session, in turns so that both meet the same load."""
    cookie = "; ".join(f"{name}={value}" for name, value in person.browser.cookies.items())
    spent = {"key": 0.0, "session": 0.0}
    async with Wire(stack.url, stack.api_key) as key, Wire(stack.url, proof=f"Cookie: {cookie}") as session:
        for turn in range(2 * TURNS):
            name, wire = ("session", session) if turn % 2 else ("key", key)
            before = meter.read(stack)
            for _ in range(REQUESTS // TURNS):
                await wire.get("/v1/invoices?limit=1")
            spent[name] += meter.read(stack).since(before).stack["gateway"]
    return {name: round(seconds * 1000 / REQUESTS, 3) for name, seconds in spent.items()}


async def code_requests(stack: LocalStack, seconds: float) -> float:
    """Codes asked for a second, for addresses of nobody; each machine asks a few times, more is refused."""
    done, began = 0, time.monotonic()
    machines = (f"127.3.{number // 250}.{number % 250 + 1}" for number in range(50_000))

    async def again() -> None:
        nonlocal done
        while time.monotonic() - began < seconds:
            async with Client(stack.url, None, next(machines)) as stranger:
                for _ in range(A_MACHINE):
                    await stranger.make("/v1/sign-in/codes", {"email": f"{new_id()}@example.com"})
                    done += 1

    await asyncio.gather(*(again() for _ in range(ASKING)))
    return round(done / (time.monotonic() - began), 1)


async def sign_ins(people: list[Person], seconds: float) -> float:
    """Sign-ins by password a second, by everybody at once."""
    done, began = 0, time.monotonic()

    async def again(person: Person) -> None:
        nonlocal done
        while time.monotonic() - began < seconds:
            await person.sign_in()
            done += 1

    await asyncio.gather(*map(again, people))
    return round(done / (time.monotonic() - began), 1)
