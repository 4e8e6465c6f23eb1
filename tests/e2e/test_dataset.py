"""2,466 real invoices of 100 customers through `paidup import`; aging of every day equals a plain recomputation."""

import asyncio
import csv
from collections import defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from invoicing import store
from tests.kit.client import Client
from tests.kit.stack import LocalStack

ROOT = Path(__file__).parents[2]
DATASET = ROOT.parent / "shared/data/accounts_receivable.csv"
MAPPINGS = ROOT / "deploy/local/mappings"

Facts = tuple[date, date, int, date | None]  # issued, due, minor units, settled


def read(path: Path) -> dict[str, list[Facts]]:
    found: dict[str, list[Facts]] = defaultdict(list)
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            minor = int(Decimal(row["InvoiceAmount"]) * 100)
            days = [datetime.strptime(row[name], "%m/%d/%Y").date() for name in ("InvoiceDate", "DueDate")]  # noqa: DTZ007
            settled = datetime.strptime(row["SettledDate"], "%m/%d/%Y").date() if row["SettledDate"] else None  # noqa: DTZ007
            found[row["customerID"]].append((days[0], days[1], minor, settled))
    return found


def plain_aging(facts: list[Facts], day: date) -> dict[str, int]:
    """Outstanding by days past due, the obvious way."""
    buckets = dict.fromkeys(("amount_due", "days_0_30", "days_31_60", "days_61_90", "over_90"), 0)
    for issued, due, minor, settled in facts:
        if issued <= day and (settled is None or max(settled, issued) > day):
            late = (day - due).days
            name = (
                "amount_due" if late <= 0
                else "days_0_30" if late <= 30
                else "days_31_60" if late <= 60
                else "days_61_90" if late <= 90
                else "over_90"
            )  # fmt: skip
            buckets[name] += minor
    return {"outstanding": sum(buckets.values()), **buckets}


async def import_file(stack: LocalStack, path: Path) -> Any:
    words = ("import", "invoices", str(path), "--mapping", str(MAPPINGS / "accounts_receivable.toml"))
    return await asyncio.to_thread(stack.paidup_json, *words)


async def quiet(stack: LocalStack) -> None:
    found = await asyncio.to_thread(stack.paidup_json, "check-money")
    assert found == {"ok": True, "violations": [], "count": 0, "waiting": []}


BREAKS = [
    ("invoicing", "UPDATE invoices SET total = total {} 1 WHERE id = $1", "balance is not the sum of its entries"),
    ("invoicing", "UPDATE invoices SET sequence = sequence {} 1 WHERE id = $1", "2 events were emitted, 1 are there"),
    ("payments", "UPDATE invoices SET payable_now = payable_now {} 1 WHERE id = $1", "payments' copy of invoice"),
]


class TestSample:
    async def test_second_import_changes_nothing(self, client: Client, stack: LocalStack) -> None:
        sample = ROOT / "deploy/local/samples/accounts_receivable.csv"
        first, second = await import_file(stack, sample), await import_file(stack, sample)
        sent = {"customers": 3, "invoices": 6, "payments": 3}
        assert (first, second) == (sent | {"there_already": 0}, sent | {"there_already": 12})
        await quiet(stack)
        (customer,) = (await client.get("/v1/customers?external_id=NORTHWIND"))["items"]
        (aging,) = (await client.get(f"/v1/customers/{customer['id']}/aging?as_of=2026-03-20"))["currencies"]
        assert (aging["outstanding_minor"], aging["days_0_30_minor"], aging["amount_due_minor"]) == (
            210_040,
            98_040,
            112_000,
        )

    async def test_broken_file_imports_nothing(self, client: Client, stack: LocalStack, tmp_path: Path) -> None:
        broken = tmp_path / "broken.csv"
        broken.write_text(
            "customerID,invoiceNumber,InvoiceDate,DueDate,InvoiceAmount,SettledDate\n"
            "BROKEN,B-1,1/5/2026,2/4/2026,10.00,\n"
            "BROKEN,B-2,5/13/26x,2/4/2026,10.00,\n"
            "BROKEN,B-3,1/5/2026,2/4/2026,10.005,\n"
            "BROKEN,B-1,1/5/2026,2/4/2026,10.00,\n"
        )
        words = ("import", "invoices", str(broken), "--mapping", str(MAPPINGS / "accounts_receivable.toml"))
        refused = await asyncio.to_thread(stack.paidup, *words, check=False)
        assert refused.returncode == 1
        assert all(
            text in refused.stderr for text in ("line 3, InvoiceDate", "line 4, InvoiceAmount", "line 5, invoiceNumber")
        )
        assert (await client.get("/v1/customers?external_id=BROKEN"))["items"] == []

    @pytest.mark.skipif(not DATASET.exists(), reason="the accounts receivable dataset is not beside this checkout")
    async def test_aging_equals_a_plain_recomputation(self, client: Client, stack: LocalStack) -> None:
        facts = read(DATASET)
        done = await import_file(stack, DATASET)
        assert done["invoices"] == sum(len(rows) for rows in facts.values())
        await quiet(stack)
        first = min(issued for rows in facts.values() for issued, *_ in rows)
        last = max(settled for rows in facts.values() for *_, settled in rows if settled) + timedelta(days=100)
        connection = await asyncpg.connect(stack.database_url("invoicing", "API"))
        try:
            for external_id, rows in facts.items():
                customer = await connection.fetchval("SELECT id FROM customers WHERE external_id = $1", external_id)
                for offset in range((last - first).days + 1):
                    day = first + timedelta(days=offset)
                    found = await store.load_aging(connection, customer, day)
                    wanted = plain_aging(rows, day)
                    got = {name: found[0][f"{name}_minor"] if found else 0 for name in wanted}
                    assert got == wanted, (external_id, day)
        finally:
            await connection.close()
        some = (await client.get(f"/v1/customers?external_id={next(iter(facts))}"))["items"][0]["id"]
        day = first + timedelta(days=200)
        answered = await client.get(f"/v1/customers/{some}/aging?as_of={day}")
        assert (
            answered["currencies"][0]["outstanding_minor"] == plain_aging(facts[next(iter(facts))], day)["outstanding"]
        )

    async def test_check_money_finds_a_wrong_sum(self, stack: LocalStack, client: Client) -> None:
        customer = await client.customer()
        invoices = [await client.invoice(customer) for _ in BREAKS]
        await quiet(stack)
        owners = {name: await asyncpg.connect(stack.database_url(name)) for name in ("invoicing", "payments")}
        try:
            for (service, change, _), invoice in zip(BREAKS, invoices, strict=True):
                await owners[service].execute(change.format("+"), invoice)
            found = await asyncio.to_thread(stack.paidup_json, "check-money", check=False)
            for (service, change, _), invoice in zip(BREAKS, invoices, strict=True):
                await owners[service].execute(change.format("-"), invoice)
        finally:
            for owner in owners.values():
                await owner.close()
        assert not found["ok"]
        for (_, _, says), invoice in zip(BREAKS, invoices, strict=True):
            assert any(invoice in line and says in line for line in found["violations"]), (says, found)
        await quiet(stack)
