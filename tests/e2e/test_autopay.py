"""Invoices that pay themselves, as days pass."""

import asyncio
from typing import Any

from contracts.ids import new_id
from tests.kit.client import Client
from tests.kit.mails import Catcher
from tests.kit.stack import LocalStack

DEBIT, CREDIT = "pm_card_visa_debit", "pm_card_visa"


async def pass_time(stack: LocalStack, span: str) -> None:
    await asyncio.to_thread(stack.paidup, "clock", "advance", span)


async def put(client: Client, customer: str, **body: Any) -> tuple[int, Any]:
    return await client.ask("PUT", f"/v1/customers/{customer}/autopay", body)


async def switched_on(client: Client, token: str = DEBIT, **more: Any) -> tuple[str, str]:
    """A customer whose invoices are paid by themselves, and its method."""
    customer = await client.customer()
    method = await client.method(customer, token)
    status, autopay = await put(client, customer, enabled=True, method_id=method, **more)
    assert (status, autopay["enabled"], autopay["held_reason"]) == (200, True, None), autopay
    return customer, method


async def announced(client: Client, customer: str, invoice: str, attempt: int = 1) -> Any:
    """The charge of an invoice, once it is announced."""

    def there(autopay: Any) -> bool:
        return any((each["invoice_id"], each["attempt"]) == (invoice, attempt) for each in autopay["upcoming"])

    autopay = await client.until(f"/v1/customers/{customer}/autopay", there)
    return next(each for each in autopay["upcoming"] if each["invoice_id"] == invoice)


async def payments(client: Client, customer: str) -> list[dict[str, Any]]:
    return list((await client.get(f"/v1/payments?customer_id={customer}"))["items"])


def slug(problem: Any) -> str:
    return str(problem["type"].rpartition(":")[2])


class TestHold:
    async def test_hard_decline_disables_the_card(self, moving: Client, moving_stack: LocalStack) -> None:
        customer, stolen = await switched_on(moving, "pm_card_visa_chargeDeclinedStolenCard", surcharge_consent=True)
        first = await moving.invoice(customer)
        await announced(moving, customer, first)
        await pass_time(moving_stack, "2d")
        path = f"/v1/customers/{customer}/autopay"
        held = await moving.until(path, lambda now: now["held_reason"] is not None)
        assert (held["enabled"], held["held_reason"], held["upcoming"]) == (True, "stolen_card", [])
        assert held["held_because"].startswith(
            "The card was reported stolen. Switch autopay on again with another method."
        )
        (card,) = (await moving.get(f"/v1/customers/{customer}/payment-methods"))["items"]
        assert (card["usable"], card["disabled_reason"]) == (False, "The card was reported stolen")
        status, problem = await put(moving, customer, enabled=True, method_id=stolen, surcharge_consent=True)
        assert (status, slug(problem)) == (409, "method-disabled")
        other = await moving.method(customer, DEBIT)
        status, again = await put(moving, customer, enabled=True, method_id=other)
        assert (status, again["held_reason"], again["held_because"]) == (200, None, None)
        second = await moving.invoice(customer)
        await announced(moving, customer, second)
        await pass_time(moving_stack, "2d")
        await moving.paid(second)
        assert (await moving.get(f"/v1/invoices/{first}"))["status"] == "open"

    async def test_returned_debit_disables_the_account(self, moving: Client, moving_stack: LocalStack) -> None:
        customer, account = await switched_on(moving, "pm_usBankAccount_dispute")
        invoice = await moving.invoice(customer)
        await announced(moving, customer, invoice)
        await pass_time(moving_stack, "2d")
        held = await moving.until(f"/v1/customers/{customer}/autopay", lambda now: now["held_reason"] is not None, 40)
        assert held["held_reason"] == "R10"
        (method,) = (await moving.get(f"/v1/customers/{customer}/payment-methods"))["items"]
        assert (method["id"], method["usable"]) == (account, False)


