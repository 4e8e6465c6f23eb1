"""Disputes over HTTP on a real PostgreSQL."""

import asyncio
from typing import Any

import httpx2
import pytest

from chassis.db.pool import open_pool
from chassis.messaging.work import Cause
from contracts.ids import new_id
from support.disputes import store
from support.disputes.api import decide
from support.disputes.store import Filter
from support.tickets.domain import Author
from tests.kit.supporting import Acme, Help
from tests.service.support.test_tickets_http import done, opened, thread


async def raised(client: httpx2.AsyncClient, acme: Acme, expect: int = 201, **body: Any) -> Any:
    path, sent = f"/v1/invoices/{acme.invoice}/disputes", {"text": "One box did not come.", **body}
    answer = await client.post(path, json=sent, headers={"Idempotency-Key": new_id()})
    assert answer.status_code == expect, answer.text
    return answer.json()


async def decided(client: httpx2.AsyncClient, dispute: Any, what: str, text: str | None = None) -> httpx2.Response:
    return await client.post(f"/v1/disputes/{dispute['id']}/{what}", json={"text": text} if text else None)


async def said_of(desk: Help, dispute: Any) -> list[tuple[str, int, Any]]:
    return await desk._outbox("support.dispute.v1", dispute["id"])


async def accepted(desk: Help, acme: Acme, dispute: Any, text: str) -> None:
    """Twice, of which the second changes nothing."""
    lee = Author("company", "staff", acme.manager)
    for _ in range(2):
        async with desk.running.units.begin(Cause(actor=f"staff:{acme.manager}")) as work:
            locked = await store.lock_dispute(work, dispute["id"], None)
            assert locked is not None
            assert (await decide(work, locked, "accepted", lee, text)).sequence == 3


