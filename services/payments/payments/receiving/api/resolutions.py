"""The request that decides an exception, and the checks that all decisions share."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import orjson
from pydantic import FailFast, Field, StrictBool

from chassis.http.problems import problem_of
from chassis.messaging.work import Work
from contracts.invoicing import PositiveMinor, Text
from contracts.refusals import Refusal
from payments.collecting.api.shares import InvoicesToPay
from payments.edge import Asked


class Share(Asked):
    """One customer's share of the money. Without `invoices` it pays the oldest first; `on_account` makes it credit."""

    customer_id: Annotated[str, Field(max_length=36)]
    amount_minor: PositiveMinor
    invoices: InvoicesToPay = Field([])
    on_account: StrictBool = False


class Resolution(Asked):
    """How to decide the exception.

    `post`: the line's money becomes a payment of `customer_id` for `invoices` (without them, the oldest first; with
    `on_account`, credit); or as the proposal at place `proposal`, from 0; or of several customers, in `shares` that sum
    to it.
    `match`: the money is known already: as the recorded receipt `payment_id`, as several that sum to it (`payment_ids`:
    cheques of one deposit), as the provider's payout `payout_id`, or as the proposal. If money went out, the bank took
    this amount of the receipt back. `rest_is_fee`: the bank kept the difference to the payout.
    `accept`: the payment becomes what the provider's record says, in amount and although it had ended.
    `dismiss`: nothing is done; it was settled in another way, and `reason` says how.
    """

    action: Literal["post", "match", "accept", "dismiss"]
    proposal: Annotated[int | None, Field(ge=0, le=20, strict=True)] = None
    customer_id: Annotated[str | None, Field(max_length=36)] = None
    payment_id: Annotated[str | None, Field(max_length=36)] = None
    payment_ids: list[Annotated[str, Field(max_length=36)]] = Field([], max_length=100)
    payout_id: Annotated[
        str | None, Field(max_length=255, pattern="^[!-~]+$", description="the provider's id of a payout")
    ] = None
    rest_is_fee: StrictBool = False
    invoices: InvoicesToPay = Field([])
    on_account: StrictBool = False
    shares: Annotated[list[Share], FailFast()] = Field([], max_length=100)
    reason: Text


def money_of_line(row: Any, work: Work, *, out: bool = False) -> None:
    """Return the money of a bank line; refuse exceptions of anything else. `out`: outgoing lines are allowed, too."""
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


def proposal_of(row: Any, place: int) -> dict[str, Any]:
    proposals: list[dict[str, Any]] = orjson.loads(row["proposals"])
    if place >= len(proposals):
        detail = f"This exception has {len(proposals)} proposals, counted from 0."
        raise problem_of(Refusal("unknown-proposal", detail, "proposal"))
    return proposals[place]