class TestCharging:
    async def test_announced_then_charged_once_two_days_later(self, moving: Client, moving_stack: LocalStack) -> None:
        customer = await moving.customer()
        before = await moving.invoice(customer)
        method = await moving.method(customer, DEBIT)
        await moving.quote(customer, method, before)
        assert (await put(moving, customer, enabled=True, method_id=method))[0] == 200
        invoice = await moving.invoice(customer)
        charge = await announced(moving, customer, invoice)
        assert (charge["attempt"], charge["state"]) == (1, "scheduled")
        await moving.until(f"/v1/invoices/{invoice}/timeline", lambda t: f"on {charge['charge_on']}." in t["next_step"])
        await pass_time(moving_stack, "47h")
        await asyncio.sleep(3)
        assert await payments(moving, customer) == []
        await pass_time(moving_stack, "1h")
        await moving.paid(invoice)
        await asyncio.sleep(3)
        (payment,) = await payments(moving, customer)
        assert (payment["status"], payment["amount_minor"], payment["method_id"]) == ("succeeded", 10_000, method)
        assert (await moving.get(f"/v1/invoices/{before}"))["status"] == "open"

    async def test_surcharge_needs_consent(self, moving: Client, moving_stack: LocalStack) -> None:
        customer = await moving.customer()
        method = await moving.method(customer, CREDIT)
        status, problem = await put(moving, customer, enabled=True, method_id=method)
        assert (status, slug(problem)) == (422, "surcharge-consent-missing")
        status, autopay = await put(moving, customer, enabled=True, method_id=method, surcharge_consent=True)
        assert (status, autopay["surcharge_rate"]) == (200, "0.03")
        invoice = await moving.invoice(customer)
        await announced(moving, customer, invoice)
        await pass_time(moving_stack, "2d")
        await moving.paid(invoice)
        (payment,) = await payments(moving, customer)
        assert payment["surcharge_minor"] == 300
        evidence = (await moving.get(f"/v1/payments/{payment['id']}/consent"))["consents"]
        said = {each["kind"]: each for each in evidence}
        assert (said["autopay"]["given"], said["autopay"]["surcharge_rate"]) == (True, "0.03")
        assert (said["surcharge"]["actor"], said["surcharge"]["text_version"]) == ("system:autopay", "autopay-2")

    async def test_soft_decline_is_retried_unless_paid(self, moving: Client, moving_stack: LocalStack) -> None:
        customer, method = await switched_on(
            moving, "pm_card_visa_chargeDeclinedInsufficientFunds", surcharge_consent=True
        )
        invoice = await moving.invoice(customer)
        await announced(moving, customer, invoice)
        await pass_time(moving_stack, "2d")
        second = await announced(moving, customer, invoice, attempt=2)
        assert second["state"] == "scheduled"
        await pass_time(moving_stack, "1d")
        third = await announced(moving, customer, invoice, attempt=3)
        declined = await payments(moving, customer)
        assert [payment["reason"] for payment in declined] == ["insufficient_funds"] * 2
        await moving.receive(customer, 10_000, invoice)
        path = f"/v1/customers/{customer}/autopay"
        autopay = await moving.until(path, lambda now: now["upcoming"] == [])
        assert (third["state"], autopay["held_reason"], autopay["method_id"]) == ("scheduled", None, method)
        later = await moving.invoice(customer)
        await announced(moving, customer, later)
        await pass_time(moving_stack, "2d")
        await announced(moving, customer, later, attempt=2)  # so what was due before is behind
        assert len(await payments(moving, customer)) == 4

    async def test_refunded_invoice_is_not_charged_again(self, moving: Client, moving_stack: LocalStack) -> None:
        customer, method = await switched_on(moving)
        invoice = await moving.invoice(customer)
        await announced(moving, customer, invoice)
        payment = await moving.pay(await moving.quote(customer, method, invoice))
        await moving.paid(invoice)
        await moving.until(f"/v1/customers/{customer}/autopay", lambda now: now["upcoming"] == [])
        await moving.until(f"/v1/payments/{payment['id']}", lambda one: one["reconciliation"] == "matched")
        await moving.refund(payment["id"])
        await moving.until(f"/v1/invoices/{invoice}", lambda one: one["status"] == "open")
        assert "Autopay" not in (await moving.get(f"/v1/invoices/{invoice}/timeline"))["next_step"]
        await pass_time(moving_stack, "3d")
        await asyncio.sleep(3)
        assert len(await payments(moving, customer)) == 1
        assert (await moving.get(f"/v1/invoices/{invoice}"))["status"] == "open"

    async def test_killed_services_charge_each_once(self, moving: Client, moving_stack: LocalStack) -> None:
        customer, _ = await switched_on(moving)
        invoices = [await moving.invoice(customer) for _ in range(20)]
        for invoice in invoices:
            await announced(moving, customer, invoice)
        await pass_time(moving_stack, "2d")
        for pause in (0.3, 0.6, 1.5):
            await asyncio.sleep(pause)
            await asyncio.to_thread(moving_stack.restart, "payments")
        for invoice in invoices:
            await moving.paid(invoice, seconds=60)
        made = (await moving.get(f"/v1/payments?customer_id={customer}&limit=100"))["items"]
        assert sorted(payment["allocations"][0]["invoice_id"] for payment in made) == sorted(invoices)
        assert {payment["reconciliation"] for payment in made} == {"matched"}
        looked = await asyncio.to_thread(moving_stack.paidup, "check-money", check=False)
        assert looked.returncode == 0, looked.stdout + looked.stderr


