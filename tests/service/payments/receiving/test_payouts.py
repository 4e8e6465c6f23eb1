"""Payouts as they reach the database: booked once, on a day that has come, back when they fail; and a day's report."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio

from chassis.clock import Clock
from chassis.db.pool import open_pool
from chassis.messaging.work import Units, Wake
from chassis.running import Running
from contracts.calendar import start_of
from contracts.ids import new_id
from payments.collecting import reconciling
from payments.exceptions import store as exceptions
from payments.own import Own
from payments.providers import Payout, PayoutLine, Provider, ProviderEvent
from payments.receiving.jobs import payouts as paying_out
from payments.receiving.store.reports import daily_report
from tests.kit.postgres import drop_database, fresh_database

LINE = PayoutLine("txn_1", "other", None, 1_000, 0, 1_000, "USD", datetime(2026, 3, 1, tzinfo=UTC))


class Record:
    """The provider's record of payouts and their lines; `meanwhile` happens once, while a payout is being read."""

    def __init__(self) -> None:
        self.payouts: dict[str, Payout] = {}
        self.lines: dict[str, list[PayoutLine]] = {}
        self.meanwhile: Any = None

    def keep(self, payout: Payout, *lines: PayoutLine) -> None:
        self.payouts[payout.provider_id] = payout
        if not payout.by_hand:  # the provider refuses to list those
            self.lines.setdefault(payout.provider_id, list(lines))

    async def payouts_since(self, cursor: str | None, _: int) -> list[Payout]:
        made = list(self.payouts)
        return [self.payouts[each] for each in made[made.index(cursor) + 1 if cursor else 0 :]]

    async def get_payout(self, payout_id: str) -> Payout:
        found, meanwhile, self.meanwhile = self.payouts[payout_id], self.meanwhile, None
        if meanwhile:
            await meanwhile()
        return found

    async def payout_lines(self, payout_id: str) -> list[PayoutLine]:
        return self.lines[payout_id]


async def read(units: Units, record: Record) -> None:
    await paying_out.read_payouts(Running(None, units.clock, units.pool, units, Own(cast(Provider, record))))


async def tell(units: Units, kind: str, payout_id: str) -> None:
    """The provider's event about a payout."""
    told = ProviderEvent(f"evt_{new_id()}", kind, units.clock.now(), None, payout_id)
    await reconciling.take_event(units, Record(), told)  # type: ignore[arg-type]


async def booked(units: Units) -> dict[str, int]:
    sql = "SELECT account, sum(amount)::bigint FROM ledger_entries GROUP BY 1 HAVING sum(amount) <> 0"
    return dict(await units.pool.fetch(sql))


def paid(units: Units, name: str, minor: int, days_ago: int = 0) -> Payout:
    made = units.clock.now() - timedelta(days=days_ago)
    return Payout(name, "paid", minor, "USD", made.date(), made)


@pytest_asyncio.fixture
async def units(tmp_path: Path) -> AsyncIterator[Units]:
    database = await fresh_database("payments")
    pool = await open_pool(database.work_url, size=2, application="test")
    yield Units(pool, Clock("UTC", tmp_path / "clock"), Wake())
    await pool.close()
    await drop_database(database)


async def stray(units: Units) -> None:
    """A payout of today, whose charge is of no payment here: that is an exception."""
    payout = Payout("po_1", "paid", 1_000, "USD", units.clock.today(), units.clock.now())
    await paying_out.save_payout(units, payout, [replace(LINE, kind="charge", charge_id="pi_unknown")])


async def report(units: Units, day: date, known_at: datetime, zone: str = "UTC") -> Any:
    """Of dollars; None when there is nothing of them."""
    async with units.pool.acquire() as connection:
        found = await daily_report(connection, day, known_at, zone)
    return next((each for each in found["currencies"] if each["currency"] == "USD"), None)


