"""The way to the mail server: away, busy, refusing, with TLS and a login."""

import asyncio
import pathlib
from collections.abc import AsyncIterator

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from contracts import auth
from tests.kit.notifying import Desk, desk_of, receipt


@pytest.fixture
async def desk(tmp_path: pathlib.Path) -> AsyncIterator[Desk]:
    async with desk_of(tmp_path) as made:
        yield made


class TestAway:
    async def test_all_are_sent_after_in_order(self, desk: Desk) -> None:
        contacts = [await desk.contact() for _ in range(5)]
        desk.receiving.go_away()
        async with desk.sending():
            for minor in range(1, 11):
                await desk.hear(*(receipt(contact.customer_id, minor * 100) for contact in contacts))
            await asyncio.sleep(1.5)  # the server is away meanwhile
            assert {row["state"] for row in await desk.mails()} == {"queued"}
            await desk.receiving.come()
            rows = await desk.ended(50)
        assert {row["state"] for row in rows} == {"sent"}
        assert {row["attempts"] for row in rows} == {1}
        for contact in contacts:
            amounts = [mail["subject"] for mail in desk.caught() if mail["to"] == [contact.email]]
            assert amounts == [f"Paidup has recorded your payment of ${minor}.00" for minor in range(1, 11)]

    async def test_cut_connection_repeats_the_message_id(self, desk: Desk) -> None:
        """The server took the mail, and its answer was lost: it comes again, as the same one."""
        contact = await desk.contact()
        handler = desk.receiving._handler
        take = handler.handle_DATA

        async def take_and_cut(server: SMTP, session: Session, envelope: Envelope) -> str:
            answer = await take(server, session, envelope)
            handler.handle_DATA = take  # type: ignore[method-assign]
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
            return answer

        handler.handle_DATA = take_and_cut  # type: ignore[method-assign]
        await desk.hear(receipt(contact.customer_id))
        async with desk.sending():
            await desk.ended()
        one, other = desk.caught()
        assert one["headers"]["Message-ID"] == other["headers"]["Message-ID"]


class TestRefusals:
    async def test_busy_server_is_tried_again(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        contact = await desk.contact("busy@example.com")
        await desk.hear(receipt(contact.customer_id), desk.code(contact.contact_id))
        async with desk.sending():
            await desk.until(lambda rows: all(row["attempts"] == 1 for row in rows))
            for _ in range(3):
                await desk.running.pool.execute("UPDATE tasks SET free_at = now() WHERE error IS NOT NULL")
                await asyncio.sleep(0.2)
            rows = await desk.ended(2)
        assert {row["state"] for row in rows} == {"sent"}
        assert "busy@" not in str([row["error"] for row in await desk.tasks()])

    async def test_busy_mail_holds_no_other_up(self, desk: Desk) -> None:
        contact = await desk.contact("busy@example.com")
        await desk.hear(receipt(contact.customer_id, 100))
        async with desk.sending():
            await desk.until(lambda rows: rows[0]["attempts"] == 1)
            await desk.hear(receipt(contact.customer_id, 200))
            await desk.until(lambda rows: rows[1]["attempts"] == 1)
            await desk.hear(receipt(contact.customer_id, 300))
            await desk.until(lambda rows: rows[2]["state"] == "sent")

    async def test_missing_mailbox_marks_the_address(self, desk: Desk) -> None:
        contact = await desk.contact("unknown@example.com")
        await desk.hear(receipt(contact.customer_id))
        async with desk.sending():
            (row,) = await desk.ended()
            assert (row["state"], row["attempts"]) == ("bounced", 1)
            await desk.hear(receipt(contact.customer_id))
            assert (await desk.ended(2))[1]["state"] == "suppressed"
            await desk.hear(contact.model_copy(update={"email": "better@example.com"}))
            await desk.hear(receipt(contact.customer_id))
            assert (await desk.ended(3))[2]["state"] == "sent"

    async def test_refused_message_fails_alone(self, desk: Desk) -> None:
        contact = await desk.contact("refused@example.com")
        await desk.hear(receipt(contact.customer_id))
        async with desk.sending():
            (row,) = await desk.ended()
        assert (row["state"], row["reason"]) == ("failed", "the mail server refused it (554)")
        assert await desk.running.pool.fetchval("SELECT bounced_at FROM people") is None


class TestCompany:
    async def test_its_name_zone_and_reply_address_are_used(self, desk: Desk) -> None:
        await desk.hear(
            auth.CompanyChanged(
                company_id="company", name="Müller & Co", brand_colour="#aa2200", time_zone="Europe/Vienna",
                languages=("es", "en"), reply_address="hallo@example.com",
            )
        )  # fmt: skip
        contact = await desk.contact(language="de")
        await desk.hear(receipt(contact.customer_id))
        async with desk.sending():
            (row,) = await desk.ended()
        (mail,) = desk.caught()
        assert row["language"] == "es"
        assert mail["headers"]["Reply-To"].endswith("<hallo@example.com>")
        assert "Müller & Co" in mail["text"]
        assert "#aa2200" in mail["html"]
