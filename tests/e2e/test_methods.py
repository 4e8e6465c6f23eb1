"""Ways to pay: given on the provider's own page, surcharged by rule with consent, chosen, verified and removed."""

import asyncio
import hmac
from typing import Any

import asyncpg

from contracts.ids import new_id
from tests.kit.client import Client
from tests.kit.stack import LocalStack

RETURN = "https://portal.example/methods"


def at(customer: str, *more: str) -> str:
    return "/".join((f"/v1/customers/{customer}/payment-methods", *more))


async def set_up(client: Client, stack: LocalStack, customer: str, token: str = "pm_card_visa", **given: Any) -> Any:
    """A visit to the provider's page, on which the customer gives a card or bank account."""
    wish = {"return_url": RETURN, "accept_terms": True, "save": given.pop("save", True)}
    setup = await client.make(at(customer, "setup"), wish)
    session = setup["url"].rpartition("/")[2]
    await asyncio.to_thread(stack.sandbox, f"checkout/sessions/{session}/complete", token=token, **given)
    return await client.until(at(customer, "setup", setup["id"]), lambda now: now["status"] == "complete")


async def methods(client: Client, customer: str) -> list[dict[str, Any]]:
    return list((await client.get(at(customer)))["items"])


def slug(problem: Any) -> str:
    return str(problem["type"].rpartition(":")[2])


class TestSetup:
    async def test_card_is_saved_as_the_default(self, client: Client, stack: LocalStack) -> None:
        customer = await client.customer()
        setup = await set_up(client, stack, customer, country="US", state="NY", postal_code="12207")
        (card,) = await methods(client, customer)
        assert (card["id"], card["is_default"], card["usable"]) == (setup["method_id"], True, True)
        assert (card["brand"], card["last4"], card["expires"], card["expiry_warning"]) == (
            "visa",
            "4242",
            "2034-12",
            None,
        )
        assert (card["billing_country"], card["billing_state"], card["billing_postal_code"]) == ("US", "NY", "12207")

    async def test_webhook_alone_completes_it(self, client: Client, stack: LocalStack) -> None:
        customer = await client.customer()
        setup = await client.make(at(customer, "setup"), {"return_url": RETURN, "accept_terms": True})
        session = setup["url"].rpartition("/")[2]
        await asyncio.to_thread(stack.sandbox, f"checkout/sessions/{session}/complete", token="pm_card_visa")
        await client.until(at(customer), lambda page: len(page["items"]) == 1)

    async def test_terms_must_be_accepted(self, client: Client) -> None:
        customer = await client.customer()
        status, problem = await client.ask("POST", at(customer, "setup"), {"return_url": RETURN, "accept_terms": False})
        assert (status, slug(problem)) == (422, "terms-not-accepted")
        wish = {"return_url": "javascript:alert(1)", "accept_terms": True}
        status, problem = await client.ask("POST", at(customer, "setup"), wish)
        assert (status, slug(problem)) == (422, "invalid-request")


