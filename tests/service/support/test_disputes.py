"""Disputes over HTTP on a real PostgreSQL."""

import asyncio
from typing import Any

import httpx2
import pytest

from chassis.db.pool import open_pool
from contracts import invoicing
from contracts.ids import new_id
from support.disputes import store
from support.disputes.store import Filter
from tests.kit.notifying import usd
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


def changed(
    acme: Acme, event: type[invoicing.InvoiceState] = invoicing.InvoiceChanged, settled: int = 0, pending: int = 0,
    **more: Any,
) -> invoicing.InvoiceState:  # fmt: skip
    """The invoice after a payment, confirmed or under way."""
    body: dict[str, Any] = {
        "invoice_id": acme.invoice, "customer_id": acme.id, "number": "INV-1", "status": "open",
        "pending": usd(pending), "issued_on": "2026-03-01", "due_on": "2026-03-31", "total": usd(12_500),
        "credited": usd(0), "settled": usd(settled), "balance": usd(12_500 - settled),
        "payable_now": usd(12_500 - settled - pending),
    }  # fmt: skip
    return event(**{**body, **more})


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
        ("field", "body"),
        [
            ("category", {"category": "mine"}),
            ("lines", {"lines": [{"line": 1}, {"line": 1}]}),
            ("lines.1.line", {"lines": [{"line": 1}, {"line": 4}]}),
            ("lines.0.line", {"lines": [{"line": 3}]}),
            ("lines.0.amount_minor", {"lines": [{"line": 1, "amount_minor": 10_001}]}),
        ],
    )
    async def test_wrong_ones_name_their_field(self, desk: Help, field: str, body: dict[str, Any]) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann:
            problem = await raised(ann, acme, 422, **body)
        assert problem["errors"][0]["field"] == field

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
            answer = await decided(lee, dispute, what, "We looked.")
            assert answer.json()["status"] == status
            assert answer.headers["Paidup-Seen"] == f"{dispute['id']}:3"
            assert (await decided(lee, dispute, what)).json() == answer.json()
            for other in {"accept", "reject", "withdraw", "review"} - {what}:
                refused = await decided(lee, dispute, other)
                assert (refused.status_code, refused.json()["type"]) == (409, "urn:paidup:problem:dispute-decided")
            seen = (await ann.get(f"/v1/tickets/{ticket['id']}")).json()
            assert (seen["status"], thread(seen)) == ("solved", ["asked", "under_review", status])
            assert (seen["events"][-1]["text"], seen["dispute"]["status"]) == ("We looked.", status)
        assert [kind for kind, _, _ in await said_of(desk, dispute)] == ["DisputeRaised", "DisputeUnderReview", event]
        assert (await desk.notices(ticket["id"]))[-1]["about"] == about

    async def test_shows_what_accepting_does_before(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            dispute = (await raised(ann, acme, lines=[{"line": 1}]))["dispute"]
            assert dispute["if_accepted"] == {"applied_minor": 10_000, "credit_minor": 0, "waits": False}
            await desk.hear(changed(acme, settled=9_000))
            seen = (await lee.get(f"/v1/disputes/{dispute['id']}")).json()
            assert seen["if_accepted"] == {"applied_minor": 3_500, "credit_minor": 6_500, "waits": False}
            await desk.hear(changed(acme, pending=9_000))
            seen = (await lee.get(f"/v1/disputes/{dispute['id']}")).json()
            assert seen["if_accepted"]["waits"]

    async def test_credit_note_stands_with_its_dispute(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            dispute = (await raised(ann, acme, lines=[{"line": 2}]))["dispute"]
            done = (await decided(lee, dispute, "accept", "You are right.")).json()
            assert (done["status"], done["if_accepted"], done["credit_note"]) == ("accepted", None, None)
            note = invoicing.CreditNoteIssued(
                credit_note_id=new_id(), customer_id=acme.id, number="CN-1001", invoice_id=acme.invoice,
                dispute_id=dispute["id"], issued_on="2026-03-02", amount=usd(3_000), applied=usd(2_000),
                balance=usd(1_000), available=usd(1_000),
            )  # fmt: skip
            await desk.hear(note)
            seen = (await ann.get(f"/v1/disputes/{dispute['id']}")).json()
            assert seen["credit_note"] == {"number": "CN-1001", "amount_minor": 3_000, "applied_minor": 2_000}
            refused = await raised(ann, acme, 422, lines=[{"line": 2}])
            assert refused["type"] == "urn:paidup:problem:line-not-disputable"

    async def test_of_a_void_invoice_accepts_nothing(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            dispute = (await raised(ann, acme))["dispute"]
            await desk.hear(changed(acme, invoicing.InvoiceVoided, status="void", balance=usd(0), payable_now=usd(0)))
            answer = await decided(lee, dispute, "accept")
            assert (answer.status_code, answer.json()["type"]) == (409, "urn:paidup:problem:nothing-to-credit")
            assert (await lee.get(f"/v1/disputes/{dispute['id']}")).json()["if_accepted"] is None
            assert (await decided(lee, {"id": new_id()}, "accept")).status_code == 404

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
