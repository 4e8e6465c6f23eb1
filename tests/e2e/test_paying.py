"""An invoice is issued, paid, reconciled and becomes Paid, over the public API on the real stack."""

import asyncio
from typing import Any

import pytest

from contracts.ids import new_id
from tests.kit.client import SECONDS, Client, parts
from tests.kit.provider_sandbox import until
from tests.kit.stack import LocalStack


async def ended(client: Client, payment: Any, *statuses: str) -> Any:
    wanted = statuses or ("succeeded",)
    return await client.until(f"/v1/payments/{payment['id']}", lambda p: p["status"] in wanted)


async def matched(client: Client, payment: Any) -> Any:
    return await client.until(f"/v1/payments/{payment['id']}", lambda p: p["reconciliation"] == "matched")


class TestBankDebits:
    async def test_returned_debit_reopens_the_invoice(self, client: Client, stack: LocalStack) -> None:
        customer = await client.customer()
        invoice, method = await client.invoice(customer), await client.method(customer, "pm_usBankAccount_success")
        payment = await client.pay(await client.quote(customer, method, invoice))
        await client.until(f"/v1/invoices/{invoice}", lambda i: i["status"] in ("in_progress", "paid"))
        await client.paid(invoice)
        await matched(client, payment)
        await _return(stack, payment["id"])
        again = await client.until(f"/v1/invoices/{invoice}", lambda i: i["status"] == "open")
        assert (again["balance_minor"], again["due_on"]) == (10_000, "2026-02-01")
        back = await client.until(f"/v1/payments/{payment['id']}", lambda p: p["reversed_minor"] == 10_000)
        await client.until(f"/v1/payments/{payment['id']}", lambda p: p["allocations"] == [])
        assert back["reason"].startswith("returned_")


async def _return(stack: LocalStack, payment_id: str) -> None:
    """The payer's bank sends the debit back."""
    intent = (await asyncio.to_thread(stack.intents))[payment_id]
    await asyncio.to_thread(stack.sandbox, f"payment_intents/{intent}/return", code="R01")


async def charges_of(stack: LocalStack, payment_id: str) -> int:
    """How many charges the provider has of a payment."""
    charges = await asyncio.to_thread(lambda: list(stack.charges()))
    return sum(charge["metadata"].get("payment_id") == payment_id for charge in charges)


class TestIdempotencyKey:
    async def test_fifty_requests_are_one_payment(self, client: Client) -> None:
        customer = await client.customer()
        invoice, key = await client.invoice(customer), new_id()
        answers = await asyncio.gather(*(client.receive(customer, 10_000, invoice, key=key) for _ in range(50)))
        assert len({answer["id"] for answer in answers}) == 1
        await client.paid(invoice)
        (aging,) = (await client.get(f"/v1/customers/{customer}/aging"))["currencies"]
        assert aging["credits_minor"] == 0

    async def test_fifty_confirmations_are_one_charge(self, client: Client, stack: LocalStack) -> None:
        customer = await client.customer()
        invoice, method = await client.invoice(customer), await client.method(customer, "pm_card_visa_debit")
        quote, key = await client.quote(customer, method, invoice), new_id()
        answers = await asyncio.gather(*(client.pay(quote, key=key) for _ in range(50)))
        assert len({answer["id"] for answer in answers}) == 1
        await client.paid(invoice)
        assert await charges_of(stack, answers[0]["id"]) == 1

    async def test_another_body_or_no_key_is_refused(self, client: Client) -> None:
        customer, key = await client.customer(), new_id()
        first = await client.receive(customer, 100, key=key)
        again = await client.receive(customer, 100, key=key)
        assert first["id"] == again["id"]
        assert client.headers["Idempotent-Replayed"] == "true"
        other = {"customer_id": customer, "amount_minor": 101, "currency": "USD", "received_on": "2026-03-01"}
        status, problem = await client.ask("POST", "/v1/payments/offline", other, **{"Idempotency-Key": key})
        assert (status, problem["type"]) == (422, "urn:paidup:problem:idempotency-key-reused")
        assert (await client.ask("POST", "/v1/payments/offline", other))[0] == 400


