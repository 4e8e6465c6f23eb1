"""What a person decides about an exception, over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import Field, StrictBool

from chassis.http.bodies import StrictRoute
from chassis.http.idempotency import fingerprint
from chassis.messaging.work import Work
from chassis.service import Running, cause_of, running_of
from contracts.allocation import Part
from contracts.ids import is_id
from contracts.invoicing import PositiveMinor, Text
from contracts.money import Money
from payments import messages, reconciling, store
from payments.api.bank_statements import for_the_company
from payments.api.edge import (
    Asked,
    InvoiceToPay,
    WritePayments,
    answer,
    other_currency,
    problem_of,
    provider_away,
    refuse_shares,
    unknown_customer,
    unknown_invoice,
)
from payments.api.exceptions import ExceptionDetail, detail_of, lock_exception, resolved_already
from payments.domain import VOIDED, Refusal, Step, receive, taken_by_bank
from payments.domain.transfers import remittance_of
from payments.providers import Charge, Provider, ProviderRefused, ProviderUnknown
from payments.store import bank, exceptions, payouts, remittances

router = APIRouter(route_class=StrictRoute)


class Share(Asked):
    """So much of the money is this customer's, for these invoices: none, oldest first; `on_account`, it is credit."""

    customer_id: Annotated[str, Field(max_length=36)]
    amount_minor: PositiveMinor
    invoices: list[InvoiceToPay] = Field([], max_length=1000)
    on_account: StrictBool = False


class Resolution(Asked):
    """What is to become of the exception.

    `post`: the line's money is the customer's, for these invoices (none: oldest first; `on_account`: for none, it is
    credit), or as the proposal with this place, from 0; or that of several customers, in `shares` that sum to it.
    `match`: the line's money is the recorded receipt `payment_id`, or several that sum to it (`payment_ids`: cheques of
    one deposit), or the provider's payout `payout_id`, or that of the proposal; a line that went out took so much of
    that receipt back.
    `accept`: the payment is what the provider's record has of it, though other than was asked, or after its end.
    `dismiss`: it is settled otherwise, and `reason` says how.
    """

    action: Literal["post", "match", "accept", "dismiss"]
    proposal: Annotated[int | None, Field(ge=0, le=20, strict=True)] = None
    customer_id: Annotated[str | None, Field(max_length=36)] = None
    payment_id: Annotated[str | None, Field(max_length=36)] = None
    payment_ids: list[Annotated[str, Field(max_length=36)]] = Field([], max_length=100)
    payout_id: Annotated[
        str | None, Field(max_length=255, pattern="^[!-~]+$", description="the provider's id of a payout")
    ] = None
    invoices: list[InvoiceToPay] = Field([], max_length=1000)
    on_account: StrictBool = False
    shares: list[Share] = Field([], max_length=100)
    reason: Text


@router.post(
    "/v1/reconciliation/exceptions/{exception_id}/resolve", response_model=ExceptionDetail, tags=["reconciliation"]
)
async def resolve(exception_id: str, asked: Resolution, request: Request, identity: WritePayments) -> Response:
    """Decide an exception. Each is decided once: another decision is refused, the same again gets the same answer."""
    for_the_company(identity)
    running = running_of(request)
    doubted, charge = await _charge_of(running, exception_id) if asked.action == "accept" else (None, None)
    async with running.units.begin(cause_of(request, identity)) as work:
        if doubted:  # before the exception, as those who follow the provider's record do
            await store.lock_payment(work, doubted)
        row, actor = await lock_exception(exception_id, work), work.cause.actor or ""
        decision = fingerprint({**asked.model_dump(mode="json"), "actor": actor})
        if row["state"] != "open":
            return answer(_answered(row, decision), 200)
        _refuse_unused(asked)
        payment_id = await DECISIONS[asked.action](row, asked, work) if asked.action in DECISIONS else None
        if asked.action == "accept":
            await _accept(row, charge, work)
        await exceptions.resolve_exception(work, exception_id, payment_id)
        await exceptions.note(work, exception_id, actor, asked.action, asked.reason)
        body = await detail_of(work.connection, exception_id)
        await exceptions.keep_decision(work, exception_id, decision, body)
        if row["line_id"] is not None:  # last: its file's counts are held until the commit
            await bank.keep_states(work, {row["line_id"]: "resolved"})
        return answer(body, 200)


def _answered(row: Any, decision: bytes) -> bytes:
    """The first answer, to who lost it and asks the same again."""
    if row["decision"] != decision:
        raise resolved_already()
    body: bytes = row["answer"]
    return body


