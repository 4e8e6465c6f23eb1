"""State on disk in one SQLite file. An answer leaves the process only after its content is committed."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import orjson

from sandbox.records import Customer, Dispute, Method, Payment, Payout, Refund, Session, Setup, Transaction

_TABLES = """
CREATE TABLE IF NOT EXISTS customers (id TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS methods (seq INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, customer TEXT NOT NULL,
    body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS methods_of_customer ON methods (customer, seq);
CREATE TABLE IF NOT EXISTS payments (seq INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, customer TEXT NOT NULL,
    created INTEGER NOT NULL, clear_at REAL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS payments_by_age ON payments (created, seq);
CREATE INDEX IF NOT EXISTS payments_of_customer ON payments (customer, created, seq);
CREATE INDEX IF NOT EXISTS payments_to_clear ON payments (clear_at) WHERE clear_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS records (seq INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, kind TEXT NOT NULL,
    parent TEXT NOT NULL, created INTEGER NOT NULL, due REAL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS records_of_kind ON records (kind, seq);
CREATE INDEX IF NOT EXISTS records_of_parent ON records (parent, kind, seq);
CREATE INDEX IF NOT EXISTS records_due ON records (kind, due) WHERE due IS NOT NULL;
CREATE TABLE IF NOT EXISTS transactions (seq INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, source TEXT NOT NULL,
    payout TEXT, currency TEXT NOT NULL, available INTEGER NOT NULL, created INTEGER NOT NULL, net INTEGER NOT NULL,
    body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS transactions_of_payout ON transactions (payout, seq) WHERE payout IS NOT NULL;
CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, type TEXT NOT NULL,
    created INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, request BLOB NOT NULL, status INTEGER NOT NULL,
    body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS deliveries (seq INTEGER PRIMARY KEY, event INTEGER NOT NULL, due REAL NOT NULL,
    tries INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS rules (one INTEGER PRIMARY KEY CHECK (one = 1), body BLOB NOT NULL);
"""
_DATA = ("customers", "methods", "payments", "records", "transactions", "events", "answers", "deliveries")
_GROUP_SECONDS = 0.001
Hanging = Refund | Dispute | Payout | Session | Setup
Record = TypeVar("Record", Refund, Dispute, Payout, Session, Setup)


@dataclass(frozen=True, slots=True)
class Answer:
    request: bytes
    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Created:
    """Bounds on `created`, both inclusive."""

    first: int = 0
    last: int = 2**53


class Store:
    """One connection, used on the event loop alone. Changes of a millisecond share a commit.

    `synchronous=NORMAL`: a commit survives the death of the process, though not of the machine.
    """

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(home / "sandbox.sqlite3", isolation_level=None, cached_statements=256)
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "cache_size=-32768", "wal_autocheckpoint=4000"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(_TABLES)
        self._commit: asyncio.Future[None] | None = None
        self._after: list[Callable[[], None]] = []

    @contextmanager
    def change(self) -> Iterator[None]:
        """All writes within, or none of them."""
        if self._commit is None:
            self._db.execute("BEGIN IMMEDIATE")
            loop = asyncio.get_running_loop()
            self._commit = loop.create_future()
            loop.call_later(_GROUP_SECONDS, self.flush)
        self._db.execute("SAVEPOINT change")
        try:
            yield
        except BaseException as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK TO change")
                self._db.execute("RELEASE change")
            else:  # SQLite has undone the changes of all, as it does when the disk is full
                self._undone(error)
            raise
        self._db.execute("RELEASE change")

    def flush(self) -> None:
        """Commit what is open, and wake those who wait for it."""
        if self._commit is None:
            return
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            return self._undone(error)
        waiting, self._commit = self._commit, None
        after, self._after = self._after, []
        waiting.set_result(None)
        for act in after:
            act()

    def _undone(self, error: BaseException) -> None:
        """Those who wait for the commit get the error."""
        waiting, self._commit, self._after = self._commit, None, []
        if waiting is not None:
            waiting.set_exception(error)
            waiting.exception()  # it may be that nobody waits

    async def committed(self) -> None:
        """Wait until everything that is readable now is on disk."""
        if self._commit is not None:
            await asyncio.shield(self._commit)

    def after_commit(self, act: Callable[[], None]) -> None:
        self._after.append(act)

    def close(self) -> None:
        self.flush()
        self._db.close()

    def erase(self) -> None:
        for table in _DATA:
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608

    # customers and methods

    def add_customer(self, customer: Customer) -> None:
        self._db.execute("INSERT INTO customers VALUES (?, ?)", (customer.id, orjson.dumps(customer)))

    def customer(self, identifier: str) -> Customer | None:
        row = self._one("SELECT body FROM customers WHERE id = ?", identifier)
        return Customer(**orjson.loads(row[0])) if row else None

    def add_method(self, method: Method) -> None:
        values = (method.id, method.customer or "", orjson.dumps(method))
        self._db.execute("INSERT INTO methods (id, customer, body) VALUES (?, ?, ?)", values)

    def save_method(self, method: Method) -> None:
        values = (method.customer or "", orjson.dumps(method), method.id)
        self._db.execute("UPDATE methods SET customer = ?, body = ? WHERE id = ?", values)

    def method(self, identifier: str) -> Method | None:
        row = self._one("SELECT body FROM methods WHERE id = ?", identifier)
        return Method(**orjson.loads(row[0])) if row else None

    def methods_of(self, customer: str) -> Iterator[Method]:
        rows = self._db.execute("SELECT body FROM methods WHERE customer = ? ORDER BY seq DESC", (customer,))
        return (Method(**orjson.loads(body)) for (body,) in rows)

    # payments

    def add_payment(self, payment: Payment, clear_at: float | None) -> None:
        self._db.execute(
            "INSERT INTO payments (id, customer, created, clear_at, body) VALUES (?, ?, ?, ?, ?)",
            (payment.id, payment.customer, payment.created, clear_at, orjson.dumps(payment)),
        )

    def save_payment(self, payment: Payment, clear_at: float | None = None) -> None:
        self._db.execute(
            "UPDATE payments SET clear_at = ?, body = ? WHERE id = ?", (clear_at, orjson.dumps(payment), payment.id)
        )

    def payment(self, identifier: str) -> Payment | None:
        row = self._one("SELECT body FROM payments WHERE id = ?", identifier)
        return Payment(**orjson.loads(row[0])) if row else None

    def payments(
        self, customer: str | None = None, created: Created = Created(), start: str | None = None
    ) -> Iterator[Payment]:
        """Newest first, from `start` (it included) on."""
        of_customer = "customer = ? AND" if customer else ""
        values: list[Any] = [customer] if customer else []
        values += [created.first, created.last]
        from_start = ""
        if start is not None:
            from_start = "AND (created, seq) <= (SELECT created, seq FROM payments WHERE id = ?)"
            values.append(start)
        rows = self._db.execute(
            f"SELECT body FROM payments WHERE {of_customer} created BETWEEN ? AND ? {from_start}"  # noqa: S608
            " ORDER BY created DESC, seq DESC",
            values,
        )
        return (Payment(**orjson.loads(body)) for (body,) in rows)

    def payments_after(self, seq: int, limit: int) -> list[tuple[int, Payment]]:
        """In the order in which they were made."""
        rows = self._db.execute("SELECT seq, body FROM payments WHERE seq > ? ORDER BY seq LIMIT ?", (seq, limit))
        return [(seq, Payment(**orjson.loads(body))) for seq, body in rows]

    def payments_to_clear(self, now: float, limit: int) -> list[Payment]:
        rows = self._db.execute("SELECT body FROM payments WHERE clear_at <= ? ORDER BY clear_at LIMIT ?", (now, limit))
        return [Payment(**orjson.loads(body)) for (body,) in rows.fetchall()]

    # what hangs on others: by kind, the id that it belongs to, and when it changes by itself

    def keep(self, record: Hanging, *, parent: str, due: float | None = None) -> None:
        """Add it, or save it as it is now."""
        self._db.execute(
            "INSERT INTO records (id, kind, parent, created, due, body) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET parent = excluded.parent, due = excluded.due, body = excluded.body",
            (record.id, type(record).__name__, parent, record.created, due, orjson.dumps(record)),
        )

    def kept(self, kind: type[Record], identifier: str) -> Record | None:
        row = self._one("SELECT body FROM records WHERE id = ? AND kind = ?", identifier, kind.__name__)
        return kind(**orjson.loads(row[0])) if row else None

    def all_kept(
        self,
        kind: type[Record],
        parent: str | None = None,
        created: Created = Created(),
        start: str | None = None,
        newer_than: str | None = None,
    ) -> Iterator[Record]:
        """Newest first, from `start` (it included) on; with `newer_than` those after it, oldest first."""
        where = ["kind = ?", "created BETWEEN ? AND ?"]
        values: list[Any] = [kind.__name__, created.first, created.last]
        if parent is not None:
            where.append("parent = ?")
            values.append(parent)
        if newer_than is not None:
            where.append("seq > (SELECT seq FROM records WHERE id = ?)")
            values.append(newer_than)
            query = f"SELECT body FROM records WHERE {' AND '.join(where)} ORDER BY seq"  # noqa: S608
            return (kind(**orjson.loads(body)) for (body,) in self._db.execute(query, values))
        rows = self._newest("records", where, values, start)
        return (kind(**orjson.loads(body)) for (body,) in rows)

    def due(self, kind: type[Record], now: float, limit: int) -> list[Record]:
        rows = self._db.execute(
            "SELECT body FROM records WHERE kind = ? AND due <= ? ORDER BY due LIMIT ?", (kind.__name__, now, limit)
        )
        return [kind(**orjson.loads(body)) for (body,) in rows.fetchall()]

    # balance transactions

    def add_transaction(self, made: Transaction) -> None:
        self._db.execute(
            "INSERT INTO transactions (id, source, payout, currency, available, created, net, body)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                made.id, made.source, made.payout, made.currency, made.available, made.created, made.net,
                orjson.dumps(made),
            ),
        )  # fmt: skip

    def transaction(self, identifier: str) -> Transaction | None:
        row = self._one("SELECT body, payout FROM transactions WHERE id = ?", identifier)
        return _transaction(*row) if row else None

    def transactions(
        self, *, payout: str | None, source: str | None, created: Created, start: str | None
    ) -> Iterator[Transaction]:
        """Newest first, from `start` (it included) on."""
        where = ["created BETWEEN ? AND ?"]
        values: list[Any] = [created.first, created.last]
        for column, wanted in (("payout", payout), ("source", source)):
            if wanted is not None:
                where.append(f"{column} = ?")
                values.append(wanted)
        return (_transaction(*row) for row in self._newest("transactions", where, values, start, "body, payout"))

    def unpaid(self, until: int) -> list[tuple[str, int]]:
        """Currency and net of what is available by then, and in no payout."""
        query = (
            "SELECT currency, sum(net) FROM transactions WHERE payout IS NULL AND available <= ?"
            " GROUP BY currency ORDER BY currency"
        )
        return self._db.execute(query, (until,)).fetchall()

    def pay_out(self, payout: str, currency: str, until: int) -> None:
        query = "UPDATE transactions SET payout = ? WHERE payout IS NULL AND currency = ? AND available <= ?"
        self._db.execute(query, (payout, currency, until))

    def _newest(
        self, table: str, where: list[str], values: list[Any], start: str | None, columns: str = "body"
    ) -> sqlite3.Cursor:
        if start is not None:
            where.append(f"seq <= (SELECT seq FROM {table} WHERE id = ?)")  # noqa: S608
            values.append(start)
        query = f"SELECT {columns} FROM {table} WHERE {' AND '.join(where)} ORDER BY seq DESC"  # noqa: S608
        return self._db.execute(query, values)

    # events and their deliveries

    def add_event(self, identifier: str, kind: str, created: int, body: bytes) -> int:
        done = self._db.execute(
            "INSERT INTO events (id, type, created, body) VALUES (?, ?, ?, ?)", (identifier, kind, created, body)
        )
        return int(done.lastrowid or 0)

    def event(self, identifier: str) -> bytes | None:
        row = self._one("SELECT body FROM events WHERE id = ?", identifier)
        return row[0] if row else None

    def event_at(self, seq: int) -> bytes | None:
        row = self._one("SELECT body FROM events WHERE seq = ?", seq)
        return row[0] if row else None

    def event_seq(self, identifier: str) -> int | None:
        row = self._one("SELECT seq FROM events WHERE id = ?", identifier)
        return row[0] if row else None

    def events(
        self, kinds: list[str], created: Created, limit: int, *, older_than: int | None, newer_than: int | None
    ) -> list[bytes]:
        """Up to `limit` events next to a sequence: the ones just newer, oldest first; else newest first."""
        where = ["created BETWEEN ? AND ?"]
        values: list[Any] = [created.first, created.last]
        if kinds:
            where.append(f"type IN ({', '.join('?' * len(kinds))})")
            values += kinds
        if older_than is not None:
            where.append("seq < ?")
            values.append(older_than)
        if newer_than is not None:
            where.append("seq > ?")
            values.append(newer_than)
        order = "DESC" if newer_than is None else "ASC"
        query = f"SELECT body FROM events WHERE {' AND '.join(where)} ORDER BY seq {order} LIMIT ?"  # noqa: S608
        return [body for (body,) in self._db.execute(query, (*values, limit))]

    def add_delivery(self, event: int, due: float) -> int:
        done = self._db.execute("INSERT INTO deliveries (event, due, tries) VALUES (?, ?, 0)", (event, due))
        return int(done.lastrowid or 0)

    def deliveries(self) -> list[tuple[float, int, int, int]]:
        """(due, seq, event, tries) of all that are not done."""
        return self._db.execute("SELECT due, seq, event, tries FROM deliveries").fetchall()

    def put_off_delivery(self, seq: int, due: float, tries: int) -> None:
        self._db.execute("UPDATE deliveries SET due = ?, tries = ? WHERE seq = ?", (due, tries, seq))

    def end_delivery(self, seq: int) -> None:
        self._db.execute("DELETE FROM deliveries WHERE seq = ?", (seq,))

    # answers and rules

    def answer(self, key: str) -> Answer | None:
        row = self._one("SELECT request, status, body FROM answers WHERE key = ?", key)
        return Answer(*row) if row else None

    def keep_answer(self, key: str, answer: Answer) -> None:
        self._db.execute("INSERT INTO answers VALUES (?, ?, ?, ?)", (key, answer.request, answer.status, answer.body))

    def rules(self) -> dict[str, Any]:
        row = self._one("SELECT body FROM rules")
        return dict(orjson.loads(row[0])) if row else {}

    def save_rules(self, rules: Any) -> None:
        self._db.execute("INSERT OR REPLACE INTO rules VALUES (1, ?)", (orjson.dumps(rules),))

    def counts(self) -> dict[str, int]:
        names = ("customers", "payments", "events", "deliveries")
        return {name: self._db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names}  # noqa: S608

    def _one(self, query: str, *values: Any) -> Any:
        return self._db.execute(query, values).fetchone()


def _transaction(body: bytes, payout: str | None) -> Transaction:
    found = Transaction(**orjson.loads(body))
    found.payout = payout
    return found
