"""How long auth takes says nothing of an address: known and unknown ones can't be told apart by it."""

import random
import time
from collections.abc import AsyncIterator, Sequence

import httpx2
import pytest

from auth.signin.store import save_password
from contracts.ids import new_id
from tests.kit.postgres import drop_database, fresh_database
from tests.kit.signing_in import Auth, running_auth

TRIES, PASSWORD_TRIES = 2_000, 400  # a password takes some 20 ms to check


@pytest.fixture
async def auth(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Auth]:
    database = await fresh_database("auth")
    async with running_auth(tmp_path_factory.mktemp("auth"), database) as running:
        yield running
    await drop_database(database)


def area_under_curve(one: Sequence[float], other: Sequence[float]) -> float:
    """The chance that a value of `one` is the larger of two, one from each: 0.5 where they can't be told apart."""
    ranked = sorted([(value, True) for value in one] + [(value, False) for value in other])
    ranks = sum(rank for rank, (_, mine) in enumerate(ranked, 1) if mine)
    return (ranks - len(one) * (len(one) + 1) / 2) / (len(one) * len(other))


async def seconds(client: httpx2.AsyncClient, path: str, body: dict[str, str], number: int) -> float:
    address = f"198.{number // 65536 % 4 + 16}.{number // 256 % 256}.{number % 256}"
    began = time.perf_counter()
    answer = await client.post(path, json=body, headers={"paidup-client-address": address})
    took = time.perf_counter() - began
    assert answer.status_code in (202, 401)
    return took


async def contacts(auth: Auth) -> list[str]:
    """Addresses of contacts; so many that none of them runs out of guesses soon."""
    customer = await auth.customer_named("Blue")
    known = [f"{new_id()}@example.com" for _ in range(100)]
    for email in known:
        await auth.contact(email, customer)
    return known


async def area(auth: Auth, known: Sequence[str], path: str, tries: int, more: dict[str, str] | None = None) -> float:
    """How well known and unknown addresses can be told apart by so many tries."""
    order = [True, False] * (tries // 2)
    random.Random(7).shuffle(order)
    took: dict[bool, list[float]] = {True: [], False: []}
    async with httpx2.AsyncClient(base_url=auth.url, timeout=60) as client:
        for number, is_known in enumerate(order):
            email = known[number % len(known)] if is_known else f"{new_id()}@example.com"
            took[is_known].append(await seconds(client, path, {"email": email} | (more or {}), number))
    return area_under_curve(took[True], took[False])


class TestTiming:
    async def test_known_address_takes_as_long(self, auth: Auth) -> None:
        known = await contacts(auth)
        assert 0.45 <= await area(auth, known, "/v1/sign-in/codes", TRIES) <= 0.55

    async def test_password_of_nobody_takes_as_long(self, auth: Auth) -> None:
        """The bounds are wider, because there are fewer tries: 3.5 times the deviation by chance."""
        known, kept = await contacts(auth), await auth.running.own.hasher.hash("correct horse battery staple rides")
        async with auth.running.units.begin() as work:
            for email in known:
                await save_password(work, auth.running.own.pepper.account(email), kept)
        body = {"password": "nine purple umbrellas beside a tractor"}
        assert 0.4 <= await area(auth, known, "/v1/sign-in/password", PASSWORD_TRIES, body) <= 0.6
