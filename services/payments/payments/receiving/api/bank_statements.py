"""Bank files over HTTP: sending one, and the state of its lines."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import date, datetime
from typing import Annotated, Any, BinaryIO, Literal, cast

import asyncpg
import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from chassis.http.bodies import StrictRoute
from chassis.http.cursors import invalid_cursor, read_cursor, read_instant_cursor, write_cursor
from chassis.http.problems import Problem, not_found
from chassis.http.seen import patiently
from chassis.http.uploads import Room
from chassis.messaging.work import Cause
from chassis.running import Running, cause_of, running_of
from contracts.ids import is_id
from contracts.invoicing import Currency, Text
from payments.bank_files.line import BadFile
from payments.edge import ReadBooks, WriteBooks, answer
from payments.own import Own
from payments.receiving import intake as bank_intake
from payments.receiving.intake import BeingTakenError
from payments.receiving.store import bank

router = APIRouter()  # of files, as they are
reading = APIRouter(route_class=StrictRoute)
IN_MEMORY = 1 << 20


UPLOADS = Room(16)  # a file on the disk each
READING = asyncio.Semaphore(2)  # a thread each, then a connection of the pool's eight


class RunView(BaseModel):
    """`lines` = posted + matched + proposed + duplicate + ignored + resolved + those that are not handled yet.

    posted      it became a payment by itself, or reversed a payment that the bank took back
    matched     a receipt or payout that was known already
    proposed    an exception: a person has to decide
    duplicate   it was in an earlier file
    ignored     not booked yet, or money that went out
    resolved    a person has decided
    """

    id: str
    status: Literal["running", "done"]
    format: str
    account: str | None
    lines: int
    posted: int
    matched: int
    proposed: int
    duplicate: int
    ignored: int
    resolved: int
    received_at: datetime


class Runs(BaseModel):
    items: list[RunView]
    next_cursor: str | None


def view_of_run(run: bank.Run) -> dict[str, Any]:
    counts = {
        state: run.counts.get(state, 0)
        for state in ("posted", "matched", "proposed", "duplicate", "ignored", "resolved")
    }
    return {
        "id": run.id,
        "status": run.status,
        "format": run.format,
        "account": run.account,
        "lines": run.lines,
        **counts,
        "received_at": run.received_at,
    }


State = Literal["new", "posted", "matched", "proposed", "duplicate", "ignored", "resolved"]


class RunLineView(BaseModel):
    """A line of a bank's file and its state; `new`: not handled yet. Amounts below zero: money that went out.

    payment_ids     its payments: several if a person split it over customers
    exception_id    the exception in which a person decides, or has decided, about it
    """

    place: str
    account: str
    booked_on: date | None
    currency: str
    amount_minor: int
    references: list[str]
    text: str
    payer: str | None
    state: State
    payment_ids: list[str]
    exception_id: str | None


class RunLines(BaseModel):
    items: list[RunLineView]
    next_cursor: str | None


def view_of_line(row: Any) -> dict[str, Any]:
    return {name: row[name] for name in RunLineView.model_fields}


@router.post(
    "/v1/bank-statements",
    status_code=202,
    response_model=RunView,
    responses={200: {"model": RunView, "description": "This file is known: its first run"}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
    tags=["reconciliation"],
)
async def take_statement(
    request: Request,
    identity: WriteBooks,
    account: Annotated[
        Text | None, Query(description="the account, if a CSV export has none; otherwise it must be the file's")
    ] = None,
    currency: Annotated[Currency | None, Query(description="the currency, likewise")] = None,
) -> Response:
    """Send a bank's file as the body, unchanged: camt.053, camt.054, BAI2, MT940, or CSV of a known profile.

    The format is found by the content. The file is read whole or refused (422 with the line). Then its lines are
    handled in order. If the file is sent again, the answer is 200 with its first run.
    """
    running = running_of(request)
    with UPLOADS.one(), tempfile.SpooledTemporaryFile(IN_MEMORY) as spooled:
        file = cast(BinaryIO, spooled)
        await spool(request, file)
        digest = await asyncio.to_thread(bank_intake.digest_of, file, account, currency)
        run, made = await bank.find_run(running.pool, digest), None
        if run is None:
            try:
                made = await _kept(file, digest, account, currency, running, cause_of(request, identity))
            except BadFile as fault:
                raise bad_file(fault) from None
            except BeingTakenError:
                run = await _taken_meanwhile(running.pool, digest)
            run = run or await (bank.load_run(running.pool, made) if made else bank.find_run(running.pool, digest))
    assert run is not None
    return answer(orjson.dumps(view_of_run(run)), 202 if made else 200)


async def _kept(
    file: BinaryIO, digest: bytes, account: str | None, currency: str | None, running: Running[Own], cause: Cause
) -> str | None:
    """Return the id of the run, None if the file is known. The file is read before a connection is taken."""
    async with READING:
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as rows:
            whole = await bank_intake.read_whole(file, cast(BinaryIO, rows), account, currency)
            async with running.units.begin(cause) as work:
                made = await bank_intake.keep(whole, digest, work)
                work.wake("take-bank-lines")
    return made


async def spool(request: Request, file: BinaryIO) -> None:
    """Write the whole body into the file."""
    try:
        async for piece in request.stream():
            file.write(piece)
    except ClientDisconnect:
        detail = "The body ended before all of it had come. Nothing of it was taken."
        raise Problem(status=400, slug="body-cut-off", title="The body was cut off", detail=detail) from None


async def _taken_meanwhile(pool: asyncpg.Pool, digest: bytes) -> bank.Run:
    """Return the run that another request makes of the same file; a 409 problem if that takes too long."""
    run: bank.Run | None = None

    async def looked() -> bool:
        nonlocal run
        run = await bank.find_run(pool, digest)
        return run is not None

    await patiently(looked)
    if run is None:
        raise being_taken(digest)
    return run


def being_taken(digest: bytes) -> Problem:
    return Problem(
        status=409,
        slug="bank-file-being-taken",
        title="This bank file is being taken",
        detail=f"Another request is taking this very file (SHA-256 {digest.hex()}). Send it again to get its run.",
        headers={"Retry-After": "5"},
    )


def bad_file(fault: BadFile) -> Problem:
    where: dict[str, Any] = {"line": fault.line} if fault.line is not None else {}
    return Problem(
        status=422,
        slug="bad-bank-file",
        title="The bank file can't be read",
        detail=f"{str(fault)[:1].upper()}{str(fault)[1:]}. Nothing of it was taken.",
        errors=[{"field": fault.field, "message": fault.reason, **where}],
    )


@reading.get("/v1/reconciliation/runs", response_model=Runs, tags=["reconciliation"])
async def list_runs(
    request: Request,
    _: ReadBooks,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """List the runs of bank files, the newest first."""
    found = await bank.list_runs(running_of(request).pool, read_instant_cursor(cursor), limit + 1)
    last = found[limit - 1] if len(found) > limit else None
    after = write_cursor(last.received_at.isoformat(), last.id) if last else None
    items = [view_of_run(run) for run in found[:limit]]
    return answer(orjson.dumps({"items": items, "next_cursor": after}), 200)


@reading.get("/v1/reconciliation/runs/{run_id}", response_model=RunView, tags=["reconciliation"])
async def get_run(run_id: str, request: Request, _: ReadBooks) -> Response:
    """Show how many lines of a bank file are in each state."""
    run = await bank.load_run(running_of(request).pool, run_id) if is_id(run_id) else None
    if run is None:
        raise not_found("run", run_id)
    return answer(orjson.dumps(view_of_run(run)), 200)


@reading.get("/v1/reconciliation/runs/{run_id}/lines", response_model=RunLines, tags=["reconciliation"])
async def list_lines(
    run_id: str,
    request: Request,
    _: ReadBooks,
    state: State | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """List the lines of a bank's file, by state and then in the order of the file."""
    pool = running_of(request).pool
    found = await bank.list_lines(pool, run_id, state, _after(cursor), limit + 1) if is_id(run_id) else None
    if found is None or (not found and await bank.load_run(pool, run_id) is None):
        raise not_found("run", run_id)
    last = found[limit - 1] if len(found) > limit else None
    after = write_cursor(last["state"], str(last["id"])) if last else None
    items = [view_of_line(row) for row in found[:limit]]
    return answer(orjson.dumps({"items": items, "next_cursor": after}), 200)


def _after(cursor: str | None) -> tuple[str, int] | None:
    if not cursor:
        return None
    state, last = read_cursor(cursor, 2)
    if not (last.isascii() and last.isdigit() and len(last) < 19):
        raise invalid_cursor()
    return state, int(last)


router.routes.extend(reading.routes)
