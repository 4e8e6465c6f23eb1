"""Every SQL statement of people and their notices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from auth.people.domain import Person
from chassis.db.reads import Reads
from chassis.messaging.work import Work

COLUMNS = (
    "id, kind, customer_id, role, email, account, name, language, enabled, created_at, erased_at, sequence, notices"
)
READ = f"SELECT {COLUMNS} FROM people"  # noqa: S608


def person_of(row: Any) -> Person:
    return Person(**dict(row))


async def load_person(reads: Reads, person_id: str) -> Person | None:
    row = await reads.fetchrow(f"{READ} WHERE id = $1", person_id)
    return person_of(row) if row else None


async def lock_person(work: Work, person_id: str) -> Person | None:
    row = await work.connection.fetchrow(f"{READ} WHERE id = $1 FOR NO KEY UPDATE", person_id)
    return person_of(row) if row else None


ADMINISTRATORS = """
SELECT id FROM people WHERE kind = 'staff' AND role = 'administrator' AND enabled AND erased_at IS NULL
ORDER BY id FOR NO KEY UPDATE
"""


async def lock_administrators(work: Work) -> list[str]:
    """The ids of all administrators who may sign in, locked: nobody else takes one away meanwhile.

    Call it before a single person is locked, so that two changes lock in the same order.
    """
    return [row["id"] for row in await work.connection.fetch(ADMINISTRATORS)]


OF_ACCOUNT = f"""
{READ} p WHERE account = $1 AND erased_at IS NULL AND enabled
ORDER BY kind DESC, (SELECT s.id FROM sessions s WHERE s.person_id = p.id ORDER BY s.id DESC LIMIT 1) DESC NULLS LAST, id
LIMIT 100
"""  # noqa: S608


async def of_account(reads: Reads, account: bytes) -> list[Person]:
    """The enabled people of an address. The first signs in: staff, then whoever signed in last, then the oldest.

    So nobody who makes a contact with somebody else's address changes who that person is here.
    """
    return [person_of(row) for row in await reads.fetch(OF_ACCOUNT, account)]


INSERT = f"""
INSERT INTO people ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT DO NOTHING RETURNING id
"""  # noqa: S608


async def insert_person(work: Work, person: Person) -> bool:
    """False: the customer has a contact of this address, or the company one of its own."""
    return bool(
        await work.connection.fetchval(
            INSERT, person.id, person.kind, person.customer_id, person.role, person.email, person.account, person.name,
            person.language, person.enabled, person.created_at, person.erased_at, person.sequence, person.notices,
        )
    )  # fmt: skip


SAVE = """
UPDATE people SET email = $2, account = $3, name = $4, language = $5, enabled = $6, erased_at = $7, sequence = $8,
    role = $9
WHERE id = $1
"""


async def save_person(work: Work, person: Person) -> None:
    await work.connection.execute(
        SAVE, person.id, person.email, person.account, person.name, person.language, person.enabled,
        person.erased_at, person.sequence, person.role,
    )  # fmt: skip


async def count_notice(work: Work, person_id: str) -> Person:
    """The person, locked, with one notice more."""
    sql = f"UPDATE people SET notices = notices + 1 WHERE id = $1 RETURNING {COLUMNS}"  # noqa: S608
    return person_of(await work.connection.fetchrow(sql, person_id))


async def lock_customers_people(work: Work, customer_id: str) -> list[Person]:
    rows = await work.connection.fetch(f"{READ} WHERE customer_id = $1 ORDER BY id FOR NO KEY UPDATE", customer_id)
    return [person_of(row) for row in rows]


async def living_contacts(work: Work, customer_id: str) -> int:
    count: int = await work.connection.fetchval(
        "SELECT count(*) FROM people WHERE customer_id = $1 AND erased_at IS NULL", customer_id
    )
    return count


PAGE = f"""
{READ} WHERE kind = 'contact' AND ($1::uuid IS NULL OR customer_id = $1) AND ($2::uuid IS NULL OR id < $2) AND erased_at IS NULL
ORDER BY id DESC LIMIT $3
"""
STAFF = f"{READ} WHERE kind = 'staff' AND ($1::uuid IS NULL OR id < $1) AND erased_at IS NULL ORDER BY id DESC LIMIT $2"


async def page_of_contacts(reads: Reads, customer_id: str | None, before: str | None, limit: int) -> list[Person]:
    """Newest first; ids are in order of time."""
    return [person_of(row) for row in await reads.fetch(PAGE, customer_id, before, limit)]


async def page_of_staff(reads: Reads, before: str | None, limit: int) -> list[Person]:
    return [person_of(row) for row in await reads.fetch(STAFF, before, limit)]


KEEP_CUSTOMERS = """
INSERT INTO customers (id, name) SELECT * FROM unnest($1::uuid[], $2::text[])
ON CONFLICT (id) DO UPDATE SET name = excluded.name
"""


async def keep_customers(work: Work, names: Mapping[str, str | None]) -> None:
    """Save customers by id with their present names; None: the customer was erased."""
    ids = sorted(names)
    await work.connection.execute(KEEP_CUSTOMERS, ids, [names[one] for one in ids])


async def customer_known(reads: Reads, customer_id: str) -> bool:
    return bool(await reads.fetchval("SELECT true FROM customers WHERE id = $1", customer_id))


async def customer_names(reads: Reads, ids: Sequence[str]) -> dict[str, str | None]:
    rows = await reads.fetch("SELECT id, name FROM customers WHERE id = ANY($1::uuid[])", list(ids))
    return {row["id"]: row["name"] for row in rows}


WITHOUT_PEOPLE = """
SELECT c FROM unnest($1::uuid[]) AS c WHERE NOT EXISTS (SELECT FROM people p WHERE p.customer_id = c)
"""


async def without_people(work: Work, customer_ids: Sequence[str]) -> set[str]:
    """Those of the customers that never had a contact."""
    return {row["c"] for row in await work.connection.fetch(WITHOUT_PEOPLE, list(customer_ids))}


FORGET_ACCOUNT = """
WITH gone AS (SELECT $1::bytea AS account WHERE NOT EXISTS (SELECT FROM people WHERE account = $1)),
passwords AS (DELETE FROM passwords p USING gone WHERE p.account = gone.account),
devices AS (DELETE FROM devices d USING gone WHERE d.account = gone.account),
guesses AS (DELETE FROM guesses g USING gone WHERE g.account = gone.account)
DELETE FROM sign_ins s USING gone WHERE s.account = gone.account
"""


FORGET_ANSWERS = """
DELETE FROM idempotency_keys WHERE route LIKE '%/v1/contacts%' AND position($1::bytea IN body) > 0
"""


async def forget(work: Work, person: Person) -> None:
    """Delete what is kept of an erased person's address, unless somebody else has the same one."""
    await work.connection.execute("DELETE FROM mail_tokens WHERE person_id = $1", person.id)
    await work.connection.execute(FORGET_ANSWERS, person.id.encode())
    if person.account is not None:
        await work.connection.execute(FORGET_ACCOUNT, person.account)