async def test_hundred_payers_never_reserve_too_much(client: Client) -> None:
    customer = await client.customer()
    invoice, method = await client.invoice(customer), await client.method(customer, "pm_card_visa_debit")
    quotes = await asyncio.gather(*(client.quote(customer, method, (invoice, 1_000)) for _ in range(100)))
    answers = await asyncio.gather(*(_confirm(client, quote) for quote in quotes))
    taken = [payment for status, payment in answers if status == 202]
    ends = await asyncio.gather(*(ended(client, payment, "succeeded", "cancelled") for payment in taken))
    assert sum(payment["status"] == "succeeded" for payment in ends) == 10
    await client.paid(invoice)


async def _confirm(client: Client, quote: Any) -> tuple[int, Any]:
    body = {"quote_id": quote["id"]}
    status, payment = await client.ask("POST", "/v1/payments", body, **{"Idempotency-Key": new_id()})
    assert status in (202, 409), payment
    return status, payment


class TestCards:
    async def test_accepted_surcharge_pays_the_invoice(self, client: Client) -> None:
        customer = await client.customer()
        invoice, method = await client.invoice(customer), await client.method(customer)
        quote = await client.quote(customer, method, invoice)
        assert (quote["amount_minor"], quote["surcharge_minor"], quote["total_minor"]) == (10_000, 300, 10_300)
        assert parts(quote["allocations"]) == [(invoice, 10_000)]
        assert quote["allocations"][0]["due_on"] == "2026-02-01"
        payment = await client.pay(quote)
        done = await matched(client, payment)
        assert (done["status"], parts(done["allocations"])) == ("succeeded", [(invoice, 10_000)])
        paid = await client.paid(invoice)
        assert (paid["balance_minor"], paid["pending_minor"]) == (0, 0)

    async def test_declined_surcharge_leaves_the_invoice_open(self, client: Client) -> None:
        customer = await client.customer()
        invoice, method = await client.invoice(customer), await client.method(customer)
        payment = await client.pay(await client.quote(customer, method, invoice), accept=False)
        assert (payment["status"], payment["reason"]) == ("cancelled", "surcharge_declined")
        assert (await client.get(f"/v1/invoices/{invoice}"))["payable_now_minor"] == 10_000

    async def test_debit_card_has_no_surcharge(self, client: Client) -> None:
        customer = await client.customer()
        invoice, method = await client.invoice(customer), await client.method(customer, "pm_card_visa_debit")
        quote = await client.quote(customer, method, invoice)
        assert quote["surcharge_minor"] == 0
        await matched(client, await client.pay(quote, accept=None))
        await client.paid(invoice)

    async def test_declined_card_leaves_the_invoice_payable(self, client: Client) -> None:
        customer = await client.customer()
        invoice, method = await client.invoice(customer), await client.method(customer, "pm_card_visa_chargeDeclined")
        payment = await client.pay(await client.quote(customer, method, invoice))
        done = await ended(client, payment, "declined")
        assert done["reason"]
        await client.until(f"/v1/invoices/{invoice}", lambda i: i["payable_now_minor"] == 10_000)

    async def test_partial_payment_leaves_the_rest_open(self, client: Client) -> None:
        customer = await client.customer()
        invoice, method = await client.invoice(customer), await client.method(customer, "pm_card_visa_debit")
        await matched(client, await client.pay(await client.quote(customer, method, (invoice, 4_000))))
        rest = await client.until(f"/v1/invoices/{invoice}", lambda i: i["settled_minor"] == 4_000)
        assert (rest["status"], rest["balance_minor"], rest["payable_now_minor"]) == ("open", 6_000, 6_000)

    async def test_stale_quote_answers_with_a_new_one(self, client: Client) -> None:
        customer = await client.customer()
        invoice, method = await client.invoice(customer), await client.method(customer, "pm_card_visa_debit")
        quote = await client.quote(customer, method, invoice)
        paid = await client.receive(customer, 4_000, invoice)
        await client.until(f"/v1/payments/{paid['id']}", lambda p: p["allocations"] != [])
        again = {"method_id": method, "invoices": [{"invoice_id": invoice}]}
        await client.until_quoted(customer, lambda quote: quote.get("amount_minor") == 6_000, **again)
        status, problem = await _confirm(client, quote)
        assert status == 409
        assert problem["new_quote"]["amount_minor"] == 6_000
        await matched(client, await client.pay(problem["new_quote"]))
        await client.paid(invoice)

    async def test_lost_reply_charges_once(self, client: Client, stack: LocalStack) -> None:
        customer = await client.customer()
        invoice, method = await client.invoice(customer), await client.method(customer, "pm_card_visa_debit")
        quote = await client.quote(customer, method, invoice)
        await asyncio.to_thread(stack.paidup, "sandbox", "drop-replies", "1")
        try:
            payment = await client.pay(quote)
            await until(lambda: charges_of(stack, payment["id"]), SECONDS)
        finally:
            await asyncio.to_thread(stack.paidup, "sandbox", "reset")
        await matched(client, payment)
        await client.paid(invoice)
        assert await charges_of(stack, payment["id"]) == 1


