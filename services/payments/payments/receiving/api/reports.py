"""Reports over HTTP."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from chassis.http.bodies import StrictRoute
from chassis.http.problems import problem_of
from chassis.running import running_of
from contracts.invoicing import Day, Instant
from contracts.refusals import Refusal
from payments.edge import ReadBooks, answer
from payments.receiving.store.reports import daily_report

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
    """Money that one level has and the next level does not have yet. As of now, also if `known_at` is given.

    `waiting` is all that waits now. The others count money that is dated on the report's day or before.

    waiting       charged, but the provider's record does not agree yet
    not_paid_out  in the provider's record, but in no payout
    not_in_bank   paid out, but in no bank file
    unconfirmed   recorded as received, but in no bank file
    """

    waiting_minor: int
    not_paid_out_minor: int
    not_in_bank_minor: int
    unconfirmed_minor: int


class ExceptionSum(BaseModel):
    """How many exceptions, and the sum of their amounts as of now. Money that a bank took back is below zero."""

    n: int
    amount_minor: int


class CurrencyView(BaseModel):
    """`sum` is the sum of all accounts. If it is not zero, the books are wrong.

    `open_exceptions` and `open_exception_sums` count the exceptions that were open at the end of the day (in the
    company's time zone), or at `known_at` if that was earlier. For today, they count those that are open now.
    """

    currency: str
    accounts: list[AccountView]
    sum_minor: int
    open_ends: OpenEnds
    open_exceptions: dict[str, int] = Field(description="how many, by class")
    open_exception_sums: dict[str, ExceptionSum] = Field(description="by class")


class DailyReport(BaseModel):
    """Accounts and exceptions are as of `date`, by what was known at `known_at`; `open_ends` are as of now."""

    date: date
    known_at: datetime
    currencies: list[CurrencyView]


@router.get("/v1/reports/daily-reconciliation", response_model=DailyReport, tags=["reconciliation"])
async def daily_reconciliation(
    request: Request,
    _: ReadBooks,
    day: Annotated[Day | None, Query(alias="date")] = None,
    known_at: Annotated[
        Instant | None, Query(description="only what was booked, opened or resolved by then counts; now, unless given")
    ] = None,
) -> Response:
    """Show the ledger on a day of the company's calendar (today, unless given), and what each level lacks.

    As of that day, and as known at `known_at`: the accounts, and which exceptions were open at the end of the day.
    As of now, whatever the day: `open_ends`, and the amounts of the exceptions.
    """
    running = running_of(request)
    now, today = running.clock.now(), running.clock.today()
    if day is not None and day > today:
        raise problem_of(Refusal("day-in-future", f"{day} lies in the future; the company's today is {today}.", "date"))
    if known_at is not None and known_at > now:
        detail = f"{known_at.isoformat()} lies in the future; it is {now.isoformat(timespec='seconds')} now."
        raise problem_of(Refusal("known-at-in-future", detail, "known_at"))
    async with running.pool.acquire() as connection:
        report = await daily_report(connection, day or today, known_at or now, running.clock.zone)
    return answer(orjson.dumps(report), 200)
