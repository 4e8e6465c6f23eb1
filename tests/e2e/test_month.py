"""A month of business of every kind: what was planted is found, each of its class, and nothing else.

MONTH=full: 20,000 invoices and 15,000 payments.
"""

import asyncio
import os

from tests.kit.client import Client
from tests.kit.month import CLASSES, FULL, SMALL, Month
from tests.kit.stack import local_stack


async def test_month_has_only_its_planted_exceptions() -> None:
    with local_stack() as stack:
        async with Client(stack.url, stack.api_key) as client:
            month = Month(stack, client, FULL if os.environ.get("MONTH") == "full" else SMALL)
            await month.run()
            assert await month.settle_down() == month.expected
            assert {why for why, _, _ in month.expected} == set(CLASSES)
            for day in month.days:
                await month.balanced(day)
        found = await asyncio.to_thread(stack.paidup_json, "check-money", check=False)
        assert found["violations"] == []
