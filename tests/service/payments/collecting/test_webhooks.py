"""The webhook route on its real database: what is not the provider's word changes nothing, what is counts once."""

import asyncio
import hashlib
import hmac
import itertools
import json
import pathlib
import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from fastapi import FastAPI

from chassis.clock import Clock
from chassis.db.pool import open_pool
from chassis.messaging.work import Units, Wake
from contracts.ids import new_id
from payments.__main__ import service
from payments.collecting.domain.payments import Payment, reserve
from payments.collecting.store.payments import save_steps
from payments.providers import Charge, TakenBack
from payments.settings import Settings
from tests.kit import paying
from tests.kit.postgres import Database, drop_database, fresh_database
from tests.kit.serving import serving, write_keys

SECRET, NOW = "whsec_test", datetime(2026, 3, 1, 12, tzinfo=UTC)
STAMP = int(NOW.timestamp())
FORGED = 10_000
AT_ONCE = 32
REFUNDED, DISPUTED = 200, 300
Json = dict[str, Any]


class Still(Clock):
    """Time stands still: a signature is exactly as old as the test says."""

    def now(self) -> datetime:
        return NOW


@dataclass(frozen=True)
class Told:
    """A webhook: its body and its signature."""

    body: bytes
    signature: str | None


@dataclass
class Route:
    """The running route; `record` is what the provider says when it is asked."""

    url: str
    units: Units
    record: dict[str, Charge]

    async def send(self, told: Sequence[Told]) -> list[int]:
        """The statuses, many at once."""
        waiting = iter(list(enumerate(told)))
        statuses: dict[int, int] = {}

        async def client(http: aiohttp.ClientSession) -> None:
            for place, one in waiting:
                headers = {} if one.signature is None else {"Stripe-Signature": one.signature}
                async with http.post("/v1/webhooks/stripe", data=one.body, headers=headers) as answer:
                    statuses[place] = answer.status

        async with aiohttp.ClientSession(self.url) as http:
            await asyncio.gather(*(client(http) for _ in range(AT_ONCE)))
        return [statuses[place] for place in range(len(told))]

    async def state(self) -> list[Any]:
        """All that webhooks could change, with the number of events that went out."""
        sql = """SELECT (SELECT count(*) FROM provider_events), (SELECT count(*) FROM outbox),
            (SELECT count(*) FROM ledger_entries),
            (SELECT md5(string_agg(p::text, '|' ORDER BY p.id)) FROM payments p)"""
        return list(await self.units.pool.fetchrow(sql))


@pytest.fixture(scope="module")
async def database() -> AsyncIterator[Database]:
    made = await fresh_database("payments")
    yield made
    await drop_database(made)


@pytest.fixture(scope="module")
async def route(database: Database, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Route]:
    private, public = write_keys(tmp_path_factory.mktemp("payments"))
    settings = Settings.model_validate({
        "public_keys": public, "owner_url": database.owner_url, "api_url": database.api_url,
        "work_url": database.work_url, "webhook_secret": SECRET, "provider_url": "http://127.0.0.1:9",
        "clock_file": pathlib.Path(private.parent, "clock"),
    })  # fmt: skip
    app: FastAPI = service.app(settings, work=False)
    pool = await open_pool(database.work_url, size=2, application="test")
    async with serving(app) as url:
        running, record = app.state.running, dict[str, Charge]()
        running.clock = running.units.clock = Still("UTC")

        async def get_charge(provider_id: str) -> Charge:
            return record[provider_id]

        running.own.provider.get_charge = get_charge
        yield Route(url, Units(pool, Still("UTC"), Wake()), record)
    await pool.close()


async def charged(units: Units) -> tuple[Payment, str]:
    """A payment whose call to the provider has no reply yet, and the id of its attempt."""
    payment, _ = await paying.submitted(units, f"pm_{new_id()}")
    step, attempt = reserve(payment, "pm_1", "cus_1", NOW)
    async with units.begin() as work:
        await save_steps(work, [step], attempts=[attempt])
    return step.payment, attempt.id