class TestDailyReport:
    async def test_past_day_shows_exceptions_as_known_then(self, units: Units, tmp_path: Path) -> None:
        day, before = units.clock.today(), units.clock.now()
        await stray(units)
        (opened,) = await units.pool.fetch("SELECT id, created_at FROM exceptions")
        (tmp_path / "clock").write_text(str(86_400))
        async with units.begin() as work:
            await exceptions.resolve_exception(work, opened["id"], None)
            resolved_at = work.now
        now, one = units.clock.now(), {"missing_here": {"n": 1, "amount_minor": 1_000}}
        then = await report(units, day, now)
        assert (then["open_exceptions"], then["open_exception_sums"]) == ({"missing_here": 1}, one)
        assert {each["account"]: each["closing_minor"] for each in then["accounts"]}["bank"] == 1_000
        assert (await report(units, day + timedelta(days=1), now))["open_exceptions"] == {}
        day_before = await report(units, day - timedelta(days=1), now)
        assert (day_before or {"open_exceptions": {}})["open_exceptions"] == {}

        known = await report(units, day + timedelta(days=1), resolved_at - timedelta(microseconds=1))
        assert known["open_exception_sums"] == one
        assert (await report(units, day + timedelta(days=1), resolved_at))["open_exceptions"] == {}
        unheard_of = await report(units, day, before)
        assert (unheard_of["accounts"], unheard_of["sum_minor"], unheard_of["open_exceptions"]) == ([], 0, {})
        assert unheard_of["open_ends"]["not_in_bank_minor"] == 1_000, "as of now"

    async def test_day_ends_in_the_companys_time_zone(self, units: Units) -> None:
        zone = "America/New_York"
        await stray(units)
        midnight = start_of(date(2026, 11, 2), zone)
        await units.pool.execute("UPDATE exceptions SET created_at = $1, state = 'resolved', resolved_at = $2",
                                 midnight - timedelta(seconds=1), midnight)  # fmt: skip
        days = [
            await report(units, date(2026, 11, day), units.clock.now() + timedelta(days=99), zone) for day in (1, 2)
        ]
        assert [(each or {"open_exceptions": {}})["open_exceptions"] for each in days] == [{"missing_here": 1}, {}]


CHARGE = PayoutLine("txn_2", "charge", "pi_1", 20_000, 610, 19_390, "USD", datetime(2026, 3, 1, tzinfo=UTC))


def brings(payout_id: str, minor: int) -> PayoutLine:
    """The line that brings the money of a payout again."""
    return replace(LINE, provider_id=f"txn_{payout_id}", kind="payout_failed", amount_minor=minor, net_minor=minor,
                   payout_id=payout_id)  # fmt: skip


