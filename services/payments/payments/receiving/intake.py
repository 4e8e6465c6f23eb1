"""Takes in a bank's file: reads it whole beside the event loop, then keeps it in one transaction, all or nothing."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import json
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, TypeVar

import orjson

from chassis.messaging.work import Work
from contracts.ids import new_id
from payments import bank_files
from payments.bank_files.identity import identities
from payments.receiving.store import bank

T = TypeVar("T")
BATCH = 500
PIECE = 1 << 20


class BeingTakenError(Exception):
    """The same file is being taken in at this moment, for another request."""


@dataclass(slots=True)
class Whole:
    """A file that was read to its end. `rows` is a temporary file with its lines, one batch per row."""

    rows: BinaryIO
    format: str = ""
    lines: int = 0
    accounts: set[str] = field(default_factory=set)


def digest_of(file: BinaryIO, account: str | None = None, currency: str | None = None) -> bytes:
    """SHA-256 of the content, and of account and currency if given. A file that is sent again has the same digest."""
    file.seek(0)
    digest = hashlib.sha256()
    while piece := file.read(PIECE):
        digest.update(piece)
    if account is not None or currency is not None:
        digest.update(hashlib.sha256(json.dumps([account, currency]).encode()).digest())
    return digest.digest()


async def read_whole(file: BinaryIO, rows: BinaryIO, account: str | None = None, currency: str | None = None) -> Whole:
    """Read a file to its end, and write its lines into `rows`. It holds no database connection.

    Raises `BadFile` if the file can't be read.
    """
    whole = Whole(rows)
    async with contextlib.aclosing(beside(_write(file, whole, account, currency))) as batches:
        async for count in batches:
            whole.lines += count
    return whole


def _write(file: BinaryIO, whole: Whole, account: str | None, currency: str | None) -> Iterator[int]:
    reading = bank_files.read(file, account=account, currency=currency)
    whole.format = reading.format
    told = identities(reading.lines)
    while lines := list(itertools.islice(told, BATCH)):
        whole.accounts.update(line.account for line, _ in lines)
        whole.rows.write(orjson.dumps([bank.row_of(line, identity) for line, identity in lines]) + b"\n")
        yield len(lines)


async def keep(whole: Whole, digest: bytes, work: Work) -> str | None:
    """Save all lines of a file, or none; the job takes them from then on. Returns None if the file is known already.

    Raises `BeingTakenError`, and saves nothing, if another request is saving the same file.
    """
    statement_id = new_id()
    if not await bank.lock_digest(work, digest):
        raise BeingTakenError
    if not await bank.add_statement(work, statement_id, digest, whole.format, work.cause.actor):
        return None
    whole.rows.seek(0)
    async with contextlib.aclosing(beside(orjson.loads(line) for line in whole.rows)) as batches:
        async for rows in batches:
            await bank.add_rows(work, statement_id, rows)
    account = next(iter(whole.accounts)) if len(whole.accounts) == 1 else None
    await bank.count_lines(work, statement_id, whole.lines, account)
    return statement_id


async def beside(made: Iterator[T]) -> AsyncGenerator[T]:
    """Yield the items of an iterator. Each is made in a thread while the caller uses the one before."""
    end = object()

    def make() -> asyncio.Task[T | object]:
        return asyncio.create_task(asyncio.to_thread(next, made, end))

    making = make()
    try:
        while (one := await asyncio.shield(making)) is not end:
            making = make()
            yield one  # type: ignore[misc]
    finally:
        await asyncio.gather(making, return_exceptions=True)  # only then may its file be closed
