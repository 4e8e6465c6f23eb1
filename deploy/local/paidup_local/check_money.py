"""Compares every book, balance, event, projection and file of a stack, and lists what does not add up.

Rows of another service, of the provider and of Kafka stream into temporary tables beside those that they are compared
with, so that memory stays bounded however many invoices there are.
"""

import asyncio
import contextlib
import hashlib
import importlib
import json
import time
import urllib.request
from array import array
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from chassis.checks import EVERYWHERE
from chassis.files import store as files
from chassis.files.contents import Contents
from chassis.messaging import reading
from contracts import topics
from contracts.envelope import LARGEST_SEQUENCE
from contracts.ids import is_id
from contracts.services import SERVICES, WITH_DATABASE
from paidup_local import plan, rights
from paidup_local.settings import Settings
from payments.providers.stripe_units import from_stripe

reading.install()
PATIENCE_SECONDS = 30.0
MOST = 50

# Each service's own module `checks`: what must hold in its tables, and how many events it has said of each aggregate.
CHECKS: dict[str, dict[str, str]] = {}
EMITTED: dict[str, str] = {}
for _name in WITH_DATABASE:
    _module = importlib.import_module(f"{_name}.checks")
    CHECKS[_name], EMITTED[_name] = _module.CHECKS, _module.EMITTED

FUNDS = "SELECT customer_id::text || ' ' || currency, -sum(amount)::bigint, 0::bigint FROM ledger_entries WHERE account = 'customer_funds' GROUP BY 1 HAVING sum(amount) <> 0"
HELD = """SELECT customer_id::text || ' ' || currency AS id, sum(amount)::bigint AS one, 0::bigint AS two FROM (
    SELECT customer_id, currency, settled AS amount FROM invoices UNION ALL SELECT customer_id, currency, balance FROM credits c
    WHERE NOT EXISTS (SELECT FROM credit_notes n WHERE n.id = c.payment_id)
) held GROUP BY 1 HAVING sum(amount) <> 0"""
# Accepted disputes and what they are about; invoicing's own check compares that with the credit notes.
ACCEPTED = "SELECT id::text, amount, 0::bigint FROM disputes WHERE status = 'accepted'"
CREDITED = "SELECT id::text AS id, amount AS one, 0::bigint AS two FROM disputes WHERE state IN ('waits', 'accepted')"
INVOICES = """SELECT id::text, sequence AS one,
    CASE WHEN state IN ('open', 'uncollectible') THEN total - credited - settled - pending ELSE 0 END AS two
    FROM invoices WHERE sequence > 0"""
PROJECTED = "SELECT id::text, sequence, payable_now FROM invoices"
# Who hears whom on which topic, under the name of its consumer.
HEARD = tuple(
    (topic.owner, topic.name, hearer.name)
    for hearer in SERVICES if hearer.database
    for topic in topics.TOPICS if topic.name in hearer.hears and not topic.commands
)  # fmt: skip
SAID = "SELECT aggregate, sequence, 0::bigint FROM ({emitted}) emitted (topic, aggregate, sequence) WHERE topic = '{topic}' AND sequence > 0"
SEEN = "SELECT aggregate AS id, sequence AS one, 0::bigint AS two FROM seen WHERE topic = '{topic}' AND consumer = '{hearer}'"
CHARGED = "SELECT provider_id AS id, amount + surcharge AS one, 0::bigint AS two FROM payments WHERE way = 'collect' AND reconciliation = 'matched' AND amount + surcharge > 0"
# What went back of the provider's charges: by refunds, and by what the payers' banks took.
WENT_BACK = """SELECT p.provider_id AS id, coalesce(sum(r.amount + r.surcharge) FILTER (WHERE r.kind = 'refund'), 0)::bigint AS one,
    coalesce(sum(r.amount + r.surcharge) FILTER (WHERE r.kind <> 'refund'), 0)::bigint AS two
    FROM reversals r JOIN payments p ON p.id = r.payment_id WHERE r.state = 'succeeded' AND r.code IS DISTINCT FROM 'failed_after_success' AND p.way = 'collect' GROUP BY 1"""

