"""Bank files and their lines. Each line counts once."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import asyncpg
import orjson

from chassis.messaging.work import Work
from contracts.money import Money
from payments.bank_files.line import BankLine
from payments.receiving.domain.transfers import Transfer
from payments.setbacks.store import in_turn
from payments.sql import columns_of

LINE_COLUMNS = (
    "statement_id", "identity", "place", "account", "currency", "amount", "booked_on", "booked", "bank_reference",
    "entry_reference", "reversal", "refs", "text", "payer", "payer_account", "code", "part", "own_refs", "balance_before",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Run:
    """A bank file, and how many of its lines are in each state."""

    id: str
    status: str
    format: str
    account: str | None
    lines: int
    received_at: datetime
    counts: Mapping[str, int]


RUN = """
SELECT s.id, s.status, s.format, s.account, s.lines, s.received_at,
    (SELECT coalesce(jsonb_object_agg(state, n), '{}')::text FROM bank_line_counts WHERE statement_id = s.id) AS counts
FROM bank_statements s
"""


async def load_run(connection: asyncpg.Connection, statement_id: str) -> Run | None:
    return _run(await connection.fetchrow(f"{RUN} WHERE s.id = $1", statement_id))


async def find_run(connection: asyncpg.Connection, digest: bytes) -> Run | None:
    """The run of the file with this content."""
    return _run(await connection.fetchrow(f"{RUN} WHERE s.digest = $1", digest))


async def list_runs(connection: asyncpg.Connection, after: tuple[datetime, str] | None, limit: int) -> list[Run]:
    """The newest first."""
    sql = f"""{RUN} WHERE $1::timestamptz IS NULL OR (s.received_at, s.id) < ($1, $2::uuid)
        ORDER BY s.received_at DESC, s.id DESC LIMIT $3"""
    rows = await connection.fetch(sql, *(after or (None, None)), limit)
    return [run for run in map(_run, rows) if run]


def _run(row: asyncpg.Record | None) -> Run | None:
    return Run(**{**row, "counts": orjson.loads(row["counts"])}) if row else None


LINES = """
SELECT l.id, l.place, l.account, l.booked_on, l.currency, l.amount AS amount_minor, l.refs AS "references", l.text, l.payer,
    l.state, ARRAY(SELECT id FROM payments WHERE bank_line_id = l.id ORDER BY id) AS payment_ids, e.id AS exception_id
