"""Bank lines that are a payout of the provider: by themselves where that is certain, else a person matches them."""

import hashlib
from dataclasses import replace
from datetime import date
from typing import Any

import orjson
import pytest

from chassis.http.problems import Problem
from chassis.messaging.work import Cause, Units
from contracts.ids import new_id
from payments.bank_files.identity import identities
from payments.bank_files.line import BankLine
from payments.exceptions import store as exceptions
from payments.exceptions.api import view_of_exception
from payments.projections.store import keep_customers
from payments.providers import Payout, PayoutLine
from payments.receiving.api import decisions, resolutions
from payments.receiving.jobs import bank_lines as bank_runs
from payments.receiving.jobs import payouts as paying_out
from payments.receiving.store import bank, payouts

DAY = date(2026, 3, 2)
TRACE = "02601577123042"


async def known(units: Units, name: str, minor: int = 1_200, trace: str | None = TRACE, **more: Any) -> str:
    payout = Payout(name, more.get("state", "paid"), minor, more.get("currency", "USD"), DAY, units.clock.now(), trace)
    async with units.begin() as work:
        await payouts.keep_payout(work, payout, None)
    return name


async def take(units: Units, minor: int, text: str, **more: Any) -> str:
    """What became of a file's one line."""
    told: dict[str, Any] = {"references": (), "reversal": False, "place": text, "bank_reference": new_id(), **more}
    empty = dict.fromkeys(("end_to_end_id", "payer", "payer_account", "code"))
    days = {"booked_on": DAY, "value_on": DAY}
    line = BankLine(
        account="DE1", currency="USD", amount_minor=minor, status="booked", text=text, **empty, **days, **told
    )
    statement = new_id()
    async with units.begin() as work:
        await bank.add_statement(work, statement, hashlib.sha256(statement.encode()).digest(), "camt.053", None)
        await bank.add_rows(work, statement, [bank.row_of(*each) for each in identities([line])])
        await bank_runs._take(await bank.new_lines(work, statement, 0, 500), work)
    state: str = await units.pool.fetchval("SELECT state FROM bank_lines WHERE statement_id = $1", statement)
    return state


async def waiting(units: Units) -> Any:
    """The newest exception, as it is shown."""
    row = await units.pool.fetchrow(f"{exceptions.EXCEPTION} ORDER BY e.created_at DESC, e.id DESC LIMIT 1")
    named = await exceptions.load_named(units.pool, [row])
    return orjson.loads(orjson.dumps(view_of_exception(row, named, date(2026, 3, 30))))


async def decide(units: Units, what: str, **asked: Any) -> str | None:
    """What a person decides about the newest exception."""
    async with units.begin(Cause(actor="user:ann")) as work:
        row = await exceptions.lock_exception(work, (await waiting(units))["id"])
        asked_for = resolutions.Resolution(action=what, reason="as the provider's page says", **asked)  # type: ignore[arg-type]
        return await decisions.DECISIONS[what](row, asked_for, work)


async def refused(units: Units, what: str, **asked: Any) -> tuple[int, str, str]:
    with pytest.raises(Problem) as caught:
        await decide(units, what, **asked)
    return caught.value.status, caught.value.slug, caught.value.detail or ""


async def linked(units: Units) -> list[str]:
    rows = await units.pool.fetch("SELECT provider_id FROM payouts WHERE bank_line_id IS NOT NULL ORDER BY 1")
    return [row["provider_id"] for row in rows]


