"""One bad item of a job stops no other: it is put off, its error is kept, and it is done once it can be."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import asyncpg
import pytest
import pytest_asyncio

from chassis.clock import Clock
from chassis.db.pool import open_pool
from chassis.messaging.work import Units, Wake
from chassis.running import Running
from contracts.ids import new_id
from payments.autopay import jobs as autopaying
from payments.autopay.store import Due
from payments.collecting import jobs, reconciling
from payments.collecting.domain.payments import Payment
from payments.collecting.reconciling import Observed
from payments.collecting.store.payments import load_payment
from payments.collecting.store.surcharges import take_rules
from payments.methods.jobs import remove_used_up
from payments.own import Own
from payments.providers import Charge, Provider, ProviderDown, ProviderEvent, ProviderUnknown
from payments.receiving.jobs import bank_lines as bank_runs
from payments.receiving.jobs import payouts as paying_out
from payments.setbacks import in_turn
from tests.kit import paying
from tests.kit.postgres import Database, drop_database, fresh_database
from tests.service.payments.autopay import test_autopay as auto
from tests.service.payments.receiving import test_bank_taking as banking
from tests.service.payments.receiving.test_payouts import LINE, Record, booked, paid

POISON = """
CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'nobody thought of this'; END $$;
CREATE CONSTRAINT TRIGGER poison AFTER INSERT OR UPDATE ON {table} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.{column} = '{value}') EXECUTE FUNCTION poison();
"""


@dataclass
class Bench:
    """A database, and a way to have one row of it fail at the commit of whatever changes it."""

    database: Database
    units: Units

    async def poison(self, table: str, column: str, value: str) -> None:
        await self._owner(POISON.format(table=table, column=column, value=value))

    async def mend(self, table: str) -> None:
        await self._owner(f"DROP TRIGGER poison ON {table}; DROP FUNCTION poison()")
        await self.again()

    async def again(self) -> None:
        """The time of what was put off has come."""
        await self.units.pool.execute("UPDATE setbacks SET next_at = now()")

    async def _owner(self, sql: str) -> None:
        owner = await asyncpg.connect(self.database.owner_url)
        await owner.execute(sql)
        await owner.close()

    async def setbacks(self) -> list[tuple[str, int]]:
        rows = await self.units.pool.fetch("SELECT item, tries FROM setbacks WHERE error <> '' ORDER BY item")
        return [(row["item"], row["tries"]) for row in rows]

    def running(self, provider: Any = None, at_once: int = 3) -> Running:
        settings = SimpleNamespace(charges_at_once=at_once)
        return Running(settings, self.units.clock, self.units.pool, self.units, Own(cast(Provider, provider)))


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    database = await fresh_database("payments")
    pool = await open_pool(database.work_url, size=6, application="test")
    async with pool.acquire() as connection:
        await take_rules(connection, auto.FILE.edition, auto.FILE.digest, auto.FILE.rules, datetime.now(UTC))
    yield Bench(database, Units(pool, Clock("UTC"), Wake()))
    await pool.close()
    await drop_database(database)


class TestAutopay:
    async def announced(self, bench: Bench) -> str:
        """Five tries, of which one can't be saved."""
        for _ in range(5):
            await auto.hear(bench.units.pool, auto.issued(await auto.customer(bench.units.pool)))
        bad = await bench.units.pool.fetchval("SELECT id FROM autopay_charges ORDER BY charge_at, id LIMIT 1")
        await bench.poison("autopay_charges", "id", bad)
        return str(bad)

    async def test_bad_charge_stops_no_other(self, bench: Bench) -> None:
        bad = await self.announced(bench)
        assert await autopaying.charge_due(auto.running(bench.units.pool, days=3)) >= 4
        assert sorted(await auto.charges(bench.units.pool)) == [(1, "scheduled"), *[(1, "submitted")] * 4]
        assert await bench.setbacks() == [(bad, 1)]
        assert await autopaying.charge_due(auto.running(bench.units.pool, days=3)) == 0, "it is put off"
        await bench.mend("autopay_charges")
        await autopaying.charge_due(auto.running(bench.units.pool, days=3))
        assert await auto.charges(bench.units.pool) == [(1, "submitted")] * 5
        assert (await bench.setbacks(), len(await auto.payments(bench.units.pool))) == ([], 5)

    async def test_bad_decision_stops_no_other(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        for _ in range(3):
            await auto.hear(bench.units.pool, auto.issued(await auto.customer(bench.units.pool)))
        bad, decide = await bench.units.pool.fetchval("SELECT id FROM autopay_charges LIMIT 1"), autopaying._decide

        def fails(due: Due, *rest: Any) -> Any:
            if due.charge.id == bad:
                raise ZeroDivisionError
            return decide(due, *rest)

        monkeypatch.setattr(autopaying, "_decide", fails)
        await autopaying.charge_due(auto.running(bench.units.pool, days=3))
        assert sorted(await auto.charges(bench.units.pool)) == [(1, "scheduled"), *[(1, "submitted")] * 2]

    async def test_bad_end_stops_no_other(self, bench: Bench) -> None:
        for _ in range(5):
            await auto.hear(bench.units.pool, auto.issued(await auto.customer(bench.units.pool)))
        await autopaying.charge_due(auto.running(bench.units.pool, days=3))
        await auto.end(bench.units.pool, "declined", "insufficient_funds")
        bad = await bench.units.pool.fetchval("SELECT id FROM autopay_charges LIMIT 1")
        await bench.poison("autopay_charges", "id", bad)
        await autopaying.follow_ends(auto.running(bench.units.pool, days=3))
        assert [state for _, state in await auto.charges(bench.units.pool)].count("declined") == 4
        assert await bench.setbacks() == [(bad, 1)]
        await bench.mend("autopay_charges")
        await autopaying.follow_ends(auto.running(bench.units.pool, days=3))
        assert [state for _, state in await auto.charges(bench.units.pool)].count("declined") == 5
        assert await bench.setbacks() == []


@dataclass
class Cancels:
    """A provider that can't cancel some charges."""

    bad: set[str] = field(default_factory=set)

    async def cancel_charge(self, provider_id: str) -> Charge:
        if provider_id in self.bad:
            raise ProviderDown("this charge is not for you")
        return Charge(provider_id, None, "cancelled", 1_030, "USD", 0, None, None)


async def waiting(bench: Bench, number: int, since: int) -> Payment:
    """A payment whose payer should have acted so many minutes ago."""
    payment, _ = await paying.submitted(bench.units, f"pm_{number}")
    told = Charge(f"pi_{number}", None, "requires_action", 1_030, "USD", 0, None, None, (), "https://bank.example")
    await bench.units.together(reconciling.save_observed, Observed(told, evidence=True, payment_id=payment.id))
    at = bench.units.clock.now() - timedelta(minutes=since)
    await bench.units.pool.execute("UPDATE payments SET act_by = $2 WHERE id = $1", payment.id, at)
    return payment


class TestCancelling:
    async def test_stubborn_charges_do_not_starve_others(self, bench: Bench) -> None:
        provider = Cancels({f"pi_{number}" for number in range(4)})
        bad = [await waiting(bench, number, since=60 - number) for number in range(4)]
        good = await waiting(bench, 9, since=1)
        for _ in range(3):
            await jobs.end_unconfirmed(bench.running(provider))
        ended = await load_payment(bench.units.pool, good.id, None)
        assert ended is not None
        assert ended.status == "expired"
        assert await bench.setbacks() == sorted((each.id, 1) for each in bad)
        provider.bad.clear()
        for _ in range(2):
            await bench.again()
            await jobs.end_unconfirmed(bench.running(provider))
        states = {row["status"] for row in await bench.units.pool.fetch("SELECT status FROM payments")}
        assert (states, await bench.setbacks()) == ({"expired"}, [])

    async def test_each_try_is_put_off_longer(self, bench: Bench) -> None:
        payment, waits = await waiting(bench, 0, since=1), list[float]()
        for _ in range(4):
            await jobs.end_unconfirmed(bench.running(Cancels({"pi_0"})))
            sql = "SELECT extract(epoch FROM next_at - now())::float8 FROM setbacks WHERE item = $1"
            waits.append(await bench.units.pool.fetchval(sql, payment.id))
            await bench.again()
        assert [round(wait) for wait in waits] == [2, 4, 8, 16]


class Unread(Record):
    """A provider's record of payouts, some of which can't be read."""

    bad: frozenset[str] = frozenset()

    async def payout_lines(self, payout_id: str) -> Any:
        if payout_id in self.bad:
            raise ProviderUnknown("the answer makes no sense")
        return await super().payout_lines(payout_id)


class TestPayouts:
    @pytest.mark.parametrize("bad", ["po_1", "po_2", "po_3"])
    async def test_unreadable_one_blocks_none_behind(self, bench: Bench, bad: str) -> None:
        record = Unread()
        record.bad = frozenset({bad})
        for number in (1, 2, 3):
            made = paid(bench.units, f"po_{number}", 1_000, days_ago=4 - number)
            record.keep(made, replace(LINE, provider_id=f"txn_{number}"))
        for _ in range(2):
            await paying_out.read_payouts(bench.running(record))
        assert (await booked(bench.units))["bank"] == 2_000
        assert await bench.setbacks() == [(bad, 1)]
        record.bad = frozenset()
        await bench.again()
        await paying_out.read_payouts(bench.running(record))
        assert ((await booked(bench.units))["bank"], await bench.setbacks()) == (3_000, [])

    async def test_known_one_blocks_no_new_one(self, bench: Bench) -> None:
        record = Unread()
        pending = replace(paid(bench.units, "po_1", 1_000, days_ago=1), state="pending")
        record.keep(pending, replace(LINE, provider_id="txn_1"))
        await paying_out.read_payouts(bench.running(record))
        await bench.units.pool.execute("UPDATE payouts SET look_at = $1", bench.units.clock.now())
        record.bad = frozenset({"po_1"})
        record.keep(replace(pending, state="paid"))
        record.keep(paid(bench.units, "po_2", 1_000), replace(LINE, provider_id="txn_2"))
        await paying_out.read_payouts(bench.running(record))
        assert ((await booked(bench.units))["bank"], await bench.setbacks()) == (1_000, [("po_1", 1)])


@dataclass
class Events:
    """A provider's events; the charges of some can't be asked for."""

    told: list[ProviderEvent]
    bad: set[str] = field(default_factory=set)

    async def events_since(self, cursor: str | None, limit: int) -> list[ProviderEvent]:
        ids = [each.id for each in self.told]
        start = ids.index(cursor) + 1 if cursor else 0
        return self.told[start : start + limit]

    async def get_event(self, event_id: str) -> ProviderEvent:
        return next(each for each in self.told if each.id == event_id)

    async def get_charge(self, provider_id: str) -> Charge:
        if provider_id in self.bad:
            raise ProviderUnknown("the answer makes no sense")
        return Charge(provider_id, None, "succeeded", 1_030, "USD", 1_030, None, None)


class TestEvents:
    async def test_bad_event_stops_no_other(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(jobs, "EVENTS", 2)
        at = bench.units.clock.now()
        told = [
            ProviderEvent(
                f"evt_{n}", "refund.created", at, Charge(f"pi_{n}", None, "succeeded", 0, "USD", 0, None, None)
            )
            for n in range(6)
        ]
        provider = Events(told, {"pi_0", "pi_1", "pi_2"})
        for _ in range(4):
            await jobs.catch_up_events(bench.running(provider))
        seen = {row["id"] for row in await bench.units.pool.fetch("SELECT id FROM provider_events")}
        assert seen == {"evt_3", "evt_4", "evt_5"}
        assert await bench.setbacks() == [("evt_0", 1), ("evt_1", 1), ("evt_2", 1)]
        provider.bad.clear()
        for _ in range(2):
            await bench.again()
            await jobs.catch_up_events(bench.running(provider))
        seen = {row["id"] for row in await bench.units.pool.fetch("SELECT id FROM provider_events")}
        assert (len(seen), await bench.setbacks()) == (6, [])


class TestOverdue:
    async def test_bad_payment_stops_no_other(self, bench: Bench) -> None:
        made = [(await paying.submitted(bench.units, f"pm_{number}"))[0].id for number in range(3)]
        await bench.units.pool.execute("UPDATE payments SET expected_by = '2026-01-01'")
        await bench.poison("payments", "id", made[0])
        await jobs.notice_overdue(bench.running())
        rows = await bench.units.pool.fetch("SELECT id FROM payments WHERE reconciliation = 'exception'")
        assert {row["id"] for row in rows} == set(made[1:])
        assert await bench.setbacks() == [(made[0], 1)]


class TestUsedUpMethods:
    async def test_bad_method_stops_no_other(self, bench: Bench) -> None:
        made = [(await paying.submitted(bench.units, f"pm_{n}", saved=False))[0].method_id or "" for n in range(3)]
        await bench.units.pool.execute("UPDATE payments SET status = 'succeeded', reconciliation = 'waiting'")
        await bench.poison("methods", "id", made[0])
        await remove_used_up(bench.running())
        rows = await bench.units.pool.fetch("SELECT id FROM methods WHERE removed_at IS NOT NULL")
        assert {row["id"] for row in rows} == set(made[1:])
        tasks = await bench.units.pool.fetch("SELECT id FROM tasks WHERE queue = 'detach-methods'")
        assert {row["id"] for row in tasks} == set(made[1:])
        assert await bench.setbacks() == [(made[0], 1)]


class TestBankFiles:
    async def test_file_that_fails_stops_no_other(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        take, set_aside = bank_runs._take, bank_runs._set_aside

        async def fails(lines: Any, work: Any, then: Any = None) -> None:
            if any(line.transfer is not None and line.transfer.text == "poison" for line in lines):
                raise RuntimeError("nobody thought of this")
            await then(lines, work)

        monkeypatch.setattr(bank_runs, "_take", lambda lines, work: fails(lines, work, take))
        monkeypatch.setattr(bank_runs, "_set_aside", lambda lines, work: fails(lines, work, set_aside))
        bad = await banking.kept(bench.units, banking.line(5, "poison"))
        good = await banking.kept(bench.units, banking.line(7, "of somebody"))
        running = cast(Running, SimpleNamespace(units=bench.units))
        for _ in range(4):
            await bank_runs.take_lines(running)
        assert [await banking.states(bench.units, each) for each in (bad, good)] == [["new"], ["proposed"]]
        assert await bench.setbacks() == [(bad, 1)]


class TestDatabaseAway:
    async def test_nothing_is_put_off(self, bench: Bench) -> None:
        async def away(_: str) -> None:
            raise ConnectionResetError("killed")

        with pytest.raises(ConnectionResetError):
            await in_turn.one_by_one(bench.units, "a job", [new_id(), new_id()], away)
        assert await bench.setbacks() == []
