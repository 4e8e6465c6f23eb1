"""Every SQL statement of signing in: codes, guesses, devices, passwords, tokens of mails, sessions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from auth.people.domain import Person
from auth.people.store import COLUMNS as PERSON
from auth.people.store import person_of
from auth.signin.domain import (
    CODES_AN_HOUR,
    CODES_OF_ALL,
    FAILURES_AN_HOUR,
    GUESSES_A_CODE,
    GUESSES_A_DAY,
    PASSWORD_GUESSES_A_DAY,
    Guess,
    MailToken,
    Session,
    SignIn,
    tries_left,
)
from chassis.db.reads import Reads
from chassis.messaging.work import Work

SIGN_IN = (
    "id, account, browser, link_id, session_id, client, budget, code, token, made_at, expires_at, guesses, ended_at"
)
SESSION = (
    "id, digest, person_id, customer_id, browser, device, link_id, proved_at, made_at, used_at, expires_at, ended_at"
)
TOKEN = "digest, purpose, person_id, password, made_at, expires_at, ended_at"  # noqa: S105 - columns

# Tries

TRY = f"""
INSERT INTO failed_tries (client, hour, count) VALUES ($1, $2, 1)
ON CONFLICT (client, hour) DO UPDATE SET count = failed_tries.count + 1 WHERE failed_tries.count < {FAILURES_AN_HOUR}
RETURNING count
"""  # noqa: S608


async def count_try(work: Work, client: bytes) -> bool:
    """Count a try as failed until it succeeds. False: the client has failed too often in this hour."""
    return await work.connection.fetchval(TRY, client, _hour(work.now)) is not None


async def forgive_try(work: Work, client: bytes, since: datetime, times: int = 1) -> None:
    """Tries that were counted as failed have led to something."""
    await work.connection.execute(
        "UPDATE failed_tries SET count = greatest(count - $3, 0) WHERE client = $1 AND hour >= $2",
        client, _hour(since), times,
    )  # fmt: skip


def _hour(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0)


async def device_known(work: Work, account: bytes, browser: bytes) -> bool:
    sql = "SELECT true FROM devices WHERE account = $1 AND browser = $2"
    return bool(await work.connection.fetchval(sql, account, browser))


# Codes


async def insert_sign_in(work: Work, made: SignIn) -> None:
    await work.connection.execute(
        f"INSERT INTO sign_ins ({SIGN_IN}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",  # noqa: S608
        made.id, made.account, made.browser, made.link_id, made.session_id, made.client, made.budget, made.code,
        made.token, made.made_at, made.expires_at, made.guesses, made.ended_at,
    )  # fmt: skip


def _sign_in(row: Any) -> SignIn:
    return SignIn(**dict(row))


async def lock_sign_in(work: Work, sign_in_id: str) -> SignIn | None:
    sql = f"SELECT {SIGN_IN} FROM sign_ins WHERE id = $1 FOR UPDATE"  # noqa: S608
    row = await work.connection.fetchrow(sql, sign_in_id)
    return _sign_in(row) if row else None


# Beside the newest request of an address there is nothing to make a code for; nor after too many codes in an hour.
WANTED = f"""
SELECT NOT EXISTS (SELECT FROM sign_ins WHERE account = $1 AND budget = $2 AND made_at > $3)
    AND (SELECT count(*) FROM sign_ins
         WHERE account = $1 AND client = $5 AND made_at > $4 AND code IS NOT NULL) < {CODES_AN_HOUR}
    AND (SELECT count(*) FROM sign_ins
         WHERE account = $1 AND budget = $2 AND made_at > $4 AND code IS NOT NULL) < {CODES_OF_ALL}
