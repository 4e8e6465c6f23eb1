"""`python -m auth`; beside what every service knows, `keys create` makes a key when none is there to ask with."""

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import asyncpg

from auth import messages, store
from auth.api import new_secret, router
from auth.domain import Maker, make_key
from auth.settings import Settings
from chassis.clock import Clock
from chassis.db.pool import open_pool
from chassis.http.identity import TokenSigner
from chassis.messaging.work import Cause, Units, Wake
from chassis.service import Service
from contracts.auth import EVERY_SCOPE
from contracts.ids import new_id
from contracts.refusals import Refusal


@asynccontextmanager
async def resources(settings: Settings) -> AsyncIterator[TokenSigner]:
    yield TokenSigner(settings.private_key)


service = Service(
    name="auth",
    settings=Settings,
    router=router,
    resources=resources,
)


async def create_key(settings: Settings, arguments: argparse.Namespace) -> dict[str, str] | Refusal:
    """Write a key straight to the database, as its owner, with its event."""
    secret = new_secret()
    pool: asyncpg.Pool = await open_pool(settings.owner_url, size=1, application="auth-keys")
    units = Units(pool, Clock(settings.time_zone, settings.clock_file), Wake())
    async with pool, units.begin(Cause(actor="system:command-line")) as work:
        made = make_key(
            key_id=new_id(), secret=secret, name=arguments.name, scopes=arguments.scopes.replace(",", " ").split(),
            customer_id=arguments.customer_id, expires_at=arguments.expires_at,
            maker=Maker("command-line", frozenset({EVERY_SCOPE})), now=work.now,
        )  # fmt: skip
        if isinstance(made, Refusal):
            return made
        await store.insert_key(work, made)
        work.emit(*messages.of(made, work.now))
        await work.connection.execute("NOTIFY outbox")  # heard at the commit
    return {"id": made.id, "key": secret}


def keys_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m auth keys")
    create = parser.add_subparsers(required=True).add_parser("create", help="make a key and print it, this once")
    create.add_argument("--name", required=True)
    create.add_argument("--scopes", required=True, help="separated by commas; '*' for all")
    create.add_argument("--customer-id")
    create.add_argument("--expires-at", type=lambda text: datetime.fromisoformat(text).astimezone(UTC))
    return parser


def keys(words: list[str]) -> int:
    made = asyncio.run(create_key(Settings(), keys_parser().parse_args(words)))
    if isinstance(made, Refusal):
        sys.stderr.write(f"{made.field}: {made.detail}\n")
        return 2
    sys.stdout.write(json.dumps(made) + "\n")
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["keys"]:
        sys.exit(keys(sys.argv[2:]))
    service.main()
