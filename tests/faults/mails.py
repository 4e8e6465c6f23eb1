"""Mails: a process that dies around the mail server, and a mail server that is away."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import asyncpg

from contracts.ids import new_id
from tests.faults.crashes import Deaths, around
from tests.faults.load import WrongError
from tests.faults.scenarios import Figures, Run
from tests.kit.mails import Catcher, Mail

PEOPLE = 40
MOST_REPEATED = 20
SECONDS_TO_SEND = 240  # a mail in hand of a process that died is sent once its lease is over
SENT = "SELECT count(*) FROM mails WHERE state = 'sent' AND address = ANY($1)"
ORDER = "SELECT message_id FROM mails WHERE address = $1 AND state = 'sent' ORDER BY place"


async def people(run: Run, count: int) -> dict[str, str]:
    """Customers, each with one contact: the customer's id by the contact's address."""
    found = {}
    for _ in range(count):
        address = f"{new_id()}@example.com"
        found[address] = await run.client.customer(email=address)
    return found


async def receipts(run: Run, whose: dict[str, str], count: int) -> None:
    """So many recorded receipts, each of which is mailed to the one contact of its customer."""
    customers = list(whose.values())
    limit = asyncio.Semaphore(8)

    async def one(number: int) -> None:
        async with limit:
            await run.client.receive(customers[number % len(customers)], 1_000 + number)

    await asyncio.gather(*(one(number) for number in range(count)))


async def all_sent(run: Run, whose: dict[str, str], count: int, seconds: float) -> list[Mail]:
    """The mails of these addresses, oldest first, once notify has recorded so many as sent."""
    end = time.monotonic() + seconds
    connection = await asyncpg.connect(run.stack.database_url("notify"))
    try:
        while (sent := await connection.fetchval(SENT, list(whose))) < count:
            if time.monotonic() > end:
                raise WrongError(f"{sent} of {count} mails were sent in {seconds:.0f} s")
            await asyncio.sleep(0.5)
    finally:
        await connection.close()
    caught = await Catcher(run.stack.settings.mail_url).mails()
    return [one for one in reversed(caught) if one["to"][0] in whose]


async def none_wrong(run: Run, mails: Sequence[Mail], whose: dict[str, str], count: int) -> int:
    """No mail is lost or is two; each person got theirs in order. Returns how many came a second time."""
    times = Counter(one["headers"]["Message-ID"] for one in mails)
    if len(times) != count:
        raise WrongError(f"{len(times)} mails arrived, {count} were to")
    connection = await asyncpg.connect(run.stack.database_url("notify"))
    try:
        for address in whose:
            first = dict.fromkeys(one["headers"]["Message-ID"] for one in mails if one["to"] == [address])
            wanted = [row["message_id"] for row in await connection.fetch(ORDER, address)]
            if [one.strip("<>").partition("@")[0] for one in first] != wanted:
                raise WrongError(f"the mails of {address} came in another order than they were made")
        states = dict(await connection.fetch("SELECT state, count(*) FROM mails GROUP BY state"))
        if set(states) != {"sent"}:
            raise WrongError(f"mails ended as {states}")
    finally:
        await connection.close()
    return sum(times.values()) - count


async def mails(run: Run) -> Figures:
    """1,000 mails, while the process that sends them dies 20 times around the server's answer."""
    count = run.count(1_000)
    whose = await people(run, PEOPLE)
    points = (around(["mail"]) * 10)[: run.count(20)]
    deaths = Deaths(run.orders, "notify")
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        group.create_task(receipts(run, whose, count))
        group.create_task(deaths.at_each(points))
    caught = await all_sent(run, whose, count, SECONDS_TO_SEND)
    seconds = time.monotonic() - began
    repeated = await none_wrong(run, caught, whose, count)
    if repeated > MOST_REPEATED:
        raise WrongError(f"{repeated} mails came twice, with {deaths.count()} deaths")
    await run.ready()
    return {"mails": count, "deaths": deaths.count(), "repeated": repeated, "all_after_s": round(seconds, 1)}


async def mail_away(run: Run) -> Figures:
    """The mail server is away for a minute, while 300 mails are to be sent."""
    count, catcher = run.count(300), Catcher(run.stack.settings.mail_url)
    whose = await people(run, PEOPLE)
    await catcher.set_there(False)
    try:
        await receipts(run, whose, count)
        await asyncio.sleep(60 * min(1, run.scale))
    finally:
        await catcher.set_there(True)
    began = time.monotonic()
    caught = await all_sent(run, whose, count, 60)
    seconds = time.monotonic() - began
    repeated = await none_wrong(run, caught, whose, count)
    if repeated:
        raise WrongError(f"{repeated} mails came twice")
    return {"mails": count, "all_after_s": round(seconds, 1)}


SCENARIOS: dict[str, Any] = {"mails": mails, "mail-away": mail_away}
