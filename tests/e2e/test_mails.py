"""Mails on a real stack, caused over the public API and read in its catcher."""

import asyncio
import re
from typing import Any

import aiohttp
import pytest

from contracts.ids import new_id
from tests.kit.client import Client
from tests.kit.mails import Catcher, Mail
from tests.kit.settling import all_heard
from tests.kit.stack import LocalStack

CODE = re.compile(r"^ +([0-9]{6})$", re.MULTILINE)


@pytest.fixture
def catcher(stack: LocalStack) -> Catcher:
    return Catcher(stack.settings.mail_url)


async def customer_with_contact(client: Client, **more: Any) -> tuple[str, str]:
    """A customer, and the address of its first contact, who is enabled."""
    address = f"{new_id()}@example.com"
    return await client.customer(email=address, **more), address


async def paid(client: Client, customer: str, token: str = "pm_card_visa") -> tuple[str, Any]:
    invoice, method = await client.invoice(customer), await client.method(customer, token)
    payment = await client.pay(await client.quote(customer, method, invoice))
    return invoice, payment


def shows(mail: Mail, *words: str) -> None:
    """Both parts of the mail have the words."""
    for part in (mail["text"], mail["html"]):
        assert [word for word in words if word not in part] == []


class TestCode:
    async def test_is_in_the_mail_alone(self, stack: LocalStack, client: Client, catcher: Catcher) -> None:
        address = f"{new_id()}@example.com"
        await client.customer_with_contact("Acme Corp", address)
        async with Client(stack.url, None) as browser:
            assert (await browser.ask("POST", "/v1/sign-in/codes", {"email": address}))[0] == 202
        mail = await catcher.newest(address)
        found = CODE.search(mail["text"])
        assert found is not None
        shows(mail, found[1], stack.url)
        for name in ("notify", "auth", "gateway"):
            assert found[1] not in stack.log(name)


class TestInvoice:
    async def test_is_mailed_with_a_payer_link(self, client: Client, catcher: Catcher, stack: LocalStack) -> None:
        customer, address = await customer_with_contact(client, name="Söhne & Co")
        invoice = await client.get(f"/v1/invoices/{await client.invoice(customer, 123_456)}")
        mail = await catcher.newest(address, invoice["number"])
        shows(mail, invoice["number"], "$1,234.56", f"{stack.url}/i/")
        assert "Söhne & Co" in mail["text"]
        assert "Söhne &amp; Co" in mail["html"]

    async def test_new_contact_is_not_missed(self, client: Client, catcher: Catcher) -> None:
        """Customer and invoice are made at once, so that the invoice may be heard of before the contact."""
        for _ in range(5):
            customer, address = await customer_with_contact(client)
            await client.invoice(customer)
            assert (await catcher.newest(address, "Invoice"))["to"] == [address]


class TestPayments:
    async def test_received_then_refunded(self, client: Client, catcher: Catcher) -> None:
        customer, address = await customer_with_contact(client)
        invoice, payment = await paid(client, customer)
        shown = await client.paid(invoice)
        mail = await catcher.newest(address, "Payment received")
        shows(mail, shown["number"], "$100.00", "$3.00", "$103.00", f"/payments/{payment['id']}")
        await client.refund(payment["id"], 2_500)
        shows(await catcher.newest(address, "gave you"), "$25.00", "$25.75")

    async def test_decline_says_that_nothing_was_taken(self, client: Client, catcher: Catcher) -> None:
        customer, address = await customer_with_contact(client)
        await paid(client, customer, "pm_card_visa_chargeDeclinedInsufficientFunds")
        shows(await catcher.newest(address, "did not go through"), "No money was taken", "There was not enough money")

    async def test_return_says_what_is_owed_again(self, stack: LocalStack, client: Client, catcher: Catcher) -> None:
        customer, address = await customer_with_contact(client)
        invoice, payment = await paid(client, customer, "pm_usBankAccount_success")
        await client.paid(invoice)
        intent = (await asyncio.to_thread(stack.intents))[payment["id"]]
        await asyncio.to_thread(lambda: stack.sandbox(f"payment_intents/{intent}/return", code="R01"))
        shows(await catcher.newest(address, "returned your payment"), "owed again", "$100.00")

    async def test_chargeback_is_mailed_twice(self, stack: LocalStack, client: Client, catcher: Catcher) -> None:
        customer, address = await customer_with_contact(client)
        invoice, payment = await paid(client, customer)
        await client.paid(invoice)
        intent = (await asyncio.to_thread(stack.intents))[payment["id"]]
        made = await asyncio.to_thread(lambda: stack.sandbox(f"payment_intents/{intent}/dispute"))
        shows(await catcher.newest(address, "is disputed"), "$103.00")
        await asyncio.to_thread(lambda: stack.sandbox(f"disputes/{made['id']}/lose"))
        shows(await catcher.newest(address, "chargeback was decided"), "owed again")

    async def test_receipt_of_staff_is_mailed(self, client: Client, catcher: Catcher) -> None:
        customer, address = await customer_with_contact(client)
        invoice = await client.invoice(customer)
        await client.receive(customer, 10_000, invoice)
        shows(await catcher.newest(address, "has recorded"), "$100.00", (await client.paid(invoice))["number"])

    async def test_spanish_contact_reads_spanish(self, stack: LocalStack, client: Client, catcher: Catcher) -> None:
        customer, address = await customer_with_contact(client)
        other = f"{new_id()}@example.com"
        await client.until(f"/v1/contacts?customer_id={customer}", lambda found: len(found["items"]) == 1)
        made = await client.make(
            "/v1/contacts", {"customer_id": customer, "email": other, "name": "Ana Díaz", "language": "es"}
        )
        status, _ = await client.ask("PATCH", f"/v1/contacts/{made['id']}", {"enabled": True})
        assert status == 200
        await all_heard(stack)
        invoice = await client.invoice(customer)
        await client.receive(customer, 10_000, invoice)
        mail = await catcher.newest(other, "ha registrado su pago")
        shows(mail, "100,00", "Ana Díaz")
        assert (await catcher.newest(address, "has recorded"))["headers"]["Content-Language"] == "en"


