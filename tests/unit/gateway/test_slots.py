"""Slots that are shared fairly, and tokens that are taken once there is one."""

import asyncio
import contextlib

import pytest

from chassis.http.problems import Problem
from gateway.client import BusyError, Upstream
from gateway.limits import Room, Share, Slots
from gateway.proxy import FREE_BYTES, no_room, read_body
from tests.unit.gateway.test_client import answers, raw_server


async def hold(slots: Slots, share: str, order: list[str], most: int = 9) -> None:
    async with slots.taken(share, most):
        order.append(share)
        await asyncio.sleep(0.01)


class TestSlots:
    async def test_turns_go_round_among_shares(self) -> None:
        slots, order = Slots(2), list[str]()
        await asyncio.gather(*(hold(slots, share, order) for share in [*"aaaaaaaa", *"bb", "c"]))
        assert order[:2] == ["a", "a"]
        assert sorted(order[2:5]) == ["a", "b", "c"]
        assert slots.free == 2

    async def test_share_has_no_more_than_its_part(self) -> None:
        slots, order = Slots(4), list[str]()
        asking = [asyncio.create_task(hold(slots, "a", order, most=2)) for _ in range(6)]
        await asyncio.sleep(0)
        assert slots.free == 2
        await hold(slots, "b", order)
        await asyncio.gather(*asking)
        assert (order[:3], slots.free) == (["a", "a", "b"], 4)

    @pytest.mark.parametrize("at", range(4))
    async def test_cancelled_request_frees_its_slot(self, at: int) -> None:
        slots, order = Slots(1), list[str]()
        asking = [asyncio.create_task(hold(slots, share, order)) for share in "abcd"]
        await asyncio.sleep(0.012)
        asking[at].cancel()
        await asyncio.wait(asking)
        assert slots.free == 1
        await asyncio.wait_for(hold(slots, "z", order), 1)

    async def test_cancelled_in_the_moment_of_its_turn(self) -> None:
        slots, order = Slots(1), list[str]()
        async with slots.taken("a", 1):
            waiting = asyncio.create_task(hold(slots, "b", order))
            await asyncio.sleep(0)
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        assert (slots.free, order) == (1, [])


class TestUpstream:
    async def test_token_is_taken_after_the_queue(self) -> None:
        free, asked = asyncio.Event(), list[str]()

        async def serve(request: bytes, nth: int, writer: asyncio.StreamWriter) -> bool:
            await free.wait()
            return await answers(request, nth, writer)

        async def authorize() -> bytes:
            asked.append("token")
            return b"Bearer fresh"

        async with raw_server(serve) as (url, seen):
            upstream = Upstream(url, connections=1, timeout=5)
            first = asyncio.create_task(upstream.request(b"GET", b"/1", []))
            await asyncio.sleep(0.05)
            second = asyncio.create_task(upstream.request(b"GET", b"/2", [], authorize=authorize))
            await asyncio.sleep(0.05)
            assert asked == []
            free.set()
            await asyncio.gather(first, second)
            assert b"authorization: Bearer fresh" in seen[1]
            upstream.close()

    async def test_patient_requests_hold_no_shared_slot(self) -> None:
        free = asyncio.Event()

        async def serve(request: bytes, nth: int, writer: asyncio.StreamWriter) -> bool:
            if b"/wait" in request:
                await free.wait()
            return await answers(request, nth, writer)

        async with raw_server(serve) as (url, _):
            upstream = Upstream(url, connections=2, timeout=5)
            waiting = [asyncio.create_task(upstream.request(b"GET", b"/wait", [], patient=True)) for _ in range(9)]
            await asyncio.sleep(0.05)
            assert (await asyncio.wait_for(upstream.request(b"GET", b"/now", []), 1)).status == 200
            free.set()
            await asyncio.gather(*waiting)
            upstream.close()

    async def test_one_share_cannot_starve_another(self) -> None:
        async def serve(request: bytes, nth: int, writer: asyncio.StreamWriter) -> bool:
            await asyncio.sleep(0.5 if b"/slow" in request else 0)
            return await answers(request, nth, writer)

        async with raw_server(serve) as (url, _):
            upstream = Upstream(url, connections=8, timeout=1)
            attack = [
                asyncio.create_task(upstream.request(b"GET", b"/slow", [], share=Share("bad", 0.25))) for _ in range(50)
            ]
            await asyncio.sleep(0.02)
            async with asyncio.timeout(0.25):
                await upstream.request(b"GET", b"/", [], share=Share("good", 0.25))
            ended = await asyncio.gather(*attack, return_exceptions=True)
            assert sum(isinstance(one, BusyError) for one in ended) >= 44
            upstream.close()


class TestRoom:
    def test_share_and_whole_are_bounded(self) -> None:
        room = Room(8, no_room)
        small, large = Share("small", 0.25), Share("large", 0.75)
        room.take(small, 2)
        with pytest.raises(Problem):
            room.take(small)
        room.take(large, 6)
        with pytest.raises(Problem):
            room.take(Share("other", 1))
        room.give(small, 2)
        room.take(Share("other", 1), 2)

    async def test_body_takes_room_until_its_answer(self) -> None:
        room, share = Room(100_000, no_room), Share("a", 0.5)

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": b"x" * (FREE_BYTES + 30_000), "more_body": False}

        async with read_body(receive, room, share) as body:
            assert (len(body), room.left) == (FREE_BYTES + 30_000, 70_000)
            with pytest.raises(Problem):
                async with read_body(receive, room, share):
                    pass
            assert room.left == 70_000
        assert room.left == 100_000

    async def test_short_body_always_has_room(self) -> None:
        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": b"x" * FREE_BYTES, "more_body": False}

        async with read_body(receive, Room(0, no_room), Share("a", 1)) as body:
            assert len(body) == FREE_BYTES
