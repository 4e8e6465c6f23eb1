"""Three levels: a payment, the provider's payout, the bank's line; and the report of a day, which sums to zero."""

import asyncio
from datetime import date, timedelta
from typing import Any

import asyncpg

from contracts.ids import new_id
from tests.kit.client import SECONDS, Client
from tests.kit.provider_sandbox import until
from tests.kit.stack import LocalStack

BOOKED = """
SELECT count(*) = cardinality($1::text[]) FROM payouts WHERE provider_id = ANY($1::text[]) AND booked"""


async def report(client: Client, **params: str) -> dict[str, Any]:
    asked = "&".join(f"{name}={value}" for name, value in params.items())
    found = await client.get(f"/v1/reports/daily-reconciliation?{asked}")
    return {each["currency"]: each for each in found["currencies"]}


def closing(currency: dict[str, Any], account: str) -> int:
    return next((each["closing_minor"] for each in currency["accounts"] if each["account"] == account), 0)


async def pay_out(stack: LocalStack, currency: str, *, paid: bool = True) -> dict[str, Any]:
    """Everything that the provider holds is paid out, and booked once it is paid; the payout of one currency."""
    made = (await asyncio.to_thread(stack.sandbox, "payouts", everything=True, paid=paid))["items"]
    database = await asyncpg.connect(stack.database_url("payments"))
    try:
        wanted = [each["id"] for each in made if paid]
        await until(lambda: database.fetchval(BOOKED, wanted), SECONDS)
    finally:
        await database.close()
    return next(each for each in made if each["currency"] == currency.lower())


async def booked(client: Client, currency: str, **accounts: int) -> dict[str, Any]:
    """The report of a currency, once its accounts come to this."""
    async with asyncio.timeout(SECONDS):
        while True:
            found = (await report(client))[currency]
            if {name: closing(found, name) for name in accounts} == accounts:
                return found
            await asyncio.sleep(0.1)


class TestPayouts:
    async def test_bank_line_confirms_the_payout(self, client: Client, stack: LocalStack) -> None:
        customer = await client.customer()
        method = await client.method(customer, "pm_card_visa")
        invoices = [await client.invoice(customer, currency="CAD") for _ in range(3)]
        for invoice in invoices:
            await client.pay(await client.quote(customer, method, invoice))
        for invoice in invoices:
            await client.paid(invoice)
        before = (await report(client))["CAD"]
        assert (closing(before, "psp_clearing"), before["open_ends"]["not_paid_out_minor"]) == (30_000, 30_000)
        refunded = await client.pay(
            await client.quote(customer, method, await client.invoice(customer, currency="CAD"))
        )
        await client.until(f"/v1/payments/{refunded['id']}", lambda one: one["reconciliation"] == "matched")
        await client.refund(refunded["id"])
        await client.until(f"/v1/payments/{refunded['id']}", lambda one: one["reversed_minor"] == 10_000)
        before = (await report(client))["CAD"]
        assert (closing(before, "psp_clearing"), before["open_ends"]["not_paid_out_minor"]) == (30_000, 30_000)
        payout = await pay_out(stack, "CAD")
        fees = 4 * (290 + 30)
        after = await booked(client, "CAD", bank=30_000 - fees, fees=fees, psp_clearing=0)
        assert after["sum_minor"] == 0
        assert after["open_ends"]["not_in_bank_minor"] == payout["amount"] == 30_000 - fees

        file = await asyncio.to_thread(
            stack.sandbox, "bank-file", format="camt.053", account=f"DE{new_id()[-12:]}", lines=[], payouts=True
        )
        status, run = await client.upload("/v1/bank-statements", file)
        assert status == 202, run
        run = await client.until(f"/v1/reconciliation/runs/{run['id']}", lambda r: r["status"] == "done")
        assert (run["matched"], run["proposed"]) == (run["lines"], 0)
        assert (await report(client))["CAD"]["open_ends"]["not_in_bank_minor"] == 0

    async def test_failure_after_payment_is_booked_back(self, client: Client, stack: LocalStack) -> None:
        customer = await client.customer()
        invoice = await client.invoice(customer, currency="AUD")
        method = await client.method(customer, "pm_card_visa_debit")
        await client.pay(await client.quote(customer, method, invoice))
        await client.paid(invoice)
        payout = await pay_out(stack, "AUD")
        await booked(client, "AUD", bank=9_680, fees=320, psp_clearing=0)
        await asyncio.to_thread(stack.sandbox, f"payouts/{payout['id']}/fail", code="account_closed")
        after = await booked(client, "AUD", bank=0, fees=320, psp_clearing=9_680)
        assert after["open_ends"]["not_in_bank_minor"] == 0
        again = await pay_out(stack, "AUD")
        after = await booked(client, "AUD", bank=9_680, fees=320, psp_clearing=0)
        assert after["open_ends"]["not_in_bank_minor"] == again["amount"] == 9_680

    async def test_failed_one_is_in_the_next(self, client: Client, stack: LocalStack) -> None:
        customer = await client.customer()
        invoice = await client.invoice(customer, 20_000, currency="NZD")
        method = await client.method(customer, "pm_card_visa_debit")
        await client.pay(await client.quote(customer, method, invoice))
        await client.paid(invoice)
        payout = await pay_out(stack, "NZD", paid=False)
        await asyncio.to_thread(stack.sandbox, f"payouts/{payout['id']}/fail", code="account_closed")
        assert (await report(client))["NZD"]["open_ends"]["not_paid_out_minor"] == 20_000
        again = await pay_out(stack, "NZD")
        after = await booked(client, "NZD", bank=19_390, fees=610, psp_clearing=0)
        assert after["open_ends"]["not_paid_out_minor"] == 0
        assert after["open_ends"]["not_in_bank_minor"] == again["amount"] == 19_390

    async def test_person_matches_an_inexact_line(self, client: Client, stack: LocalStack) -> None:
        customer = await client.customer()
        invoice = await client.invoice(customer, currency="CHF")
        await client.pay(await client.quote(customer, await client.method(customer, "pm_card_visa_debit"), invoice))
        await client.paid(invoice)
        payout = await pay_out(stack, "CHF")
        await booked(client, "CHF", bank=9_680, fees=320)
        common = {"currency": "CHF", "booked_on": (await client.get("/v1/reports/daily-reconciliation"))["date"]}
        less = {**common, "amount_minor": 9_180, "text": f"STRIPE TRANSFER {payout['trace_id']['value']}"}
        bare = {**common, "amount_minor": 9_680, "text": "STRIPE"}
        file = await asyncio.to_thread(
            stack.sandbox,
            "bank-file",
            format="camt.053",
            account=f"CH{new_id()[-12:]}",
            lines=[less, bare],
            payouts=False,
        )
        status, run = await client.upload("/v1/bank-statements", file)
        assert status == 202, run
        run = await client.until(f"/v1/reconciliation/runs/{run['id']}", lambda one: one["status"] == "done")
        assert (run["matched"], run["proposed"]) == (0, 2)
        lines = (await client.get(f"/v1/reconciliation/runs/{run['id']}/lines"))["items"]
        waiting = {one["amount_minor"]: f"/v1/reconciliation/exceptions/{one['exception_id']}" for one in lines}

        found = await client.get(waiting[9_180])
        (proposal,) = found["proposals"]
        assert (found["class"], proposal["payout_id"], proposal["customer_id"]) == ("wrong_amount", payout["id"], None)
        assert proposal["reasons"] == ["has the trace of this payout, which is of CHF 96.80"]
        for action, slug in (("match", "other-amount"), ("post", "providers-money")):
            asked = {"action": action, "proposal": 0, "reason": "it is"}
            status, problem = await client.ask("POST", f"{waiting[9_180]}/resolve", asked)
            assert (status, problem["type"].rsplit(":")[-1]) == (422, slug), problem
        asked = {"action": "match", "payout_id": payout["id"], "reason": "as Stripe's page says"}
        status, resolved = await client.ask("POST", f"{waiting[9_680]}/resolve", asked)
        assert (status, resolved["class"], resolved["state"]) == (200, "missing_here", "resolved")
        assert [(note["action"], note["detail"]) for note in resolved["trail"]] == [
            ("payout", payout["id"]), ("match", "as Stripe's page says"),
        ]  # fmt: skip
        after = (await report(client))["CHF"]
        assert (after["open_ends"]["not_in_bank_minor"], closing(after, "bank"), after["sum_minor"]) == (0, 9_680, 0)
        asked = {"action": "dismiss", "reason": "the bank took it back"}
        assert (await client.ask("POST", f"{waiting[9_180]}/resolve", asked))[0] == 200