FROM bank_lines l LEFT JOIN LATERAL (SELECT id FROM exceptions WHERE line_id = l.id ORDER BY state, created_at DESC LIMIT 1) e ON true
WHERE l.statement_id = $1 AND l.state BETWEEN $2 AND $3 AND (l.state, l.id) > ($4, $5) ORDER BY l.state, l.id LIMIT $6
"""


async def list_lines(
    connection: asyncpg.Connection, statement_id: str, state: str | None, after: tuple[str, int] | None, limit: int
) -> list[asyncpg.Record]:
    """List lines by state, then in the order of the file."""
    bounds = (state, state) if state else ("a", "z")
    return list(await connection.fetch(LINES, statement_id, *bounds, *(after or ("", 0)), limit))


ADD_STATEMENT = """
INSERT INTO bank_statements (id, digest, format, status, lines, received_at, actor) VALUES ($1, $2, $3, 'running', 0, $4, $5)
ON CONFLICT (digest) DO NOTHING RETURNING id
"""


async def lock_digest(work: Work, digest: bytes) -> bool:
    """Whether no other transaction is saving this file. It does not wait, because a large file takes long."""
    key = int.from_bytes(digest[:8], "big", signed=True)
    free: bool = await work.connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", key)
    return free


async def add_statement(work: Work, statement_id: str, digest: bytes, form: str, actor: str | None) -> bool:
    """Add a file; False if one with this content exists."""
    return await work.connection.fetchval(ADD_STATEMENT, statement_id, digest, form, work.now, actor) is not None


def row_of(line: BankLine, identity: str) -> list[Any]:
    """A line as a row for `add_rows`, in the order of `LINE_COLUMNS`."""
    return [
        identity, line.place, line.account, line.currency, line.amount_minor, line.booked_on or line.value_on,
        line.status == "booked", line.bank_reference, line.entry_reference, line.reversal,
        [*line.references, *([line.end_to_end_id] if line.end_to_end_id else [])], line.text, line.payer,
        line.payer_account, line.code, line.part, _own(line), line.balance_before,
    ]  # fmt: skip


def _own(line: BankLine) -> list[str]:
    own = {*line.own_references, *([line.end_to_end_id] if line.end_to_end_id not in line.references else [])}
    return sorted(each for each in own if each)


async def add_rows(work: Work, statement_id: str, rows: Iterable[Sequence[Any]]) -> None:
    """Add lines of a statement, each made by `row_of`. Days may be ISO text, as JSON keeps them."""

    def day(told: date | str | None) -> date | None:
        return date.fromisoformat(told) if isinstance(told, str) else told

    records = [(statement_id, *row[:5], day(row[5]), *row[6:]) for row in rows]
    await work.connection.copy_records_to_table("bank_lines", records=records, columns=LINE_COLUMNS)


async def count_lines(work: Work, statement_id: str, lines: int, account: str | None) -> None:
    sql = "UPDATE bank_statements SET lines = $2, account = $3 WHERE id = $1"
    await work.connection.execute(sql, statement_id, lines, account)


OLDEST_RUNNING = f"""
SELECT b.id, b.taken_up_to FROM bank_statements b WHERE b.status = 'running' AND {in_turn("take-bank-lines", "b.id")}
ORDER BY b.received_at, b.id LIMIT 1
"""  # noqa: S608
LOCK_RUNNING = f"""
WITH turn AS MATERIALIZED (SELECT pg_try_advisory_xact_lock($1) AS mine)
SELECT s.id, s.taken_up_to FROM turn CROSS JOIN LATERAL ({OLDEST_RUNNING}) s WHERE turn.mine
"""  # noqa: S608
TURN = 7_208_851_906


async def lock_running(work: Work) -> tuple[str, int] | None:
    """The oldest statement with lines to take, and the id of its last line taken; None if another process takes lines.

    Only one process takes lines at a time, of any file. Two files may have the same money, and only committed lines show
    it.
    """
    row = await work.connection.fetchrow(LOCK_RUNNING, TURN)
    return (row["id"], row["taken_up_to"]) if row else None


async def oldest_running(connection: asyncpg.Connection) -> str | None:
    """The statement whose lines are to be taken next."""
    row = await connection.fetchrow(OLDEST_RUNNING)
    return row["id"] if row else None


async def move_on(work: Work, statement_id: str, line_id: int) -> None:
    """Note that the statement's lines are taken up to this one."""
    await work.connection.execute("UPDATE bank_statements SET taken_up_to = $2 WHERE id = $1", statement_id, line_id)


async def end_run(work: Work, statement_id: str) -> None:
    await work.connection.execute("UPDATE bank_statements SET status = 'done' WHERE id = $1", statement_id)


TRANSFER = "id, identity, currency, amount, booked_on, refs, text, payer, payer_account, reversal, code, own_refs"
NEW_LINES = f"""
SELECT {TRANSFER}, booked, part FROM bank_lines WHERE statement_id = $1 AND state = 'new' AND id > $2 ORDER BY id LIMIT $3
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class NewLine:
    """`transfer` is None for a line that is not booked, because it may still change."""

    id: int
    transfer: Transfer | None


async def new_lines(work: Work, statement_id: str, after: int, limit: int) -> list[NewLine]:
    """Return the next lines after this id. (By state alone, each batch would read over all lines that were taken.)

    They are all of one part of the file. Another part may repeat them, and only committed lines show it.
    """
    rows = await work.connection.fetch(NEW_LINES, statement_id, after, limit)
    rows = list(itertools.takewhile(lambda row: row["part"] == rows[0]["part"], rows))
    return [NewLine(row["id"], transfer_of(row) if row["booked"] and row["booked_on"] else None) for row in rows]


def transfer_of(row: asyncpg.Record) -> Transfer:
    return Transfer(
        row["id"], row["identity"], Money(row["amount"], row["currency"]), row["booked_on"], tuple(row["refs"]), row["text"],
        row["payer"], row["payer_account"], row["reversal"], row["code"], tuple(row["own_refs"]),
    )  # fmt: skip


TAKE_FROM = f"""
WITH held AS (
    SELECT p.id AS payment, {columns_of("l", TRANSFER)}
    FROM payments p JOIN bank_lines l ON l.id = p.bank_line_id WHERE p.id = $1
), taken AS (
    UPDATE payments p SET bank_line_id = NULL FROM held WHERE p.id = held.payment
)
SELECT * FROM held
"""  # noqa: S608


async def take_from(work: Work, payment_id: str) -> Transfer | None:
    """Unlink a payment's bank line, and return its transfer; None if it had no bank line."""
    row = await work.connection.fetchrow(TAKE_FROM, payment_id)
    return transfer_of(row) if row else None


