"""Who is mailed what, once: on a real PostgreSQL and a real mail server."""

import pathlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts import auth, payments
from contracts.ids import new_id
from contracts.invoicing import CustomerChanged
from notify.checks import CHECKS
from notify.jobs import address_mails, warn_of_expiring
from tests.kit.mails import sealed
from tests.kit.notifying import Desk, desk_of, invoice, receipt, usd


@pytest.fixture
async def desk(tmp_path: pathlib.Path) -> AsyncIterator[Desk]:
    async with desk_of(tmp_path) as made:
        yield made
        for sql in CHECKS.values():
            assert await made.running.pool.fetch(sql) == []


def advance(desk: Desk, span: timedelta) -> None:
    desk.running.settings.clock_file.write_text(str(span.total_seconds()))


async def waiting(desk: Desk) -> int:
    count: int = await desk.running.pool.fetchval("SELECT count(*) FROM unaddressed")
    return count


def link(desk: Desk, customer: str, invoice_id: str) -> auth.PayerLinkMade:
    return auth.PayerLinkMade(
        link_id=new_id(), customer_id=customer, invoice_id=invoice_id, about="invoice_issued",
        sealed=sealed(desk.public_key, link="http://portal/i/canary"),
    )  # fmt: skip


class TestOnce:
    async def test_event_that_comes_twice_is_mailed_once(self, desk: Desk) -> None:
        contact = await desk.contact()
        record = desk.record(receipt(contact.customer_id))
        await desk.consumer.take([record])
        await desk.running.pool.execute("DELETE FROM seen")  # as if another name had heard all again
        await desk.hear(contact)
        await desk.consumer.take([record])
        async with desk.sending():
            await desk.ended()
        assert len(desk.caught()) == 1

    async def test_each_contact_gets_its_own(self, desk: Desk) -> None:
        one = await desk.contact()
        other = await desk.contact(customer=one.customer_id, language="es")
        await desk.contact(customer=one.customer_id, enabled=False)
        await desk.hear(receipt(one.customer_id))
        async with desk.sending():
            await desk.ended(2)
        assert {tuple(mail["to"]) for mail in desk.caught()} == {(one.email,), (other.email,)}
        assert len({mail["headers"]["Message-ID"] for mail in desk.caught()}) == 2

    async def test_history_is_kept_but_not_mailed(self, desk: Desk) -> None:
        desk.consumer.acts_from = datetime.now(UTC)
        contact = await desk.contact()
        before = datetime.now(UTC) - timedelta(days=1)
        await desk.hear(receipt(contact.customer_id), desk.code(contact.contact_id), time=before)
        assert await desk.mails() == []
        await desk.hear(receipt(contact.customer_id))
        assert len(await desk.mails()) == 1


class TestWhom:
    async def test_payer_alone_hears_what_became_of_it(self, desk: Desk) -> None:
        one = await desk.contact()
        payer = await desk.contact(customer=one.customer_id)
        paid = receipt(one.customer_id, way="collect")
        submitted = payments.PaymentSubmitted(**(paid.model_dump() | {"status": "submitted"}))
        await desk.hear(submitted, actor=f"contact:{payer.contact_id}")
        await desk.hear(paid, actor="system:payments")
        async with desk.sending():
            await desk.ended()
        assert [mail["to"] for mail in desk.caught()] == [[payer.email]]

    async def test_contact_that_comes_later_is_mailed(self, desk: Desk) -> None:
        customer, address = new_id(), f"{new_id()}@example.com"
        made = invoice(customer, "INV-77")
        await desk.hear(link(desk, customer, made.invoice_id))
        async with desk.sending():
            await desk.hear(made)
            await desk.contact(address, customer)
            await desk.ended()
        (mail,) = desk.caught()
        assert mail["subject"] == "Invoice INV-77 from Paidup: $125.00"
        assert "http://portal/i/canary" in mail["text"]

    async def test_nobody_is_waited_for_longer_than_a_minute(self, desk: Desk) -> None:
        await desk.hear(receipt(new_id()))
        assert not await address_mails(desk.running)
        assert await waiting(desk) == 1
        advance(desk, timedelta(minutes=1))
        assert not await address_mails(desk.running)
        assert (await waiting(desk), await desk.mails()) == (0, [])

    async def test_customer_without_address_is_not_waited_for(self, desk: Desk) -> None:
        customer = new_id()
        await desk.hear(CustomerChanged(customer_id=customer, external_id="C", name="Acme"))
        await desk.hear(receipt(customer))
        assert await waiting(desk) == 0

    async def test_staff_hear_of_customers_without_contacts(self, desk: Desk) -> None:
        kim = auth.StaffChanged(
            staff_id=new_id(), email="kim@example.com", language="en", role="account_manager", enabled=True
        )
        customer = CustomerChanged(customer_id=new_id(), external_id="C", name="Acme")
        await desk.hear(kim, customer)
        await desk.hear(
            payments.ExceptionAssigned(
                exception_id=new_id(), assigned_to=kim.staff_id, why="doubled",
                amount=usd(700),
            ),
            receipt(customer.customer_id),
        )  # fmt: skip
        assert [row["kind"] for row in await desk.mails()] == ["exception_assigned"]

    async def test_contact_of_the_same_batch_is_mailed(self, desk: Desk) -> None:
        customer = CustomerChanged(customer_id=new_id(), external_id="C", name="Acme")
        ann = auth.ContactChanged(
            contact_id=new_id(), customer_id=customer.customer_id, language="en", email="ann@example.com", enabled=True
        )
        await desk.hear(customer)
        await desk.hear(receipt(customer.customer_id), ann)
        assert [row["person_id"] for row in await desk.mails()] == [ann.contact_id]

    async def test_staff_are_found_by_address_or_id(self, desk: Desk) -> None:
        kim = auth.StaffChanged(
            staff_id=new_id(), email="Kim@example.com", language="en", role="account_manager", enabled=True
        )
        await desk.hear(kim)
        for whom in ("kim@EXAMPLE.com", kim.staff_id, "somebody"):
            await desk.hear(
                payments.ExceptionAssigned(exception_id=new_id(), assigned_to=whom, why="doubled", amount=usd(700))
            )
        async with desk.sending():
            rows = await desk.ended(2)
        assert {row["customer_id"] for row in rows} == {None}
        assert "kim" not in str([row["facts"] for row in rows]).lower()

    @pytest.mark.parametrize("by", ["address", "id"])
    async def test_staff_who_become_known_later_are_mailed(self, desk: Desk, by: str) -> None:
        kim = auth.StaffChanged(
            staff_id=new_id(), email="Kim@example.com", language="en", role="account_manager", enabled=True
        )
        for whom in ("somebody", kim.staff_id if by == "id" else "kim@example.com"):
            await desk.hear(
                payments.ExceptionAssigned(exception_id=new_id(), assigned_to=whom, why="doubled", amount=usd(700))
            )
        await desk.hear(kim)
        assert not await address_mails(desk.running)
        assert [row["person_id"] for row in await desk.mails()] == [kim.staff_id]
        advance(desk, timedelta(minutes=1))
        assert not await address_mails(desk.running)
        assert await waiting(desk) == 0