class TestDisputes:
    async def test_withdrawn_later_is_announced_anew(self, moving: Client, moving_stack: LocalStack) -> None:
        email = f"pat-{new_id()}@acme.example"
        customer = await moving.customer_with_contact("Acme", email)
        method = await moving.method(customer, DEBIT)
        assert (await put(moving, customer, enabled=True, method_id=method))[0] == 200
        invoice = await moving.invoice(customer)
        await announced(moving, customer, invoice)
        raised = await moving.make(f"/v1/invoices/{invoice}/disputes", {"text": "Nothing came."})
        path = f"/v1/customers/{customer}/autopay"
        await moving.until(path, lambda now: now["upcoming"] == [])
        await pass_time(moving_stack, "3d")
        await asyncio.sleep(3)
        await pass_time(moving_stack, "40d")
        assert (await moving.get(path))["left_by_hand"] == []
        status, _ = await moving.ask("POST", f"/v1/disputes/{raised['dispute']['id']}/withdraw", {"text": "It came."})
        assert status == 200
        again = await announced(moving, customer, invoice, attempt=2)
        assert (again["state"], again["amount_minor"]) == ("scheduled", 10_000)
        await moving.until(f"/v1/invoices/{invoice}/timeline", lambda t: f"on {again['charge_on']}." in t["next_step"])
        mails = Catcher(moving_stack.settings.mail_url)
        await mails.until(email, lambda them: sum("Autopay will charge" in each["subject"] for each in them) == 2)
        await pass_time(moving_stack, "47h")
        await asyncio.sleep(3)
        assert await payments(moving, customer) == []
        await pass_time(moving_stack, "1h")
        await moving.paid(invoice)


class TestSettings:
    async def test_method_stays_while_autopay_is_on(self, moving: Client) -> None:
        customer, method = await switched_on(moving)
        path = f"/v1/customers/{customer}/payment-methods/{method}"
        status, problem = await moving.ask("DELETE", path)
        assert (status, slug(problem)) == (409, "autopay-needs-method")
        assert "switch it off" in problem["detail"]
        status, autopay = await put(moving, customer, enabled=False)
        assert (status, autopay["enabled"]) == (200, False)
        assert (await moving.ask("DELETE", path))[0] == 204
        status, problem = await put(moving, customer, enabled=True, method_id=method)
        assert (status, slug(problem)) == (409, "method-removed")
        status, problem = await put(moving, customer, enabled=True)
        assert (status, slug(problem)) == (422, "unknown-method")

    async def test_other_customers_key_is_refused(self, moving: Client, moving_stack: LocalStack) -> None:
        mine, (other, method) = await moving.customer(), await switched_on(moving)
        wish = {"name": "portal", "scopes": ["methods:read", "methods:write"], "customer_id": mine}
        made = await moving.make("/v1/api-keys", wish)
        async with Client(moving_stack.url, made["key"]) as limited:
            assert (await limited.ask("GET", f"/v1/customers/{other}/autopay"))[0] == 404
            assert (await put(limited, other, enabled=False))[0] == 404
            assert (await put(limited, mine, enabled=True, method_id=method))[0] == 422


class TestCurrencies:
    async def test_what_no_method_pays_is_left(self, moving: Client, moving_stack: LocalStack) -> None:
        customer, account = await switched_on(moving, "pm_usBankAccount_success")
        euros, dollars = await moving.invoice(customer, currency="EUR"), await moving.invoice(customer)
        await announced(moving, customer, dollars)
        path = f"/v1/customers/{customer}/autopay"
        autopay = await moving.until(path, lambda now: now["left_by_hand"])
        assert [(one["invoice_id"], one["because"]) for one in autopay["left_by_hand"]] == [
            (euros, "no_method_for_currency")
        ]
        assert "by hand" in autopay["left_by_hand"][0]["text"]
        status, problem = await put(
            moving, customer, enabled=True, method_id=account, methods=[{"currency": "EUR", "method_id": account}]
        )
        assert (status, slug(problem)) == (422, "method-not-for-currency")
        card = await moving.method(customer, DEBIT)
        methods = [{"currency": "EUR", "method_id": card}]
        status, autopay = await put(moving, customer, enabled=True, method_id=account, methods=methods)
        assert (status, autopay["method_id"], autopay["methods"]) == (200, account, methods)
        later = await moving.invoice(customer, currency="EUR")
        await announced(moving, customer, later)
        await pass_time(moving_stack, "2d")
        await moving.paid(later)
        await moving.paid(dollars)
        made = {(one["currency"], one["method_id"]) for one in await payments(moving, customer)}
        assert made == {("EUR", card), ("USD", account)}
        assert (await moving.ask("DELETE", f"/v1/customers/{customer}/payment-methods/{card}"))[0] == 409