class TestReceipts:
    async def test_oldest_first_and_the_rest_is_credit(self, client: Client) -> None:
        customer = await client.customer()
        newer = await client.invoice(customer, due_on="2026-03-01")
        older = await client.invoice(customer, due_on="2026-01-15")
        payment = await client.receive(customer, 25_000)
        assert (payment["status"], payment["reconciliation"]) == ("succeeded", "matched")
        await client.paid(newer)
        done = await client.until(f"/v1/payments/{payment['id']}", lambda p: p["credit_minor"] == 5_000)
        assert [part["invoice_id"] for part in done["allocations"]] == [older, newer]
        (aging,) = (await client.get(f"/v1/customers/{customer}/aging"))["currencies"]
        assert (aging["outstanding_minor"], aging["credits_minor"], aging["balance_due_minor"]) == (0, 5_000, -5_000)

    async def test_on_account_becomes_credit(self, client: Client) -> None:
        customer = await client.customer()
        invoice = await client.invoice(customer)
        payment = await client.receive(customer, 4_000, on_account=True)
        done = await client.until(f"/v1/payments/{payment['id']}", lambda p: p["credit_minor"] == 4_000)
        assert done["allocations"] == []
        assert (await client.get(f"/v1/invoices/{invoice}"))["payable_now_minor"] == 10_000

    @pytest.mark.parametrize(
        ("change", "status", "field"),
        [
            ({"currency": "usd"}, 422, "currency"),
            ({"currency": "XXQ"}, 422, "currency"),
            ({"amount_minor": -1}, 422, "amount_minor"),
            ({"amount_minor": 10.5}, 422, "amount_minor"),
            ({"amount_minor": 10**16}, 422, "amount_minor"),
            ({"received_on": "2999-01-01"}, 422, "received_on"),
            ({"customer_id": "01912d68-783e-7a03-8467-5661c1243ad4"}, 422, "customer_id"),
            ({"invoices": [{"invoice_id": "nonsense"}]}, 422, "invoices.0.invoice_id"),
            ({"surprise": 1}, 422, "surprise"),
        ],
    )
    async def test_bad_receipt_names_its_field(
        self, client: Client, change: dict[str, Any], status: int, field: str
    ) -> None:
        customer = await client.customer()
        body = {"customer_id": customer, "amount_minor": 100, "currency": "USD", "received_on": "2026-03-01"} | change
        answered, problem = await client.ask("POST", "/v1/payments/offline", body, **{"Idempotency-Key": new_id()})
        assert answered == status, problem
        assert [error["field"] for error in problem["errors"]] == [field]


