"""The provider sandbox as a process of a test's own, on a free port, and an address that takes its webhooks."""

import asyncio
import functools
import itertools
import os
import pathlib
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiohttp
from aiohttp import web

from paidup_local.plan import is_free
from paidup_local.settings import PORTS_IN_A_BLOCK
from payments.providers import Charge, ChargeRequest, MethodDetails, ProviderEvent
from payments.providers.stripe_adapter import StripeAdapter
from tests.kit import ports

KEY, SECRET = "sk_test_sandbox", "whsec_sandbox"


@functools.cache
def _ports() -> Iterator[int]:
    """The ports of this process, round and round: none that the system hands to others by itself."""
    first = ports.free_block()
    return itertools.cycle(range(first, first + PORTS_IN_A_BLOCK))


def free_port() -> int:
    return next(port for port in _ports() if is_free(port))


class Inbox:
    """Takes webhooks. `refuse` makes it answer 500 to the next so many."""

    def __init__(self) -> None:
        self.url = ""
        self.refuse = 0
        self.calls = 0
        self.taken: list[tuple[bytes, str]] = []

    async def take(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        self.calls += 1
        if self.refuse > 0:
            self.refuse -= 1
            return web.Response(status=500)
        self.taken.append((body, request.headers["Stripe-Signature"]))
        return web.Response()

    def events(self, adapter: StripeAdapter, now: datetime | None = None) -> list[ProviderEvent]:
        """What arrived, in that order, its signatures checked."""
        return [adapter.read_webhook(body, signature, now or datetime.now(UTC)) for body, signature in self.taken]


@asynccontextmanager
async def inbox() -> AsyncIterator[Inbox]:
    box, port = Inbox(), free_port()
    runner = web.ServerRunner(web.Server(box.take))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    box.url = f"http://127.0.0.1:{port}/v1/webhooks/stripe"
    try:
        yield box
    finally:
        await runner.cleanup()


class Sandbox:
    """One sandbox over several lives: `kill` and `start` keep its port and its state."""

    def __init__(self, home: pathlib.Path, webhook_url: str | None = None, clock_file: pathlib.Path | None = None):
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = {
            **os.environ,
            "SANDBOX_PORT": str(self.port),
            "SANDBOX_HOME": str(home),
            "SANDBOX_KEY": KEY,
            "SANDBOX_WEBHOOK_URL": webhook_url or "",
            "SANDBOX_WEBHOOK_SECRET": SECRET,
            "SANDBOX_BANK_CLEAR_SECONDS": "0",
            "PAIDUP_CLOCK_FILE": str(clock_file or ""),
        }
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        self._process = self._launch()
        await until(self._ready, seconds=30)

    def _launch(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-m", "sandbox"], env=self._environment)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(10)

    def adapter(self, timeout: float = 10.0) -> StripeAdapter:
        return StripeAdapter(url=self.url, key=KEY, webhook_secret=SECRET, timeout=timeout)

    async def control(self, path: str, **body: Any) -> dict[str, Any]:
        """POST to the control API; its answer must be a success."""
        async with (
            aiohttp.ClientSession(self.url) as http,
            http.post(f"/_control/{path}", json=body, raise_for_status=True) as answer,
        ):
            return dict(await answer.json())

    async def charges(self) -> list[dict[str, Any]]:
        """All of them, over the pages."""
        found: list[dict[str, Any]] = []
        after: int | None = 0
        async with aiohttp.ClientSession(self.url) as http:
            while after is not None:
                async with http.get("/_control/charges", params={"after": after, "limit": 100}) as answer:
                    page = await answer.json()
                found += page["items"]
                after = page["next"]
        return found

    async def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the sandbox ended"
        try:
            async with aiohttp.ClientSession() as http, http.get(f"{self.url}/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False


class Payer:
    """A customer of the provider's who charges `token` again and again."""

    def __init__(self, stripe: StripeAdapter, customer: str, method: MethodDetails) -> None:
        self.stripe = stripe
        self.customer = customer
        self.method = method
        self.began = datetime.now(UTC)

    def request(self, attempt: str, amount: int = 1050, currency: str = "USD") -> ChargeRequest:
        method = self.method.provider_id
        return ChargeRequest(attempt, f"payment-of-{attempt}", self.customer, method, amount, currency)

    async def charge(self, attempt: str, amount: int = 1050) -> Charge:
        return await self.stripe.charge(self.request(attempt, amount))

    async def find(self, attempt: str) -> Charge | None:
        return await self.stripe.find_charge(self.customer, attempt, self.began)


async def payer(stripe: StripeAdapter, token: str = "pm_card_visa", customer_id: str = "customer-1") -> Payer:
    customer = await stripe.create_customer(customer_id)
    return Payer(stripe, customer, await stripe.attach_method(customer, token, f"attach-{customer_id}-{token}"))


@asynccontextmanager
async def running(
    home: pathlib.Path, webhook_url: str | None = None, clock_file: pathlib.Path | None = None
) -> AsyncIterator[Sandbox]:
    """A started sandbox whose bank debits clear only on request; it ends with the block."""
    sandbox = Sandbox(home, webhook_url, clock_file)
    await sandbox.start()
    try:
        yield sandbox
    finally:
        sandbox.kill()


async def until(holds: Callable[[], Any], seconds: float = 10.0) -> None:
    """Wait until it holds; a failure says that it did not in time."""
    async with asyncio.timeout(seconds):
        while True:
            found = holds()
            if await found if asyncio.iscoroutine(found) else found:
                return
            await asyncio.sleep(0.02)