# Charges that are not in the books because a person has to say what they are, or has dismissed them; and those of which
# the provider took more than was left.
DOUBTED = """SELECT DISTINCT p.provider_id, p.reconciliation <> 'matched' FROM exceptions e JOIN payments p ON p.id = e.payment_id
    WHERE p.provider_id IS NOT NULL AND e.line_id IS NULL AND e.payout_line_id IS NULL
        AND (e.provider_id IS NOT NULL OR p.reconciliation IN ('mismatch', 'exception'))"""

# `there`: rows from elsewhere, beside the service's own.
DIFFERENT = """SELECT coalesce(here.id, there.id), here.one, here.two, there.one, there.two FROM ({sql}) here FULL JOIN there USING (id)
    WHERE (here.one, here.two) IS DISTINCT FROM (there.one, there.two) ORDER BY 1 LIMIT {most}"""
# What a service has said of an aggregate and what its topic holds; first what is missing, then what somebody else wrote.
NOT_IN_TOPIC = """SELECT topic, aggregate, coalesce(said.sequence, 0), coalesce(heard.sequence, 0)
    FROM ({sql}) said (topic, aggregate, sequence) FULL JOIN heard USING (topic, aggregate)
    WHERE coalesce(said.sequence, 0) <> coalesce(heard.sequence, 0)
    ORDER BY coalesce(heard.sequence, 0) > coalesce(said.sequence, 0), 1, 2 LIMIT {most}"""


def run(settings: Settings) -> dict[str, Any]:
    """Compare all. Returns `ok`, `violations`, and `waiting`: differences to the provider that are exceptions already.

    While a stack is busy it looks again, for half a minute at most.
    """
    return asyncio.run(check(settings))


async def check(settings: Settings) -> dict[str, Any]:
    end = time.monotonic() + PATIENCE_SECONDS
    violations, waiting = await _look(settings)
    while violations and time.monotonic() < end:
        await asyncio.sleep(1)
        again, waiting = await _look(settings)
        violations = [one for one in again if one in violations]
    return {"ok": not violations, "violations": violations[:MOST], "count": len(violations), "waiting": waiting[:MOST]}


async def _look(settings: Settings) -> tuple[list[str], list[str]]:
    async with contextlib.AsyncExitStack() as stack:
        found: dict[str, asyncpg.Connection] = {}
        for service in CHECKS:
            url = plan.environment(settings, service)[f"{service.upper()}_OWNER_URL"]
            found[service] = await asyncpg.connect(url)
            stack.push_async_callback(found[service].close)
        wrong: list[str] = []
        for service, connection in found.items():
            for what, sql in (CHECKS[service] | EVERYWHERE).items():
                rows = await connection.fetch(f"{sql} LIMIT {MOST}")
                wrong += [f"{service}: {what}: {row[0]} ({row[1]})" for row in rows]
        wrong += await _between(found["invoicing"], found["payments"])
        disputes = await _differing(found["invoicing"], CREDITED, _rows(found["support"], ACCEPTED))
        wrong += [f"dispute {row[0]}: support accepted {row[3]}, invoicing credits {row[1]}" for row in disputes]
        wrong += await _unheard(found)
        different, waiting = await _provider(settings, found["payments"])
        wrong += different
        for service, connection in found.items():
            wrong += await _topics(settings, service, connection)
            wrong += await _files(settings, service, connection)
        return wrong, waiting


async def _files(settings: Settings, service: str, connection: asyncpg.Connection) -> list[str]:
    """Each file that people sent to a service has its bytes, and all bytes are of a file."""
    where = plan.environment(settings, service).get(f"{service.upper()}_FILES")
    if where is None:
        return []
    there = {place async for place in Contents(where).places()}
    known = await files.places(connection)
    lost = [one for place, (one, state) in known.items() if state in ("ready", "scanning") and place not in there]
    return [
        *(f"{service}: a file has no bytes: {one}" for one in sorted(lost)),
        *(f"{service}: bytes are of no file: {place}" for place in sorted(there - known.keys())),
    ]


