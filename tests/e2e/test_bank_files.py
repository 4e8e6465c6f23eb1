"""Bank files: transfers become payments by themselves when they are exact, and wait for a person when they are not."""

import asyncio
import pathlib
from typing import Any

import pytest

from contracts.ids import new_id
from tests.kit.client import Client, slug
from tests.kit.stack import LocalStack

SAMPLES = pathlib.Path(__file__).parents[2] / "../shared/data/bank"
ACCOUNT = "DE02120300000000202051"
HEAD = "date,amount,currency,account,reference,text,payer,payer_account\n"


def line(amount: str, reference: str = "", text: str = "", *, payer: str = "", day: str = "2026-03-02") -> str:
    return f"{day},{amount},USD,{ACCOUNT},{reference},{text} {new_id()},,{payer}\n"


async def take(client: Client, *lines: str) -> Any:
    """The run of a file with these lines, when all are taken."""
    status, run = await client.upload("/v1/bank-statements", (HEAD + "".join(lines)).encode())
    assert status == 202, run
    return await done(client, run)


async def done(client: Client, run: Any) -> Any:
    return await client.until(f"/v1/reconciliation/runs/{run['id']}", lambda r: r["status"] == "done")


def counts(run: Any) -> dict[str, int]:
    names = ("lines", "posted", "matched", "proposed", "duplicate", "ignored")
    return {name: run[name] for name in names if run[name]}


async def owing(client: Client, *minors: int) -> tuple[str, list[str], list[str]]:
    """A customer, its invoices (the last one less a cent that is paid) and their numbers, all known to payments."""
    customer, numbers = await client.customer(), [f"BF-{new_id()[-12:]}" for _ in minors]
    invoices = [await client.invoice(customer, m, number=n) for m, n in zip(minors, numbers, strict=True)]
    receipt = await client.receive(customer, 1, invoices[-1], reference="a cent")
    await client.until(f"/v1/payments/{receipt['id']}", lambda p: p["allocations"])
    method = await client.method(customer, "pm_card_visa_debit")
    owed = sum(minors) - 1
    everything = {"method_id": method, "all": True, "currency": "USD"}
    await client.until_quoted(customer, lambda quote: quote.get("amount_minor") == owed, **everything)
    return customer, invoices, numbers


async def exceptions(client: Client, run: Any) -> list[Any]:
    found: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await client.get(f"/v1/reconciliation/exceptions?state=open&limit=100{cursor and '&cursor=' + cursor}")
        found += [one for one in page["items"] if one["line"] and one["line"]["run_id"] == run["id"]]
        cursor = page["next_cursor"]
    return found


class TestRuns:
    async def test_overlapping_file_posts_only_new_lines(self, client: Client) -> None:
        _, invoices, numbers = await owing(client, 10_000, 5_001)
        first, second = line("100.00", numbers[0]), line("50.00", numbers[1])
        run = await take(client, first)
        status, again = await client.upload("/v1/bank-statements", (HEAD + first).encode())
        assert (status, again["id"]) == (200, run["id"])
        assert counts(await take(client, first, second)) == {"lines": 2, "posted": 1, "duplicate": 1}
        for invoice in invoices:
            await client.paid(invoice)

    async def test_each_line_shows_its_result(self, client: Client) -> None:
        _, _, (number, _) = await owing(client, 10_000, 5_001)
        run = await take(client, line("100.00", number), line("-3.00"), line("0.77"), line("-4.00"))
        path, found, cursor = f"/v1/reconciliation/runs/{run['id']}/lines", list[Any](), ""
        while cursor is not None:
            page = await client.get(f"{path}?limit=1{cursor and '&cursor=' + cursor}")
            found, cursor = found + page["items"], page["next_cursor"]
        assert [(one["state"], one["amount_minor"]) for one in found] == [
            ("ignored", -300), ("ignored", -400), ("posted", 10_000), ("proposed", 77),
        ]  # fmt: skip
        assert (await client.get(f"/v1/payments/{found[2]['payment_ids'][0]}"))["amount_minor"] == 10_000
        assert (await client.get(f"/v1/reconciliation/exceptions/{found[3]['exception_id']}"))["amount_minor"] == 77
        assert [one["place"] for one in (await client.get(f"{path}?state=ignored"))["items"]] == ["line 3", "line 5"]
        assert (await client.ask("GET", f"{path}?cursor=x"))[0] == 422
        assert (await client.ask("GET", f"/v1/reconciliation/runs/{new_id()}/lines"))[0] == 404

    async def test_newest_is_listed_first(self, client: Client) -> None:
        runs = [await take(client, line("0.77", f"of nothing known {number}")) for number in range(3)]
        found, cursor = list[Any](), ""
        while len(found) < 3:
            page = await client.get(f"/v1/reconciliation/runs?limit=2{cursor and '&cursor=' + cursor}")
            found, cursor = found + page["items"], page["next_cursor"]
        assert found[:3] == runs[::-1]
        for klass, there in (("missing_here", True), ("doubled", False)):
            page = await client.get(f"/v1/reconciliation/exceptions?state=open&class={klass}&limit=100")
            assert {one["class"] for one in page["items"]} <= {klass}
            assert any(one["line"]["run_id"] == runs[0]["id"] for one in page["items"] if one["line"]) == there
        assert (await client.ask("GET", "/v1/reconciliation/exceptions?class=strange"))[0] == 422