# As `numbers.plain`, whatever the locale of the database.
PLAIN = "upper(regexp_replace({} COLLATE pg_c_utf8, '[^[:alnum:]]+', '', 'g'))"
WRITTEN = """string_to_array(upper(regexp_replace(array_to_string({}.refs, '|') COLLATE pg_c_utf8, '[^[:alnum:]|]+', '', 'g')),
    '|')"""


def _other_references(one: str) -> str:
    """SQL: both line `one` and line `l` have references, and none in common."""
    return f"({one}.refs <> '{{}}' AND l.refs <> '{{}}' AND NOT {WRITTEN.format(one)} && {WRITTEN.format('l')})"


def other_file(one: str, other: str) -> str:
    """SQL: two lines are of two files, or of two parts of one file."""
    return f"({one}.statement_id, {one}.part) <> ({other}.statement_id, {other}.part)"


# Lines whose money counted already in another file, there as one sum or as its parts. The entry's reference, the direction and
# the sum to the cent must agree, because banks use one reference for a transfer, its fee and its return, and again on other days.
# Sums are made once per entry and found by references. A join would compare each line with all lines of its account.
SUMMED = f"""
asked AS MATERIALIZED (
    SELECT id, identity, statement_id, part, account, currency, amount, reversal, bank_reference, entry_reference, booked_on, refs
    FROM bank_lines WHERE id = ANY($1::bigint[])
), told_in_one AS MATERIALIZED (
    SELECT * FROM (
        SELECT DISTINCT statement_id, part, account, currency, reversal, entry_reference, booked_on FROM asked
        WHERE entry_reference IS NOT NULL
    ) e WHERE EXISTS (
        SELECT FROM bank_lines o JOIN bank_identities i ON i.identity = o.identity AND i.line_id = o.id
        WHERE o.account = e.account AND o.bank_reference = e.entry_reference AND o.entry_reference IS NULL
            AND {other_file("o", "e")} AND o.currency = e.currency AND o.reversal = e.reversal
            AND o.booked_on {{day}} e.booked_on
            AND o.amount = (SELECT sum(p.amount) FROM bank_lines p WHERE p.account = e.account AND p.booked
                AND p.entry_reference = e.entry_reference AND p.statement_id = e.statement_id AND p.part = e.part
                AND p.currency = e.currency AND p.reversal = e.reversal AND p.booked_on = e.booked_on)
    )
), summed AS (
    SELECT l.id FROM asked l WHERE EXISTS (
        SELECT FROM bank_lines o LEFT JOIN bank_identities i ON i.identity = o.identity AND i.line_id = o.id
        WHERE o.account = l.account AND o.entry_reference = l.bank_reference AND {other_file("o", "l")}
            AND o.booked AND o.currency = l.currency AND o.reversal = l.reversal AND o.booked_on {{day}} l.booked_on
        GROUP BY o.statement_id, o.part, o.booked_on HAVING sum(o.amount) = l.amount AND count(i.line_id) > 0
    ) OR EXISTS (
        SELECT FROM told_in_one t WHERE t.statement_id = l.statement_id AND t.part = l.part AND t.account = l.account
            AND t.currency = l.currency AND t.reversal = l.reversal AND t.entry_reference = l.entry_reference AND t.booked_on = l.booked_on)
)"""  # noqa: S608