"""  # noqa: S608


async def code_wanted(work: Work, one: SignIn) -> bool:
    since = one.made_at - timedelta(hours=1)
    return bool(await work.connection.fetchval(WANTED, one.account, one.budget, one.made_at, since, one.client))


async def save_code(work: Work, one: SignIn, code: bytes, token: bytes | None) -> None:
    """Keep the code of a request, and end the codes before it."""
    await work.connection.execute(
        "UPDATE sign_ins SET ended_at = $4 WHERE account = $1 AND budget = $2 AND id <> $3 AND ended_at IS NULL"
        " AND made_at > $5",
        one.account, one.budget, one.id, work.now, one.made_at - timedelta(hours=1),
    )  # fmt: skip
    await work.connection.execute("UPDATE sign_ins SET code = $2, token = $3 WHERE id = $1", one.id, code, token)


# The guess is counted before it is looked at, under the lock of the address's row: parallel guesses can't share one.
GUESS = f"""
WITH found AS (
    SELECT id, account, budget FROM sign_ins
    WHERE browser = $1 AND ended_at IS NULL AND expires_at > $2 AND session_id IS NOT DISTINCT FROM $3
    ORDER BY made_at DESC LIMIT 1
), counted AS (
    INSERT INTO guesses (account, what, budget, day, count) SELECT account, 'code', budget, $4, 1 FROM found
    ON CONFLICT (account, what, budget, day) DO UPDATE SET count = guesses.count + 1 WHERE guesses.count < {GUESSES_A_DAY}
    RETURNING account, count
)
UPDATE sign_ins s SET guesses = s.guesses + 1 FROM found, counted
WHERE s.id = found.id AND s.guesses < {GUESSES_A_CODE} AND s.ended_at IS NULL RETURNING counted.count AS today, {", ".join("s." + one for one in SIGN_IN.split(", "))}
"""  # noqa: S608


async def guess_code(work: Work, browser: bytes, session_id: str | None, today: date) -> Guess:
    """Count a guess at the newest code of a browser. Without one: there is no code, or there are no guesses left."""
    row = await work.connection.fetchrow(GUESS, browser, work.now, session_id, today)
    if row is None:
        return Guess(None)
    one = SignIn(**{name: row[name] for name in SIGN_IN.split(", ")})
    return Guess(one, tries_left(one.guesses, row["today"]))


BY_TOKEN = f"""
SELECT {SIGN_IN} FROM sign_ins WHERE browser = $1 AND ended_at IS NULL AND expires_at > $2 AND token = $3
    AND session_id IS NULL FOR UPDATE
"""  # noqa: S608


async def lock_by_token(work: Work, browser: bytes, token: bytes) -> SignIn | None:
    """The request whose mail held this link, if this browser made it."""
    row = await work.connection.fetchrow(BY_TOKEN, browser, work.now, token)
    return _sign_in(row) if row else None


async def end_sign_in(work: Work, one: SignIn, today: date) -> None:
    """The code was right: it can't be used again, and its guess does not count."""
    await work.connection.execute("UPDATE sign_ins SET ended_at = $2 WHERE id = $1", one.id, work.now)
    await forgive_guess(work, one.account, "code", one.budget, today)


# Guesses at passwords

GUESS_PASSWORD = f"""
INSERT INTO guesses (account, what, budget, day, count) VALUES ($1, 'password', $2, $3, 1)
ON CONFLICT (account, what, budget, day) DO UPDATE SET count = guesses.count + 1
WHERE guesses.count < {PASSWORD_GUESSES_A_DAY} RETURNING count
"""  # noqa: S608


async def guess_password(work: Work, account: bytes, budget: bytes, today: date) -> bool:
    return await work.connection.fetchval(GUESS_PASSWORD, account, budget, today) is not None


async def forgive_guess(work: Work, account: bytes, what: str, budget: bytes, today: date) -> None:
    await work.connection.execute(
        "UPDATE guesses SET count = greatest(count - 1, 0)"
        " WHERE account = $1 AND what = $2 AND budget = $3 AND day = $4",
        account, what, budget, today,
    )  # fmt: skip


async def hold_password(work: Work, account: bytes) -> str | None:
    """The password's hash. Until the end of the transaction nobody changes it."""
    sql = "SELECT hash FROM passwords WHERE account = $1 FOR SHARE"
    kept: str | None = await work.connection.fetchval(sql, account)
    return kept


async def save_password(work: Work, account: bytes, kept: str) -> None:
    await work.connection.execute(
        "INSERT INTO passwords (account, hash, set_at) VALUES ($1, $2, $3)"
        " ON CONFLICT (account) DO UPDATE SET hash = excluded.hash, set_at = excluded.set_at",
        account, kept, work.now,
    )  # fmt: skip


# Tokens of mails


async def insert_token(work: Work, made: MailToken) -> None:
    """Keep a token; those of the same purpose that the person had before end."""
    await end_tokens(work, [made.person_id], made.purpose)
    await work.connection.execute(
        f"INSERT INTO mail_tokens ({TOKEN}) VALUES ($1, $2, $3, $4, $5, $6, $7)",  # noqa: S608
        made.digest, made.purpose, made.person_id, made.password, made.made_at, made.expires_at, made.ended_at,
    )  # fmt: skip


async def end_tokens(work: Work, person_ids: Sequence[str], *purposes: str) -> None:
    await work.connection.execute(
        "UPDATE mail_tokens SET ended_at = $3 WHERE person_id = ANY($1::uuid[]) AND purpose = ANY($2) AND ended_at IS NULL",
        list(person_ids), list(purposes), work.now,
    )  # fmt: skip


async def lock_token(work: Work, digest: bytes, purpose: str) -> MailToken | None:
    """The token, if it is one of this purpose and has not ended."""
    sql = f"SELECT {TOKEN} FROM mail_tokens WHERE digest = $1 AND purpose = $2 FOR UPDATE"  # noqa: S608
    row = await work.connection.fetchrow(sql, digest, purpose)
    found = MailToken(**dict(row)) if row else None
    return found if found and found.alive(work.now) else None


