"""A person's decision about an exception, over HTTP."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from chassis.http.bodies import StrictRoute
from chassis.http.idempotency import fingerprint
from chassis.http.problems import problem_of
from chassis.messaging.work import Work
from chassis.running import Running, cause_of, running_of
from contracts.ids import is_id
from contracts.refusals import Refusal
from payments.collecting import reconciling
from payments.collecting.store.payments import load_payment, lock_payment
from payments.edge import WriteBooks, answer, provider_away
from payments.exceptions import store as exceptions
from payments.exceptions.api import ExceptionDetail, detail_of, lock_exception, resolved_already
from payments.own import Own
from payments.providers import Charge, ProviderRefused, ProviderUnknown
from payments.receiving.api.matching import match
from payments.receiving.api.posting import post
from payments.receiving.api.resolutions import Resolution
from payments.receiving.store import bank

router = APIRouter(route_class=StrictRoute)


@router.post(
    "/v1/reconciliation/exceptions/{exception_id}/resolve", response_model=ExceptionDetail, tags=["reconciliation"]
)
async def resolve(exception_id: str, asked: Resolution, request: Request, identity: WriteBooks) -> Response:
    """Decide an exception, once. The same decision again gets the same answer; another one is refused (409)."""
    running = running_of(request)
    doubted, charge = await _charge_of(running, exception_id) if asked.action == "accept" else (None, None)
    async with running.units.begin(cause_of(request, identity)) as work:
        if doubted:  # the payment first, in the same order as when the provider's record is saved
            await lock_payment(work, doubted)
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
        body = await detail_of(work.connection, exception_id, work.clock.today())
        await exceptions.keep_decision(work, exception_id, decision, body)
        if row["line_id"] is not None:
            await _line_is_decided(row["line_id"], work)
        return answer(body, 200)


async def _line_is_decided(line_id: int, work: Work) -> None:
    """Mark the line `resolved` once none of its exceptions is open. Last of all, because it locks its file's counts."""
    await bank.lock_line(work, line_id)
    if not await exceptions.line_waits(work, line_id):
        await bank.keep_states(work, {line_id: "resolved"})


def _answered(row: Any, decision: bytes) -> bytes:
    """Return the first answer to a caller who sends the same decision again; refuse another decision."""
    if row["decision"] != decision:
        raise resolved_already()
    body: bytes = row["answer"]
    return body


async def _dismiss(row: Any, _asked: Resolution, work: Work) -> None:
    """Close it without any effect. Refused for a payment that holds invoices, because they would stay held."""
    if row["payment_id"] is None or row["line_id"] is not None or row["provider_id"] is not None:
        return
    payment = await load_payment(work.connection, row["payment_id"], None)
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


async def _charge_of(running: Running[Own], exception_id: str) -> tuple[str | None, Charge | None]:
    """Return the payment of an open exception and the provider's record of it. Called before anything is locked."""
    row = await exceptions.load_exception(running.pool, exception_id) if is_id(exception_id) else None
    if row is None or row["state"] != "open" or row["payment_id"] is None:
        return None, None
    payment = await load_payment(running.pool, row["payment_id"], None)
    if payment is None or payment.provider_id is None:
        return None, None
    provider = running.own.provider
    try:
        return payment.id, await provider.get_charge(payment.provider_id)
    except ProviderUnknown:
        raise provider_away() from None
    except ProviderRefused:
        return None, None


async def _accept(row: Any, charge: Charge | None, work: Work) -> None:
    """Make the payment what the provider took."""
    if charge is None or row["provider_id"] is not None:
        detail = "This is about no charge that the provider has a record of. Dismiss it, saying how it was settled."
        raise problem_of(Refusal("nothing-to-accept", detail, "action"))
    if refusal := await reconciling.take_as_it_is(charge, row["payment_id"], work):
        raise problem_of(refusal)


DECISIONS = {"post": post, "match": match, "dismiss": _dismiss}
USED = {
    "post": {"proposal", "customer_id", "invoices", "on_account", "shares"},
    "match": {"proposal", "payment_id", "payment_ids", "payout_id", "rest_is_fee"},
}


def _refuse_unused(asked: Resolution) -> None:
    """Refuse fields that the decision does not use: the person may have meant another decision."""
    given = asked.model_dump(exclude_defaults=True).keys() - {"action", "reason"}
    for name in sorted(given - USED.get(asked.action, set())):
        raise problem_of(Refusal("not-used", f"{asked.action!r} uses no {name}; leave it out.", name))
    given -= {"rest_is_fee"}
    for alone in sorted({"proposal", "shares", "payment_id", "payment_ids", "payout_id"} & given):
        if len(given) > 1:
            detail = f"Say whose money it is in one way: {alone} goes with nothing else."
            raise problem_of(Refusal("not-used", detail, alone))
