"""Refunds are requested at the provider by tasks. If the key may be forgotten there, its record is read instead."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import cast

import asyncpg
import pytest

from chassis.db.migrate import migrate
from chassis.messaging.work import Cause, Units
from chassis.running import Running
from chassis.tasks import queue as tasks
from chassis.tasks.queue import Later, Task
from contracts.ids import new_id
from payments.checks import CHECKS
from payments.collecting import jobs
from payments.collecting.domain.payments import Payment, Reversal, Step
from payments.collecting.store.payments import save_steps
from payments.collecting.store.reversals import load_reversals
from payments.ledger import Posting
from payments.own import Own
from payments.providers import Charge, Provider, ProviderRefused, ProviderUnknown, RefundRequest, TakenBack
from tests.kit import paying
from tests.kit.postgres import SERVICES, drop_database, fresh_database

NOW = datetime.now(UTC)


class Forgetful:
    """A provider that has forgotten the key: asked again, it would give the money back again."""

    def __init__(self, payment: Payment, *back: TakenBack) -> None:
        total = payment.total
        self.charge = Charge("pi_1", None, "succeeded", total.minor, "USD", total.minor, NOW, None, back)

    async def refund(self, _: RefundRequest) -> TakenBack:
        raise AssertionError("the refund was asked for again")

    async def get_charge(self, _: str) -> Charge:
        return self.charge


async def refund_made(units: Units, ago: timedelta = timedelta()) -> tuple[Payment, Reversal]:
    """A matched payment, and a refund of all of it that was requested so long ago."""
    payment, _ = await paying.submitted(units)
    day = date(2026, 3, 1)
    entries = (
        ("psp_clearing", payment.total),
        ("customer_funds", -payment.amount),
        ("surcharge_income", -payment.surcharge),
    )
    posting = Posting(new_id(), payment.id, payment.customer_id, "charge", day, entries)
    matched = replace(
        payment, status="succeeded", reconciliation="matched", provider_id="pi_1", sequence=3, effective_on=day,
        going_back=payment.total.minor,
    )  # fmt: skip
    made = Reversal(
        new_id(), payment.id, payment.customer_id, "refund", "requested", payment.amount, payment.surcharge,
        datetime.now(UTC) - ago, code="refund",
    )  # fmt: skip
    async with units.begin() as work:
        await save_steps(work, [Step(matched, "moved", posting, made)])
    return matched, made


def running(units: Units, provider: object) -> Running:
    return Running(None, units.clock, units.pool, units, Own(cast(Provider, provider)))


async def claimed(units: Units, reversal: Reversal) -> Task:
    """The refund's task, taken by a process."""
    lease = new_id()
    async with units.begin() as work:
        await tasks.enqueue(work, "call-refunds", reversal.id)
    await units.pool.execute("UPDATE tasks SET lease = $1, attempts = 1", lease)
    return Task("call-refunds", reversal.id, {}, 1, Cause(correlation="asked"), lease)


async def state_of(units: Units, reversal: Reversal) -> tuple[str, str | None]:
    (known,) = await load_reversals(units.pool, [reversal.payment_id])
    return known.state, known.code


async def left(units: Units) -> int:
    count: int = await units.pool.fetchval("SELECT count(*) FROM tasks")
    return count


class TestForgottenKey:
    @pytest.mark.parametrize("made", [True, False])
    async def test_old_refund_follows_the_providers_record(self, units: Units, made: bool) -> None:
        payment, reversal = await refund_made(units, timedelta(days=2))
        back = TakenBack("re_1", "refund", "succeeded", payment.total.minor, NOW, "refund", reversal.id)
        provider = Forgetful(payment, *([back] if made else []))
        await jobs.call_refund(await claimed(units, reversal), running(units, provider))
        assert await state_of(units, reversal) == (("succeeded", "refund") if made else ("failed", "never_made"))
        assert await units.pool.fetchval("SELECT reversed FROM payments") == (payment.total.minor if made else 0)


class Answers:
    """A provider that gives these answers, one after the other. `asked`: the keys of the calls."""

    def __init__(self, *answers: Exception | None) -> None:
        self.answers, self.asked = list(answers), list[str]()

    async def refund(self, request: RefundRequest) -> None:
        self.asked.append(request.refund_id)
        answer = self.answers.pop(0)
        if answer is not None:
            raise answer