async def resets_since(work: Work, person_id: str, since: datetime) -> int:
    count: int = await work.connection.fetchval(
        "SELECT count(*) FROM mail_tokens WHERE person_id = $1 AND purpose = 'reset' AND made_at > $2", person_id, since
    )
    return count


# Sessions

INSERT_SESSION = f"""
WITH known AS (SELECT count(*) AS devices, bool_or(browser = $4) AS this FROM devices WHERE account = $12),
made AS (
    INSERT INTO sessions ({SESSION})
    SELECT $1, $2, p.id, p.customer_id, $4, $5, $6, $7, $8, $9, $10, $11 FROM people p
    WHERE p.id = $3 AND p.enabled FOR NO KEY UPDATE RETURNING made_at
), kept AS (
    INSERT INTO devices (account, browser, called, first_at, last_at) SELECT $12, $4, $5, made_at, made_at FROM made
    ON CONFLICT (account, browser) DO UPDATE SET last_at = excluded.last_at, called = excluded.called
)
SELECT devices > 0 AND NOT this AS unknown FROM known, made
"""  # noqa: S608


async def insert_session(work: Work, made: Session, account: bytes) -> bool | None:
    """Whether the person has signed in before, but never from this browser. None: they may not sign in any more."""
    found: bool | None = await work.connection.fetchval(
        INSERT_SESSION, made.id, made.digest, made.person_id, made.browser, made.device, made.link_id, made.proved_at,
        made.made_at, made.used_at, made.expires_at, made.ended_at, account,
    )  # fmt: skip
    return found


def _session(row: Any) -> Session:
    return Session(**{name: row[name] for name in SESSION.split(", ")})


S = ", ".join("s." + name for name in SESSION.split(", "))
P = ", ".join(f"p.{name} AS p_{name}" for name in PERSON.split(", "))
USE = f"""
WITH s AS (SELECT * FROM sessions WHERE digest = $1), used AS (
    UPDATE sessions SET used_at = greatest(sessions.used_at, $2::timestamptz) FROM s
    WHERE sessions.id = s.id AND sessions.ended_at IS NULL AND s.used_at + $3::interval > $2 AND s.expires_at > $2 AND s.used_at < $2 - $4::interval AND $5
    RETURNING sessions.used_at
)
SELECT {S}, {P} FROM s JOIN people p ON p.id = s.person_id
"""  # noqa: S608


async def use_session(
    reads: Reads, digest: bytes, now: datetime, idle: timedelta, *, counts: bool
) -> tuple[Session, Person] | None:
    """The session of a cookie with its person. If it is alive and this counts, it is used now, to half a minute."""
    row = await reads.fetchrow(USE, digest, now, idle, timedelta(seconds=30), counts)
    return (_session(row), _with_person(row)) if row else None


def _with_person(row: Any) -> Person:
    return person_of({name: row["p_" + name] for name in PERSON.split(", ")})


async def load_session(reads: Reads, session_id: str) -> Session | None:
    row = await reads.fetchrow(f"SELECT {SESSION} FROM sessions WHERE id = $1", session_id)  # noqa: S608
    return _session(row) if row else None


LIVING = f"""
SELECT {SESSION} FROM sessions WHERE person_id = ANY($1::uuid[]) AND ended_at IS NULL AND expires_at > $2 ORDER BY id DESC LIMIT 200
"""  # noqa: S608


async def living_sessions(reads: Reads, person_ids: Sequence[str], now: datetime) -> list[Session]:
    return [one for one in map(_session, await reads.fetch(LIVING, list(person_ids), now)) if one.alive(now)]


END = f"""
UPDATE sessions SET ended_at = $2 WHERE person_id = ANY($1::uuid[]) AND ended_at IS NULL AND expires_at > $2
    AND ($3::uuid IS NULL OR id <> $3) AND ($4::uuid IS NULL OR id = $4) RETURNING {SESSION}
"""  # noqa: S608


async def end_sessions(
    work: Work, person_ids: Sequence[str], *, but: str | None = None, only: str | None = None
) -> list[Session]:
    """End the sessions of people: all, all but one, or one."""
    rows = await work.connection.fetch(END, list(person_ids), work.now, but, only)
    return [_session(row) for row in rows]


PRUNE = (
    "DELETE FROM sign_ins WHERE made_at < $1::timestamptz - interval '2 days'",
    "DELETE FROM guesses WHERE day < ($1::timestamptz - interval '3 days')::date",
    "DELETE FROM failed_tries WHERE hour < $1::timestamptz - interval '1 day'",
    "DELETE FROM mail_tokens WHERE expires_at < $1::timestamptz - interval '30 days'",
)


async def prune(reads: Any, now: datetime) -> None:
    """Forget what no rule needs any more."""
    for statement in PRUNE:
        await reads.execute(statement, now)
