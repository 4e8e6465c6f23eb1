"""Tickets that are merged, on a real PostgreSQL: where replies go, what both sides see, and what happens at once."""

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import httpx2
import pytest

from contracts.ids import new_id
from support.checks import CHECKS, EMITTED
from tests.kit.reply_mails import mail
from tests.kit.supporting import Acme, Help
from tests.service.support.test_payments_and_time import reconciled
from tests.service.support.test_replies_by_mail import inbox_of
from tests.service.support.test_tickets_http import done, opened, said, thread


async def merged(client: httpx2.AsyncClient, ticket: Any, into: Any) -> dict[str, Any]:
    return await done(client, ticket, "merge", {"into": into["id"]})


async def refused(client: httpx2.AsyncClient, ticket: Any, what: str, body: Any = None) -> tuple[int, str]:
    answer = await client.post(f"/v1/tickets/{ticket['id']}/{what}", json=body)
    return answer.status_code, answer.json()["type"].removeprefix("urn:paidup:problem:")


async def found(client: httpx2.AsyncClient, ticket: Any) -> dict[str, Any]:
    seen: dict[str, Any] = (await client.get(f"/v1/tickets/{ticket['id']}")).json()
    return seen


def named(ticket: Any) -> dict[str, str]:
    return {"id": ticket["id"], "number": ticket["number"]}


async def broken(desk: Help) -> dict[str, Any]:
    """The checks that don't hold, and the aggregates whose events are not those that they count."""
    connection = await asyncpg.connect(desk.database.owner_url)
    try:
        wrong = {what: [tuple(row) for row in await connection.fetch(sql)] for what, sql in CHECKS.items()}
        counted = {(row[0], row[1]): row[2] for row in await connection.fetch(EMITTED)}
        sent = await connection.fetch("SELECT topic, aggregate, max(sequence) FROM outbox GROUP BY 1, 2")
        differ = set(counted.items()) ^ {((row[0], row[1]), row[2]) for row in sent}
        return {what: rows for what, rows in {**wrong, "events": list(differ)}.items() if rows}
    finally:
        await connection.close()


async def waits_for_a_lock(desk: Help) -> None:
    """Returns once a statement waits for another one."""
    end = asyncio.get_running_loop().time() + 20
    while not await desk.running.pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
        assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(0.02)