class TestRefundTasks:
    async def test_result_and_end_stand_together(self, units: Units) -> None:
        _, reversal = await refund_made(units)
        await jobs.call_refund(await claimed(units, reversal), running(units, Answers(None)))
        assert (await state_of(units, reversal), await left(units)) == (("processing", "refund"), 0)

    async def test_refused_refund_ends_its_task(self, units: Units) -> None:
        _, reversal = await refund_made(units)
        refused = ProviderRefused("no", "charge_already_refunded")
        await jobs.call_refund(await claimed(units, reversal), running(units, Answers(refused)))
        assert (await state_of(units, reversal), await left(units)) == (("failed", "charge_already_refunded"), 0)
        last = "SELECT headers::json->>'correlation' FROM outbox ORDER BY id DESC LIMIT 1"
        assert await units.pool.fetchval(last) == "asked"

    @pytest.mark.parametrize(("age", "pause"), [(0, 0.5), (8, 8), (3_600, 20)])
    async def test_lost_answer_is_asked_again_later(self, units: Units, age: int, pause: float) -> None:
        _, reversal = await refund_made(units, timedelta(seconds=age))
        task, provider = await claimed(units, reversal), Answers(ProviderUnknown("lost"), None)
        with pytest.raises(Later) as later:
            await jobs.call_refund(task, running(units, provider))
        assert pause <= later.value.after.total_seconds() < pause + 5
        assert (await state_of(units, reversal), await left(units)) == (("requested", "refund"), 1)
        await jobs.call_refund(task, running(units, provider))
        assert provider.asked == [reversal.id] * 2, "the same key"

    async def test_answered_refund_is_called_no_more(self, units: Units) -> None:
        _, reversal = await refund_made(units)
        task, provider = await claimed(units, reversal), Answers(None)
        for _ in range(2):
            await jobs.call_refund(task, running(units, provider))
        assert provider.asked == [reversal.id]

    async def test_failed_save_keeps_the_task(self, units: Units, monkeypatch: pytest.MonkeyPatch) -> None:
        _, reversal = await refund_made(units)
        task = await claimed(units, reversal)

        async def fails(*_: object) -> bool:
            raise ConnectionResetError

        monkeypatch.setattr(jobs, "done", fails)
        with pytest.raises(ConnectionResetError):
            await jobs.call_refund(task, running(units, Answers(None)))
        assert (await state_of(units, reversal), await left(units)) == (("requested", "refund"), 1)

    async def test_refund_without_task_is_reported(self, units: Units) -> None:
        _, reversal = await refund_made(units)
        check = CHECKS["a refund was requested and nothing calls the provider"]
        assert [row[0] for row in await units.pool.fetch(check)] == [reversal.id]
        await claimed(units, reversal)
        assert await units.pool.fetch(check) == []


MIGRATIONS = SERVICES / "payments" / "migrations"
BEFORE = """
WITH paid AS (
    INSERT INTO payments (id, customer_id, way, status, currency, amount, asked_invoices, asked_amounts, sequence,
        created_at, correlation, method_id)
    SELECT gen_random_uuid(), gen_random_uuid(), 'collect', 'succeeded', 'USD', 1000, '{}', '{}', 1, now(), 'asked',
        gen_random_uuid()
    FROM generate_series(1, 2) RETURNING id, customer_id
)
INSERT INTO reversals (id, payment_id, customer_id, kind, state, currency, amount, surcharge, created_at, call_after)
SELECT gen_random_uuid(), id, customer_id, 'refund', state, 'USD', 100, 0, '2026-01-01', now()
FROM paid CROSS JOIN (VALUES ('requested'), ('processing'), ('failed')) AS states (state)
"""


class TestMigration:
    async def test_open_refunds_become_tasks(self, tmp_path: Path) -> None:
        for file in MIGRATIONS.glob("*.sql"):
            if file.name < "0080":
                (tmp_path / file.name).write_text(file.read_text())
        database = await fresh_database("payments", tmp_path)
        owner = await asyncpg.connect(database.owner_url)
        try:
            await owner.execute(BEFORE)
            assert "0080_refunds_by_tasks.sql" in await migrate(database.owner_url, MIGRATIONS)
            rows = await owner.fetch("SELECT queue, id, due_at, headers, body FROM tasks ORDER BY id")
            requested = await owner.fetch("SELECT id::text FROM reversals WHERE state = 'requested' ORDER BY 1")
        finally:
            await owner.close()
            await drop_database(database)
        due = datetime(2026, 1, 1, tzinfo=UTC)
        assert [tuple(row) for row in rows] == [
            ("call-refunds", row["id"], due, '{"correlation":"asked"}', b"{}") for row in requested
        ]
        assert len(rows) == 2
