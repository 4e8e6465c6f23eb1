"""A bank's file with many transfers, written, sent through the gateway, and awaited."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Iterator
from datetime import date, timedelta
from typing import BinaryIO, cast

import aiohttp

from tests.kit import bank_files
from tests.kit.client import Client
from tests.kit.stack import LocalStack

FIRST_DAY = date(2026, 3, 2)


def minor_of(number: int) -> int:
    """US cents of the nth invoice: few are of one amount."""
    return 5_000 + number % 9_973


@contextlib.contextmanager
def file_of(count: int, tag: str) -> Iterator[BinaryIO]:
    """A camt.053 file of a month whose nth transfer names the nth invoice of this tag, and is its amount."""
    with tempfile.TemporaryFile() as file:
        made = (
            bank_files.Transfer(
                minor_of(number), FIRST_DAY + timedelta(days=number * 28 // count), f"{tag}REF{number:012d}",
                f"Invoice {tag}-{number}", f"Customer {number}",
            )
            for number in range(count)
        )  # fmt: skip
        bank_files.write(bank_files.camt_file(made, "USD"), cast(BinaryIO, file))
        file.seek(0)
        yield cast(BinaryIO, file)


async def take(stack: LocalStack, file: BinaryIO, count: int) -> None:
    """Send the file, and return once each of its lines has become a payment."""
    headers = {"Authorization": f"Bearer {stack.api_key}", "Content-Type": "application/octet-stream"}
    patient = aiohttp.ClientTimeout(total=600)
    async with (
        aiohttp.ClientSession(headers=headers, timeout=patient) as session,
        session.post(f"{stack.url}/v1/bank-statements", data=file) as answer,
    ):
        run = await answer.json()
        assert answer.status == 202, run
    async with Client(stack.url, stack.api_key) as client:
        while run["status"] != "done":
            await asyncio.sleep(0.5)
            run = await client.get(f"/v1/reconciliation/runs/{run['id']}")
    assert (run["lines"], run["posted"]) == (count, count), run