class TestMerge:
    async def test_closes_one_and_links_both(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            one, other = await opened(ann), await opened(ann)
            await said(lee, other, "Which of the boxes?")
            answer = await merged(lee, one, other)
            assert (answer["status"], answer["merged_into"], answer["reopens_until"]) == ("closed", named(other), None)
            for client in (ann, lee):
                closed, open_ = await found(client, one), await found(client, other)
                assert (closed["events"][-1]["event"], closed["events"][-1]["other"]) == ("merged", named(other))
                assert (open_["events"][-1]["event"], open_["events"][-1]["other"]) == ("took_in", named(one))
                assert (open_["status"], open_["merged"], open_["merged_into"]) == ("open", [named(one)], None)
            listed = (await ann.get("/v1/tickets?status=closed")).json()["items"]
            assert [each["merged_into"] for each in listed] == [named(other)]
        assert await broken(desk) == {}

    async def test_events_say_ids_alone(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            one, other = await opened(ann), await opened(ann)
            await merged(lee, one, other)
        last = [(await desk.events(each["id"]))[-1] for each in (one, other)]
        assert [(name, number) for name, number, _ in last] == [("TicketMerged", 2)] * 2
        bodies = [body for _, _, body in last]
        assert bodies[0] == {
            "ticket_id": one["id"], "customer_id": acme.id, "number": one["number"], "kind": "request",
            "status": "closed", "by": "company", "escalated": False, "merged_into": other["id"],
        }  # fmt: skip
        assert (bodies[1]["status"], bodies[1]["took_in"]) == ("open", one["id"])
        assert [each["about"] for each in await desk.notices(one["id"])] == ["opened"]

    async def test_hands_on_assignee_and_escalation(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            one, other = await opened(ann), await opened(ann)
            await done(lee, one, "assign", {"assignee": "me"})
            await done(lee, one, "escalate", {"reason": "Much money."})
            await merged(lee, one, other)
            seen = await found(lee, other)
            assert (seen["assignee"], seen["escalated"]) == (acme.manager, True)
            assert seen["events"][-1]["assignee"] == acme.manager
        body = (await desk.events(other["id"]))[-1][2]
        assert (body["assignee"], body["escalated"]) == (acme.manager, True)
        assert [each["about"] for each in await desk.notices(other["id"])] == ["opened"]
        assert await broken(desk) == {}

    async def test_second_request_changes_nothing(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            one, other = await opened(ann), await opened(ann)
            assert await merged(lee, one, other) == await merged(lee, one, other)
            assert thread(await found(lee, other)) == ["asked", "took_in"]

    async def test_is_the_company_s_alone(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.visitor(acme) as visiting, desk.program(acme.id) as erp:
            one, other = await opened(ann), await opened(ann)
            for client in (ann, visiting, erp):
                assert await refused(client, one, "merge", {"into": other["id"]}) == (403, "forbidden")


class TestRefusals:
    async def test_name_what_stands_in_the_way(self, desk: Help) -> None:
        acme, strange = await desk.acme(), await desk.acme()
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee, desk.contact(strange) as eve:
            one, other, third, theirs = await opened(ann), await opened(ann), await opened(ann), await opened(eve)
            raised = await ann.post(f"/v1/invoices/{acme.invoice}/disputes", json={"text": "Not ours."})
            dispute = raised.json()
            assert await refused(lee, one, "merge", {"into": one["id"]}) == (422, "merged-with-itself")
            assert await refused(lee, one, "merge", {"into": theirs["id"]}) == (422, "of-other-customer")
            for two in ((dispute, one), (one, dispute)):
                assert await refused(lee, two[0], "merge", {"into": two[1]["id"]}) == (409, "dispute-not-merged")
            for into in (new_id(), "x"):
                assert await refused(lee, one, "merge", {"into": into}) == (422, "unknown-ticket")
            await done(ann, third, "close")
            assert await refused(lee, one, "merge", {"into": third["id"]}) == (409, "ticket-ended")
            await done(ann, third, "reopen")
            await merged(lee, one, other)
            assert await refused(lee, one, "merge", {"into": third["id"]}) == (409, "merged-already")
            assert await refused(lee, third, "merge", {"into": one["id"]}) == (409, "target-merged")
            assert await refused(lee, {"id": new_id()}, "merge", {"into": one["id"]}) == (404, "not-found")

    @pytest.mark.parametrize("what", ["reopen", "solve", "escalate"])
    async def test_merged_one_is_left_as_it_is(self, desk: Help, what: str) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            one, other = await opened(ann), await opened(ann)
            await merged(lee, one, other)
            assert await refused(lee, one, what) == (409, "ticket-merged")
            assert await refused(lee, one, "assign", {"assignee": "me"}) == (409, "ticket-merged")


class TestTargets:
    async def test_list_has_those_that_take_others_in(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            one, other, third = await opened(ann), await opened(ann), await opened(ann)
            path = f"/v1/invoices/{acme.invoice}/disputes"
            dispute = (await ann.post(path, json={"text": "Not ours."})).json()
            await merged(lee, one, other)
            await done(ann, third, "solve")
            listed = await lee.get(f"/v1/tickets?customer_id={acme.id}&mergeable=true&limit=1")
            assert [each["id"] for each in listed.json()["items"]] == [other["id"]]
            assert listed.json()["next_cursor"] is None
            everything = (await lee.get(f"/v1/tickets?customer_id={acme.id}")).json()["items"]
            assert {each["id"] for each in everything} == {each["id"] for each in (one, other, third, dispute)}


class TestReplies:
    async def test_go_into_the_other_ticket(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            one, other = await opened(ann), await opened(ann)
            await merged(lee, one, other)
            assert (await said(ann, one, "It came."))["id"] == other["id"]
            assert (await said(lee, one, "For us.", internal=True))["id"] == other["id"]
            assert thread(await found(lee, one)) == ["asked", "merged"]
            assert thread(await found(lee, other)) == ["asked", "took_in", "replied", "noted"]

    async def test_go_to_the_end_of_the_chain(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            one, two, three = [await opened(ann) for _ in range(3)]
            await merged(lee, three, one)
            await merged(lee, one, two)
            assert (await found(ann, three))["merged_into"] == named(two)
            assert [each["id"] for each in (await found(ann, two))["merged"]] == [one["id"], three["id"]]
            assert (await said(ann, three, "It came."))["id"] == two["id"]
        assert await broken(desk) == {}

    async def test_of_merged_one_reach_all_who_wrote(self, desk: Help) -> None:
        acme = await desk.acme()
        bea = await desk.person_of(acme.id, "Bea Ruiz")
        async with desk.contact(acme) as ann, desk.contact(acme, bea) as other, desk.staff(acme.manager) as lee:
            one, two = await opened(ann), await opened(other)
            await merged(lee, one, two)
            await said(lee, two, "It comes today.")
        assert set((await desk.notices(two["id"]))[-1]["to"]) == {acme.contact, bea}

    async def test_late_one_follows_the_merged_follower(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            old, other = await opened(ann), await opened(ann)
            await done(ann, old, "close")
            desk.move(timedelta(days=15))
            following = await said(ann, old, "It broke.")
            await merged(lee, following, other)
            assert (await said(ann, old, "And again."))["id"] == other["id"]

    async def test_by_mail_go_into_the_other(self, desk: Help) -> None:
        async with inbox_of(desk) as inbox, desk.contact(inbox.acme) as ann, desk.staff(inbox.acme.manager) as lee:
            before = mail(inbox.ann, inbox.to, "Once.")
            assert (await inbox.send(before))[0] == 250
            other = await opened(ann)
            await merged(lee, inbox.ticket, other)
            for content in (before, mail(inbox.ann, inbox.to, "It came.")):
                assert (await inbox.send(content))[0] == 250
            assert [each["text"] for each in (await found(ann, other))["events"]][2:] == ["It came."]
            assert (await inbox.replies())[-1] == ("customer", "Once.")


class TestByItself:
    async def test_payment_leaves_merged_ticket_alone(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            one, other = await opened(ann, payment_id=acme.payment), await opened(ann)
            await merged(lee, one, other)
            await reconciled(desk, acme)
            assert thread(await found(ann, one)) == ["asked", "merged"]
            assert (await found(ann, other))["status"] == "open"

    async def test_payment_leaves_open_what_took_others_in(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            one, other = await opened(ann), await opened(ann, payment_id=acme.payment)
            await merged(lee, one, other)
            await reconciled(desk, acme)
            assert thread(await found(ann, other)) == ["asked", "took_in"]
            waiting = (await lee.get(f"/v1/tickets?status=unsolved&customer_id={acme.id}")).json()["items"]
            assert [each["id"] for each in waiting] == [other["id"]]

    async def test_payment_waits_for_merge_and_sees_it(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.running.pool.acquire() as connection:
            one, other = await opened(ann), await opened(ann, payment_id=acme.payment)
            await done(ann, one, "close")
            async with connection.transaction():
                await connection.execute("SELECT FROM tickets WHERE id = $1 FOR NO KEY UPDATE", other["id"])
                hearing = asyncio.create_task(reconciled(desk, acme))
                await waits_for_a_lock(desk)
                point = "UPDATE tickets SET merged_into = $2 WHERE id = $1"
                await connection.execute(point, one["id"], other["id"])
            await hearing
            await connection.execute(point, one["id"], None)
            assert thread(await found(ann, other)) == ["asked"]

    async def test_payment_and_merge_at_once(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            one, other = await opened(ann, payment_id=acme.payment), await opened(ann)
            await asyncio.gather(merged(lee, one, other), reconciled(desk, acme))
            assert thread(await found(ann, one))[-1] == "merged"
        assert await broken(desk) == {}


class TestAtOnce:
    async def test_merge_the_other_way_round(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            for _ in range(10):
                one, other = await opened(ann), await opened(ann)
                answers = await asyncio.gather(
                    lee.post(f"/v1/tickets/{one['id']}/merge", json={"into": other["id"]}),
                    lee.post(f"/v1/tickets/{other['id']}/merge", json={"into": one["id"]}),
                )
                assert sorted(each.status_code for each in answers) == [200, 409]
        assert await broken(desk) == {}

    async def test_replies_are_in_one_that_goes_on(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            for _ in range(5):
                three = [await opened(ann) for _ in range(3)]
                last = (await self._at_once(ann, lee, acme, three))["id"]
                texts = [
                    each["text"]
                    for ticket in three
                    for each in (await found(ann, ticket))["events"]
                    if each["event"] == "replied"
                ]
                assert sorted(texts) == sorted(f"Reply {n}" for n in range(9))
                assert [(await found(ann, each))["merged_into"] for each in three].count(None) == 1
                assert (await found(ann, {"id": last}))["status"] == "open"
        assert await broken(desk) == {}

    async def _at_once(self, ann: Any, lee: Any, acme: Acme, three: list[Any]) -> dict[str, Any]:
        """A chain of merges among replies to each of its tickets: the last of the chain."""

        async def chain() -> None:
            await merged(lee, three[2], three[0])
            await merged(lee, three[0], three[1])

        await asyncio.gather(chain(), *(said(ann, three[n % 3], f"Reply {n}") for n in range(9)))
        return await found(ann, three[1])
