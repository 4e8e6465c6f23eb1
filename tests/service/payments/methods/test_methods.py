"""Rules, consents and methods as the database keeps them."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import cast

import asyncpg
import pytest
import pytest_asyncio

from chassis.clock import Clock
from chassis.db.pool import open_pool
from chassis.messaging.work import Cause, Units, Wake
from chassis.running import Running
from chassis.tasks.queue import Later, Task
from contracts.ids import new_id
from contracts.money import Money
from payments.__main__ import surcharge_rules
from payments.collecting.data_files import SURCHARGE_RULES, read_surcharge_rules
from payments.collecting.domain.quotes import Quote, to_surcharge
from payments.collecting.domain.surcharges import SurchargeRule
from payments.collecting.store.quotes import add_quotes
from payments.collecting.store.surcharges import EditionChangedError, load_rules, take_rules
from payments.methods import setting_up
from payments.methods.domain.consents import Terms, Witness, to_method
from payments.methods.domain.methods import Method, make_default
from payments.methods.jobs import detach_method, look_at_setup
from payments.methods.store.consents import add_consents, load_consents
from payments.methods.store.methods import list_methods, lock_methods
from payments.methods.store.setups import Setup, begin_setup, load_setup, open_setup
from payments.own import Own
from payments.projections.store import keep_customers, lock_customer
from payments.providers import MethodDetails, Provider, ProviderUnknown, SetupOutcome
from payments.settings import Settings
from tests.kit import paying
from tests.kit.postgres import Database, drop_database, fresh_database

NOW, DAY = datetime(2026, 3, 1, tzinfo=UTC), date(2026, 3, 1)
FILE = read_surcharge_rules(SURCHARGE_RULES)
DETAILS = MethodDetails("pm_new", "card", "credit", "visa", "4242", (2030, 4), "us", "ct", "06101")


@pytest_asyncio.fixture
async def database() -> AsyncIterator[Database]:
    made = await fresh_database("payments")
    yield made
    await drop_database(made)


@pytest_asyncio.fixture
async def units(database: Database) -> AsyncIterator[Units]:
    pool = await open_pool(database.work_url, size=6, application="test")
    yield Units(pool, Clock("UTC"), Wake())
    await pool.close()


async def take(units: Units, edition: date, digest: bytes, rules: Sequence[SurchargeRule]) -> bool:
    async with units.pool.acquire() as connection:
        return await take_rules(connection, edition, digest, rules, NOW)


class TestAdding:
    async def test_known_one_is_not_added_twice(self, units: Units) -> None:
        customer = new_id()
        async with units.begin() as work:
            await keep_customers(work, {customer: None})
        kept = []
        for _ in range(2):
            async with units.begin() as work:
                kept.append(await setting_up.add(setting_up.method_from(DETAILS, customer), work))
        assert kept[0].id == kept[1].id
        assert await units.pool.fetchval("SELECT count(*) FROM methods") == 1


async def kept(units: Units, customer: str | None = None, **more: object) -> Method:
    customer = customer or new_id()
    method = Method(new_id(), customer, f"pm_{new_id()}", "card", "credit", "visa", "4242")
    async with units.begin() as work:
        await keep_customers(work, {customer: None})
        return await setting_up.add(replace(method, **more), work)  # type: ignore[arg-type]


class TestDefault:
    async def test_two_at_once_leave_exactly_one(self, units: Units) -> None:
        first = await kept(units)
        others = [await kept(units, first.customer_id) for _ in range(4)]
        assert (first.is_default, any(each.is_default for each in others)) == (True, False)

        async def choose(method_id: str) -> None:
            async with units.begin() as work:
                await lock_customer(work, first.customer_id)
                changing = make_default(await lock_methods(work, first.customer_id), method_id, DAY)
                assert isinstance(changing, list)
                for method in changing:
                    await setting_up.save(method, work)

        await asyncio.gather(*(choose(method.id) for method in others))
        listed = await list_methods(units.pool, first.customer_id)
        assert [method.is_default for method in listed] == [True, False, False, False, False]
        told = await units.pool.fetch(
            "SELECT aggregate, array_agg(sequence ORDER BY sequence) AS s FROM outbox GROUP BY 1"
        )
        assert all(list(row["s"]) == list(range(1, len(row["s"]) + 1)) for row in told)

    async def test_database_refuses_a_second_one(self, units: Units) -> None:
        first = await kept(units)
        second = await kept(units, first.customer_id)
        with pytest.raises(asyncpg.UniqueViolationError):
            await units.pool.execute("UPDATE methods SET is_default = true WHERE id = $1", second.id)


class Forgets:
    """A provider that forgets methods."""

    def __init__(self) -> None:
        self.forgot: list[str] = []

    async def detach_method(self, provider_method: str) -> None:
        self.forgot.append(provider_method)


class Says:
    """A provider that says this of every setup."""

    def __init__(self, outcome: SetupOutcome | Exception) -> None:
        self.outcome = outcome

    async def setup_outcome(self, _: str) -> SetupOutcome:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def running(units: Units, provider: object) -> Running:
    return Running(None, units.clock, units.pool, units, Own(cast(Provider, provider)))


class TestDetaching:
    async def test_removed_method_is_forgotten_once(self, units: Units) -> None:
        method, provider = await kept(units), Forgets()
        async with units.begin() as work:
            await setting_up.take_away(replace(method, removed_at=NOW, is_default=False, sequence=2), work)
        (task,) = await units.pool.fetch("SELECT queue, id FROM tasks")
        assert tuple(task) == ("detach-methods", method.id)
        for attempt in (1, 2):
            await detach_method(Task(task["queue"], task["id"], {}, attempt, Cause()), running(units, provider))
        assert provider.forgot == [method.provider_id]

    async def test_payment_under_way_is_waited_for(self, units: Units) -> None:
        payment, _ = await paying.submitted(units)
        provider = Forgets()
        task = Task("detach-methods", payment.method_id or "", {}, 1, Cause())
        await units.pool.execute("UPDATE methods SET removed_at = $2 WHERE id = $1", payment.method_id, NOW)
        with pytest.raises(Later):
            await detach_method(task, running(units, provider))
        assert provider.forgot == []
        await units.pool.execute(
            "UPDATE payments SET status = 'cancelled', reconciliation = NULL WHERE id = $1", payment.id
        )
        await detach_method(task, running(units, provider))
        assert provider.forgot == ["pm_1"]


class TestFollowingSetups:
    @pytest.mark.parametrize("told", [SetupOutcome("open"), ProviderUnknown("away")])
    async def test_open_setup_is_asked_again(self, units: Units, told: SetupOutcome | Exception) -> None:
        setup = await begun(units)
        for age, pause in ((0, 5), (60, 60), (86_400, 300)):
            since = (units.clock.now() - timedelta(seconds=age)).isoformat()
            task = Task("look-at-setups", setup.id, {"since": since}, 1, Cause())
            with pytest.raises(Later) as later:
                await look_at_setup(task, running(units, Says(told)))
            assert pause <= later.value.after.total_seconds() < pause + 5

    async def test_ended_setup_is_asked_no_more(self, units: Units) -> None:
        setup = await begun(units)
        task = Task("look-at-setups", setup.id, {"since": units.clock.now().isoformat()}, 1, Cause())
        await look_at_setup(task, running(units, Says(SetupOutcome("succeeded", DETAILS))))
        await look_at_setup(task, running(units, Says(AssertionError("it was asked again"))))
        assert len(await list_methods(units.pool, setup.customer_id)) == 1

    async def test_setup_without_page_is_given_up(self, units: Units) -> None:
        setup_id, old = new_id(), (units.clock.now() - timedelta(hours=2)).isoformat()
        async with units.begin() as work:
            await keep_customers(work, {setup_id: None})
            await begin_setup(work, setup_id, setup_id, "https://portal.example", ["card"], saved=True)
        new = Task("look-at-setups", setup_id, {"since": units.clock.now().isoformat()}, 1, Cause())
        with pytest.raises(Later):
            await look_at_setup(new, running(units, None))
        await look_at_setup(replace(new, body={"since": old}), running(units, None))


async def begun(units: Units) -> Setup:
    customer, setup_id = new_id(), new_id()
    async with units.begin() as work:
        await keep_customers(work, {customer: None})
        await begin_setup(work, setup_id, customer, "https://portal.example", ["card"], saved=True)
    await open_setup(units.pool, setup_id, f"cs_{setup_id[-6:]}", "https://pay.example")
    setup = await load_setup(units.pool, setup_id, customer)
    assert setup is not None
    return setup


class TestSavingSetups:
    async def test_concurrent_reports_make_one_method(self, units: Units) -> None:
        setup = await begun(units)
        outcome = SetupOutcome("succeeded", DETAILS)
        await asyncio.gather(*(setting_up.save_outcome(units, setup, outcome) for _ in range(5)))
        (method,) = await list_methods(units.pool, setup.customer_id)
        assert (method.country, method.state, method.postal_code) == ("US", "CT", "06101")
        assert (method.exp_year, method.exp_month, method.is_default) == (2030, 4, True)
        after = await load_setup(units.pool, setup.id, None)
        assert after is not None
        assert (after.state, after.method_id) == ("complete", method.id)
        assert await units.pool.fetchval("SELECT count(*) FROM outbox") == 1

    async def test_bank_account_waits_for_its_deposits(self, units: Units) -> None:
        for told, ends in (("succeeded", "verified"), ("failed", "failed")):
            setup = await begun(units)
            account = MethodDetails(f"pm_{told}", "bank_account", None, "A Bank", "6789", None)
            await setting_up.save_outcome(units, setup, SetupOutcome("verifying", account, NOW))
            (pending,) = await list_methods(units.pool, setup.customer_id)
            await setting_up.save_outcome(units, setup, SetupOutcome("verifying", account, NOW))
            await setting_up.save_outcome(units, setup, SetupOutcome(told, account))  # type: ignore[arg-type]
            (method,) = await list_methods(units.pool, setup.customer_id)
            assert (pending.verification, method.verification, method.sequence) == ("pending", ends, 2)


class TestConsents:
    async def test_are_saved_with_the_payment_and_unchangeable(self, units: Units) -> None:
        payment, quote = await paying.submitted(units)
        who = Witness("key:portal", "request-1", "203.0.113.9", "secret")
        yes = to_surcharge(
            replace(quote, terms=Terms(Decimal("0.03"), 500, "2026/r")), payment.id, True, "v1", who, NOW
        )
        assert yes is not None
        agreed = to_method("terms", payment.customer_id, "terms-1", who, NOW, method_id=payment.method_id)
        await add_consents(units.pool, [yes, agreed])
        (row, terms) = await load_consents(units.pool, payment.id)
        if row["kind"] == "terms":
            row, terms = terms, row
        assert (row["amount"], row["surcharge"], row["rate"], row["cap"]) == (1_000, 30, Decimal("0.03"), 500)
        assert (row["rule_id"], row["request_id"], row["actor"]) == ("2026/r", "request-1", "key:portal")
        plain = [hashlib.sha256(f"{row['id']}:203.0.113.9".encode()).hexdigest(), "203.0.113.9", terms["address_hash"]]
        assert row["address_hash"] not in (None, *plain)
        for change in ("UPDATE consents SET given = false", "DELETE FROM consents", "TRUNCATE consents"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await units.pool.execute(change)

    def test_address_is_hashed_with_the_secret(self) -> None:
        def hashed(address: str | None, secret: str) -> str | None:
            return Witness("key:portal", None, address, secret).to(consent).address_hash

        consent = to_method("terms", new_id(), "terms-1", Witness("key:portal"), NOW)
        known = hashed("203.0.113.9", "one")
        assert known is not None
        assert known == hashed("203.0.113.9", "one")
        assert known not in (hashed("203.0.113.9", "another"), hashed("203.0.113.8", "one"))
        assert (hashed("203.0.113.9", ""), hashed(None, "one")) == (None, None)
        assert "hidden" not in repr(Witness("key:portal", None, None, "hidden"))

    def test_quote_without_a_surcharge_needs_none(self) -> None:
        money = Money(1_000, "USD")
        free = Quote(new_id(), new_id(), new_id(), money, Money(0, "USD"), (), (), NOW)
        assert to_surcharge(free, new_id(), True, "v1", Witness("a"), NOW) is None


class TestSurchargeRules:
    async def test_many_processes_save_them_once(self, units: Units) -> None:
        taken = await asyncio.gather(*(take(units, FILE.edition, FILE.digest, FILE.rules) for _ in range(5)))
        assert sorted(taken) == [False] * 4 + [True]
        assert await load_rules(units.pool) == FILE.rules

    async def test_later_edition_wins_over_an_earlier_one(self, units: Units) -> None:
        later, earlier = FILE.edition + timedelta(days=1), FILE.edition - timedelta(days=1)
        only = replace(FILE.rules[0], id="later/only", rate=Decimal("0.01"))
        await take(units, FILE.edition, FILE.digest, FILE.rules)
        await take(units, later, b"later", [only])
        await take(units, earlier, b"earlier", [replace(only, id="earlier/only")])
        assert await load_rules(units.pool) == (only,)

    async def test_changed_edition_is_refused(self, units: Units) -> None:
        await take(units, FILE.edition, FILE.digest, FILE.rules)
        with pytest.raises(EditionChangedError):
            await take(units, FILE.edition, b"other", FILE.rules)

    @pytest.mark.parametrize("funding", ["debit", "prepaid", "unknown", None])
    async def test_database_refuses_surcharges_beside_credit_cards(self, units: Units, funding: str | None) -> None:
        method = await kept(units, funding=funding)
        _, quote = await paying.submitted(units)
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            async with units.begin() as work:
                await add_quotes([replace(quote, id=new_id(), method_id=method.id, payment_id=None)], work)

    async def test_own_file_holds_and_changed_edition_stops_start(self, database: Database, tmp_path: Path) -> None:
        own = tmp_path / "rules.toml"
        text = 'edition = 2030-01-01\n[[rules]]\nid = "one"\nvalid_from = 2020-01-01\nrate = "0.015"\nsource = "ours"\n'
        own.write_text(text)
        settings = Settings(work_url=database.work_url, surcharge_rules=own)
        for _ in range(2):
            (rule,) = await surcharge_rules(settings)
            assert (rule.id, rule.rate) == ("2030-01-01/one", Decimal("0.015"))
        own.write_text(text.replace("0.015", "0.025"))
        with pytest.raises(EditionChangedError, match="2030-01-01"):
            await surcharge_rules(settings)