def signed(body: bytes, stamp: int = STAMP, secret: str = SECRET) -> str:
    mac = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={mac}"


def event(kind: str, subject: Any) -> bytes:
    told = {"id": f"evt_{new_id()}", "object": "event", "type": kind, "created": STAMP, "data": {"object": subject}}
    return json.dumps(told).encode()


def intent(provider_id: str, attempt: str, status: str = "succeeded") -> Json:
    return {
        "id": provider_id, "object": "payment_intent", "amount": 1_030, "currency": "usd", "status": status,
        "amount_received": 1_030 if status == "succeeded" else 0, "metadata": {"attempt_id": attempt},
    }  # fmt: skip


def told(kind: str, subject: Json) -> Told:
    body = event(kind, subject)
    return Told(body, signed(body))


# Each takes a good webhook and makes one that is not the provider's word.


def _of_another_secret(body: bytes, dice: random.Random) -> Told:
    return Told(body, signed(body, secret=f"whsec_{dice.random()}"))


def _unsigned(body: bytes, dice: random.Random) -> Told:
    return Told(body, dice.choice((None, "", "nonsense", f"t={STAMP}", "t=,v1=", f"v1={'0' * 64}")))


def _body_changed(body: bytes, dice: random.Random) -> Told:
    changed = bytearray(body)
    changed[dice.randrange(len(body))] ^= dice.randint(1, 255)
    return Told(bytes(changed), signed(body))


def _body_cut_or_longer(body: bytes, dice: random.Random) -> Told:
    return Told(dice.choice((body[: dice.randrange(len(body))], body + b" ", body * 2)), signed(body))


def _signature_changed(body: bytes, dice: random.Random) -> Told:
    stamp, _, mac = signed(body).partition(",v1=")
    place = dice.randrange(len(mac))
    other = dice.choice([digit for digit in "0123456789abcdef" if digit != mac[place]])
    return Told(body, f"{stamp},v1={mac[:place]}{other}{mac[place + 1 :]}")


def _signature_of_another_scheme(body: bytes, dice: random.Random) -> Told:
    return Told(body, signed(body).replace("v1=", dice.choice(("v0=", "v2=", "V1=", "v1 =", "v1:"))))


def _of_another_time(body: bytes, dice: random.Random) -> Told:
    return Told(body, signed(body, STAMP + dice.choice((-1, 1)) * dice.choice((301, 302, 600, 86_400))))


def _dated_anew(body: bytes, dice: random.Random) -> Told:
    """An old webhook, taken down and sent again with the time of now."""
    old = signed(body, STAMP - dice.randint(301, 10_000))
    return Told(body, f"t={STAMP},{old.partition(',')[2]}")


WAYS: tuple[Callable[[bytes, random.Random], Told], ...] = (
    _of_another_secret, _unsigned, _body_changed, _body_cut_or_longer, _signature_changed,
    _signature_of_another_scheme, _of_another_time, _dated_anew,
)  # fmt: skip


def forged(bodies: Sequence[bytes], dice: random.Random) -> Iterator[Told]:
    for ways in itertools.repeat(WAYS):
        yield from (way(dice.choice(bodies), dice) for way in ways)


NO_EVENTS: list[bytes] = [
    event("payment_intent.succeeded", {"id": "pi_1", "metadata": "x"}),
    event("payment_intent.succeeded", ["a list"]),
    event("payment_intent.succeeded", {}).replace(b'"evt_', b'"evt_' + b"x" * 100_000),
    event("payment_intent.succeeded", {}).replace(str(STAMP).encode(), b"9" * 30),
    b"[" * 50_000,
    b"[]",
    b"\xff",
]