# A line counts if its identity is new on its day, and its money did not count in another file as one sum or as its parts.
CLAIM = f"""
WITH {SUMMED.format(day="=")}
INSERT INTO bank_identities (identity, booked_on, line_id)
SELECT identity, booked_on, min(id) FROM asked WHERE id NOT IN (SELECT id FROM summed) GROUP BY 1, 2 ORDER BY 1, 2
ON CONFLICT DO NOTHING RETURNING line_id
"""  # noqa: S608

# Both lines have an account, and neither account is the end of the other.
OTHER_ACCOUNT = f"""(NOT coalesce({PLAIN.format("o.payer_account")} LIKE '%' || {PLAIN.format("l.payer_account")}, true)
    AND NOT coalesce({PLAIN.format("l.payer_account")} LIKE '%' || {PLAIN.format("o.payer_account")}, true))"""


def _words(of: str) -> str:
    return f"string_to_array(upper(regexp_replace({of} COLLATE pg_c_utf8, '[^[:alnum:][:space:]]+', '', 'g')), ' ')"


# Neither of the texts `told.o` and `told.l` contains the other, or all of its words. (Files give longer and shorter texts.)
OTHER_WORDS = f"""(strpos({PLAIN.format("told.o")}, {PLAIN.format("told.l")}) = 0
    AND strpos({PLAIN.format("told.l")}, {PLAIN.format("told.o")}) = 0
    AND NOT {_words("told.o")} <@ {_words("told.l")} AND NOT {_words("told.l")} <@ {_words("told.o")})"""
# Both lines have the balance before them, in statements of one format, and it differs: so they stand at different places.
OTHER_BALANCE = """(o.balance_before <> l.balance_before AND (SELECT count(DISTINCT format) = 1 FROM bank_statements
    WHERE id IN (o.statement_id, l.statement_id)))"""
# Another line of the day that counted, with the same amount and text.
JUST_IT = f"""c.account = l.account AND c.amount = l.amount AND c.currency = l.currency AND c.booked_on = l.booked_on
    AND c.text = l.text AND (c.balance_before <> l.balance_before) IS NOT TRUE AND {other_file("c", "l")} AND NOT {_other_references("c")}"""
SAME_PAYER = "c.payer_account IS NOT DISTINCT FROM l.payer_account AND c.payer IS NOT DISTINCT FROM l.payer"
# Lines that have neither account nor reference, only text.
BY_TEXT = "num_nonnulls({0}.payer_account, {0}.bank_reference, {0}.entry_reference) = 0"
COUNTED = "bank_lines c JOIN bank_identities k ON k.identity = c.identity AND k.line_id = c.id"

