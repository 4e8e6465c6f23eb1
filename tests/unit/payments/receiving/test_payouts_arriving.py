"""Which payout of the provider a bank's line is: by itself where it is exact and certain, else for a person to say."""

from collections import defaultdict
from datetime import date, timedelta
from typing import Any

import pytest

from contracts.money import Money
from payments.projections.domain import OpenInvoice
from payments.receiving.domain.numbers import plain
from payments.receiving.domain.remittance import Matcher
from payments.receiving.domain.transfers import Transfer
from payments.receiving.domain.verdicts import Arrived, Facts, Leads, PayoutDue, Posted, Recorded, Unclear

DAY = date(2026, 3, 2)
TRACE = "026-015 771 230 42"
TELLS = "STRIPE TRANSFER 02601577123042"


def payout(name: str, trace: str | None = TRACE, minor: int = 1_200, currency: str = "USD", **more: Any) -> PayoutDue:
    return PayoutDue(name, Money(minor, currency), more.pop("arrives_on", DAY), trace, **more)


def transfer(text: str = "", *references: str, minor: int = 1_200, line: int = 1, payer: str | None = None) -> Transfer:
    return Transfer(line, str(line), Money(minor, "USD"), DAY, references, text, "STRIPE", payer)


def judged(paid: list[Transfer], *known: PayoutDue | OpenInvoice | Recorded) -> list[Any]:
    """The verdicts, with what unclear ones may be: as a database with these payouts, invoices and receipts has it."""
    named, traced, arriving, recorded = (defaultdict[Any, list[Any]](list) for _ in range(4))
    for one in known:
        match one:
            case OpenInvoice():
                named[plain(one.number)].append(one)
            case Recorded():
                recorded[one.amount.currency, one.amount.minor].append(one)
            case PayoutDue():
                if one.trace:
                    traced[plain(one.trace)].append(one)
                if not one.banked:
                    arriving[one.amount.currency, one.amount.minor].append(one)
    matcher = Matcher(Facts(named, recorded, {"GB1": "c1"}, arriving, traced))
    verdicts = matcher.judge(paid)
    unclear = {each.transfer.line_id: each for each in verdicts if isinstance(each, Unclear)}
    told = matcher.propose(list(unclear.values()), Leads({}, {}))
    unclear = {each.transfer.line_id: each for each in told}
    return [unclear.get(each.transfer.line_id, each) for each in verdicts]


def why(found: Any) -> tuple[str, list[str | None]]:
    assert isinstance(found, Unclear), found
    assert all(each.customer_id is None and not each.parts for each in found.proposals if each.payout_id)
    return found.why, [each.payout_id for each in found.proposals]


class TestWithoutTrace:
    def test_failed_payout_does_not_make_it_ambiguous(self) -> None:
        live, failed = payout("po_1", trace=None), payout("po_2", trace=None, failed=True)
        assert judged([transfer("stripe")], live, failed) == [Arrived(transfer("stripe"), "po_1")]
        (found,) = judged([transfer("stripe")], failed)
        assert why(found) == ("missing_here", ["po_2"])

    def test_several_payouts_are_proposed_nearest_first(self) -> None:
        days = {"po_1": 4, "po_2": -1, "po_3": 6}
        known = [payout(name, trace=None, arrives_on=DAY + timedelta(days=days[name])) for name in days]
        (found,) = judged([transfer("stripe")], *known)
        assert why(found) == ("missing_here", ["po_2", "po_1"])
        assert found.proposals[0].reasons == ("a payout of this amount was to arrive on 2026-03-01",)

    def test_payout_with_a_missing_trace_is_only_proposed(self) -> None:
        (found,) = judged([transfer("stripe")], payout("po_1"))
        assert why(found) == ("missing_here", ["po_1"])
        assert found.proposals[0].reasons[1] == "the line does not have the trace of the payout"

    def test_payout_of_one_line_is_not_proposed_again(self) -> None:
        first, second = judged([transfer("stripe"), transfer("stripe", line=2)], payout("po_1", trace=None))
        assert (isinstance(first, Arrived), why(second)) == (True, ("missing_here", []))


class TestNamedInvoice:
    def test_no_payout_of_the_amount_is_proposed(self) -> None:
        invoice = OpenInvoice("i1", "c1", "INV-1001", "paid", "USD", DAY, DAY, 0)
        (found,) = judged([transfer("INV-1001")], payout("po_1", trace=None), invoice)
        assert (found.why, [each.customer_id for each in found.proposals]) == ("doubled", ["c1"])

    def test_exact_open_invoice_is_paid_despite_a_trace(self) -> None:
        invoice = OpenInvoice("i1", "c1", "INV-1001", "open", "USD", DAY, DAY, 1_150)
        (found,) = judged([transfer(f"INV-1001 {TELLS}", minor=1_150)], payout("po_1"), invoice)
        assert isinstance(found, Posted)


class TestTrace:
    def test_wrong_amount_is_proposed(self) -> None:
        (found,) = judged([transfer(TELLS, minor=1_150)], payout("po_1"))
        assert why(found) == ("wrong_amount", ["po_1"])
        assert found.proposals[0].reasons == ("has the trace of this payout, which is of USD 12.00",)

    def test_wrong_currency_is_proposed(self) -> None:
        (found,) = judged([transfer("", TRACE)], payout("po_1", currency="EUR"))
        assert why(found) == ("wrong_currency", ["po_1"])

    @pytest.mark.parametrize("minor", [1_200, 1_150])
    def test_second_line_is_a_duplicate(self, minor: int) -> None:
        (found,) = judged([transfer(TELLS, minor=minor)], payout("po_1", banked=True))
        assert why(found) == ("doubled", ["po_1"])
        assert found.proposals[0].reasons[1] == "another line has brought its money"
        first, second = judged([transfer(TELLS), transfer(TELLS, minor=minor, line=2)], payout("po_1"))
        assert first == Arrived(transfer(TELLS), "po_1")
        assert why(second) == ("doubled", ["po_1"])

    def test_duplicate_is_not_another_payout_of_its_amount(self) -> None:
        (found,) = judged([transfer(TELLS)], payout("po_1", banked=True), payout("po_2", trace=None))
        assert why(found) == ("doubled", ["po_1"])

    def test_failed_payout_is_an_exception(self) -> None:
        (found,) = judged([transfer(TELLS)], payout("po_1", failed=True), payout("po_2", trace=None))
        assert why(found) == ("missing_there", ["po_1"])
        assert found.proposals[0].reasons[1] == "the provider says that it failed, and has its money"

    def test_wins_over_a_receipt_known_by_account_only(self) -> None:
        """Somebody may have posted a line of the provider's account to a customer."""
        receipt = Recorded("p1", "c1", Money(1_150, "USD"), DAY, None)
        (found,) = judged([transfer(TELLS, minor=1_150, payer="GB1")], payout("po_1"), receipt)
        assert why(found) == ("wrong_amount", ["po_1"])

    def test_possible_duplicate_proposes_the_payout(self) -> None:
        """Nobody judged it: its identity is that of a line that counted."""
        known = Facts({}, {}, {}, {}, {plain(TRACE): [payout("po_1", banked=True)]})
        (found,) = Matcher(known).propose([Unclear(transfer(TELLS), "doubled")], Leads({}, {}))
        assert why(found) == ("doubled", ["po_1"])

    def test_short_or_partial_word_is_none(self) -> None:
        for told, trace in ((f"{TELLS}9", TRACE), ("order 771", "771"), ("pay 1", "1")):
            (found,) = judged([transfer(told, minor=1_150)], payout("po_1", trace=trace))
            assert why(found) == ("missing_here", [])