async def _post(row: Any, asked: Resolution, work: Work) -> str | None:
    """The line's money becomes a payment of the customer, or one of each whose share it is."""
    _money_of_line(row, work)
    steps, reference = list[Step](), remittance_of(row["refs"], row["text"])
    for share, field in _shares(row, asked):
        parts = [
            Part(one.invoice_id, Money(one.amount_minor or share.amount_minor, row["currency"]))
            for one in share.invoices
        ]
        if refusal := await _refuse_unpayable(share, parts, work):
            raise problem_of(replace(refusal, field=field(refusal.field)))
        money = Money(share.amount_minor, row["currency"])
        step = receive(
            share.customer_id, money, row["booked_on"], reference, parts, work.now, on_account=share.on_account
        )
        steps.append(step.under(work.cause.correlation))
    work.emit(*messages.of(steps, work.now))
    saved = await store.add_payments(work, [store.NewPayment(step, line_id=row["line_id"]) for step in steps])
    for step in steps:
        if step.payment.id not in saved:
            raise problem_of(unknown_customer(step.payment.customer_id))
    return steps[0].payment.id if len(steps) == 1 else None


async def _refuse_unpayable(share: Share, parts: Sequence[Part], work: Work) -> Refusal | None:
    """A person who names invoices means to pay them: what they can't take any more would be credit, unnoticed."""
    known = await remittances.load_invoices(work, [part.invoice_id for part in parts])
    for place, (part, named) in enumerate(zip(parts, share.invoices, strict=True)):
        invoice = known.get(part.invoice_id)
        if invoice is None or invoice.customer_id != share.customer_id:
            return unknown_invoice(place, part.invoice_id)
        if invoice.currency != part.amount.currency:
            return other_currency(place, invoice.id, invoice.currency, part.amount.currency)
        if invoice.payable_now < (named.amount_minor or 1):
            detail = (
                f"{invoice.payable_now} minor units of invoice {invoice.number} can be paid now. Say the customer_id "
                "and the invoices with their amounts anew: the rest is credit, and with on_account all of it."
            )
            return Refusal("not-payable", detail, f"invoices.{place}", conflict=True)
    return None


async def _match(row: Any, asked: Resolution, work: Work) -> str | None:
    """The line's money is a receipt that somebody recorded, or a payout; or it took a receipt back."""
    _money_of_line(row, work, out=True)
    proposed = _proposal(row, asked.proposal) if asked.proposal is not None else {}
    if payout_id := asked.payout_id or proposed.get("payout_id"):
        await _match_payout(row, payout_id, work)
        return None
    payment_id = asked.payment_id or proposed.get("payment_id")
    payment_ids = [payment_id] if payment_id else asked.payment_ids
    if not payment_ids:
        detail = "Say which receipt or payout it is: payment_id, payment_ids, payout_id, or a proposal."
        raise problem_of(Refusal("unknown-payment", detail, "payment_id"))
    if row["amount"] < 0:
        if len(payment_ids) > 1:
            detail = "Money that went out is matched with one receipt."
            raise problem_of(Refusal("not-used", detail, "payment_ids"))
        return await _take_back(row, payment_ids[0], work)
    await _match_receipts(row, payment_ids, "payment_ids" if asked.payment_ids else "payment_id", work)
    return payment_ids[0] if len(payment_ids) == 1 else None


async def _match_receipts(row: Any, payment_ids: Sequence[str], field: str, work: Work) -> None:
    """The line tells of receipts that somebody recorded; nothing is booked: that was, when they were."""
    found = {each["id"]: each for each in await remittances.lock_recorded(work, list(filter(is_id, payment_ids)))}
    for payment_id in payment_ids:
        if payment_id not in found:
            raise problem_of(_no_such_payment(payment_id, field))
    if len(found) < len(payment_ids):
        raise problem_of(Refusal("payment-twice", "A receipt is named twice.", field))
    sums = {each["currency"]: 0 for each in found.values()}
    for each in found.values():
        sums[each["currency"]] += each["amount"]
    if sums != {row["currency"]: row["amount"]}:
        named = " and ".join(str(Money(minor, currency)) for currency, minor in sums.items())
        detail = f"What is named comes to {named}, and the line is of {Money(row['amount'], row['currency'])}."
        raise problem_of(Refusal("other-amount", detail, field))
    if any(one["way"] != "receive" or one["bank_line_id"] or one["reason"] == VOIDED for one in found.values()):
        detail = "Only a recorded receipt that was not voided, and has no bank line yet, can be this money."
        raise problem_of(Refusal("not-this-money", detail, field, conflict=True))
    linked = await remittances.link_payments(work, dict.fromkeys(found, row["line_id"]), gone=True)
    assert linked, "their rows are locked, and were looked at"