# Lines with the identity of a line that counted, that may be other money all the same. They have another account (files may give
# only its end), or another name if one has no account, or other references, or other words (of the text; of references, too, if
# one has no text). Lines that differ in the same way are returned once. A line is left out if another line of the day that
# counted is the same in all this, because files may list a day in another order.
DOUBTED = f"""
WITH told AS (
    SELECT l.id, l.booked_on, concat_ws('/', l.identity, md5(concat_ws('/', l.text, l.payer_account, l.payer,
        array_to_string(l.refs, '/'), l.balance_before))) AS identity
    FROM bank_lines l JOIN bank_identities i ON i.identity = l.identity AND i.booked_on = l.booked_on
    JOIN bank_lines o ON o.id = i.line_id CROSS JOIN LATERAL (
        SELECT CASE WHEN apart THEN o.text ELSE concat_ws(' ', array_to_string(o.refs, ' '), o.text) END AS o,
            CASE WHEN apart THEN l.text ELSE concat_ws(' ', array_to_string(l.refs, ' '), l.text) END AS l
        FROM (SELECT o.text <> '' AND l.text <> '' AS apart) t
    ) told
    WHERE l.id = ANY($1::bigint[]) AND o.id <> l.id AND (CASE
        WHEN o.payer_account IS NOT NULL AND l.payer_account IS NOT NULL THEN {OTHER_ACCOUNT}
        ELSE NOT starts_with({PLAIN.format("o.payer")}, {PLAIN.format("l.payer")})
            AND NOT starts_with({PLAIN.format("l.payer")}, {PLAIN.format("o.payer")}) END
        OR {_other_references("o")} OR {OTHER_WORDS} OR {OTHER_BALANCE})
    AND NOT EXISTS (
        SELECT FROM {COUNTED} WHERE l.bank_reference IS NULL AND c.payer_account = l.payer_account AND {JUST_IT}
    ) AND NOT EXISTS (
        SELECT FROM {COUNTED} WHERE c.bank_reference = l.bank_reference AND {JUST_IT} AND {SAME_PAYER}
    ) AND NOT EXISTS (
        SELECT FROM {COUNTED} WHERE l.bank_reference IS NULL AND c.entry_reference = l.entry_reference AND {JUST_IT}
            AND {SAME_PAYER}
    ) AND NOT EXISTS (
        SELECT FROM {COUNTED} WHERE c.balance_before = l.balance_before AND {BY_TEXT.format("c")} AND {BY_TEXT.format("l")}
            AND {JUST_IT} AND {SAME_PAYER}
    )
)
INSERT INTO bank_identities (identity, booked_on, line_id) SELECT identity, booked_on, min(id) FROM told
GROUP BY 1, 2 ORDER BY 1, 2
ON CONFLICT DO NOTHING RETURNING line_id
"""  # noqa: S608

# Lines whose reference and amount counted on another day in another file, which does not have this line on this day, while this
# file does not have it on that day. Banks use references again, and date one transfer by its booking or by its value date.
_AGAIN = f"""EXISTS (
    SELECT FROM bank_lines o JOIN bank_identities k ON k.identity = o.identity AND k.line_id = o.id
    WHERE o.account = l.account AND o.{{0}} = l.{{0}} AND o.amount = l.amount AND o.currency = l.currency
        AND o.booked_on <> l.booked_on AND {other_file("o", "l")} AND o.booked {{1}}
        AND NOT EXISTS (SELECT FROM bank_lines s WHERE s.account = o.account AND s.{{0}} = o.{{0}} AND s.amount = o.amount
            AND s.currency = o.currency AND s.booked_on = o.booked_on AND s.booked AND s.statement_id = l.statement_id
                AND s.part = l.part)
)"""  # noqa: S608
AGAIN = f"""
WITH {SUMMED.format(day="<>")}
SELECT id FROM asked l WHERE {_AGAIN.format("bank_reference", "")}
    OR l.bank_reference IS NULL AND {_AGAIN.format("entry_reference", "AND o.bank_reference IS NULL AND o.refs = l.refs")}
    OR id IN (SELECT id FROM summed)
"""  # noqa: S608

SAME_OF_DAY = """{0}.account = {1}.account AND {0}.payer_account = {1}.payer_account AND {0}.amount = {1}.amount
    AND {0}.booked_on = {1}.booked_on AND {0}.currency = {1}.currency AND {0}.booked"""
REFERENCED = "(num_nonnulls({0}.bank_reference, {0}.entry_reference) > 0)"
# One transfer in two files has one identity only if both have the bank's reference, or if neither has it and the line has the
# same number among lines alike of its day; another payer's line between them changes that number. So if another file in another
# form already counted as many transfers of a payer's account, the line may be one of them, and a person decides. Lines alike are
# counted once, together.
MOVED = f"""
WITH alike AS (
    SELECT l.*, {REFERENCED.format("l")} AS referenced, row_number() OVER (same ORDER BY id) AS nth, min(id) OVER same AS first
    FROM bank_lines l WHERE id = ANY($1::bigint[]) AND payer_account IS NOT NULL
    WINDOW same AS (PARTITION BY statement_id, part, account, payer_account, amount, currency, booked_on, {REFERENCED.format("l")},
        CASE WHEN {REFERENCED.format("l")} THEN '' ELSE text END)
), known AS MATERIALIZED (
    SELECT a.first, c.n - (SELECT count(*) FROM bank_lines m WHERE {SAME_OF_DAY.format("m", "a")}
        AND m.statement_id = a.statement_id AND m.part = a.part AND m.id < a.first AND {REFERENCED.format("m")} = a.referenced
        AND (a.referenced OR m.text = a.text)) AS n
    FROM alike a CROSS JOIN LATERAL (
        SELECT count(*) AS n FROM bank_lines o JOIN bank_identities k ON k.identity = o.identity AND k.line_id = o.id
        WHERE {SAME_OF_DAY.format("o", "a")} AND {other_file("o", "a")}
            AND ({REFERENCED.format("o")} <> a.referenced OR NOT a.referenced AND o.text = a.text) OFFSET 0
    ) c WHERE a.id = a.first AND c.n > 0
)
SELECT a.id FROM alike a JOIN known USING (first) WHERE a.id = ANY($2::bigint[]) AND a.nth <= known.n
"""  # noqa: S608


