"""Reports over HTTP."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from chassis.http.bodies import StrictRoute
from chassis.service import running_of
from contracts.invoicing import Day
from payments.api.bank_statements import for_the_company
from payments.api.edge import ReadPayments, answer, problem_of
from payments.domain import Refusal
from payments.store import payouts

router = APIRouter(route_class=StrictRoute)


class AccountView(BaseModel):
    """An account of the ledger, debit above zero: `opening` + the day's movements = `closing`."""

    account: str
    opening_minor: int
    charges_minor: int
    receipts_minor: int
    reversals_minor: int
    disputes_minor: int
    payouts_minor: int
    closing_minor: int


class OpenEnds(BaseModel):
    """What a level has that the next one has not.

    waiting       charged, and the provider's record does not agree yet
    not_paid_out  in the provider's record, and in no payout
    not_in_bank   paid out, and in no bank file
    unconfirmed   recorded as received, and in no bank file
    """

    waiting_minor: int
    not_paid_out_minor: int
    not_in_bank_minor: int
    unconfirmed_minor: int


class CurrencyView(BaseModel):
    """`sum` is that of all accounts: zero, or the books are wrong."""

    currency: str
    accounts: list[AccountView]
    sum_minor: int
    open_ends: OpenEnds
    open_exceptions: dict[str, int] = Field(description="by class")


class DailyReport(BaseModel):
    date: date
    currencies: list[CurrencyView]


@router.get("/v1/reports/daily-reconciliation", response_model=DailyReport, tags=["reconciliation"])
async def daily_reconciliation(
    request: Request, identity: ReadPayments, day: Annotated[Day | None, Query(alias="date")] = None
) -> Response:
    """The ledger on a day of the company's calendar (today, unless given), and how far each level is from the next."""
    for_the_company(identity)
    running = running_of(request)
    today = running.clock.today()
    if day is not None and day > today:
        raise problem_of(Refusal("day-in-future", f"{day} lies in the future; the company's today is {today}.", "date"))
    async with running.pool.acquire() as connection:
        report = await payouts.daily_report(connection, day or today)
    return answer(orjson.dumps(report), 200)