class TestSurcharge:
    async def test_none_where_it_is_forbidden(self, client: Client, stack: LocalStack) -> None:
        customer = await client.customer()
        invoice = await client.invoice(customer)
        quotes = {}
        for state in ("NY", "CT", "CO"):
            setup = await set_up(client, stack, customer, country="US", state=state)
            quote = await client.quote(customer, setup["method_id"], invoice)
            quotes[state] = (
                quote["surcharge_minor"],
                quote["surcharge_rate"],
                quote["surcharge_rule"].partition("/")[2],
            )
        assert quotes == {"NY": (300, "0.03", "credit-cards"), "CT": (0, "0", "us-ct"), "CO": (200, "0.02", "us-co")}
        rules = {rule["id"]: rule for rule in (await client.get("/v1/surcharge-rules"))["items"]}
        assert any("42-133ff" in rule["source"] for rule in rules.values())

    async def test_accepted_one_leaves_evidence(self, client: Client, stack: LocalStack) -> None:
        customer = await client.customer()
        invoice = await client.invoice(customer)
        setup = await set_up(client, stack, customer)
        quote = await client.quote(customer, setup["method_id"], invoice)
        payment = await client.pay(quote)
        evidence = await client.get(f"/v1/payments/{payment['id']}/consent")
        assert client.headers["Content-Disposition"] == f'attachment; filename="consent-{payment["id"]}.json"'
        terms, yes = evidence["consents"]
        assert (terms["kind"], terms["given"], terms["text_version"]) == ("terms", True, "terms-1")
        assert (yes["kind"], yes["given"], yes["quote_id"]) == ("surcharge", True, quote["id"])
        assert (yes["amount_minor"], yes["surcharge_minor"], yes["total_minor"]) == (10_000, 300, 10_300)
        assert (yes["surcharge_rate"], yes["surcharge_rule"]) == (quote["surcharge_rate"], quote["surcharge_rule"])
        assert yes["actor"].startswith("key:") or ":" in yes["actor"]
        assert yes["request_id"]
        assert "surcharge" in yes["text"]

    async def test_evidence_is_for_its_customer_alone(self, client: Client, stack: LocalStack) -> None:
        customer, other = await client.customer(), await client.customer()
        invoice, method = await client.invoice(customer), await client.method(customer)
        payment = await client.pay(await client.quote(customer, method, invoice), accept=False)
        evidence = await client.get(f"/v1/payments/{payment['id']}/consent")
        assert [each["given"] for each in evidence["consents"] if each["kind"] == "surcharge"] == [False]
        wish = {"name": "portal", "scopes": ["payments:read"], "customer_id": other}
        made = await client.make("/v1/api-keys", wish)
        async with Client(stack.url, made["key"]) as theirs:
            assert (await theirs.ask("GET", f"/v1/payments/{payment['id']}/consent"))[0] == 404


