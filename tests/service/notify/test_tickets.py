"""Mails about tickets: whom support names, with what was written, which is kept nowhere afterwards."""

import pathlib
from collections.abc import AsyncIterator

import pytest

from contracts import auth
from contracts.envelope import Amount
from contracts.ids import new_id
from contracts.invoicing import CustomerChanged
from contracts.support import TicketNoticeMade, reply_to
from notify.checks import CHECKS
from tests.kit.mails import sealed
from tests.kit.notifying import Desk, desk_of, invoice


@pytest.fixture
async def desk(tmp_path: pathlib.Path) -> AsyncIterator[Desk]:
    async with desk_of(tmp_path) as made:
        yield made
        for sql in CHECKS.values():
            assert await made.running.pool.fetch(sql) == []


async def staff(desk: Desk, email: str) -> str:
    event = auth.StaffChanged(
        staff_id=new_id(), email=email, name="Lee Roy", language="en", role="account_manager", enabled=True
    )
    await desk.hear(event)
    return event.staff_id


def notice(
    desk: Desk, customer: str, about: str, *to: str, text: str = "Only one came.", **more: str
) -> TicketNoticeMade:
    secret = sealed(desk.public_key, subject="Two boxes", text=text, by="Ann Ng", **more)
    body = {"ticket_id": new_id(), "customer_id": customer, "number": "T-1042", "about": about, "to": to}
    return TicketNoticeMade(**body, sealed=secret)


class TestTickets:
    async def test_new_one_is_mailed_to_the_company(self, desk: Desk) -> None:
        contact, kim = await desk.contact(), await staff(desk, "kim@paidup.example")
        named = CustomerChanged(customer_id=contact.customer_id, external_id="ACME", name="Acme Corp")
        made = notice(desk, contact.customer_id, "opened", kim)
        await desk.hear(named, made)
        async with desk.sending():
            (row,) = await desk.ended()
        (mail,) = desk.caught()
        assert (row["kind"], row["person_id"], row["customer_id"]) == ("ticket_opened", kim, None)
        assert mail["to"] == ["kim@paidup.example"]
        assert mail["subject"] == "New ticket T-1042 of Acme Corp"
        for words in ("Ann Ng wrote:", "Only one came.", "Two boxes", f"http://portal/desk/tickets/{made.ticket_id}"):
            assert words in mail["text"]
        assert "as a contact of" not in mail["text"]

    async def test_lines_of_a_text_stay_lines(self, desk: Desk) -> None:
        contact = await desk.contact("ann@example.com")
        text = "First.\n\nSecond <b>line</b>."
        await desk.hear(notice(desk, contact.customer_id, "from_company", contact.contact_id, text=text))
        async with desk.sending():
            await desk.ended()
        (mail,) = desk.caught()
        assert "    First.\n\n    Second <b>line</b>." in mail["text"].replace("\r\n", "\n")
        assert "Second &lt;b&gt;line&lt;/b&gt;." in mail["html"]

    async def test_without_names_goes_to_all_contacts(self, desk: Desk) -> None:
        one = await desk.contact()
        other = await desk.contact(customer=one.customer_id, language="es")
        await desk.hear(notice(desk, one.customer_id, "from_company"))
        async with desk.sending():
            rows = await desk.ended(2)
        assert {row["person_id"] for row in rows} == {one.contact_id, other.contact_id}
        assert {mail["subject"] for mail in desk.caught()} == {
            "An answer in your ticket T-1042", "Una respuesta en su ticket T-1042",
        }  # fmt: skip

    @pytest.mark.parametrize(
        "about", ["from_customer", "assigned", "escalated", "solved", "dispute_accepted", "dispute_rejected"]
    )
    async def test_every_subject_is_mailed(self, desk: Desk, about: str) -> None:
        contact, kim = await desk.contact(), await staff(desk, "kim@paidup.example")
        to = contact.contact_id if about.startswith(("solved", "dispute")) else kim
        await desk.hear(notice(desk, contact.customer_id, about, to))
        async with desk.sending():
            (row,) = await desk.ended()
        assert (row["state"], row["person_id"]) == ("sent", to)

    @pytest.mark.parametrize("about", ["dispute_accepted", "dispute_rejected"])
    async def test_decision_names_invoice_and_amount(self, desk: Desk, about: str) -> None:
        contact = await desk.contact("ann@example.com")
        issued = invoice(contact.customer_id, "INV-77")
        made = notice(desk, contact.customer_id, about, contact.contact_id)
        disputed = Amount(amount_minor=4_250, currency="USD")
        await desk.hear(issued, made.model_copy(update={"invoice_id": issued.invoice_id, "amount": disputed}))
        async with desk.sending():
            await desk.ended()
        (mail,) = desk.caught()
        assert "Invoice: INV-77" in mail["text"]
        assert "Disputed: $42.50" in mail["text"]

    async def test_text_is_kept_nowhere(self, desk: Desk) -> None:
        contact = await desk.contact()
        word = f"word{new_id()}"
        await desk.hear(notice(desk, contact.customer_id, "from_company", contact.contact_id, text=word))
        assert word not in await desk.everything()
        async with desk.sending():
            await desk.ended()
        assert word in desk.caught()[0]["text"]
        assert word not in await desk.everything()
        (row,) = await desk.mails()
        assert row["sealed"] is None


class TestReplyAddress:
    async def test_stands_in_the_mail_of_its_reader(self, desk: Desk) -> None:
        one = await desk.contact()
        other = await desk.contact(customer=one.customer_id)
        secrets = {reply_to(one.contact_id): "ticket+abc@replies.example"}
        made = notice(desk, one.customer_id, "from_company", one.contact_id, other.contact_id, **secrets)
        await desk.hear(made)
        async with desk.sending():
            await desk.ended(2)
        mails = {mail["to"][0]: mail for mail in desk.caught()}
        own, others = mails[one.email], mails[other.email]
        assert "<ticket+abc@replies.example>" in own["headers"]["Reply-To"]
        assert "reply to this mail" in own["text"]
        assert "Reply-To" not in others["headers"]
        assert "reply to this mail" not in others["text"]

    async def test_readers_of_the_company_know_who_reads(self, desk: Desk) -> None:
        contact, kim = await desk.contact(), await staff(desk, "kim@paidup.example")
        named = CustomerChanged(customer_id=contact.customer_id, external_id="ACME", name="Acme Corp")
        secrets = {reply_to(kim): "ticket+abc@replies.example"}
        await desk.hear(named, notice(desk, contact.customer_id, "escalated", kim, **secrets))
        async with desk.sending():
            await desk.ended()
        assert "Acme Corp reads what you write." in desk.caught()[0]["text"]

    async def test_mails_of_a_ticket_belong_together(self, desk: Desk) -> None:
        contact = await desk.contact()
        made = notice(desk, contact.customer_id, "from_company", contact.contact_id)
        await desk.hear(made)
        await desk.hear(made.model_copy(update={"about": "solved"}))
        async with desk.sending():
            await desk.ended(2)
        first, second = (mail["headers"] for mail in desk.caught())
        assert first["References"] == second["References"] == f"<ticket.{made.ticket_id}@example.com>"
        assert first["Message-ID"] != second["Message-ID"]
        assert (first["Auto-Submitted"], first["X-Auto-Response-Suppress"]) == ("auto-generated", "OOF, AutoReply")
        assert first["X-Paidup-Mail"] == "ticket_answered"