async def _match_payout(row: Any, payout_id: str, work: Work) -> None:
    """The line tells of a payout's arrival; nothing is booked: that was, when the provider paid it out.

    Also of one that failed since: its money may have reached the bank, which takes it back with another line.
    """
    found = await payouts.lock_payout(work, payout_id)
    if found is None:
        raise problem_of(Refusal("unknown-payout", f"There is no payout {payout_id}.", "payout_id"))
    money = Money(found["amount"], found["currency"])
    if money != Money(row["amount"], row["currency"]):
        detail = (
            f"The payout is of {money}, the line is not. Ask the provider what it sent and the bank what it kept or "
            "exchanged; then dismiss the line, saying so."
        )
        raise problem_of(Refusal("other-amount", detail, "payout_id"))
    if found["bank_line_id"] is not None:
        detail = (
            "Another line has told of this payout's arrival. Dismiss this one where it is the same money told twice; "
            "ask the provider about money that came once more."
        )
        raise problem_of(Refusal("not-this-money", detail, "payout_id", conflict=True))
    linked = await remittances.link_payouts(work, {payout_id: row["line_id"]})
    assert linked, "its row is locked, and was looked at"
    await exceptions.note(work, row["id"], work.cause.actor or "", "payout", payout_id)


async def _take_back(row: Any, payment_id: str, work: Work) -> str:
    """The bank took so much of a receipt back: its invoices are owed again."""
    payment = await store.lock_payment(work, payment_id) if is_id(payment_id) else None
    if payment is None:
        raise problem_of(_no_such_payment(payment_id))
    if payment.way != "receive":
        detail = "Only money that was received at the bank can be taken back there; the provider tells of its charges."
        raise problem_of(Refusal("not-this-money", detail, "payment_id", conflict=True))
    money, reversals = Money(-row["amount"], row["currency"]), await store.load_reversals(work.connection, [payment_id])
    if payment.amount.currency != money.currency:
        detail = f"This receipt is in {payment.amount.currency}, the line in {money.currency}."
        raise problem_of(Refusal("other-currency", detail, "payment_id"))
    step = taken_by_bank(payment, reversals, row["booked_on"], work.now, money)
    if step is None:
        detail = f"Less than {money} of this receipt is left to take back."
        raise problem_of(Refusal("more-than-left", detail, "payment_id", conflict=True))
    work.emit(*messages.of([step], work.now))
    await store.save_steps(work, [step])
    return payment_id


def _no_such_payment(payment_id: str, field: str = "payment_id") -> Refusal:
    return Refusal("unknown-payment", f"There is no payment {payment_id}.", field)


async def _dismiss(row: Any, _asked: Resolution, work: Work) -> None:
    """Nothing follows; so what holds invoices can't be dismissed."""
    if row["payment_id"] is None or row["line_id"] is not None or row["provider_id"] is not None:
        return
    payment = await store.load_payment(work.connection, row["payment_id"], None)
    if payment is None or payment.without_money or payment.reconciliation not in ("mismatch", "exception"):
        return
    holds = "This payment holds its invoices"
    detail = {
        "mismatch": (
            f"{holds}. Give back at the provider what is not to be kept; then accept what it has: what it does "
            "not reach can be paid again."
        ),
        "exception": (
            f"{holds} until the provider says what became of it; this closes by itself then. Look the charge up at the "
            "provider, and cancel it there if it is not to be."
        ),
    }[payment.reconciliation]
    raise problem_of(Refusal("holds-invoices", detail, "action", conflict=True))


async def _charge_of(running: Running, exception_id: str) -> tuple[str | None, Charge | None]:
    """The payment that an open exception is about, and the provider's record of it; asked before anything is locked."""
    row = await exceptions.load_exception(running.pool, exception_id) if is_id(exception_id) else None
    if row is None or row["state"] != "open" or row["payment_id"] is None:
        return None, None
    payment = await store.load_payment(running.pool, row["payment_id"], None)
    if payment is None or payment.provider_id is None:
        return None, None
    provider: Provider = running.more["provider"]
    try:
        return payment.id, await provider.get_charge(payment.provider_id)
    except ProviderUnknown:
        raise provider_away() from None
    except ProviderRefused:
        return None, None


async def _accept(row: Any, charge: Charge | None, work: Work) -> None:
    """The payment is what the provider took."""
    if charge is None or row["provider_id"] is not None:
        detail = "This is about no charge that the provider has a record of. Dismiss it, saying how it was settled."
        raise problem_of(Refusal("nothing-to-accept", detail, "action"))
    if refusal := await reconciling.take_as_it_is(charge, row["payment_id"], work):
        raise problem_of(refusal)