class TestWebhooks:
    async def test_forged_mutated_and_old_ones_change_nothing(self, route: Route) -> None:
        dice = random.Random(20260301)
        payment, attempt = await charged(route.units)
        subject = intent(f"pi_{payment.id}", attempt)
        kinds = ("payment_intent.succeeded", "payment_intent.payment_failed", "payment_intent.canceled")
        bodies = [event(kind, subject) for kind in kinds]
        before = await route.state()
        statuses = await route.send(list(itertools.islice(forged(bodies, dice), FORGED)))
        assert set(statuses) == {400}
        assert await route.state() == before
        assert await route.send([Told(bodies[0], signed(bodies[0]))]) == [200]
        assert await route.state() != before

    async def test_signed_nonsense_is_refused_for_good(self, route: Route) -> None:
        before = await route.state()
        assert await route.send([Told(body, signed(body)) for body in NO_EVENTS]) == [400] * len(NO_EVENTS)
        assert await route.state() == before

    @pytest.mark.parametrize("seconds", [-300, 300])
    async def test_edge_of_five_minutes_is_taken(self, route: Route, seconds: int) -> None:
        payment, attempt = await charged(route.units)
        body = event("payment_intent.succeeded", intent(f"pi_{payment.id}", attempt))
        assert await route.send([Told(body, signed(body, STAMP + seconds + (seconds // 300)))]) == [400]
        assert await route.send([Told(body, signed(body, STAMP + seconds))]) == [200]

    async def test_replayed_one_counts_once(self, route: Route) -> None:
        for together in (True, False):
            payment, attempt = await charged(route.units)
            one = told("payment_intent.succeeded", intent(f"pi_{payment.id}", attempt))
            if together:
                assert await route.send([one] * 5) == [200] * 5
            before = await route.state() if together else None
            for _ in range(5):
                assert await route.send([one]) == [200]
                before = before or await route.state()
            assert await route.state() == before
            entries = "SELECT count(*) FROM ledger_transactions WHERE payment_id = $1"
            assert await route.units.pool.fetchval(entries, payment.id) == 1

    async def test_events_in_any_order_end_in_one_state(self, route: Route) -> None:
        ends = []
        for order in itertools.permutations(range(4)):
            payment, attempt = await charged(route.units)
            charge = f"pi_{payment.id}"
            back = tuple(_back(charge))
            route.record[charge] = Charge(charge, attempt, "succeeded", 1_030, "USD", 1_030, NOW, None, back)
            about = {"payment_intent": charge, "currency": "usd"}
            events = (
                told("payment_intent.processing", intent(charge, attempt, "processing")),
                told("payment_intent.succeeded", intent(charge, attempt)),
                told("refund.created", {"id": f"re_{charge}", "amount": REFUNDED, "status": "succeeded", **about}),
                told("charge.dispute.created", {"id": f"du_{charge}", "amount": DISPUTED, **about}),
            )
            for place in order:
                assert await route.send([events[place]]) == [200]
            ends.append((order, await _end(route, payment.id)))
        one = ends[0][1]
        assert (one["payment"]["reversed"], one["payment"]["disputed"]) == (REFUNDED, DISPUTED)
        assert [order for order, end in ends if end != one] == []


def _back(charge: str) -> Iterator[TakenBack]:
    yield TakenBack(f"re_{charge}", "refund", "succeeded", REFUNDED, NOW, "refund")
    yield TakenBack(f"du_{charge}", "chargeback", "open", DISPUTED, NOW, "fraudulent")


PAYMENT = """
SELECT status, reconciliation, reason, effective_on, reversed, reversed_surcharge, going_back, disputed, next_poll_at
FROM payments WHERE id = $1
"""
REVERSALS = (
    "SELECT kind, state, amount, surcharge, code, effective_on FROM reversals WHERE payment_id = $1 ORDER BY kind"
)
BOOKED = """
SELECT t.kind, e.account, e.currency, sum(e.amount)::bigint AS amount FROM ledger_transactions t
JOIN ledger_entries e ON e.transaction_id = t.id WHERE t.payment_id = $1 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""


async def _end(route: Route, payment_id: str) -> dict[str, Any]:
    pool = route.units.pool
    return {
        "payment": dict(await pool.fetchrow(PAYMENT, payment_id)),
        "reversals": [dict(row) for row in await pool.fetch(REVERSALS, payment_id)],
        "booked": [dict(row) for row in await pool.fetch(BOOKED, payment_id)],
    }
