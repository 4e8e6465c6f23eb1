"""People before auth itself, without a gateway: browsers with cookies, and the mails that they would get."""

from __future__ import annotations

import asyncio
import contextlib
import json
import pathlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx2
from joserfc import jwe
from joserfc.jwk import OKPKey

from auth.__main__ import own_of, service
from auth.hashes import sha256
from auth.own import Own
from auth.people import store as people
from auth.people.domain import Person
from auth.settings import Settings
from auth.signin.jobs import QUEUES
from chassis.clock import Clock
from chassis.db.pool import open_pool
from chassis.http.identity import Identity, TokenSigner
from chassis.messaging.work import Units, Wake
from chassis.running import Running
from chassis.tasks.worker import Worker
from contracts.auth import BROWSER_COOKIE, SESSION_COOKIE
from contracts.ids import new_id
from tests.kit.postgres import Database
from tests.kit.serving import serving, write_keys

SECRET = "between gateway and auth"
SESSION, BROWSER = SESSION_COOKIE, BROWSER_COOKIE


def auth_settings(folder: pathlib.Path, database: Database, **more: Any) -> Settings:
    private, public = write_keys(folder)
    _, notify = write_keys(folder, curve="X25519")
    return Settings(
        private_key=private, public_keys=public, notify_keys=notify, pepper="a pepper for tests only",
        internal_secret=SECRET, clock_file=folder / "clock", public_url="http://portal.test",
        owner_url=database.owner_url, api_url=database.api_url, work_url=database.work_url, **more,
    )  # fmt: skip


def opened(folder: pathlib.Path, sealed: str) -> dict[str, str]:
    """What is sealed to notify."""
    key = OKPKey.import_key(json.loads((folder / "notify-private.json").read_text()))
    found: dict[str, str] = json.loads(jwe.decrypt_compact(sealed, key).plaintext or b"")
    return found