class TestCustomersKey:
    async def test_cannot_record_a_receipt(self, client: Client, stack: LocalStack) -> None:
        customer = await client.customer()
        invoice = await client.invoice(customer)
        wish = {"name": "portal", "scopes": ["payments:write"], "customer_id": customer}
        made = await client.make("/v1/api-keys", wish)
        receipt = {"customer_id": customer, "amount_minor": 10_000, "currency": "USD", "received_on": "2026-03-01"}
        async with Client(stack.url, made["key"]) as theirs:
            status, problem = await theirs.ask("POST", "/v1/payments/offline", receipt, **{"Idempotency-Key": new_id()})
        assert (status, problem["type"]) == (403, "urn:paidup:problem:forbidden")
        assert (await client.get(f"/v1/invoices/{invoice}"))["status"] == "open"

    async def test_sees_no_other_customer(self, client: Client, stack: LocalStack) -> None:
        mine, other = await client.customer(), await client.customer()
        theirs = await client.invoice(other)
        made = await client.make("/v1/api-keys", {"name": "portal", "scopes": ["invoices:read"], "customer_id": mine})
        async with Client(stack.url, made["key"]) as limited:
            assert (await limited.ask("GET", f"/v1/invoices/{theirs}"))[0] == 404
            assert (await limited.ask("GET", f"/v1/invoices?customer_id={other}"))[0] == 404
            assert (await limited.ask("GET", f"/v1/customers/{other}/aging"))[0] == 404
            assert (await limited.get("/v1/invoices"))["items"] == []
            assert (await limited.ask("POST", "/v1/invoices", {}))[0] in (403, 422)


class TestWaiting:
    async def confirm(self, client: Client, token: str, prefer: str, key: str | None = None, **more: Any) -> Any:
        customer = await client.customer()
        quote = await client.quote(customer, await client.method(customer, token), await client.invoice(customer))
        return await self.ask(client, quote, prefer, key or new_id(), **more)

    async def ask(self, client: Client, quote: Any, prefer: str, key: str, **more: Any) -> Any:
        body = {"quote_id": quote["id"], "accept_surcharge": True, **more}
        return await client.ask("POST", "/v1/payments", body, **{"Idempotency-Key": key, "Prefer": prefer})

    async def test_final_payment_is_the_answer(self, client: Client) -> None:
        for token, outcome in (("pm_card_visa", "succeeded"), ("pm_card_visa_chargeDeclined", "declined")):
            status, payment = await self.confirm(client, token, "respond-async, wait=30")
            assert (status, payment["status"]) == (200, outcome)
            assert client.headers["Preference-Applied"] == "wait=30"

    async def test_time_that_runs_out_answers_202(self, client: Client) -> None:
        customer, key = await client.customer(), new_id()
        method = await client.method(customer, "pm_usBankAccount_processing")
        quote = await client.quote(customer, method, await client.invoice(customer))
        await ended(client, await client.pay(quote, key=key), "processing")
        begun = asyncio.get_running_loop().time()
        status, payment = await self.ask(client, quote, "wait=1", key)
        assert 0.9 < asyncio.get_running_loop().time() - begun < 25  # the longest that one may wait for is 30 s
        assert (status, payment["status"]) == (202, "processing")
        assert client.headers["Preference-Applied"] == "wait=1"

    async def test_payer_has_to_confirm_at_once(self, client: Client) -> None:
        more = {"return_url": "https://portal.example/paid"}
        begun = asyncio.get_running_loop().time()
        status, payment = await self.confirm(client, "pm_card_authenticationRequired", "wait=30", **more)
        assert asyncio.get_running_loop().time() - begun < 30
        assert (status, payment["status"]) == (202, "requires_action")
        assert payment["next_action_url"]

    async def test_sent_again_it_waits_again(self, client: Client) -> None:
        customer, key = await client.customer(), new_id()
        quote = await client.quote(customer, await client.method(customer), await client.invoice(customer))
        first = await client.pay(quote, key=key)
        status, payment = await self.ask(client, quote, "wait=30", key)
        assert (status, payment["id"], payment["status"]) == (200, first["id"], "succeeded")
        assert client.headers["Idempotent-Replayed"] == "true"
        again = await client.pay(quote, key=key)
        assert again == first, "without the preference the first answer is given again"

    async def test_what_cannot_be_read_is_ignored(self, client: Client) -> None:
        for prefer in ("wait=soon", "wait=-1", "return=minimal"):
            status, _ = await self.confirm(client, "pm_card_visa_debit", prefer)
            assert status == 202
            assert "Preference-Applied" not in client.headers
