"""What a person may say about an exception, and what of it every decision looks at."""

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
    """So much of the money is this customer's, for these invoices: none, oldest first; `on_account`, it is credit."""

    customer_id: Annotated[str, Field(max_length=36)]
    amount_minor: PositiveMinor
    invoices: InvoicesToPay = Field([])
    on_account: StrictBool = False


class Resolution(Asked):
    """What is to become of the exception.

    `post`: the line's money is the customer's, for these invoices (none: oldest first; `on_account`: for none, it is
    credit), or as the proposal with this place, from 0; or that of several customers, in `shares` that sum to it.
    `match`: the line's money is the recorded receipt `payment_id`, or several that sum to it (`payment_ids`: cheques of
    one deposit), or the provider's payout `payout_id`, or that of the proposal; a line that went out took so much of
    that receipt back. `rest_is_fee`: what the line lacks of the payout, the bank kept.
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
    rest_is_fee: StrictBool = False
    invoices: InvoicesToPay = Field([])
    on_account: StrictBool = False
    shares: Annotated[list[Share], FailFast()] = Field([], max_length=100)
    reason: Text


def money_of_line(row: Any, work: Work, *, out: bool = False) -> None:
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


def proposal_of(row: Any, place: int) -> dict[str, Any]:
    proposals: list[dict[str, Any]] = orjson.loads(row["proposals"])
    if place >= len(proposals):
        detail = f"This exception has {len(proposals)} proposals, counted from 0."
        raise problem_of(Refusal("unknown-proposal", detail, "proposal"))
    return proposals[place]