@dataclass
class Auth:
    """A running auth: HTTP in this process, and the workers of its tasks."""

    url: str
    settings: Settings
    database: Database
    folder: pathlib.Path
    running: Running[Own]
    customer: str = field(default_factory=new_id)

    def program(self, *scopes: str, customer_id: str | None = None) -> httpx2.AsyncClient:
        """A client with a token of a system."""
        who = Identity("program", "system", frozenset(scopes or ("*",)), customer_id)
        token, _ = TokenSigner(self.settings.private_key).sign(who, "auth")
        return httpx2.AsyncClient(base_url=self.url, headers={"Authorization": f"Bearer {token}"})

    def browser(self, address: str = "192.0.2.1") -> Browser:
        return Browser(self, address)

    async def customer_named(self, name: str) -> str:
        """A customer as invoicing's events made it known."""
        customer = new_id()
        async with self.running.units.begin() as work:
            await people.keep_customers(work, {customer: name})
        return customer

    async def contact(self, email: str, customer: str | None = None, **more: Any) -> str:
        """An enabled contact; gives its id."""
        customer = customer or await self.customer_named("ACME")
        async with self.program() as program:
            answer = await program.post("/v1/contacts", json={"customer_id": customer, "email": email, **more})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def mails(self, person_id: str) -> list[dict[str, Any]]:
        """What the person is to be mailed, the newest first, unsealed."""
        connection = await asyncpg.connect(self.database.owner_url)
        try:
            rows = await connection.fetch(
                "SELECT type, payload FROM outbox WHERE aggregate = $1 AND topic = 'auth.notice.v1' ORDER BY id DESC",
                person_id,
            )
        finally:
            await connection.close()
        bodies = [(row["type"], json.loads(row["payload"])) for row in rows]
        return [{"type": kind, **body, **opened(self.folder, body["sealed"])} for kind, body in bodies]

    async def mail(self, person_id: str, kind: str, number: int = 1) -> dict[str, Any]:
        """The newest mail of a kind, once there are so many."""
        async with asyncio.timeout(10):
            while True:
                found = [one for one in await self.mails(person_id) if one["type"] == kind]
                if len(found) >= number:
                    return found[0]
                await asyncio.sleep(0.01)

    async def idle(self) -> None:
        """Until every task is done."""
        async with asyncio.timeout(10):
            while await self.running.pool.fetchval("SELECT count(*) FROM tasks"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    @contextlib.contextmanager
    def later(self, seconds: float) -> Any:
        """Business time, so many seconds from now."""
        assert self.settings.clock_file
        self.settings.clock_file.write_text(str(seconds))
        try:
            yield
        finally:
            self.settings.clock_file.unlink()


@dataclass
class Browser:
    """Keeps its cookies, and asks as the gateway would for it."""

    auth: Auth
    address: str
    cookies: dict[str, str] = field(default_factory=dict)

    async def ask(self, method: str, path: str, body: Any = None, *, visit: str | None = None) -> httpx2.Response:
        headers = {"paidup-client-address": self.address, "user-agent": "Mozilla/5.0 (X11; Linux) Firefox/140.0"}
        if BROWSER in self.cookies:
            headers["paidup-browser"] = self.cookies[BROWSER]
        async with httpx2.AsyncClient(base_url=self.auth.url) as client:
            if SESSION in self.cookies:
                token = await self.exchange("auth")
                if token.status_code != 200:
                    return token
                headers["authorization"] = f"Bearer {token.json()['token']}"
            answer = await client.request(method, path, json=body, headers=headers)
        for cookie in answer.headers.get_list("set-cookie"):
            name, _, rest = cookie.partition("=")
            value = rest.partition(";")[0].strip('"')
            self.cookies[name] = value
            if not value:
                del self.cookies[name]
        return answer

    async def exchange(self, audience: str = "invoicing") -> httpx2.Response:
        """Auth's answer about the session's cookie."""
        question = {"kind": "session", "digest": sha256(self.cookies[SESSION]).hex(), "audience": audience}
        async with httpx2.AsyncClient(base_url=self.auth.url, headers={"Paidup-Internal": SECRET}) as gateway:
            return await gateway.post("/internal/token", json=question)

    async def sign_in(self, email: str, person_id: str) -> dict[str, Any]:
        """By a code: the session as its browser sees it."""
        before = len([one for one in await self.auth.mails(person_id) if one["type"] == "SignInCodeMade"])
        assert (await self.ask("POST", "/v1/sign-in/codes", {"email": email})).status_code == 202
        mail = await self.auth.mail(person_id, "SignInCodeMade", before + 1)
        answer = await self.ask("POST", "/v1/sign-in/codes/verify", {"code": mail["code"]})
        assert answer.status_code == 200, answer.text
        view: dict[str, Any] = answer.json()
        return view


@contextlib.asynccontextmanager
async def running_auth(folder: pathlib.Path, database: Database, **more: Any) -> AsyncIterator[Auth]:
    """Auth until the block ends. Its events stay in the outbox: no Kafka is needed."""
    settings = auth_settings(folder, database, **more)
    pool, clock, own = (
        await open_pool(settings.work_url, size=4, application="test"),
        Clock("UTC", settings.clock_file),
        own_of(settings),
    )
    running: Running[Own] = Running(settings, clock, pool, Units(pool, clock, Wake(), own), own)
    workers = [asyncio.create_task(Worker(queue, running).run()) for queue in QUEUES.by_name.values()]

    async def nudge() -> None:
        while True:  # without Kafka's listener nobody hears the NOTIFY of requests
            for event in running.units.woken.values():
                event.set()
            await asyncio.sleep(0.03)

    workers.append(asyncio.create_task(nudge()))
    try:
        async with serving(service.app(settings, work=False)) as url:
            yield Auth(url, settings, database, folder, running)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.wait(workers)
        await pool.close()
        own.hasher.close()


async def staff(auth: Auth, email: str, role: str = "administrator") -> str:
    """One of the company's people; gives the id."""
    async with auth.program() as program:
        answer = await program.post("/v1/staff", json={"email": email, "role": role})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def person_of(auth: Auth, person_id: str) -> Person:
    found = await people.load_person(auth.running.pool, person_id)
    assert found is not None
    return found