async def _between(invoicing: asyncpg.Connection, payments: asyncpg.Connection) -> list[str]:
    """The two books agree; projections are where their sources are."""
    books = await _differing(invoicing, HELD, _rows(payments, FUNDS))
    copies = await _differing(invoicing, INVOICES, _rows(payments, PROJECTED))
    return [
        *(
            f"the two books differ: customer {row[0]}, funds {row[3] or 0}, settled and credit {row[1] or 0}"
            for row in books
        ),
        *(f"payments' copy of invoice {row[0]} is {(row[3], row[4])}, not {(row[1], row[2])}" for row in copies),
    ]


async def _unheard(found: dict[str, asyncpg.Connection]) -> list[str]:
    """Each service that hears a topic has taken every event of it, or keeps it with its key in the dead letters."""
    wrong: list[str] = []
    for speaker, topic, hearer in HEARD:
        emitted = _rows(found[speaker], SAID.format(emitted=EMITTED[speaker], topic=topic))
        rows = await _differing(found[hearer], SEEN.format(topic=topic, hearer=hearer), emitted)
        wrong += [f"{hearer} heard {row[1] or 0} events of {row[0]} on {topic}, not {row[3] or 0}" for row in rows]
    return wrong


async def _differing(connection: asyncpg.Connection, sql: str, there: AsyncIterator[Any]) -> list[Any]:
    """Rows of `sql` (id, one, two) that are not the same there, and those that are on one side alone."""
    await connection.execute("CREATE TEMP TABLE there (id text PRIMARY KEY, one bigint, two bigint)")
    try:
        await connection.copy_records_to_table("there", records=there)
        await connection.execute("ANALYZE there")
        return list(await connection.fetch(DIFFERENT.format(sql=sql, most=MOST)))
    finally:
        await connection.execute("DROP TABLE there")


async def _rows(connection: asyncpg.Connection, sql: str) -> AsyncIterator[Any]:
    """As the server gives them, some at a time."""
    async with connection.transaction(readonly=True):
        async for row in connection.cursor(sql, prefetch=5_000):
            yield row


async def _provider(settings: Settings, payments: asyncpg.Connection) -> tuple[list[str], list[str]]:
    """Each charge at the provider is one payment of the same total, and each payment one charge; likewise what went back.

    Returns the faults, and the differences that are exceptions already.
    """
    charges = await _differing(payments, CHARGED, _charges(settings))
    back = await _differing(payments, WENT_BACK, _went_back(settings))
    doubted = dict(await payments.fetch(DOUBTED)) if charges or back else {}
    wrong: list[str] = []
    waiting: list[str] = []
    for row in charges:
        fault = f"charge of {row[0]}: the provider has {row[3]}, payments {row[1]}"
        (waiting if doubted.get(row[0]) else wrong).append(fault)
    for row in back:
        there = f"refunds of {row[3] or 0} and lost disputes of {row[4] or 0}"
        fault = f"back of {row[0]}: the provider has {there}, payments {row[1] or 0} and {row[2] or 0}"
        (waiting if row[0] in doubted else wrong).append(fault)
    return wrong, waiting


async def _charges(settings: Settings) -> AsyncIterator[tuple[str, int, int]]:
    async for charge in _every_charge(settings):
        if charge["status"] == "succeeded":
            yield charge["payment_intent"], _minor(charge, "amount"), 0


async def _went_back(settings: Settings) -> AsyncIterator[tuple[str, int, int]]:
    async for charge in _every_charge(settings):
        refunds, disputes = _minor(charge, "refunds_succeeded"), _minor(charge, "disputes_lost")
        if refunds or disputes:
            yield charge["payment_intent"], refunds, disputes


async def _every_charge(settings: Settings) -> AsyncIterator[dict[str, Any]]:
    base = f"http://127.0.0.1:{settings.port_of('sandbox')}/_control/charges"
    after: str | None = "0"
    while after:
        page = await asyncio.to_thread(_page, f"{base}?after={after}")
        for charge in page["items"]:
            if is_id(charge["metadata"].get("payment_id") or ""):  # another system of the account may charge too
                yield charge
        after = page["next"]


def _minor(charge: dict[str, Any], what: str) -> int:
    """In ISO 4217 minor units, as the books are; an amount that they can't hold becomes negative, so that it never agrees."""
    amount: int = charge[what]
    try:
        return from_stripe(amount, charge["currency"].upper())
    except ValueError:
        return -amount