class TestPayoutMatching:
    @pytest.mark.parametrize(
        ("minor", "currency", "why"), [(1_150, "USD", "wrong_amount"), (1_200, "EUR", "wrong_currency")]
    )
    async def test_wrong_amount_or_currency_is_proposed(
        self, units: Units, minor: int, currency: str, why: str
    ) -> None:
        await known(units, "po_1", currency=currency, trace="026 0157-7123042")
        assert await take(units, minor, f"STRIPE TRANSFER {TRACE}") == "proposed"
        shown = await waiting(units)
        (proposal,) = shown["proposals"]
        assert (shown["class"], proposal["payout_id"], proposal["customer_id"], proposal["invoices"]) == (
            why,
            "po_1",
            None,
            [],
        )
        assert proposal["reasons"] == [f"has the trace of this payout, which is of {currency} 12.00"]
        assert "dismiss" in shown["remedy"]
        for choice in ({"proposal": 0}, {"payout_id": "po_1"}):
            status, slug, detail = await refused(units, "match", **choice)
            assert (status, slug, "dismiss" in detail) == (422, "other-amount", True)
        assert (await refused(units, "post", proposal=0))[1] == "providers-money"
        assert await linked(units) == []

    async def test_whole_reference_may_hold_the_trace(self, units: Units) -> None:
        await known(units, "po_1", trace="ST ABC-DEF GHI JKL")
        assert await take(units, 1_150, "stripe", references=("st.abcdefghijkl",)) == "proposed"
        assert (await waiting(units))["class"] == "wrong_amount"

    async def test_second_line_of_a_payout_is_a_duplicate(self, units: Units) -> None:
        await known(units, "po_1")
        assert await take(units, 1_200, f"STRIPE TRANSFER {TRACE}") == "matched"
        assert await take(units, 1_200, f"Stripe {TRACE}") == "proposed"
        shown = await waiting(units)
        assert (shown["class"], shown["proposals"][0]["payout_id"]) == ("doubled", "po_1")
        assert (await refused(units, "match", proposal=0))[:2] == (409, "not-this-money")

    async def test_person_chooses_one_of_several_payouts(self, units: Units) -> None:
        for name in ("po_1", "po_2"):
            await known(units, name, trace=None)
        assert await take(units, 1_200, "stripe") == "proposed"
        shown = await waiting(units)
        assert (shown["class"], {each["payout_id"] for each in shown["proposals"]}) == (
            "missing_here",
            {"po_1", "po_2"},
        )
        assert (await refused(units, "match", payout_id="po_3"))[:2] == (422, "unknown-payout")
        assert (await refused(units, "match"))[:2] == (422, "unknown-payment")
        assert await decide(units, "match", proposal=1) is None
        assert await linked(units) == [shown["proposals"][1]["payout_id"]]
        (note,) = await exceptions.list_notes(units.pool, shown["id"])  # type: ignore[arg-type]
        assert (note["actor"], note["action"], note["detail"]) == (
            "user:ann",
            "payout",
            shown["proposals"][1]["payout_id"],
        )
        assert await units.pool.fetchval("SELECT count(*) FROM payments") == 0

    async def test_person_may_post_it_to_a_customer(self, units: Units) -> None:
        customer = new_id()
        async with units.begin() as work:
            await keep_customers(work, {customer: None})
        await known(units, "po_1")
        await take(units, 1_150, f"STRIPE TRANSFER {TRACE}")
        assert await decide(units, "post", customer_id=customer, on_account=True)

    def test_receipt_and_payout_together_are_refused(self) -> None:
        asked = resolutions.Resolution(action="match", payment_id="p", payout_id="po_1", reason="so")
        with pytest.raises(Problem) as caught:
            decisions._refuse_unused(asked)
        assert caught.value.slug == "not-used"


async def accounts(units: Units) -> dict[str, int]:
    sql = "SELECT account, sum(amount)::bigint FROM ledger_entries GROUP BY 1 HAVING sum(amount) <> 0"
    return dict(await units.pool.fetch(sql))


