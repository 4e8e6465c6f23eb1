"""Disputes over HTTP on a real PostgreSQL."""

import asyncio
import pathlib
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

ROOT = pathlib.Path(__file__).parents[3]


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


def note_of(acme: Acme, dispute: Any, minor: int, left: int = 0) -> invoicing.CreditNoteIssued:
    return invoicing.CreditNoteIssued(
        credit_note_id=new_id(), customer_id=acme.id, number="CN-1001", invoice_id=acme.invoice,
        dispute_id=dispute["id"], issued_on="2026-03-02", amount=usd(minor), applied=usd(minor - left),
        balance=usd(left), available=usd(left),
    )  # fmt: skip


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

    async def test_program_raises_for_the_customer(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.program() as key:
            ticket = await raised(key, acme)
        assert (ticket["status"], ticket["assignee"], ticket["events"][0]["by"]["side"]) == (
            "new", acme.manager, "customer",
        )  # fmt: skip
        (notice,) = await desk.notices(ticket["id"])
        assert (notice["about"], notice["to"]) == ("opened", [acme.manager])

    async def test_staff_raise_as_the_company(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.staff(acme.manager) as lee:
            ticket = await raised(lee, acme)
        assert (ticket["status"], ticket["events"][0]["by"]["side"]) == ("waiting_for_you", "company")

    async def test_of_the_same_lines_is_refused(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann:
            first = await raised(ann, acme, lines=[{"line": 1}])
            await raised(ann, acme, lines=[{"line": 2, "amount_minor": 2_500}])
            assert (await raised(ann, acme, 409))["type"] == "urn:paidup:problem:disputed-already"
            assert (await decided(ann, first["dispute"], "withdraw")).status_code == 200
            await raised(ann, acme, lines=[{"line": 1}])

    async def test_beyond_the_total_is_refused(self, desk: Help) -> None:
        """The lines come to more than the total, as the last one is a discount."""
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            first = await raised(ann, acme, lines=[{"line": 1}])
            assert (await decided(lee, first["dispute"], "review")).status_code == 200
            problem = await raised(ann, acme, 422, lines=[{"line": 2}])
            assert (problem["type"], problem["errors"][0]["field"]) == (
                "urn:paidup:problem:more-than-invoiced",
                "lines",
            )
            assert "2500" in problem["detail"]
            assert (await decided(lee, first["dispute"], "reject", "It came.")).status_code == 200
            await raised(ann, acme, lines=[{"line": 2}])

    async def test_at_once_come_to_the_total(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann:
            path = f"/v1/invoices/{acme.invoice}/disputes"
            bodies = [{"text": "Wrong.", "lines": [{"line": line}]} for line in (1, 2)]
            answers = await asyncio.gather(*(ann.post(path, json=body) for body in bodies))
        assert sorted(one.status_code for one in answers) == [201, 422]

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
        mailed = (await desk.notices(ticket["id"]))[-1]
        assert (mailed["about"], mailed["invoice_id"]) == (about, acme.invoice)
        assert mailed["amount"] == {"amount_minor": dispute["amount_minor"], "currency": "USD"}

    async def test_rejection_says_why(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            dispute = (await raised(ann, acme))["dispute"]
            for body in (None, {}, {"text": None}, {"text": " "}):
                refused = await lee.post(f"/v1/disputes/{dispute['id']}/reject", json=body)
                assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "text")
            assert (await ann.get(f"/v1/disputes/{dispute['id']}")).json()["status"] == "open"
            assert (await decided(lee, dispute, "reject", "It came.")).status_code == 200
            assert (await decided(lee, dispute, "reject")).status_code == 200

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
            await desk.hear(note_of(acme, dispute, 3_000, left=1_000))
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

    async def test_preview_is_what_notes_leave(self, desk: Help) -> None:
        """Two older disputes, which could come to more than the total."""
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            first = (await raised(ann, acme, lines=[{"line": 1}]))["dispute"]
            second = (await raised(ann, acme, lines=[{"line": 2, "amount_minor": 2_500}]))["dispute"]
            await desk.running.pool.execute("UPDATE disputes SET amount = 12_500 WHERE id = $1", second["id"])
            await decided(lee, first, "accept")
            path = f"/v1/disputes/{second['id']}"
            told = {"applied_minor": 2_500, "credit_minor": 0, "waits": False}
            assert (await lee.get(path)).json()["if_accepted"] == told
            await desk.hear(note_of(acme, first, 10_000))
            assert (await lee.get(path)).json()["if_accepted"] == told
            await desk.running.pool.execute("UPDATE disputes SET amount = 12_500 WHERE id = $1", first["id"])
            await desk.hear(note_of(acme, first, 12_500))
            seen = (await lee.get(path)).json()
            assert seen["if_accepted"] == {"applied_minor": 0, "credit_minor": 0, "waits": False}
            answer = await decided(lee, second, "accept")
            assert (answer.status_code, answer.json()["type"]) == (409, "urn:paidup:problem:nothing-to-credit")

    async def test_voided_meanwhile_waits_for_no_note(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            dispute = (await raised(ann, acme))["dispute"]
            done = (await decided(lee, dispute, "accept")).json()
            assert (done["credit_note"], done["nothing_to_credit"]) == (None, False)
            void = {"status": "void", "balance": usd(0), "payable_now": usd(0)}
            said = changed(acme, uncredited=(dispute["id"],), **void)
            await desk.hear(changed(acme, invoicing.InvoiceVoided, **void), said, changed(acme, **void))
            seen = (await ann.get(f"/v1/disputes/{dispute['id']}")).json()
            assert (seen["status"], seen["credit_note"], seen["nothing_to_credit"]) == ("accepted", None, True)

    async def test_older_ones_without_a_note_are_told(self, desk: Help) -> None:
        """Those that were accepted before invoicing said it: of a void invoice, and of one credited in full."""
        void, full, waiting = [await desk.acme() for _ in range(3)]
        ids = []
        for acme, lines in ((void, []), (full, [1]), (full, [2]), (waiting, [])):
            named = [{"line": line, "amount_minor": 2_500} for line in lines]
            async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
                dispute = (await raised(ann, acme, lines=named))["dispute"]
                await decided(lee, dispute, "accept")
            ids.append(dispute["id"])
        pool, file = desk.running.pool, ROOT / "services/support/migrations/0052_nothing_to_credit.sql"
        await pool.execute("UPDATE invoices SET status = 'void' WHERE id = $1", void.invoice)
        await pool.execute("UPDATE disputes SET note_number = 'CN-1', note_amount = 12_500 WHERE id = $1", ids[1])
        await pool.execute("UPDATE" + file.read_text().partition("UPDATE")[2])
        rows = await pool.fetch("SELECT id::text FROM disputes WHERE uncredited AND id = ANY($1) ORDER BY id", ids)
        assert [row["id"] for row in rows] == [ids[0], ids[2]]

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