class TestNotSent:
    async def test_expired_code_is_cancelled(self, desk: Desk) -> None:
        contact = await desk.contact()
        await desk.hear(desk.code(contact.contact_id, expires_at=datetime.now(UTC) + timedelta(minutes=10)))
        advance(desk, timedelta(minutes=10))
        async with desk.sending():
            (row,) = await desk.ended()
        assert (row["state"], row["sealed"], desk.caught()) == ("cancelled", None, [])

    async def test_disabled_before_sending_is_suppressed(self, desk: Desk) -> None:
        contact = await desk.contact()
        await desk.hear(receipt(contact.customer_id))
        await desk.hear(contact.model_copy(update={"enabled": False}))
        async with desk.sending():
            (row,) = await desk.ended()
        assert (row["state"], desk.caught()) == ("suppressed", [])

    async def test_changed_address_is_used(self, desk: Desk) -> None:
        contact = await desk.contact()
        await desk.hear(receipt(contact.customer_id))
        await desk.hear(contact.model_copy(update={"email": "new@example.com"}))
        async with desk.sending():
            await desk.ended()
        assert [mail["to"] for mail in desk.caught()] == [["new@example.com"]]


class TestSecrets:
    async def test_code_is_in_no_table(self, desk: Desk) -> None:
        contact = await desk.contact()
        await desk.hear(desk.code(contact.contact_id, "314159"))
        assert "314159" not in await desk.everything()
        async with desk.sending():
            (row,) = await desk.ended()
        assert "314159" in desk.caught()[0]["text"]
        assert (row["state"], row["sealed"]) == ("sent", None)
        assert "314159" not in await desk.everything()

    async def test_what_is_sealed_to_others_fails_alone(self, desk: Desk) -> None:
        contact = await desk.contact()
        wrong = desk.code(contact.contact_id).model_copy(update={"sealed": "no.jwe"})
        await desk.hear(wrong)
        await desk.hear(desk.code(contact.contact_id, "161803"))
        async with desk.sending():
            first, _ = await desk.until(lambda rows: rows[1]["state"] == "sent")
        assert (first["state"], first["reason"]) == ("queued", "it could not be written")
        assert "161803" in desk.caught()[0]["text"]


class TestErasure:
    async def test_address_and_name_are_nowhere(self, desk: Desk) -> None:
        contact = await desk.contact("canary@example.com", name="Canary Name")
        await desk.hear(receipt(contact.customer_id))
        async with desk.sending():
            await desk.ended()
        await desk.hear(receipt(contact.customer_id), desk.code(contact.contact_id))
        assert "canary@example.com" in await desk.everything()
        await desk.hear(auth.ContactErased(contact_id=contact.contact_id))
        left = (await desk.everything()).lower()
        assert "canary" not in left
        async with desk.sending():
            rows = await desk.ended(3)
            while await desk.tasks():
                await desk.until(lambda _: True)
        assert [row["state"] for row in rows] == ["sent", "cancelled", "cancelled"]
        assert len(desk.caught()) == 1


class TestCards:
    async def test_customer_is_warned_once(self, desk: Desk) -> None:
        contact = await desk.contact()
        month = f"{desk.running.clock.today():%Y-%m}"  # its last day is at most 30 days away
        common: dict[str, Any] = {"customer_id": contact.customer_id, "kind": "card", "saved": True, "expires": month}
        added = payments.MethodAdded(method_id=new_id(), **common)
        await desk.hear(added, payments.MethodAdded(method_id=new_id(), **(common | {"saved": False})))
        for _ in range(2):
            assert not await warn_of_expiring(desk.running)
        async with desk.sending():
            (row,) = await desk.ended()
        assert row["kind"] == "method_expiring"