class TestPosting:
    async def test_payout_of_tomorrow_is_posted_today(self, units: Units, tmp_path: Path) -> None:
        """The provider's days are UTC's: in the company's evening they are those of tomorrow."""
        today = units.clock.today()
        payout = Payout("po_1", "paid", 1_000, "USD", today + timedelta(days=1), units.clock.now())
        await paying_out.save_payout(units, payout, [LINE])
        (tmp_path / "clock").write_text(str(86_400))
        await paying_out.save_payout(units, payout, [LINE])
        assert [row[0] for row in await units.pool.fetch("SELECT effective_on FROM ledger_transactions")] == [today]
        assert await units.pool.fetchval("SELECT arrives_on FROM payouts") == today

    async def test_manual_payout_is_posted_and_blocks_none(self, units: Units) -> None:
        record = Record()
        record.keep(replace(paid(units, "po_hand", 700, 2), by_hand=True))
        record.keep(paid(units, "po_2", 1_000, 1), LINE)
        await read(units, record)
        assert await booked(units) == {"bank": 1_700, "psp_clearing": -1_700}

    async def test_failed_manual_payout_returns_as_its_sum(self, units: Units) -> None:
        record = Record()
        record.keep(replace(paid(units, "po_hand", 700, 2), by_hand=True))
        await read(units, record)
        record.keep(replace(record.payouts["po_hand"], state="failed"))
        await tell(units, "payout.failed", "po_hand")
        again = replace(LINE, kind="payout_failed", amount_minor=700, net_minor=700, payout_id="po_hand")
        record.keep(paid(units, "po_2", 700), again)
        await read(units, record)
        assert await booked(units) == {"bank": 700, "psp_clearing": -700}

    async def test_late_failure_reverses_the_posting(self, units: Units) -> None:
        record = Record()
        record.keep(old := paid(units, "po_1", 1_000, days_ago=20), LINE)
        await read(units, record)
        record.keep(replace(old, state="failed"))
        await read(units, record)
        assert await booked(units) == {"bank": 1_000, "psp_clearing": -1_000}
        await tell(units, "payout.failed", "po_1")
        await read(units, record)
        assert await booked(units) == {}
        kinds = await units.pool.fetch("SELECT kind FROM ledger_transactions ORDER BY booked_at")
        assert [row["kind"] for row in kinds] == ["payout", "payout_failed"]

    async def test_failure_during_reading_is_read_next(self, units: Units) -> None:
        record = Record()
        record.keep(old := paid(units, "po_1", 1_000, days_ago=20), LINE)
        await read(units, record)
        await tell(units, "payout.paid", "po_1")

        async def fails() -> None:
            record.keep(replace(old, state="failed"))
            await tell(units, "payout.failed", "po_1")

        record.meanwhile = fails
        await read(units, record)
        assert await booked(units) == {"bank": 1_000, "psp_clearing": -1_000}
        await read(units, record)
        assert await booked(units) == {}

    async def test_old_record_of_a_failed_payout_posts_nothing(self, units: Units) -> None:
        payout = paid(units, "po_1", 1_000)
        await paying_out.save_payout(units, replace(payout, state="pending"), [])
        await paying_out.save_payout(units, replace(payout, state="failed"), [])
        await paying_out.save_payout(units, payout, [LINE])
        assert await booked(units) == {}
        assert await units.pool.fetchval("SELECT state FROM payouts") == "failed"

    @pytest.mark.parametrize("paid_before", [False, True])
    @pytest.mark.parametrize("state", ["failed", "cancelled"])
    async def test_lines_are_posted_once_by_the_repeating_payout(
        self, units: Units, state: Any, paid_before: bool
    ) -> None:
        record = Record()
        first, second, third = (paid(units, f"po_{n}", 19_390) for n in (1, 2, 3))
        record.keep(first if paid_before else replace(first, state="pending"), CHARGE)
        await read(units, record)
        record.keep(replace(first, state=state))
        await tell(units, "payout.failed", "po_1")
        record.keep(replace(second, state="failed"), brings("po_1", 19_390))
        record.keep(third, brings("po_2", 19_390))
        await read(units, record)
        assert await booked(units) == {"bank": 19_390, "fees": 610, "psp_clearing": -20_000}
        lines = await units.pool.fetch("SELECT provider_id, amount, fee FROM payout_lines")
        assert [tuple(row) for row in lines] == [("txn_2", 20_000, 610)]
        assert await units.pool.fetchval("SELECT count(*) FROM exceptions") == 1  # a charge that is none of ours, once

    @pytest.mark.parametrize("paid_before", [False, True])
    async def test_lines_of_a_failed_payout_may_repeat(self, units: Units, paid_before: bool) -> None:
        first, second = paid(units, "po_1", 19_390), paid(units, "po_2", 19_390)
        if paid_before:
            await paying_out.save_payout(units, first, [CHARGE])
        await paying_out.save_payout(units, replace(first, state="failed"), [])
        await paying_out.save_payout(units, second, [CHARGE])
        assert await booked(units) == {"bank": 19_390, "fees": 610, "psp_clearing": -20_000}