# Lines of a day with one reference are numbered among themselves. In a file of another order, a line that counted has another
# number. So of lines that are alike in every word, as many as counted may be the same lines.
_REORDERED = (
    f"EXISTS (SELECT FROM {COUNTED} WHERE c.reference = l.reference AND {JUST_IT} AND {SAME_PAYER} OFFSET l.nth - 1)"
)
REORDERED = f"""
WITH alike AS (
    SELECT *, row_number() OVER (PARTITION BY statement_id, part, account, bank_reference, entry_reference, amount, currency,
        booked_on, text, refs, payer, payer_account ORDER BY id) AS nth
    FROM bank_lines WHERE id = ANY($1::bigint[]) AND num_nonnulls(bank_reference, entry_reference) > 0
)
SELECT l.id FROM alike l WHERE l.id = ANY($2::bigint[]) AND ({_REORDERED.replace("reference", "bank_reference")}
    OR l.bank_reference IS NULL AND {_REORDERED.replace("reference", "entry_reference")})
"""  # noqa: S608


async def moved_lines(work: Work, line_ids: Sequence[int], new: Collection[int]) -> set[int]:
    """Return the `new` lines that may have counted already: in another file in another form, or on another day."""
    if not new:
        return set()
    moved = await work.connection.fetch(MOVED, line_ids, list(new))
    moved += await work.connection.fetch(REORDERED, line_ids, list(new))
    return {row["id"] for row in (*moved, *await work.connection.fetch(AGAIN, list(new)))}


async def claim_lines(work: Work, line_ids: Sequence[int]) -> set[int]:
    """Count the lines that no earlier file had; return their ids."""
    return {row["line_id"] for row in await work.connection.fetch(CLAIM, line_ids)}


async def doubted_lines(work: Work, line_ids: Sequence[int]) -> set[int]:
    """Of lines that did not count, return those that may be other money than the line that counted."""
    return {row["line_id"] for row in await work.connection.fetch(DOUBTED, line_ids)} if line_ids else set()


async def lock_line(work: Work, line_id: int) -> None:
    """Lock a line, before its exceptions and its state are changed. Its payments are locked before it."""
    await work.connection.execute("SELECT FROM bank_lines WHERE id = $1 FOR NO KEY UPDATE", line_id)


KEEP_STATES = """
WITH kept AS (
    UPDATE bank_lines l SET state = s.state
    FROM unnest($1::bigint[], $2::text[]) AS s (id, state) JOIN bank_lines b ON b.id = s.id
    WHERE l.id = s.id RETURNING l.statement_id, b.state AS before, l.state AS after
), moved AS (
    SELECT statement_id, after AS state, 1 AS n FROM kept
    UNION ALL SELECT statement_id, before, -1 FROM kept WHERE before <> 'new'
)
INSERT INTO bank_line_counts AS c (statement_id, state, n)
SELECT statement_id, state, sum(n) FROM moved GROUP BY 1, 2 ORDER BY 1, 2
ON CONFLICT (statement_id, state) DO UPDATE SET n = c.n + excluded.n
"""


async def keep_states(work: Work, states: Mapping[int, str]) -> None:
    """Save the states of lines, and how many lines are in each: a long run is shown without counting its lines."""
    await work.connection.execute(KEEP_STATES, list(states), list(states.values()))
