"""What happens to tickets without a request: payments reconcile, days pass, people are erased."""

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import httpx2

from chassis.tasks.worker import Worker
from contracts import auth, invoicing, payments
from support.checks import CHECKS, EMITTED
from support.jobs import QUEUES
from support.tickets.domain import RECONCILED
from support.tickets.threads import CLOSE
from tests.kit.supporting import Acme, Help, payment
from tests.service.support.test_tickets_http import done, opened, said, thread


async def reconciled(desk: Help, acme: Acme) -> payments.PaymentReconciled:
    found: payments.PaymentReconciled = payment(
        acme.id, payments.PaymentReconciled, payment_id=acme.payment, status="succeeded", reconciliation="matched"
    )
    await desk.hear(found)
    return found


async def closed(client: httpx2.AsyncClient, ticket: Any) -> Any:
    """The ticket, once it is closed."""
    end = asyncio.get_running_loop().time() + 20
    while (found := (await client.get(f"/v1/tickets/{ticket['id']}")).json())["status"] != "closed":
        assert asyncio.get_running_loop().time() < end, found
        await asyncio.sleep(0.02)
    return found


class TestPaymentTickets:
    async def test_close_when_their_payment_reconciles(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            ticket, other = await opened(ann, payment_id=acme.payment), await opened(ann)
            assert (ticket["kind"], ticket["payment_number"]) == ("payment", "P-7K3M9-2QXTB")
            await reconciled(desk, acme)
            found = (await ann.get(f"/v1/tickets/{ticket['id']}")).json()
            assert (found["status"], found["events"][-1]["by"]["side"]) == ("closed", "system")
            assert "confirmed" in found["events"][-1]["text"]
            assert (await ann.get(f"/v1/tickets/{other['id']}")).json()["status"] == "new"
            assert (await desk.notices(ticket["id"]))[-1]["about"] == "solved"
            assert (await done(ann, ticket, "reopen"))["status"] == "open"
            assert (await said(lee, ticket, "We look."))["status"] == "waiting_for_you"

    async def test_event_of_this_moment_is_not_missed(self, desk: Help) -> None:
        """A request that opens a ticket holds the payment, so its event waits, and then finds the ticket."""
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.running.pool.acquire() as connection:
            async with connection.transaction():
                await connection.execute("SELECT FROM payments WHERE id = $1 FOR SHARE", acme.payment)
                hearing = asyncio.create_task(reconciled(desk, acme))
                ticket = await opened(ann, payment_id=acme.payment)
            await hearing
            assert (await ann.get(f"/v1/tickets/{ticket['id']}")).json()["status"] == "closed"

    async def test_event_read_again_closes_nothing(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann:
            ticket = await opened(ann, payment_id=acme.payment)
            event = payment(acme.id, payments.PaymentReconciled, payment_id=acme.payment, status="succeeded")
            record = desk.record(event)
            await desk.consumer.take([record])
            await done(ann, ticket, "reopen")
            for sql in ("SELECT 1", "UPDATE seen SET sequence = 1 WHERE aggregate = $1"):  # as if it was never heard
                await desk.running.pool.execute(sql, *([acme.payment] if "$1" in sql else []))
                await desk.consumer.take([record])
                assert (await ann.get(f"/v1/tickets/{ticket['id']}")).json()["status"] == "open"

    async def test_opened_just_after_it_closes_too(self, desk: Help) -> None:
        acme = await desk.acme()
        await reconciled(desk, acme)
        async with desk.contact(acme) as ann:
            ticket = await opened(ann, payment_id=acme.payment)
            assert (ticket["status"], thread(ticket)) == ("closed", ["asked", "closed"])
            assert (ticket["events"][-1]["by"]["side"], ticket["events"][-1]["text"]) == ("system", RECONCILED)
            assert (await done(ann, ticket, "reopen"))["status"] == "open"
        assert [kind for kind, _, _ in await desk.events(ticket["id"])][:2] == ["TicketOpened", "TicketClosed"]

    async def test_reversal_since_keeps_it_open(self, desk: Help) -> None:
        acme = await desk.acme()
        await reconciled(desk, acme)
        reversed_ = {
            "code": "R01",
            "reversed": {"amount_minor": 12_500, "currency": "USD"},
            "reconciliation": "matched",
        }
        await desk.hear(payment(acme.id, payments.PaymentReversed, payment_id=acme.payment, **reversed_))
        async with desk.contact(acme) as ann:
            assert (await opened(ann, payment_id=acme.payment))["status"] == "new"

    async def test_ticket_about_confirmed_money_stays(self, desk: Help) -> None:
        acme = await desk.acme()
        await reconciled(desk, acme)
        desk.move(timedelta(minutes=16))
        async with desk.contact(acme) as ann:
            ticket = await opened(ann, payment_id=acme.payment)
            reversed_ = {"code": "R01", "reversed": {"amount_minor": 12_500, "currency": "USD"}}
            await desk.hear(payment(acme.id, payments.PaymentReversed, payment_id=acme.payment, **reversed_))
            assert (await ann.get(f"/v1/tickets/{ticket['id']}")).json()["status"] == "new"


class TestSolvedTickets:
    async def test_close_after_fourteen_days(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann:
            ticket, again = await opened(ann), await opened(ann)
            for one in (ticket, again):
                await done(ann, one, "solve")
            await said(ann, again, "Not yet.")
            desk.move(timedelta(days=14, seconds=1))
            worker = asyncio.create_task(Worker(QUEUES.by_name[CLOSE], desk.running).run())
            found = await closed(ann, ticket)
            worker.cancel()
            await asyncio.wait([worker])
            assert thread(found) == ["asked", "solved", "closed"]
            assert (await ann.get(f"/v1/tickets/{again['id']}")).json()["status"] == "open"


class TestPeople:
    async def test_erased_ones_have_no_name(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            ticket = await opened(ann)
            await desk.hear(auth.ContactErased(contact_id=acme.contact), invoicing.CustomerErased(customer_id=acme.id))
            found = (await lee.get(f"/v1/tickets/{ticket['id']}")).json()
        assert (found["events"][0]["by"]["name"], found["customer_name"]) == (None, None)


class TestChecks:
    async def test_hold_after_all_that_happened(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            ticket = await opened(ann)
            await said(lee, ticket, "Note", internal=True)
            await done(lee, ticket, "solve")
        connection = await asyncpg.connect(desk.database.owner_url)
        try:
            broken = {what: await connection.fetch(sql) for what, sql in CHECKS.items()}
            assert {what: rows for what, rows in broken.items() if rows} == {}
            counted = {(row[0], row[1]): row[2] for row in await connection.fetch(EMITTED)}
            sent = await connection.fetch("SELECT topic, aggregate, max(sequence) FROM outbox GROUP BY 1, 2")
            assert counted == {(row[0], row[1]): row[2] for row in sent}
        finally:
            await connection.close()

    async def test_find_a_status_that_was_changed(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann:
            ticket = await opened(ann)
        connection = await asyncpg.connect(desk.database.owner_url)
        try:
            await connection.execute("UPDATE tickets SET status = 'open', entries = 2 WHERE id = $1", ticket["id"])
            for what in ("a ticket's status is not the one after its last event", "a ticket's events have a gap"):
                assert [row[0] for row in await connection.fetch(CHECKS[what])] == [ticket["id"]]
            await connection.execute("UPDATE tickets SET status = 'new', entries = 1 WHERE id = $1", ticket["id"])
        finally:
            await connection.close()