class TestExceptions:
    async def test_inexact_line_is_posted_by_a_person(self, client: Client) -> None:
        customer, (invoice,), (number,) = await owing(client, 10_001)
        run = await take(client, line("70.00", number))
        assert counts(run) == {"lines": 1, "proposed": 1}
        (found,) = await exceptions(client, run)
        assert (found["class"], found["amount_minor"], found["currency"]) == ("short_payment", 7_000, "USD")
        assert found["remedy"].startswith("Less came")
        proposal = found["proposals"][0]
        (part,) = proposal["invoices"]
        assert (part["invoice_id"], part["number"], part["amount_minor"]) == (invoice, number, 7_000)
        assert (part["balance_minor"], part["stays_open_minor"]) == (10_000, 3_000)
        assert proposal["customer_id"] == customer
        assert "names the invoice" in proposal["reasons"]
        path = f"/v1/reconciliation/exceptions/{found['id']}"
        await client.make(f"{path}/assign", {"assigned_to": "Kim"})
        body = {"action": "post", "proposal": 0, "reason": "the rest follows"}
        resolved = await client.make(f"{path}/resolve", body)
        assert (resolved["state"], [note["action"] for note in resolved["trail"]]) == (
            "resolved",
            ["assigned", "payment", "post"],
        )
        await client.until(f"/v1/invoices/{invoice}", lambda i: i["balance_minor"] == 3_000)
        assert await client.make(f"{path}/resolve", body) == resolved
        status, problem = await client.ask("POST", f"{path}/resolve", {**body, "reason": "another"})
        assert (status, problem["type"].rpartition(":")[2]) == (409, "already-resolved")

    async def test_wrong_customer_is_voided_and_posted_again(self, client: Client) -> None:
        """A line names another customer's invoice: it is posted by itself, and wrongly."""
        _, (paid, _), (number, _) = await owing(client, 10_000, 5_001)
        right, owed, _ = await owing(client, 10_001)
        run = await take(client, line("100.00", number))
        await client.paid(paid)
        (row,) = (await client.get(f"/v1/reconciliation/runs/{run['id']}/lines"))["items"]
        (payment_id,), key = row["payment_ids"], new_id()
        voided = await client.make(f"/v1/payments/{payment_id}/void", {"reason": "the other one paid"}, key=key)
        assert (voided["kind"], voided["status"], voided["amount_minor"]) == ("void", "succeeded", 10_000)
        assert await client.make(f"/v1/payments/{payment_id}/void", {"reason": "the other one paid"}, key=key) == voided
        again = f"/v1/payments/{payment_id}/void"
        status, problem = await client.ask("POST", again, {"reason": "once more"}, **{"Idempotency-Key": new_id()})
        assert (status, problem["type"].rsplit(":", 1)[-1]) == (409, "voided-already")
        reopened = await client.until(f"/v1/invoices/{paid}", lambda one: one["status"] == "open")
        assert (reopened["balance_minor"], reopened["due_on"]) == (10_000, "2026-02-01")

        (waits,) = await exceptions(client, run)
        assert (waits["id"], waits["class"], waits["amount_minor"]) == (voided["exception_id"], "missing_here", 10_000)
        decision = {
            "action": "post",
            "customer_id": right,
            "invoices": [{"invoice_id": owed[0]}],
            "reason": "they said so",
        }
        done = await client.make(f"/v1/reconciliation/exceptions/{waits['id']}/resolve", decision)
        assert [note["action"] for note in done["trail"]] == ["voided", "payment", "post"]
        await client.paid(owed[0])
        (row,) = (await client.get(f"/v1/reconciliation/runs/{run['id']}/lines"))["items"]
        assert (row["state"], row["payment_ids"]) == ("resolved", [done["payment_id"]])
        known = (await client.get(f"/v1/payments/{payment_id}/timeline"))["items"]
        assert known[-1]["text"] == "The receipt of USD 100.00 was voided: it had been recorded in error."
        lines = [one["text"] for one in (await client.get(f"/v1/invoices/{paid}/timeline"))["items"]]
        assert "A receipt of USD 100.00 was voided: it had been recorded in error." in lines

    async def test_line_is_split_over_two_customers(self, client: Client) -> None:
        (one, ones, _), (other, others, _) = await owing(client, 10_001), await owing(client, 5_001)
        run = await take(client, line("155.00", text="a parent pays"))
        (waits,) = await exceptions(client, run)
        shares = [
            {"customer_id": one, "amount_minor": 10_000, "invoices": [{"invoice_id": ones[0]}]},
            {"customer_id": other, "amount_minor": 5_500},
        ]
        decision = {"action": "post", "shares": shares, "reason": "the parent of both"}
        path = f"/v1/reconciliation/exceptions/{waits['id']}/resolve"
        done = await client.make(path, decision)
        assert await client.make(path, decision) == done
        await client.paid(ones[0])
        await client.paid(others[0])
        (row,) = (await client.get(f"/v1/reconciliation/runs/{run['id']}/lines"))["items"]
        parts = [await client.get(f"/v1/payments/{payment_id}") for payment_id in row["payment_ids"]]
        assert sorted((p["customer_id"] == one, p["amount_minor"]) for p in parts) == [(False, 5_500), (True, 10_000)]
        noted = next(note["detail"] for note in done["trail"] if note["action"] == "payment")
        assert all(part["number"] in noted and part["id"] not in noted for part in parts)

        share = next(part for part in parts if part["customer_id"] == other)
        made = await client.make(f"/v1/payments/{share['id']}/void", {"reason": "not theirs"}, key=new_id())
        again = await client.get(f"/v1/reconciliation/exceptions/{made['exception_id']}")
        assert (again["amount_minor"], again["line"]["amount_minor"]) == (5_500, 15_500)
        assert [note["detail"] for note in again["trail"]] == [f"{share['number']}: not theirs"]

    async def test_two_resolutions_post_once(self, client: Client) -> None:
        customer, _, (number,) = await owing(client, 10_001)
        (found,) = await exceptions(client, await take(client, line("70.00", number)))
        body = {"action": "post", "customer_id": customer}
        path = f"/v1/reconciliation/exceptions/{found['id']}/resolve"
        answers = await asyncio.gather(*(client.ask("POST", path, {**body, "reason": f"theirs {n}"}) for n in range(6)))
        assert sorted(status for status, _ in answers) == [200] + [409] * 5

    @pytest.mark.parametrize(
        ("amount", "named", "why"),
        [("123.45", False, "missing_here"), ("100.01", True, "wrong_amount"), ("99.99", True, "short_payment")],
    )
    async def test_has_its_class(self, client: Client, amount: str, named: bool, why: str) -> None:
        _, _, (number,) = await owing(client, 10_001)
        run = await take(client, line(amount, number if named else ""))
        assert [one["class"] for one in await exceptions(client, run)] == [why]


