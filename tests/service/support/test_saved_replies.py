"""Saved replies over HTTP on a real PostgreSQL: the company's alone, each title once, 500 at most."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from contracts.ids import new_id
from support.saved_replies.domain import MOST
from tests.kit.supporting import Help

PATH = "/v1/saved-replies"
TEXT = "It comes today."


@pytest.fixture
async def lee(desk: Help) -> AsyncIterator[httpx2.AsyncClient]:
    """One of the company's people, where nothing is saved yet."""
    await desk.running.pool.execute("DELETE FROM saved_replies")
    async with desk.staff(await desk.person("Lee Roy")) as client:
        yield client


async def saved(client: httpx2.AsyncClient, title: str, text: str = TEXT) -> dict[str, Any]:
    answer = await client.post(PATH, json={"title": title, "text": text})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def titles(client: httpx2.AsyncClient) -> list[str]:
    return [one["title"] for one in (await client.get(PATH)).json()["items"]]


def slug(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("urn:paidup:problem:")


class TestSavedReplies:
    async def test_are_listed_by_title(self, lee: httpx2.AsyncClient) -> None:
        for title in ("tracking", "On its way", "Refund"):
            await saved(lee, title)
        assert await titles(lee) == ["On its way", "Refund", "tracking"]

    async def test_are_changed_and_deleted(self, lee: httpx2.AsyncClient) -> None:
        one = await saved(lee, "Refund")
        body = {"title": "REFUND", "text": "It came back."}
        answer = await lee.put(f"{PATH}/{one['id']}", json=body)
        assert answer.status_code == 200
        assert (await lee.get(PATH)).json()["items"] == [answer.json()]
        assert (answer.json()["id"], answer.json()["text"]) == (one["id"], "It came back.")
        assert (await lee.delete(f"{PATH}/{one['id']}")).status_code == 204
        assert slug(await lee.delete(f"{PATH}/{one['id']}")) == (404, "not-found")
        for unknown in (one["id"], "x"):
            assert slug(await lee.put(f"{PATH}/{unknown}", json=body)) == (404, "not-found")

    async def test_title_is_taken_in_any_case(self, lee: httpx2.AsyncClient) -> None:
        one, _ = await saved(lee, "Refund"), await saved(lee, "Straße")
        for title in ("REFUND", " refund ", "STRASSE"):
            assert slug(await lee.post(PATH, json={"title": title, "text": TEXT})) == (409, "title-taken")
        answer = await lee.put(f"{PATH}/{one['id']}", json={"title": "strasse", "text": TEXT})
        assert slug(answer) == (409, "title-taken")
        assert answer.json()["errors"][0]["field"] == "title"

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"title": " ", "text": TEXT}, "title"),
            ({"title": "a" * 101, "text": TEXT}, "title"),
            ({"title": "a\nb", "text": TEXT}, "title"),
            ({"title": "a", "text": " "}, "text"),
            ({"title": "a", "text": "a" * 10_001}, "text"),
            ({"title": "a"}, "text"),
        ],
    )
    async def test_bounds_are_named(self, lee: httpx2.AsyncClient, body: Any, field: str) -> None:
        answer = await lee.post(PATH, json=body)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)

    async def test_are_five_hundred_at_most(self, desk: Help, lee: httpx2.AsyncClient) -> None:
        fill = "INSERT INTO saved_replies SELECT gen_random_uuid(), n, n, 'x', now() FROM generate_series(1, $1) AS n"
        await desk.running.pool.execute(fill.replace("n, n,", "n::text, n::text,"), MOST - 1)
        one = await saved(lee, "The last one")
        assert slug(await lee.post(PATH, json={"title": "More", "text": TEXT})) == (409, "too-many-saved-replies")
        body = {"title": "Still the last one", "text": TEXT}
        assert (await lee.put(f"{PATH}/{one['id']}", json=body)).status_code == 200

    async def test_same_title_at_once_is_one(self, lee: httpx2.AsyncClient) -> None:
        body = {"title": "Refund", "text": TEXT}
        answers = await asyncio.gather(*(lee.post(PATH, json=body) for _ in range(5)))
        assert sorted(one.status_code for one in answers) == [201, 409, 409, 409, 409]


class TestCallers:
    async def test_customer_side_sees_none(self, desk: Help, lee: httpx2.AsyncClient) -> None:
        acme, one = await desk.acme(), await saved(lee, "Refund")
        body = {"title": "Mine", "text": "mine"}
        async with desk.contact(acme) as ann, desk.visitor(acme) as visiting, desk.program(acme.id) as erp:
            for client in (ann, visiting, erp):
                for method, path in (("GET", PATH), ("POST", PATH), ("PUT", f"{PATH}/{one['id']}")):
                    answer = await client.request(method, path, json=body if method != "GET" else None)
                    assert slug(answer) == (403, "forbidden")
                assert slug(await client.delete(f"{PATH}/{new_id()}")) == (403, "forbidden")
        assert await titles(lee) == ["Refund"]

    async def test_program_of_company_writes_them(self, desk: Help, lee: httpx2.AsyncClient) -> None:
        async with desk.program() as erp:
            await saved(erp, "Refund")
        assert await titles(lee) == ["Refund"]
