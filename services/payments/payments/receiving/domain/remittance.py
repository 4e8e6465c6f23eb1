"""Decides whose money a bank transfer is, and which invoices it pays. Values in, values out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date

from contracts.allocation import Due, Part, allocate
from contracts.money import Money, total
from payments.exceptions.domain import ExceptionClass, Proposal
from payments.projections.domain import OpenInvoice, called
from payments.receiving.domain.deposits import Deposits
from payments.receiving.domain.numbers import Likelihood, plain
from payments.receiving.domain.transfers import Transfer, mentions, numbers_in, words_of
from payments.receiving.domain.verdicts import (
    MOST_PROPOSALS,
    Arrived,
    Facts,
    Leads,
    PayoutDue,
    Posted,
    Recorded,
    RecordedAlready,
    Unclear,
    Verdict,
)

RECORDED_WITHIN_DAYS = 10
ARRIVES_WITHIN_DAYS = 5
MOST_SUMS = 2


# Signs of who the customer is: how much each adds to a proposal's score, and the reason that is shown.
PAID_BEFORE = (0.15, "this account has paid for the customer before")
NAMESAKE = (0.1, "the payer has the customer's name")
# Signs of an invoice's number in the transfer, likewise.
NAMES = (0.5, "names the invoice")
CHANCE = (0.25, "its digits contain the invoice's number, maybe by chance")


def _near(one: Recorded, transfer: Transfer) -> bool:
    return abs((one.received_on - transfer.booked_on).days) <= RECORDED_WITHIN_DAYS


def _told(transfer: Transfer) -> str:
    """References and text of the transfer, in one word."""
    return plain(" ".join((*transfer.references, transfer.text)))


def _about(one: PayoutDue, transfer: Transfer) -> bool:
    return abs((one.arrives_on - transfer.booked_on).days) <= ARRIVES_WITHIN_DAYS


def _may_be(one: Recorded) -> Proposal:
    reasons = (f"a receipt of this amount was recorded for {one.received_on}, and no bank line is matched with it",)
    return Proposal(one.customer_id, (), 0.4, reasons, one.payment_id)


def _may_be_all(receipts: Sequence[Recorded], score: float) -> Proposal:
    customers = {one.customer_id for one in receipts}
    days = sorted({one.received_on for one in receipts})
    when = f"{days[0]} to {days[-1]}" if len(days) > 1 else f"{days[0]}"
    reasons = (f"{len(receipts)} receipts recorded for {when} sum to it, and no bank line is matched with them",)
    ids = tuple(one.payment_id for one in receipts)
    return Proposal(customers.pop() if len(customers) == 1 else None, (), score, reasons, payment_ids=ids)


def _may_arrive(one: PayoutDue, *, traced: bool) -> Proposal:
    """Propose a payout whose trace the transfer has, or whose amount and day it has."""
    if traced:
        reasons, score = [f"has the trace of this payout, which is of {one.amount}"], 0.9
    else:
        reasons, score = [f"a payout of this amount was to arrive on {one.arrives_on}"], 0.4
    if one.trace and not traced:
        reasons, score = [*reasons, "the line does not have the trace of the payout"], 0.2
    if one.banked:
        reasons.append("another line has brought its money")
    elif one.failed:
        reasons.append("the provider says that it failed, and has its money")
        score = min(score, 0.6 if traced else 0.2)
    return Proposal(None, (), score, tuple(reasons), payout_id=one.provider_id)


class Matcher:
    """Decides whose money transfers are. Amounts that earlier transfers of the batch took are not free any more."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.taken: dict[str, int] = defaultdict(int)
        self.confirmed: set[str] = set()
        self._named: dict[int, dict[str, tuple[OpenInvoice, Likelihood]]] = {}
        self._deposits: dict[tuple[str, date], Deposits] = {}
        self._numbers = {key: {one.number for one in invoices} for key, invoices in facts.named.items()}

    def judge(self, transfers: Sequence[Transfer]) -> list[Verdict]:
        """Return one verdict per transfer: a payout, a recorded receipt, the exact sum of named invoices, or unclear.

        If several transfers name the same invoices and only their sum is exact, they count together.
        """
        verdicts: dict[int, Verdict] = {}
        for transfer in transfers:
            if known_already := self.arrived(transfer) or self.recorded(transfer) or self.told_again(transfer):
                verdicts[transfer.line_id] = known_already
        unclear = []
        for transfer in (each for each in transfers if each.line_id not in verdicts):
            exact = self.exact([transfer])
            if exact:
                verdicts[transfer.line_id] = exact[0]
            else:
                unclear.append(transfer)
        for group in self.together(unclear):
            verdicts |= {each.transfer.line_id: each for each in self.exact(group)}
        return [verdicts.get(each.line_id) or self.unclear(each) for each in transfers]

    def propose(self, unclear: Sequence[Unclear], leads: Leads) -> list[Unclear]:
        """Add proposals, the likeliest first, to each one that has none.

        If the money may have counted already, only invoices that it names are proposed, so that nothing is paid twice.
        If its currency differs from its invoices', no invoices of other customers are proposed.
        """

        def proposed(one: Unclear) -> Unclear:
            about = {"doubled": Leads({}, {}), "wrong_currency": replace(leads, alike={})}.get(one.why, leads)
            return one if one.proposals else replace(one, proposals=self._proposals(one.transfer, about))

        return [proposed(each) for each in unclear]

    def payable(self, invoice: OpenInvoice) -> int:
        return invoice.payable_now - self.taken[invoice.id]

    def due(self, invoice: OpenInvoice) -> Due:
        return replace(invoice.due(), payable=Money(self.payable(invoice), invoice.currency))

    def named(self, transfer: Transfer) -> list[OpenInvoice]:
        """Return the invoices whose numbers stand in it, even if only by chance, the earliest due date first."""
        return self._due_first(one for one, _ in self._told_numbers(transfer).values())

    def sure(self, transfer: Transfer) -> list[OpenInvoice]:
        """Return the named invoices whose numbers can hardly be anything else."""
        return self._due_first(one for one, likely in self._told_numbers(transfer).values() if likely == "sure")

    def meant(self, transfer: Transfer) -> list[OpenInvoice]:
        """Return the surely named invoices, and those named perhaps by chance if they are the paying customer's."""
        theirs = self._payer(transfer) | self._namesakes(transfer) | {one.customer_id for one in self.sure(transfer)}
        told = self._told_numbers(transfer).values()
        return self._due_first(one for one, likely in told if likely == "sure" or one.customer_id in theirs)

    def _due_first(self, invoices: Iterable[OpenInvoice]) -> list[OpenInvoice]:
        return sorted(invoices, key=lambda one: (one.due_on, one.issued_on, one.number))

    def _told_numbers(self, transfer: Transfer) -> dict[str, tuple[OpenInvoice, Likelihood]]:
        """Return the named invoices by id, each with how likely it is meant."""
        told = self._named.get(transfer.line_id)
        if told is None:
            numbers = numbers_in(transfer, self._numbers)
            told = self._named[transfer.line_id] = {
                one.id: (one, likely)
                for number, likely in numbers.items()
                for one in self.facts.named[plain(number)]
                if one.number == number
            }
        return told

    def _namesakes(self, transfer: Transfer) -> set[str]:
        return set(self.facts.namesakes.get(called(transfer.payer or ""), ()))

    def _anothers(self, transfer: Transfer, customer: str) -> str | None:
        """Return why the payer's account or name points to another customer; None if it does not."""
        paid_for, namesakes = self.facts.paid_for.get(transfer.payer_account or "", ()), self._namesakes(transfer)
        if customer in paid_for or customer in namesakes:
            return None
        if paid_for:
            return "this account has paid for another customer before"
        return "the payer has another customer's name" if namesakes else None

    def arrived(self, transfer: Transfer) -> Arrived | Unclear | None:
        """Find the payout that the transfer is: by trace and amount, else the only one of about that day and amount.

        If the transfer has a payout's trace but differs in amount or currency, or if that payout failed or was linked
        before, the verdict is unclear. Money of a failed payout may have reached the bank all the same, and is paid
        out again with another payout. If the line were linked by itself, nobody would see money that stays at the bank.
        """
        told, arriving = _told(transfer), self._arriving(transfer)
        fits = [one for one in arriving if one.trace and plain(one.trace) in told] + self._traced(transfer, told)
        live = [one for one in fits if one.amount == transfer.amount and not one.failed and not one.banked]
        if fits and not live:
            return None if self._exactly_named([transfer]) else self._strange(transfer, fits)
        if not live and not self.named(transfer):
            near = [one for one in arriving if one.trace is None and not one.failed and _about(one, transfer)]
            live = near if len(near) == 1 else []
        if not live:
            return None
        self.confirmed.add(live[0].provider_id)
        return Arrived(transfer, live[0].provider_id)

    def _arriving(self, transfer: Transfer) -> list[PayoutDue]:
        """Return the payouts of its amount that no bank line is linked to."""
        found = self.facts.arriving.get((transfer.amount.currency, transfer.amount.minor), ())
        return [one for one in found if one.provider_id not in self.confirmed]

    def _traced(self, transfer: Transfer, told: str) -> list[PayoutDue]:
        """Return the payouts whose trace stands in the transfer in whole words. `told`: the result of `_told`."""
        likely = [trace for trace in self.facts.traced if trace in told]
        found = [one for trace in likely for one in self.facts.traced[trace] if mentions(transfer, one.trace or "")]
        return [replace(one, banked=True) if one.provider_id in self.confirmed else one for one in found]

    def _strange(self, transfer: Transfer, payouts: Sequence[PayoutDue]) -> Unclear:
        """Build the exception for a transfer that has the trace of these payouts but can't be linked to them."""
        told = {one.provider_id: one for one in payouts}.values()
        payouts = sorted(told, key=lambda one: (one.banked, one.amount != transfer.amount))
        first = payouts[0]
        why: ExceptionClass = "missing_there"
        if first.banked:
            why = "doubled"
        elif first.amount.currency != transfer.amount.currency:
            why = "wrong_currency"
        elif first.amount != transfer.amount:
            why = "wrong_amount"
        return Unclear(transfer, why, tuple(_may_arrive(one, traced=True) for one in payouts[:MOST_PROPOSALS]))

    def recorded(self, transfer: Transfer) -> RecordedAlready | Unclear | None:
        """Find the recorded receipt that the transfer is; unclear if it may be one of several."""
        fits = self._recorded(transfer)
        if not fits:
            return None
        if len(fits) == 1 and not fits[0].gone:
            self.confirmed.add(fits[0].payment_id)
            return RecordedAlready(transfer, fits[0].payment_id)
        return self._doubled(transfer, fits, f"one of {len(fits)} recorded receipts of this amount that it may be")

    def told_again(self, transfer: Transfer) -> Unclear | None:
        """Return unclear if it may be a receipt that went back, in another form: its invoice would be paid again."""
        found = self.facts.recorded.get((transfer.amount.currency, transfer.amount.minor), ())
        whose = {one.customer_id for one in self.meant(transfer)} | self._payer(transfer)
        fits = [one for one in found if one.banked and one.customer_id in whose and _near(one, transfer)]
        return self._doubled(transfer, fits, "a receipt of this amount, which it may be again") if fits else None

    def _doubled(self, transfer: Transfer, receipts: Sequence[Recorded], why: str) -> Unclear:
        """Propose the receipts that it may be. If one of them went back, also propose the invoices that it names."""
        told = {True: (why, "that receipt has gone back since"), False: (why,)}
        may_be = [Proposal(one.customer_id, (), 0.5, told[one.gone], one.payment_id) for one in receipts]
        new = self._proposals(transfer, Leads({}, {})) if any(one.gone for one in receipts) else ()
        invoices = [each for each in new if each.payment_id is None]
        return Unclear(transfer, "doubled", (*may_be[:MOST_PROPOSALS], *invoices))

    def _recorded(self, transfer: Transfer) -> list[Recorded]:
        """Return recorded receipts whose reference stands in it, else those of the customer who is named or pays."""
        named = self.meant(transfer)
        ids, exact = {one.id for one in named}, self._exactly_named([transfer])
        whose = {one.customer_id for one in named} | self._payer(transfer)

        def may_be(one: Recorded) -> bool:
            if exact and ids.isdisjoint(one.pays):  # the transfer pays other invoices than the receipt
                return not one.pays and not one.settled and one.customer_id == exact[0].customer_id
            return _near(one, transfer)

        found = [one for one in self._unconfirmed(transfer) if may_be(one)]
        theirs = [one for one in found if one.customer_id in whose]
        fits = [one for one in found if one.reference and mentions(transfer, one.reference)]
        # a reference without digits may be anybody's
        fits = [one for one in fits if one in theirs or any(map(str.isdigit, one.reference or ""))]
        fits = fits or [one for one in theirs if not ids or not one.pays or not ids.isdisjoint(one.pays)]
        for closer in ([one for one in fits if one in theirs], [one for one in fits if not ids.isdisjoint(one.pays)]):
            if len(fits) > 1 and closer:
                fits = closer
        return fits

    def _payer(self, transfer: Transfer) -> set[str]:
        customer = self.facts.payers.get(transfer.payer_account or "")
        return {customer} if customer else set()

    def exact(self, group: Sequence[Transfer]) -> list[Posted]:
        """Post transfers that name the same open invoices of one customer and are exactly their sum, else nothing."""
        currency, named = group[0].amount.currency, self._exactly_named(group)
        if not named or any(self._told_before(one) or self._anothers(one, named[0].customer_id) for one in group):
            return []
        posted = []
        for transfer in group:
            parts, left = [], transfer.amount
            for one in named:
                part = left.capped_at(Money(self.payable(one), currency))
                if part:
                    parts.append(Part(one.id, part))
                    self.taken[one.id] += part.minor
                    left -= part
            posted.append(Posted(transfer, named[0].customer_id, tuple(parts)))
        return posted

    def _told_before(self, transfer: Transfer) -> bool:
        """Whether another line of the amount names the same invoice, and a person decides or decided about that line.

        If the person posted that line to another customer, the invoice is still owed. This line may be the same money.
        """
        others = self.facts.decided.get(transfer.line_id, ())
        named = {word for word in words_of(transfer) if word in self.facts.named} if others else set[str]()
        return any(not named.isdisjoint(words_of(other)) for other in others)

    def _exactly_named(self, group: Sequence[Transfer]) -> list[OpenInvoice]:
        """Return the invoices that all of the group name, if they are one customer's and exactly the group's sum."""
        currency = group[0].amount.currency
        came = total([each.amount for each in group], currency)
        for told in (self.sure, self.meant):
            first, *others = map(told, group)
            named = [one for one in first if one.currency == currency and self.payable(one) > 0]
            if any(each != first for each in others) or len({one.customer_id for one in named}) != 1:
                continue
            if sum(map(self.payable, named)) == came.minor:
                return named
        return []

    def together(self, transfers: Iterable[Transfer]) -> list[list[Transfer]]:
        groups: dict[tuple[str, ...], list[Transfer]] = defaultdict(list)
        for transfer in transfers:
            ids = tuple(one.id for one in self.meant(transfer))
            groups[transfer.amount.currency, *ids].append(transfer)
        return [group for key, group in groups.items() if len(group) > 1 and len(key) > 1]

    def _unconfirmed(self, transfer: Transfer) -> list[Recorded]:
        """Return the recorded receipts of its amount that no bank line is linked to."""
        found = self.facts.recorded.get((transfer.amount.currency, transfer.amount.minor), ())
        return [one for one in found if one.payment_id not in self.confirmed and not one.banked]

    def unclear(self, transfer: Transfer) -> Unclear:
        currency = transfer.amount.currency
        named = self.named(transfer)
        here = [one for one in named if one.currency == currency]
        payable = sum(self.payable(one) for one in here)
        why: ExceptionClass
        if not named or self._doubted(transfer, here):
            why = "missing_here"
        elif not here:
            why = "wrong_currency"
        elif payable <= 0 or self._told_before(transfer):
            why = "doubled"
        else:
            why = "short_payment" if transfer.amount.minor < payable else "wrong_amount"
        return Unclear(transfer, why)

    def _doubted(self, transfer: Transfer, named: Sequence[OpenInvoice]) -> bool:
        """Whether the amount is exact, but the numbers may stand there by chance, or the payer is another customer."""
        sums: dict[str, int] = defaultdict(int)
        for one in named:
            sums[one.customer_id] += self.payable(one)
        sure = {one.id for one in self.meant(transfer)}
        return any(
            minor == transfer.amount.minor
            and (
                self._anothers(transfer, customer)
                or not all(one.id in sure for one in named if one.customer_id == customer)
            )
            for customer, minor in sums.items()
        )

    def _proposals(self, transfer: Transfer, leads: Leads) -> tuple[Proposal, ...]:
        """Propose named invoices, the payer's invoices, recorded receipts, payouts, and invoices of the same amount."""
        here = [one for one in self.named(transfer) if one.currency == transfer.amount.currency]
        signs = dict.fromkeys(self._namesakes(transfer), NAMESAKE)
        signs |= dict.fromkeys(self._payer(transfer), PAID_BEFORE)
        found: dict[tuple[str, ...], Proposal] = {}
        by_customer: dict[str, list[OpenInvoice]] = defaultdict(list)
        for one in here:
            by_customer[one.customer_id].append(one)
        for customer, invoices in by_customer.items():
            sure = [one for one in self.meant(transfer) if one.customer_id == customer]
            self._propose(found, transfer, customer, sure or invoices, NAMES if sure else CHANCE, signs)
        for customer in signs:
            owing = [one for one in leads.owing.get(customer, ()) if one.currency == transfer.amount.currency]
            self._propose(found, transfer, customer, owing, None, signs)
        for one in leads.alike.get((transfer.amount.currency, transfer.amount.minor), ()):
            self._propose(found, transfer, one.customer_id, [one], None, signs)
        found |= {(one.payment_id,): _may_be(one) for one in self._unconfirmed(transfer) if _near(one, transfer)}
        found |= {receipts.payment_ids: receipts for receipts in self._together(transfer, leads)}
        named = bool(self.named(transfer))  # then a payer sent it, not the provider
        near = [one for one in self._arriving(transfer) if _about(one, transfer) and not named]
        for payout in sorted(near, key=lambda one: abs((one.arrives_on - transfer.booked_on).days)):
            found["payout", payout.provider_id] = _may_arrive(payout, traced=False)
        for payout in self._traced(transfer, _told(transfer)):
            found["payout", payout.provider_id] = _may_arrive(payout, traced=True)
        ranked = sorted(found.values(), key=lambda each: (-each.score, [part.invoice_id for part in each.parts]))
        return tuple(ranked[:MOST_PROPOSALS]) or self._whose(transfer)

    def _together(self, transfer: Transfer, leads: Leads) -> list[Proposal]:
        """Propose recorded receipts that sum to its amount: likelier than an invoice that has it by chance."""
        day = transfer.amount.currency, transfer.booked_on
        if day not in leads.deposited:
            return []
        if day not in self._deposits:
            self._deposits[day] = Deposits([one for one in leads.deposited[day] if not one.gone])
        deposits, minor = self._deposits[day], transfer.amount.minor
        told = tuple(one for one in deposits.receipts if one.reference and mentions(transfer, one.reference))
        whole, some = deposits.whole(minor), deposits.some(minor)
        likely = [(each, 0.5) for each in whole] + [(each, 0.35 / len(some)) for each in some]
        if len(told) > 1 and sum(one.amount.minor for one in told) == minor:
            likely = [(told, 0.7), *((each, score) for each, score in likely if {*each} != {*told})]
        free = [each for each in likely if self.confirmed.isdisjoint(one.payment_id for one in each[0])]
        return [_may_be_all(each, round(score, 2)) for each, score in free[:MOST_SUMS]]

    def _whose(self, transfer: Transfer) -> tuple[Proposal, ...]:
        """Propose the customers whose invoices it names but can't pay, each with the reason."""
        named: dict[str, list[str]] = defaultdict(list)
        for one in self.named(transfer):
            status = "about to be paid" if one.status == "open" else one.status.replace("_", " ")
            why_not = f"in {one.currency}" if one.currency != transfer.amount.currency else status
            named[one.customer_id].append(f"names {one.number}, which is {why_not}")
        return tuple(Proposal(one, (), 0.1, tuple(why[:3])) for one, why in named.items())[:MOST_PROPOSALS]

    def _propose(
        self,
        found: dict[tuple[str, ...], Proposal],
        transfer: Transfer,
        customer: str,
        invoices: Sequence[OpenInvoice],
        told: tuple[float, str] | None,
        signs: Mapping[str, tuple[float, str]],
    ) -> None:
        dues = [self.due(one) for one in invoices if self.payable(one) > 0]
        parts = allocate(transfer.amount, dues).parts
        if not parts:
            return
        score, reasons = (told[0], [told[1]]) if told else (0.0, list[str]())
        wanted = {part.invoice_id for part in parts}
        if sum(due.payable.minor for due in dues if due.invoice_id in wanted) == transfer.amount.minor:
            score, reasons = score + 0.3, [*reasons, "the amount is exact"]
        against = self._anothers(transfer, customer) if told else None
        if against:
            score, reasons = score - 0.2, [*reasons, against]
        if customer in signs:
            score, reasons = score + signs[customer][0], [*reasons, signs[customer][1]]
        key = tuple(part.invoice_id for part in parts)
        if key not in found or found[key].score < score:
            found[key] = Proposal(customer, parts, round(score, 2), tuple(reasons or ["is owed and was not named"]))