class TestMatching:
    async def test_exact_sum_of_named_invoices_pays_them(self, client: Client) -> None:
        customer, invoices, numbers = await owing(client, 10_000, 5_001)
        run = await take(client, line("150.00", numbers[0], f"and {numbers[1]}"))
        assert counts(run) == {"lines": 1, "posted": 1}
        for invoice in invoices:
            await client.paid(invoice)
        (payment,) = (await client.get(f"/v1/payments?customer_id={customer}&limit=1"))["items"]
        assert (payment["amount_minor"], payment["received_on"]) == (15_000, "2026-03-02")
        assert payment["reconciliation"] == "matched"

    async def test_several_transfers_pay_one_invoice(self, client: Client) -> None:
        _, (invoice,), (number,) = await owing(client, 10_001)
        run = await take(client, line("40.00", number), line("60.00", "", f"second half of {number.lower()}"))
        assert counts(run) == {"lines": 2, "posted": 2}
        await client.paid(invoice)

    async def test_recorded_receipt_is_not_posted_twice(self, client: Client) -> None:
        customer, (invoice,), _ = await owing(client, 10_001)
        await client.receive(customer, 10_000, invoice, reference="WIRE 7781-X", received_on="2026-03-01")
        await client.paid(invoice)
        assert counts(await take(client, line("100.00", "", "our wire 7781-X"))) == {"lines": 1, "matched": 1}
        (owed,) = (await client.get(f"/v1/customers/{customer}/aging"))["currencies"]
        assert owed["credits_minor"] == 0

    async def test_bank_line_cannot_be_accepted_as_charge(self, client: Client) -> None:
        (found,) = await exceptions(client, await take(client, line("0.78", "of nothing known")))
        path = f"/v1/reconciliation/exceptions/{found['id']}/resolve"
        status, problem = await client.ask("POST", path, {"action": "accept", "reason": "it is there"})
        assert (status, problem["type"].rpartition(":")[2]) == (422, "nothing-to-accept")

    async def test_paid_invoice_makes_a_duplicate(self, client: Client) -> None:
        _, (invoice,), (number,) = await owing(client, 10_001)
        run = await take(client, line("100.00", number), line("100.00", number, "again", day="2026-03-09"))
        assert counts(run) == {"lines": 2, "posted": 1, "proposed": 1}
        assert [one["class"] for one in await exceptions(client, run)] == ["doubled"]
        await client.paid(invoice)

    async def test_another_currency_is_an_exception(self, client: Client) -> None:
        customer, number = await client.customer(), f"EU-{new_id()[-12:]}"
        invoice = await client.invoice(customer, 10_000, number=number, currency="EUR")
        receipt = await client.receive(customer, 1, invoice, currency="EUR")
        await client.until(f"/v1/payments/{receipt['id']}", lambda p: p["allocations"])
        run = await take(client, line("99.99", number))
        assert [one["class"] for one in await exceptions(client, run)] == ["wrong_currency"]

    async def test_payer_is_known_by_its_account(self, client: Client) -> None:
        customer, invoices, numbers = await owing(client, 10_000, 8_001)
        payer = f"GB{new_id().replace('-', '')[-20:].upper()}"
        await take(client, line("100.00", numbers[0], payer=payer))
        chosen = {"invoices": [{"invoice_id": invoices[0]}]}
        await client.until_quoted(customer, lambda answer: slug(answer) == "invoice-closed", **chosen)
        (found,) = await exceptions(client, await take(client, line("80.00", "", "no number", payer=payer)))
        proposal = found["proposals"][0]
        assert (proposal["customer_id"], proposal["invoices"][0]["invoice_id"]) == (customer, invoices[1])
        assert "this account has paid for the customer before" in proposal["reasons"]