class TestReports:
    async def test_every_currency_sums_to_zero_daily(self, client: Client) -> None:
        for day in ({"date": "2026-01-01"}, {"date": "2026-03-01"}, {}):
            for currency in (await report(client, **day)).values():
                assert currency["sum_minor"] == 0
                for account in currency["accounts"]:
                    moves = ("charges", "receipts", "reversals", "disputes", "payouts")
                    moved = sum(account[f"{name}_minor"] for name in moves)
                    assert account["opening_minor"] + moved == account["closing_minor"]

    async def test_future_day_is_refused(self, client: Client) -> None:
        today = (await client.get("/v1/reports/daily-reconciliation"))["date"]
        later = date.fromisoformat(today) + timedelta(days=2)
        status, problem = await client.ask("GET", f"/v1/reports/daily-reconciliation?date={later}")
        assert (status, [fault["field"] for fault in problem["errors"]]) == (422, ["date"])
        assert f"today is {today}." in problem["detail"]

    async def test_report_as_known_at_an_instant(self, client: Client) -> None:
        invoice = await client.invoice(customer := await client.customer(), 7_000, currency="SEK")
        before = (await client.get("/v1/reports/daily-reconciliation"))["known_at"].replace("+00:00", "Z")
        await client.receive(customer, 7_000, invoice, currency="SEK")
        await client.paid(invoice)
        assert closing((await report(client))["SEK"], "bank") == 7_000
        known = await client.get(f"/v1/reports/daily-reconciliation?known_at={before}")
        assert known["known_at"].replace("+00:00", "Z") == before
        assert [each["accounts"] for each in known["currencies"] if each["currency"] == "SEK"] in ([], [[]])
        for wrong in ("2999-01-01T00:00:00Z", "2026-03-01T00:00:00", "yesterday", "0001-01-01T00:00:00Z"):
            status, problem = await client.ask("GET", f"/v1/reports/daily-reconciliation?known_at={wrong}")
            assert (status, [fault["field"] for fault in problem["errors"]]) == (422, ["known_at"]), wrong