class TestRaising:
    async def test_makes_a_ticket_with_the_dispute(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann:
            ticket = await raised(ann, acme, category="wrong_quantity", lines=[{"line": 2, "amount_minor": 500}])
        dispute = ticket["dispute"]
        assert (ticket["kind"], ticket["assignee"], ticket["events"][0]["text"]) == (
            "dispute", acme.manager, "One box did not come.",
        )  # fmt: skip
        assert (dispute["status"], dispute["amount_minor"], dispute["lines"]) == (
            "open", 500, [{"line": 2, "amount_minor": 500}],
        )  # fmt: skip
        ((kind, sequence, body),) = await said_of(desk, dispute)
        assert (kind, sequence) == ("DisputeRaised", 1)
        usd = {"amount_minor": 500, "currency": "USD"}
        assert body == {
            "dispute_id": dispute["id"], "ticket_id": ticket["id"], "customer_id": acme.id, "invoice_id": acme.invoice,
            "status": "open", "category": "wrong_quantity", "lines": [{"line": 2, "amount": usd}], "amount": usd,
        }  # fmt: skip

    async def test_whole_invoice_is_its_total(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann:
            assert (await raised(ann, acme))["dispute"]["amount_minor"] == 12_500

    async def test_of_the_same_lines_is_refused(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann:
            first = await raised(ann, acme, lines=[{"line": 1}])
            await raised(ann, acme, lines=[{"line": 2}])
            assert (await raised(ann, acme, 409))["type"] == "urn:paidup:problem:disputed-already"
            assert (await decided(ann, first["dispute"], "withdraw")).status_code == 200
            await raised(ann, acme, lines=[{"line": 1}])

    async def test_at_once_one_is_taken(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann:
            path, body = f"/v1/invoices/{acme.invoice}/disputes", {"text": "All of it."}
            answers = await asyncio.gather(*(ann.post(path, json=body) for _ in range(6)))
        assert sorted(one.status_code for one in answers) == [201] + [409] * 5

    @pytest.mark.parametrize(
        "body",
        [{"category": "mine"}, {"lines": [{"line": 1}, {"line": 1}]}, {"lines": [{"line": 1, "amount_minor": 12_501}]}],
    )
    async def test_wrong_ones_name_their_field(self, desk: Help, body: dict[str, Any]) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann:
            problem = await raised(ann, acme, 422, **body)
        assert problem["errors"][0]["field"] == next(iter(body))

    async def test_visit_raises_none(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.visitor(acme) as visiting:
            await raised(visiting, acme, 403)


class TestDeciding:
    @pytest.mark.parametrize(
        ("what", "status", "event", "about"),
        [("accept", "accepted", "DisputeAccepted", "dispute_accepted"),
         ("reject", "rejected", "DisputeRejected", "dispute_rejected")],
    )  # fmt: skip
    async def test_is_said_and_solves_the_ticket(
        self, desk: Help, what: str, status: str, event: str, about: str
    ) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            ticket = await raised(ann, acme)
            dispute = ticket["dispute"]
            assert (await decided(ann, dispute, what)).status_code == 403
            assert (await decided(lee, dispute, "review")).json()["status"] == "under_review"
            if what == "accept":  # the API does not offer it yet
                await accepted(desk, acme, dispute, "We looked.")
            else:
                answer = await decided(lee, dispute, what, "We looked.")
                assert answer.json()["status"] == status
                assert answer.headers["Paidup-Seen"] == f"{dispute['id']}:3"
                assert (await decided(lee, dispute, what)).json() == answer.json()
            for other in {"reject", "withdraw", "review"} - {what}:
                refused = await decided(lee, dispute, other)
                assert (refused.status_code, refused.json()["type"]) == (409, "urn:paidup:problem:dispute-decided")
            seen = (await ann.get(f"/v1/tickets/{ticket['id']}")).json()
            assert (seen["status"], thread(seen)) == ("solved", ["asked", "under_review", status])
            assert (seen["events"][-1]["text"], seen["dispute"]["status"]) == ("We looked.", status)
        assert [kind for kind, _, _ in await said_of(desk, dispute)] == ["DisputeRaised", "DisputeUnderReview", event]
        assert (await desk.notices(ticket["id"]))[-1]["about"] == about

    async def test_accepting_waits_for_credit_notes(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            dispute = (await raised(ann, acme))["dispute"]
            answer = await decided(lee, dispute, "accept", "You are right.")
            assert (answer.status_code, answer.json()["type"]) == (409, "urn:paidup:problem:no-credit-notes")
            assert "credit notes" in answer.json()["detail"]
            assert (await decided(lee, {"id": new_id()}, "accept")).status_code == 404
            assert (await lee.get(f"/v1/disputes/{dispute['id']}")).json()["status"] == "open"
        assert [kind for kind, _, _ in await said_of(desk, dispute)] == ["DisputeRaised"]

    async def test_withdrawing_closes_the_ticket(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann:
            ticket = await raised(ann, acme)
            await decided(ann, ticket["dispute"], "withdraw", "Our mistake.")
            assert (await ann.get(f"/v1/tickets/{ticket['id']}")).json()["status"] == "closed"

    async def test_comes_before_the_ticket_ends(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann:
            ticket = await raised(ann, acme)
            for what in ("solve", "close"):
                answer = await ann.post(f"/v1/tickets/{ticket['id']}/{what}")
                assert (answer.status_code, answer.json()["type"]) == (409, "urn:paidup:problem:dispute-undecided")
            await decided(ann, ticket["dispute"], "withdraw")
            assert (await done(ann, ticket, "reopen"))["status"] == "open"


class TestLists:
    async def test_show_a_customer_its_own(self, desk: Help) -> None:
        acme, other = await desk.acme(), await desk.acme()
        async with desk.contact(acme) as ann, desk.contact(other) as stranger:
            ticket = await raised(ann, acme)
            dispute = ticket["dispute"]
            assert (await ann.get("/v1/disputes")).json()["items"] == [dispute]
            assert (await ann.get(f"/v1/disputes?invoice_id={acme.invoice}&status=open")).json()["items"] == [dispute]
            assert (await stranger.get("/v1/disputes")).json()["items"] == []
            assert (await stranger.get(f"/v1/disputes?invoice_id={acme.invoice}")).json()["items"] == []
            assert (await stranger.get(f"/v1/disputes/{dispute['id']}")).status_code == 404
            assert (await decided(stranger, dispute, "withdraw")).status_code == 404
            assert (await opened(ann))["dispute"] is None

    async def test_come_by_their_index(self, desk: Help) -> None:
        async with await open_pool(desk.database.api_url, size=1, application="test") as pool:
            for asked in (Filter(), Filter(customer_id=new_id()), Filter(invoice_id=new_id()), Filter(status="open")):
                sql, arguments = store.query(asked, None, 20)
                plan = "\n".join(row[0] for row in await pool.fetch(f"EXPLAIN {sql}", *arguments))
                assert "Seq Scan on disputes" not in plan, plan

    async def test_categories_are_the_settings(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann:
            assert "wrong_price" in (await ann.get("/v1/disputes/categories")).json()["items"]
