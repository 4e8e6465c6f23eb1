"""`python -m auth`; beside what every service knows: `keys create` and `staff invite`, when nobody is there to ask."""

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import get_args

import asyncpg

from auth.api import router
from auth.checks import CHECKS
from auth.handlers import handlers
from auth.hashes import Pepper
from auth.keys import messages, store
from auth.keys.api import new_secret
from auth.keys.domain import Maker, make_key
from auth.own import Own
from auth.passwords import Hasher
from auth.people.api import invite_staff
from auth.settings import Settings
from auth.signin.jobs import JOBS, QUEUES
from chassis.clock import Clock
from chassis.db.pool import open_pool
from chassis.http.identity import TokenSigner
from chassis.messaging.work import Cause, Units, Wake, Work
from chassis.sealing import Sealer
from chassis.service import Service
from contracts.auth import EVERY_SCOPE, Role
from contracts.ids import new_id
from contracts.refusals import Refusal


def own_of(settings: Settings) -> Own:
    pepper = Pepper(settings.pepper.get_secret_value().encode())
    return Own(
        TokenSigner(settings.private_key), Sealer(settings.notify_keys), Hasher(pepper, settings.hashing_threads),
        pepper, settings.public_url.rstrip("/"),
    )  # fmt: skip


@asynccontextmanager
async def resources(settings: Settings) -> AsyncIterator[Own]:
    own = own_of(settings)
    yield own
    own.hasher.close()


service = Service(
    name="auth",
    settings=Settings,
    router=router,
    handlers=(handlers,),
    jobs=JOBS,
    queues=QUEUES,
    resources=resources,
    checks=CHECKS,
    sequence_of="SELECT sequence FROM people WHERE id = $1",
    sequence_of_customers="SELECT sequence FROM people WHERE id = $1 AND customer_id::text = $2",
)


@asynccontextmanager
async def as_owner(settings: Settings) -> AsyncIterator[Work]:
    """A unit of work of the command line, as the owner of the database."""
    pool: asyncpg.Pool = await open_pool(settings.owner_url, size=1, application="auth-command")
    units = Units(pool, Clock(settings.time_zone, settings.clock_file), Wake())
    async with pool, units.begin(Cause(actor="system:command-line")) as work:
        yield work
        await work.connection.execute("NOTIFY outbox")  # heard at the commit


async def create_key(settings: Settings, arguments: argparse.Namespace) -> dict[str, str] | Refusal:
    """Write a key straight to the database, as its owner, with its event."""
    secret = new_secret()
    async with as_owner(settings) as work:
        made = make_key(
            key_id=new_id(), secret=secret, name=arguments.name, scopes=arguments.scopes.replace(",", " ").split(),
            customer_id=arguments.customer_id, expires_at=arguments.expires_at,
            maker=Maker("command-line", frozenset({EVERY_SCOPE})), now=work.now,
        )  # fmt: skip
        if isinstance(made, Refusal):
            return made
        await store.insert_key(work, made)
        work.emit(*messages.of(made, work.now))
    return {"id": made.id, "key": secret}


async def invite(settings: Settings, arguments: argparse.Namespace) -> dict[str, str] | Refusal:
    """Make one of the company's people straight in the database, and have the invitation mailed."""
    async with as_owner(settings) as work:
        person = await invite_staff(work, own_of(settings), arguments.email, arguments.name, arguments.role)
    if person is None:
        return Refusal("email-taken", "one of the company's people has this address already", "email", conflict=True)
    return {"id": person.id, "email": arguments.email, "role": arguments.role}


def keys_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m auth keys")
    create = parser.add_subparsers(required=True).add_parser("create", help="make a key and print it, this once")
    create.add_argument("--name", required=True)
    create.add_argument("--scopes", required=True, help="separated by commas; '*' for all")
    create.add_argument("--customer-id")
    create.add_argument("--expires-at", type=lambda text: datetime.fromisoformat(text).astimezone(UTC))
    return parser


def staff_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m auth staff")
    make = parser.add_subparsers(required=True).add_parser("invite", help="add one of the company's people, by e-mail")
    make.add_argument("email")
    make.add_argument("--name")
    make.add_argument("--role", choices=get_args(Role), default="administrator")
    return parser


COMMANDS = {"keys": (keys_parser, create_key), "staff": (staff_parser, invite)}


def run(command: str, words: list[str]) -> int:
    parser, do = COMMANDS[command]
    made = asyncio.run(do(Settings(), parser().parse_args(words)))
    if isinstance(made, Refusal):
        sys.stderr.write(f"{made.field}: {made.detail}\n")
        return 2
    sys.stdout.write(json.dumps(made) + "\n")
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in COMMANDS:
        sys.exit(run(sys.argv[1], sys.argv[2:]))
    service.main()