class TestFormats:
    @pytest.mark.parametrize("form", ["camt.053", "bai2", "mt940"])
    async def test_every_format_pays_invoices(self, client: Client, stack: LocalStack, form: str) -> None:
        _, (invoice,), (number,) = await owing(client, 10_001)
        known = {"amount_minor": 10_000, "currency": "USD", "booked_on": "2026-03-02", "text": f"invoice {number}"}
        file = await asyncio.to_thread(stack.sandbox, "bank-file", format=form, account=ACCOUNT, lines=[known])
        status, run = await client.upload("/v1/bank-statements", file)
        assert (status, run["format"], run["account"]) == (202, form, ACCOUNT)
        assert counts(await done(client, run)) == {"lines": 1, "posted": 1}
        await client.paid(invoice)

    @pytest.mark.parametrize("name", ["bai2-sample1.txt", "camt053.v4.xml", "camt054.v4.xml"])
    async def test_real_files_are_taken_whole(self, client: Client, name: str) -> None:
        if not (SAMPLES / name).exists():
            pytest.skip(f"{SAMPLES} is not here")
        status, run = await client.upload("/v1/bank-statements", (SAMPLES / name).read_bytes())
        assert status == 202
        run = await done(client, run)
        assert run["lines"] == sum(run[each] for each in ("posted", "matched", "proposed", "duplicate", "ignored"))

    async def test_broken_file_is_refused_with_its_line(self, client: Client) -> None:
        _, (invoice,), (number,) = await owing(client, 10_001)
        body = HEAD + line("100.00", number) + line("ten", "")
        status, problem = await client.upload("/v1/bank-statements", body.encode())
        assert (status, problem["errors"][0]["line"]) == (422, 3)
        await asyncio.sleep(0.5)
        assert (await client.get(f"/v1/invoices/{invoice}"))["status"] == "open"


class TestAfterwards:
    async def test_customers_key_sees_no_bank_files(self, client: Client, stack: LocalStack) -> None:
        customer = await client.customer()
        asked = {"name": "theirs", "customer_id": customer, "scopes": ["payments:read", "payments:write"]}
        made = await client.make("/v1/api-keys", asked)
        async with Client(stack.url, made["key"]) as theirs:
            for path in ("exceptions", "runs"):
                assert (await theirs.ask("GET", f"/v1/reconciliation/{path}"))[0] == 403
            assert (await theirs.upload("/v1/bank-statements", b"x"))[0] == 403

    async def test_check_money_passes(self, stack: LocalStack) -> None:
        found = await asyncio.to_thread(stack.paidup_json, "check-money", check=False)
        assert found["violations"] == []