DECISIONS = {"post": _post, "match": _match, "dismiss": _dismiss}
USED = {
    "post": {"proposal", "customer_id", "invoices", "on_account", "shares"},
    "match": {"proposal", "payment_id", "payment_ids", "payout_id"},
}


def _refuse_unused(asked: Resolution) -> None:
    """What a decision doesn't use may have been meant for another one, which does something else with the money."""
    given = asked.model_dump(exclude_defaults=True).keys() - {"action", "reason"}
    for name in sorted(given - USED.get(asked.action, set())):
        raise problem_of(Refusal("not-used", f"{asked.action!r} uses no {name}; leave it out.", name))
    for alone in sorted({"proposal", "shares", "payment_id", "payment_ids", "payout_id"} & given):
        if len(given) > 1:
            detail = f"Say whose money it is in one way: {alone} goes with nothing else."
            raise problem_of(Refusal("not-used", detail, alone))


def _money_of_line(row: Any, work: Work, *, out: bool = False) -> None:
    """Refuse what is no money of a bank line that has been booked; `out`: or that went out."""
    if row["line_id"] is None:
        detail = (
            "This is about no line of a bank, so it brought no money to post. Dismiss it, saying how it was settled."
        )
        raise problem_of(Refusal("nothing-to-post", detail, "action"))
    if row["amount"] <= 0 and not out:
        detail = (
            "This is money that went out. If it took a receipt back, match it with that; else dismiss it, saying why."
        )
        raise problem_of(Refusal("nothing-to-post", detail, "action"))
    if row["booked_on"] > work.clock.today():
        detail = f"The bank books this on {row['booked_on']}; today is {work.clock.today()}. Post it then."
        raise problem_of(Refusal("booked-in-future", detail, "action", conflict=True))


def _proposal(row: Any, place: int) -> dict[str, Any]:
    proposals: list[dict[str, Any]] = orjson.loads(row["proposals"])
    if place >= len(proposals):
        detail = f"This exception has {len(proposals)} proposals, counted from 0."
        raise problem_of(Refusal("unknown-proposal", detail, "proposal"))
    return proposals[place]


Named = Callable[[str | None], str]


def _shares(row: Any, asked: Resolution) -> list[tuple[Share, Named]]:
    """Whose the money is, and how the request calls a field of each."""
    if asked.proposal is not None:
        return [(_proposed(row, asked.proposal), lambda _: "proposal")]
    if asked.shares:
        named: list[tuple[Share, Named]] = [
            (share, lambda field, place=place: f"shares.{place}.{field or 'customer_id'}")  # type: ignore[misc]
            for place, share in enumerate(asked.shares)
        ]
        if len({share.customer_id for share in asked.shares}) < len(asked.shares):
            raise problem_of(Refusal("customer-twice", "Each customer has one share, of all its invoices.", "shares"))
        if (sum_ := sum(share.amount_minor for share in asked.shares)) != row["amount"]:
            detail = f"The shares sum to {sum_} minor units, and {row['amount']} are to be posted."
            raise problem_of(Refusal("not-the-amount", detail, "shares"))
    else:
        share = Share.model_construct(
            customer_id=asked.customer_id or "", amount_minor=row["amount"], invoices=asked.invoices,
            on_account=asked.on_account,
        )  # fmt: skip
        named = [(share, lambda field: field or "customer_id")]
    for share, field in named:
        if not is_id(share.customer_id):
            detail = "Say whose money it is: customer_id, or the place of a proposal."
            raise problem_of(Refusal("customer-missing", detail, field("customer_id")))
        if refusal := refuse_shares(share.amount_minor, share.invoices, on_account=share.on_account):
            raise problem_of(replace(refusal, field=field(refusal.field)))
    return named


def _proposed(row: Any, place: int) -> Share:
    chosen = _proposal(row, place)
    if chosen.get("payout_id"):
        detail = (
            f"This proposal is payout {chosen['payout_id']}: the provider's money, and no customer's. Match it, or "
            "dismiss it, saying why. Where it is a customer's after all, say the customer_id."
        )
        raise problem_of(Refusal("providers-money", detail, "proposal"))
    if chosen.get("payment_id"):
        detail = f"This proposal is payment {chosen['payment_id']}, recorded already; posted, it counts twice."
        raise problem_of(Refusal("recorded-already", detail, "proposal"))
    if not chosen["invoices"]:
        detail = (
            "This proposal tells only whose money it may be. To post it, say the customer_id, and the invoices: "
            "without any it pays the oldest first, and with on_account it is credit."
        )
        raise problem_of(Refusal("no-invoices", detail, "proposal"))
    invoices = [InvoiceToPay(**one) for one in chosen["invoices"]]
    return Share(customer_id=chosen["customer_id"], amount_minor=row["amount"], invoices=invoices)