class TestMethods:
    async def test_only_one_is_the_default(self, client: Client) -> None:
        customer = await client.customer()
        ids = [
            await client.method(customer, token)
            for token in ("pm_card_visa", "pm_card_visa_debit", "pm_card_mastercard")
        ]
        answers = await asyncio.gather(
            *(client.ask("PATCH", at(customer, id), {"is_default": True}) for id in ids[1:] * 3)
        )
        assert {status for status, _ in answers} == {200}
        seen = client.headers["Paidup-Seen"]
        assert (await client.ask("GET", at(customer), **{"Paidup-Seen": seen}))[0] == 200
        found = await methods(client, customer)
        assert [method["is_default"] for method in found] == [True, False, False]
        status, problem = await client.ask("PATCH", at(customer, ids[0]), {"is_default": False})
        assert (status, problem["errors"][0]["field"]) == (422, "is_default")

    async def test_bank_account_is_verified_by_deposits(self, client: Client, stack: LocalStack) -> None:
        customer = await client.customer()
        invoice = await client.invoice(customer)
        setup = await set_up(client, stack, customer, "pm_usBankAccount_success", deposits=True)
        method = setup["method_id"]
        (account,) = await methods(client, customer)
        assert (account["kind"], account["verification"], account["usable"]) == ("bank_account", "pending", False)
        wish = {"customer_id": customer, "method_id": method, "invoices": [{"invoice_id": invoice}]}
        status, problem = await client.ask("POST", "/v1/quotes", wish)
        assert (status, slug(problem)) == (409, "method-unverified")
        status, problem = await client.ask("POST", at(customer, method, "verify"), {"amounts_minor": [1, 2]})
        assert (status, slug(problem)) == (422, "deposits-wrong")
        verified = await client.make(at(customer, method, "verify"), {"amounts_minor": [32, 45]})
        assert (verified["verification"], verified["usable"]) == ("verified", True)
        await client.pay(await client.quote(customer, method, invoice))
        await client.paid(invoice)

    async def test_removed_one_is_gone_everywhere(self, client: Client, stack: LocalStack) -> None:
        customer = await client.customer()
        invoice, method = await client.invoice(customer), await client.method(customer)
        quote = await client.quote(customer, method, invoice)
        assert (await client.ask("DELETE", at(customer, method)))[0] == 204
        assert await methods(client, customer) == []
        assert (await client.ask("DELETE", at(customer, method)))[0] == 404
        wish = {"customer_id": customer, "method_id": method, "invoices": [{"invoice_id": invoice}]}
        for path, body in (("/v1/quotes", wish), ("/v1/payments", {"quote_id": quote["id"], "accept_surcharge": True})):
            status, problem = await client.ask("POST", path, body, **{"Idempotency-Key": quote["id"]})
            assert (status, slug(problem)) == (409, "method-removed")

    async def test_expired_card_is_refused(self, client: Client, stack: LocalStack) -> None:
        customer = await client.customer()
        invoice, method = await client.invoice(customer), await client.method(customer)
        database = await asyncpg.connect(stack.database_url("payments", "WORK"))
        try:
            await database.execute("UPDATE methods SET exp_year = 2026, exp_month = 10 WHERE id = $1", method)
        finally:
            await database.close()
        (card,) = await methods(client, customer)
        assert (card["expires"], card["expiry_warning"], card["usable"]) == ("2026-10", "expired", False)
        wish = {"customer_id": customer, "method_id": method, "invoices": [{"invoice_id": invoice}]}
        status, problem = await client.ask("POST", "/v1/quotes", wish)
        assert (status, slug(problem)) == (409, "method-expired")
        assert "Add the card that replaced it" in problem["detail"]

    async def test_stays_while_a_payment_uses_it(self, client: Client) -> None:
        customer = await client.customer()
        invoice = await client.invoice(customer)
        method = await client.method(customer, "pm_usBankAccount_processing")
        await client.pay(await client.quote(customer, method, invoice))
        status, problem = await client.ask("DELETE", at(customer, method))
        assert (status, slug(problem)) == (409, "method-in-use")
        assert "ended" in problem["detail"]

    async def test_single_use_one_pays_once(self, client: Client, stack: LocalStack) -> None:
        customer = await client.customer()
        first, second = await client.invoice(customer), await client.invoice(customer)
        setup = await set_up(client, stack, customer, "pm_card_visa_debit", save=False)
        assert await methods(client, customer) == []
        await client.pay(await client.quote(customer, setup["method_id"], first))
        await client.paid(first)
        wish = {"customer_id": customer, "method_id": setup["method_id"], "invoices": [{"invoice_id": second}]}
        status, problem = await client.ask("POST", "/v1/quotes", wish)
        assert status == 409
        assert slug(problem) in ("method-used", "method-removed")

    async def test_other_customers_key_is_refused(self, client: Client, stack: LocalStack) -> None:
        mine, other = await client.customer(), await client.customer()
        theirs = await client.method(other)
        scopes = ["methods:read", "methods:write"]
        made = await client.make("/v1/api-keys", {"name": "portal", "scopes": scopes, "customer_id": mine})
        async with Client(stack.url, made["key"]) as limited:
            for whose in (mine, other):
                assert (await limited.ask("DELETE", at(whose, theirs)))[0] == 404
                assert (await limited.ask("PATCH", at(whose, theirs), {"is_default": True}))[0] == 404
            wish = {"return_url": RETURN, "accept_terms": True}
            assert (await limited.ask("POST", at(other, "setup"), wish))[0] == 404


class TestClientAddress:
    """A consent holds the address that the gateway saw; an address that the client writes counts nothing."""

    async def test_evidence_holds_the_address(self, client: Client, stack: LocalStack) -> None:
        customer = await client.customer()
        forged = {"X-Forwarded-For": "6.6.6.6", "Paidup-Client-Address": "6.6.6.6", "Forwarded": "for=6.6.6.6"}
        path = f"/v1/customers/{customer}/payment-methods"
        body = {"provider_token": "pm_card_visa", "accept_terms": True}
        status, method = await client.ask("POST", path, body, **forged)
        assert status == 201
        quote = await client.quote(customer, method["id"], await client.invoice(customer))
        wish = {"quote_id": quote["id"], "accept_surcharge": True}
        status, payment = await client.ask("POST", "/v1/payments", wish, **{"Idempotency-Key": new_id()}, **forged)
        assert status == 202
        evidence = (await client.get(f"/v1/payments/{payment['id']}/consent"))["consents"]
        secret = stack.environment("payments")["PAYMENTS_ADDRESS_SECRET"].encode()
        assert {each["kind"] for each in evidence} == {"surcharge", "terms"}
        for each in evidence:
            hashed = hmac.digest(secret, f"{each['id']}:127.0.0.1".encode(), "sha256").hex()
            assert each["address_hash"] == hashed
