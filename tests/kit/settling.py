"""Waiting until a stack has come to rest: services have heard all that the others said."""

from __future__ import annotations

import contextlib

import asyncpg

from contracts.services import WITH_DATABASE
from paidup_local import check_money
from tests.kit.client import SECONDS
from tests.kit.provider_sandbox import until
from tests.kit.stack import LocalStack


async def all_heard(stack: LocalStack) -> None:
    """Return once each service has heard every event that the others have said by then."""
    async with contextlib.AsyncExitStack() as open_ones:
        found: dict[str, asyncpg.Connection] = {}
        for service in WITH_DATABASE:
            found[service] = await asyncpg.connect(stack.database_url(service))
            open_ones.push_async_callback(found[service].close)

        async def heard() -> bool:
            return not await check_money._unheard(found)

        await until(heard, SECONDS)