class TestBankFee:
    async def test_is_posted_until_the_payout_fails(self, units: Units) -> None:
        payout = Payout("po_1", "paid", 1_200, "USD", DAY, units.clock.now(), TRACE)
        lines = [PayoutLine("txn_1", "other", None, 1_250, 50, 1_200, "USD", units.clock.now())]
        await paying_out.save_payout(units, payout, lines)
        assert await take(units, 1_150, f"STRIPE TRANSFER {TRACE}") == "proposed"
        assert (await refused(units, "match", proposal=0))[:2] == (422, "other-amount")
        await decide(units, "match", proposal=0, rest_is_fee=True)
        assert (await linked(units), await accounts(units)) == (
            ["po_1"],
            {"bank": 1_150, "fees": 100, "psp_clearing": -1_250},
        )
        await paying_out.save_payout(units, replace(payout, state="failed"), [])
        assert await accounts(units) == {"fees": 50, "psp_clearing": -50}

    @pytest.mark.parametrize(
        ("state", "minor", "asked", "slug"),
        [
            ("in_transit", 1_150, {"payout_id": "po_1"}, "not-paid-out"),
            ("paid", 1_250, {"payout_id": "po_1"}, "other-amount"),
            ("paid", 1_150, {"payment_id": "00000000-0000-7000-8000-000000000000"}, "not-used"),
        ],
    )
    async def test_needs_a_paid_payout_and_a_missing_amount(
        self, units: Units, state: Any, minor: int, asked: dict[str, Any], slug: str
    ) -> None:
        payout = Payout("po_1", state, 1_200, "USD", DAY, units.clock.now(), TRACE)
        await paying_out.save_payout(
            units, payout, [PayoutLine("t", "other", None, 1_200, 0, 1_200, "USD", units.clock.now())]
        )
        await take(units, minor, f"STRIPE TRANSFER {TRACE}")
        assert (await refused(units, "match", rest_is_fee=True, **asked))[1] == slug
        assert await linked(units) == []


class TestFailedPayout:
    @pytest.mark.parametrize("state", ["failed", "cancelled"])
    async def test_its_money_is_an_exception_to_match(self, units: Units, state: str) -> None:
        await known(units, "po_1", state=state)
        await known(units, "po_2", trace=None)
        assert await take(units, 1_200, f"STRIPE TRANSFER {TRACE}") == "proposed"
        shown = await waiting(units)
        assert (shown["class"], [each["payout_id"] for each in shown["proposals"]]) == ("missing_there", ["po_1"])
        await decide(units, "match", proposal=0)
        assert await linked(units) == ["po_1"]

    async def test_hides_no_payout_that_repeats_it(self, units: Units) -> None:
        await known(units, "po_1", trace=None, state="failed")
        await known(units, "po_2", trace=None)
        assert await take(units, 1_200, "stripe") == "matched"
        assert await linked(units) == ["po_2"]

    @pytest.mark.parametrize("before", ["paid", "in_transit", "pending"])
    @pytest.mark.parametrize("after", ["failed", "cancelled"])
    async def test_matched_line_becomes_one_exception(self, units: Units, before: Any, after: Any) -> None:
        """Its money may still be at the bank, which nobody would see."""
        payout = Payout("po_1", before, 1_200, "USD", DAY, units.clock.now(), TRACE)
        lines = [PayoutLine("txn_1", "other", None, 1_200, 0, 1_200, "USD", units.clock.now())]
        await paying_out.save_payout(units, payout, lines)
        assert await take(units, 1_200, f"STRIPE TRANSFER {TRACE}") == "matched"
        for _ in range(2):
            await paying_out.save_payout(units, replace(payout, state=after), [])
        shown = await waiting(units)
        assert (shown["class"], shown["proposals"][0]["payout_id"]) == ("missing_there", "po_1")
        assert await units.pool.fetch("SELECT state FROM bank_lines") == [("proposed",)]
        assert (
            await units.pool.fetchval("SELECT coalesce(sum(amount), 0) FROM ledger_entries WHERE account = 'bank'") == 0
        )
        await decide(units, "match", proposal=0)
        await paying_out.save_payout(units, replace(payout, state=after), [])  # told once more
        assert await linked(units) == ["po_1"]
        assert await units.pool.fetchval("SELECT count(*) FROM exceptions") == 1

    async def test_only_its_share_of_the_line_waits(self, units: Units) -> None:
        await paying_out.save_payout(
            units, Payout("po_1", "paid", 500, "USD", DAY, units.clock.now(), None),
            [PayoutLine("t", "other", None, 500, 0, 500, "USD", units.clock.now())],
        )  # fmt: skip
        await take(units, 1_200, "of two")
        await units.pool.execute("UPDATE exceptions SET amount = 500")  # the rest was another's
        await decide(units, "match", payout_id="po_1")
        await units.pool.execute("UPDATE exceptions SET state = 'resolved', resolved_at = now()")
        await paying_out.save_payout(units, Payout("po_1", "failed", 500, "USD", DAY, units.clock.now(), None), [])
        assert (await waiting(units))["amount_minor"] == 500