def _page(url: str) -> Any:
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - loopback
        return json.load(answer)


async def _topics(settings: Settings, service: str, connection: asyncpg.Connection) -> list[str]:
    """The topics hold every event of their service without a gap, and no other: as many as each aggregate counts."""
    await connection.execute("CREATE TEMP TABLE heard (topic text, aggregate text, sequence bigint)")
    consumer = AIOKafkaConsumer(
        **rights.client(settings), enable_auto_commit=False,
        fetch_max_wait_ms=10,  # a partition at its end would hold the next one up
    )  # fmt: skip
    await consumer.start()
    try:
        gaps: list[str] = []
        for topic in (topic for topic in topics.TOPICS if topic.name.startswith(f"{service}.") and not topic.commands):
            for partition in range(topics.PARTITIONS):
                place = TopicPartition(topic.name, partition)
                heard, wrong = await _heard(consumer, place, f"paidup/{service}".encode())
                gaps += [f"{topic.name} of {aggregate}: {what}" for aggregate, what in wrong]
                # Of answers to commands no table keeps a count.
                counted = heard if f"'{topic.name}'" in EMITTED[service] else {}
                rows = [(topic.name, aggregate, sequence) for aggregate, sequence in counted.items()]
                await connection.copy_records_to_table("heard", records=rows)
        await connection.execute("ANALYZE heard")
        return gaps[:MOST] + await _compared(connection, EMITTED[service])
    finally:
        await consumer.stop()
        await connection.execute("DROP TABLE heard")


async def _compared(connection: asyncpg.Connection, said: str) -> list[str]:
    """Aggregates of which the topics, in the table `heard`, hold fewer events than the service emitted, or more."""
    found = []
    for topic, aggregate, here, there in await connection.fetch(NOT_IN_TOPIC.format(sql=said, most=MOST)):
        if there < here:
            found.append(f"{topic} of {aggregate}: {here} events were emitted, {there} are there")
        else:
            found.append(f"{topic} of {aggregate}: event {there} is forged, its service has emitted {here} events")
    return found


async def _heard(
    consumer: AIOKafkaConsumer, place: TopicPartition, source: bytes
) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Per aggregate of a partition its last sequence, and what is wrong: events that are missing, or two under one sequence.

    The same event twice is no fault: a relay that died before it noted the first time sends it again.
    """
    consumer.assign([place])
    await consumer.seek_to_beginning(place)
    end = (await consumer.end_offsets([place]))[place]
    heard: dict[str, int] = {}
    events: dict[
        str, array[int]
    ] = {}  # eight bytes of each one's id and body, as far back from the last as there is no gap
    wrong: list[tuple[str, str]] = []
    while await consumer.position(place) < end:
        for record in (await consumer.getmany(place, timeout_ms=1_000, max_records=5_000)).get(place, ()):
            headers = dict(record.headers)
            if headers.get("ce_source") != source:  # others may write here too, to break things
                continue
            read = _read(headers)
            if read is None:  # it belongs to no aggregate; who hears this topic has set it aside
                continue
            aggregate, sequence, event_id = read
            last = heard.get(aggregate, 0)
            if sequence > last + 1:
                wrong.append((aggregate, f"event {last + 1} is missing"))
                events.pop(aggregate, None)
            emitted = events.setdefault(aggregate, array("Q"))
            event = int.from_bytes(hashlib.blake2b(event_id + (record.value or b""), digest_size=8).digest())
            if sequence > last:
                heard[aggregate] = sequence
                emitted.append(event)
            elif last - sequence < len(emitted) and emitted[sequence - last - 1] != event:
                wrong.append((aggregate, f"two events have the sequence {sequence}"))
    return heard, wrong


def _read(headers: dict[str, bytes | None]) -> tuple[str, int, bytes] | None:
    """Aggregate, sequence and id of an event; None of what is none."""
    try:
        subject, number, event_id = (headers[name] or b"" for name in ("ce_subject", "sequence", "ce_id"))
        aggregate, sequence = subject.decode(), int(number)
    except (KeyError, ValueError):
        return None
    if not event_id or not aggregate or "\x00" in aggregate or not 0 < sequence <= LARGEST_SEQUENCE:
        return None
    return aggregate, sequence, event_id