class TestStaff:
    async def test_sees_mails_and_sends_again(self, client: Client, catcher: Catcher) -> None:
        customer, address = await customer_with_contact(client)
        await client.receive(customer, 5_000)
        first = await catcher.newest(address, "has recorded")
        listed = await client.until(
            f"/v1/mails?customer_id={customer}&state=sent", lambda found: len(found["items"]) == 1
        )
        (mail,) = listed["items"]
        assert (mail["kind"], mail["address"], mail["subject"]) == ("receipt_recorded", address, first["subject"])
        assert first["headers"]["Message-ID"].startswith(f"<{mail['message_id']}@")
        again = await client.make(f"/v1/mails/{mail['id']}/resend")
        assert again["state"] == "queued"
        both = await catcher.until(address, lambda mails: len(mails) == 2)
        assert both[0]["headers"]["Message-ID"] != both[1]["headers"]["Message-ID"]

    async def test_exception_is_mailed_to_its_person(self, client: Client, catcher: Catcher) -> None:
        address = f"{new_id()}@example.com"
        await client.make("/v1/staff", {"email": address, "name": "Kim", "role": "account_manager"})
        line = f'2026-03-02,77.00,USD,DE89370400440532013000,,"nothing known {new_id()}","Nobody",\n'
        header = "date,amount,currency,account,reference,text,payer,payer_account\n"
        status, run = await client.upload("/v1/bank-statements", (header + line).encode())
        assert status == 202, run
        await client.until(f"/v1/reconciliation/runs/{run['id']}", lambda found: found["status"] == "done")
        (taken,) = (await client.get(f"/v1/reconciliation/runs/{run['id']}/lines"))["items"]
        mine = taken["exception_id"]
        await client.make(f"/v1/reconciliation/exceptions/{mine}/assign", {"assigned_to": address})
        shows(await catcher.newest(address, "exception of $77.00"), f"/desk/exceptions/{mine}")


class TestUnsubscribing:
    async def test_one_click_ends_a_group(self, client: Client, catcher: Catcher) -> None:
        customer, address = await customer_with_contact(client)
        await client.receive(customer, 5_000)
        mail = await catcher.newest(address, "has recorded")
        assert mail["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        stop = mail["headers"]["List-Unsubscribe"].strip("<>")
        async with aiohttp.ClientSession() as program:
            async with program.get(stop) as page:
                assert (page.status, "Stop mails of this kind" in await page.text()) == (200, True)
            async with program.post(stop, data={"List-Unsubscribe": "One-Click"}) as done:
                assert done.status == 204, await done.text()
            async with program.post(stop[:-2] + "AA") as wrong:
                assert wrong.status == 404
        await client.receive(customer, 6_000)
        held = await client.until(
            f"/v1/mails?customer_id={customer}&state=suppressed", lambda found: len(found["items"]) == 1
        )
        assert held["items"][0]["reason"] == "the person does not want such mails"
        assert len(await catcher.mails(address)) == 1
