"""Invoicing over HTTP on a real PostgreSQL: customers, drafts, lists, names."""

import asyncio
import pathlib
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx2
import pytest

from chassis.http.identity import Identity, TokenSigner
from contracts.ids import new_id
from invoicing.__main__ import service
from invoicing.settings import Settings
from tests.kit.postgres import Database, drop_database, fresh_database
from tests.kit.serving import serving, write_keys

SCOPES = frozenset({"invoices:read", "invoices:write", "customers:read", "customers:write"})


@pytest.fixture(scope="module")
async def database() -> AsyncIterator[Database]:
    made = await fresh_database("invoicing")
    yield made
    await drop_database(made)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, pathlib.Path]:
    return write_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
async def url(database: Database, keys: tuple[pathlib.Path, pathlib.Path]) -> AsyncIterator[str]:
    settings = Settings(
        public_keys=keys[1], clock_file=keys[1].with_name("clock"), kafka="127.0.0.1:1",
        owner_url=database.owner_url, api_url=database.api_url, work_url=database.work_url,
    )  # fmt: skip
    async with serving(service.app(settings, work=False)) as address:
        yield address


def client_of(url: str, keys: tuple[pathlib.Path, pathlib.Path], customer_id: str | None = None) -> httpx2.AsyncClient:
    token, _ = TokenSigner(keys[0]).sign(Identity("erp", "system", SCOPES, customer_id), "invoicing")
    return httpx2.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"})


@pytest.fixture
async def erp(url: str, keys: tuple[pathlib.Path, pathlib.Path]) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(url, keys) as client:
        yield client


async def customer(erp: httpx2.AsyncClient, **more: Any) -> dict[str, Any]:
    answer = await erp.post("/v1/customers", json={"external_id": new_id(), "name": "Acme", **more})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def wish(customer_id: str, **more: Any) -> dict[str, Any]:
    line = {"description": "Work", "unit_price_minor": more.pop("minor", 100)}
    return {
        "customer_id": customer_id, "number": f"N-{new_id()}", "currency": "USD", "issued_on": "2026-01-01",
        "due_on": "2026-01-31", "lines": [line], **more,
    }  # fmt: skip


async def issue(erp: httpx2.AsyncClient, customer_id: str, *, expect: int = 201, **more: Any) -> dict[str, Any]:
    answer = await erp.post("/v1/invoices", json=wish(customer_id, **more))
    assert answer.status_code == expect, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def listed(client: httpx2.AsyncClient, **query: Any) -> list[str]:
    answer = await client.get("/v1/invoices", params=query)
    assert answer.status_code == 200, answer.text
    return [item["number"] for item in answer.json()["items"]]


class TestCustomerList:
    async def test_all_are_reached_page_by_page(self, erp: httpx2.AsyncClient) -> None:
        made = {(await customer(erp))["id"] for _ in range(7)}
        seen, cursor = [], None
        while True:
            page = (await erp.get("/v1/customers", params={"limit": 3} | ({"cursor": cursor} if cursor else {}))).json()
            seen += [one["id"] for one in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert len(seen) == len(set(seen))
        assert made <= set(seen)

    @pytest.mark.parametrize("q", ["zürich", "ZÜRICH", "rich gmbh", "post@zueri", "zh-77"])
    async def test_parts_of_names_find(self, erp: httpx2.AsyncClient, q: str) -> None:
        if not (await erp.get("/v1/customers", params={"external_id": "ZH-77"})).json()["items"]:
            await customer(erp, external_id="ZH-77", name="Käse Zürich GmbH", email="post@zueri.example")
        found = (await erp.get("/v1/customers", params={"q": q})).json()["items"]
        assert [one["external_id"] for one in found] == ["ZH-77"]

    async def test_rows_say_what_is_owed(
        self, erp: httpx2.AsyncClient, url: str, keys: tuple[pathlib.Path, pathlib.Path]
    ) -> None:
        one = await customer(erp)
        await issue(erp, one["id"], minor=250)
        (row,) = (await erp.get("/v1/customers", params={"external_id": one["external_id"]})).json()["items"]
        usd = {"currency": "USD", "outstanding_minor": 250, "overdue_minor": 250, "in_progress_minor": 0}
        assert row == one | {"balances": [usd]}
        narrow = Identity("crm", "system", frozenset({"customers:read"}))
        token, _ = TokenSigner(keys[0]).sign(narrow, "invoicing")
        async with httpx2.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}) as client:
            (row,) = (await client.get("/v1/customers", params={"external_id": one["external_id"]})).json()["items"]
        assert row["balances"] is None

    async def test_percent_signs_are_text(self, erp: httpx2.AsyncClient) -> None:
        assert (await erp.get("/v1/customers", params={"q": "%"})).json()["items"] == []

    async def test_a_customers_key_sees_itself_alone(
        self, erp: httpx2.AsyncClient, url: str, keys: tuple[pathlib.Path, pathlib.Path]
    ) -> None:
        one, _ = await customer(erp), await customer(erp)
        async with client_of(url, keys, one["id"]) as own:
            assert [each["id"] for each in (await own.get("/v1/customers")).json()["items"]] == [one["id"]]


class TestSummary:
    async def test_a_customer_reads_its_own_alone(
        self, erp: httpx2.AsyncClient, url: str, keys: tuple[pathlib.Path, pathlib.Path]
    ) -> None:
        one, other = await customer(erp, name="One"), await customer(erp)
        made = await issue(erp, one["id"], minor=250)
        async with client_of(url, keys, one["id"]) as own:
            summary = (await own.get(f"/v1/customers/{one['id']}/summary")).json()
            aging = (await own.get(f"/v1/customers/{one['id']}/aging")).json()
            assert (await own.get(f"/v1/customers/{other['id']}/summary")).status_code == 404
        assert (summary["name"], summary["as_of"], summary["last_paid"]) == ("One", aging["as_of"], None)
        assert summary["last_invoice"]["id"] == made["id"]
        (usd,) = summary["currencies"]
        assert usd.items() >= aging["currencies"][0].items()
        assert (usd["payable_now_minor"], usd["payable_count"], summary["counts"]["open"]) == (250, 1, 1)


class TestChangingCustomers:
    async def test_named_fields_change_and_others_stay(self, erp: httpx2.AsyncClient, database: Database) -> None:
        made = await customer(erp, email="a@example.com", metadata={"erp": "7"})
        answer = await erp.patch(f"/v1/customers/{made['id']}", json={"name": "Acme Ltd", "email": None})
        assert answer.status_code == 200, answer.text
        assert answer.json() == made | {"name": "Acme Ltd", "email": None}
        assert answer.headers["paidup-seen"] == f"{made['id']}:2"
        again = await erp.patch(f"/v1/customers/{made['id']}", json={"name": "Acme Ltd"})
        assert again.headers["paidup-seen"] == f"{made['id']}:2"

    async def test_two_changes_at_once_both_stay(self, erp: httpx2.AsyncClient) -> None:
        made = await customer(erp)
        wishes = [{"name": "New"}, {"address": "1 Main St"}, {"account_manager": "Ann"}]
        await asyncio.gather(*(erp.patch(f"/v1/customers/{made['id']}", json=wish) for wish in wishes))
        now = (await erp.get(f"/v1/customers/{made['id']}")).json()
        assert now == made | {"name": "New", "address": "1 Main St", "account_manager": "Ann"}

    @pytest.mark.parametrize(
        ("body", "field"),
        [({"name": None}, "name"), ({"external_id": "X"}, "external_id"), ({"email": "no"}, "email"),
         ({"metadata": {"k": "v" * 501}}, "metadata.k"), ({"metadata": {str(n): "" for n in range(21)}}, "metadata")],
    )  # fmt: skip
    async def test_bad_fields_are_named(self, erp: httpx2.AsyncClient, body: dict[str, Any], field: str) -> None:
        made = await customer(erp)
        answer = await erp.patch(f"/v1/customers/{made['id']}", json=body)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)

    async def test_a_customers_key_changes_nothing(
        self, erp: httpx2.AsyncClient, url: str, keys: tuple[pathlib.Path, pathlib.Path]
    ) -> None:
        made = await customer(erp)
        async with client_of(url, keys, made["id"]) as own:
            assert (await own.patch(f"/v1/customers/{made['id']}", json={"name": "Me"})).status_code == 403


class TestDrafts:
    async def test_edited_draft_is_priced_again(self, erp: httpx2.AsyncClient) -> None:
        draft = await issue(erp, (await customer(erp))["id"], draft=True, notes="first")
        lines = [{"description": "More", "quantity": "2.5", "unit_price_minor": 1_000, "tax_rate": "0.1"}]
        answer = await erp.patch(f"/v1/invoices/{draft['id']}", json={"lines": lines, "due_on": "2026-03-01"})
        assert answer.status_code == 200, answer.text
        now = answer.json()
        assert (now["total_minor"], now["due_on"], now["notes"]) == (2_750, "2026-03-01", "first")
        issued = (await erp.post(f"/v1/invoices/{draft['id']}/issue")).json()
        assert (issued["status"], issued["balance_minor"]) == ("open", 2_750)

    async def test_the_edited_draft_is_what_its_number_means(self, erp: httpx2.AsyncClient) -> None:
        who = (await customer(erp))["id"]
        body = wish(who, draft=True)
        draft = (await erp.post("/v1/invoices", json=body)).json()
        await erp.patch(f"/v1/invoices/{draft['id']}", json={"notes": "new"})
        assert (await erp.post("/v1/invoices", json=body)).status_code == 409
        assert (await erp.post("/v1/invoices", json=body | {"notes": "new"})).json()["id"] == draft["id"]

    async def test_an_issued_invoice_changes_its_metadata_alone(self, erp: httpx2.AsyncClient) -> None:
        made = await issue(erp, (await customer(erp))["id"])
        path = f"/v1/invoices/{made['id']}"
        assert (await erp.patch(path, json={"metadata": {"order": "7"}})).json()["metadata"] == {"order": "7"}
        refused = await erp.patch(path, json={"notes": "x"})
        assert (refused.status_code, refused.json()["type"]) == (409, "urn:paidup:problem:not-a-draft")

    @pytest.mark.parametrize(
        ("body", "status", "field"),
        [({"due_on": "2025-01-01"}, 422, "due_on"), ({"lines": []}, 422, "lines"), ({"number": None}, 422, "number"),
         ({"customer_id": "x"}, 422, "customer_id"), ({"number": "TAKEN"}, 409, "number")],
    )  # fmt: skip
    async def test_bad_edits_leave_it_as_it_was(
        self, erp: httpx2.AsyncClient, body: dict[str, Any], status: int, field: str
    ) -> None:
        who = (await customer(erp))["id"]
        await erp.post("/v1/invoices", json=wish(who, number="TAKEN"))
        draft = await issue(erp, who, draft=True)
        answer = await erp.patch(f"/v1/invoices/{draft['id']}", json=body)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (status, field)
        assert (await erp.get(f"/v1/invoices/{draft['id']}")).json() == draft

    async def test_a_deleted_draft_frees_its_number(self, erp: httpx2.AsyncClient) -> None:
        who = (await customer(erp))["id"]
        draft = await issue(erp, who, draft=True)
        assert (await erp.delete(f"/v1/invoices/{draft['id']}")).status_code == 204
        assert (await erp.get(f"/v1/invoices/{draft['id']}")).status_code == 404
        assert (await issue(erp, who, number=draft["number"]))["status"] == "open"

    async def test_an_issued_invoice_is_not_deleted(self, erp: httpx2.AsyncClient) -> None:
        made = await issue(erp, (await customer(erp))["id"])
        assert (await erp.delete(f"/v1/invoices/{made['id']}")).status_code == 409

    async def test_issue_and_delete_at_once_agree(self, erp: httpx2.AsyncClient) -> None:
        who = (await customer(erp))["id"]
        for _ in range(10):
            draft = await issue(erp, who, draft=True)
            issued, deleted = await asyncio.gather(
                erp.post(f"/v1/invoices/{draft['id']}/issue"), erp.delete(f"/v1/invoices/{draft['id']}")
            )
            there = (await erp.get(f"/v1/invoices/{draft['id']}")).status_code
            assert (issued.status_code, deleted.status_code, there) in [(200, 409, 200), (404, 204, 404)]


class TestFilters:
    async def test_lists_filter_in_the_answers_own_words(self, erp: httpx2.AsyncClient) -> None:
        who = (await customer(erp))["id"]
        await issue(erp, who, number=f"{who}-late", due_on="2026-01-02")
        await issue(erp, who, number=f"{who}-euro", currency="EUR", due_on="2090-01-01")
        gone = await issue(erp, who, number=f"{who}-gone")
        await erp.post(f"/v1/invoices/{gone['id']}/void")
        await issue(erp, who, number=f"{who}-draft", draft=True, issued_on="2026-01-20")

        async def found(**query: Any) -> set[str]:
            return {number.removeprefix(f"{who}-") for number in await listed(erp, customer_id=who, **query)}

        assert await found(status="open") == {"late", "euro"}
        assert await found(status="void") == {"gone"}
        assert await found(status="draft") == {"draft"}
        assert await found(status="overdue") == {"late"}
        assert await found(currency="EUR") == {"euro"}
        assert await found(due_from="2026-01-03", due_to="2026-12-31") == {"gone", "draft"}
        assert await found(issued_from="2026-01-20") == {"draft"}
        assert await found(age="over_90") == {"late"}
        assert await found(age="amount_due") == {"euro"}
        counts = (await erp.get("/v1/invoices/counts", params={"customer_id": who})).json()
        assert counts == {"all": 4, "draft": 1, "open": 2, "in_progress": 0, "paid": 0, "overdue": 1, "unpaid": 2}
        counts = (await erp.get("/v1/invoices/counts", params={"customer_id": who, "currency": "EUR"})).json()
        assert counts["all"] == 1

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ({"status": "nope"}, "status"),
            ({"due_from": "2026-02-01", "due_to": "2026-01-01"}, "due_to"),
            ([("status", "open"), ("status", "paid")], "status"),
        ],
    )
    async def test_bad_filters_name_their_parameter(self, erp: httpx2.AsyncClient, query: Any, field: str) -> None:
        answer = await erp.get("/v1/invoices", params=query)
        assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, [field])

    async def test_drafts_are_counted_for_staff_alone(
        self, erp: httpx2.AsyncClient, url: str, keys: tuple[pathlib.Path, pathlib.Path]
    ) -> None:
        who, other = (await customer(erp))["id"], (await customer(erp))["id"]
        await issue(erp, who, draft=True)
        async with client_of(url, keys, who) as own:
            assert (await own.get("/v1/invoices/counts")).json()["all"] == 0
            assert (await own.get("/v1/invoices/counts", params={"customer_id": other})).status_code == 404

    async def test_amounts_sort_and_page(self, erp: httpx2.AsyncClient) -> None:
        who = (await customer(erp))["id"]
        for minor in (300, 100, 200, 100):
            await issue(erp, who, minor=minor)
        totals, cursor = [], None
        while True:
            query = {"customer_id": who, "sort": "-total", "limit": 2} | ({"cursor": cursor} if cursor else {})
            page = (await erp.get("/v1/invoices", params=query)).json()
            totals += [item["total_minor"] for item in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert totals == [300, 200, 100, 100]
        assert (await erp.get("/v1/invoices", params={"sort": "total"})).status_code == 422

    async def test_search_reads_the_whole_text(self, erp: httpx2.AsyncClient) -> None:
        who = (await customer(erp))["id"]
        lines = [{"description": "x" * 600, "unit_price_minor": 1}, {"description": "Needle", "unit_price_minor": 1}]
        made = await issue(erp, who, lines=lines)
        assert await listed(erp, customer_id=who, q="nEEdle") == [made["number"]]

    async def test_numbers_are_found_in_any_case(self, erp: httpx2.AsyncClient) -> None:
        who = (await customer(erp))["id"]
        await issue(erp, who, number="Case-Ä-1")
        assert await listed(erp, q="cASE-ä") == ["Case-Ä-1"]

    async def test_a_void_invoice_owes_nothing(self, erp: httpx2.AsyncClient) -> None:
        made = await issue(erp, (await customer(erp))["id"])
        gone = (await erp.post(f"/v1/invoices/{made['id']}/void")).json()
        assert (gone["status"], gone["total_minor"], gone["balance_minor"]) == ("void", 100, 0)

    async def test_reason_of_voiding_is_in_the_timeline(self, erp: httpx2.AsyncClient) -> None:
        made = await issue(erp, (await customer(erp))["id"])
        await erp.post(f"/v1/invoices/{made['id']}/void", json={"reason": "Sent twice"})
        last = (await erp.get(f"/v1/invoices/{made['id']}/timeline")).json()["items"][-1]
        assert (last["code"], last["values"]) == ("voided_because", {"reason": "Sent twice"})
        assert last["text"] == "The invoice was voided: Sent twice"


class TestNames:
    @pytest.mark.parametrize("spelt", [" {}", "{}\n", "\u00a0{}\u2003", "{}\t \r\n"])
    async def test_blanks_around_a_number_are_dropped(self, erp: httpx2.AsyncClient, spelt: str) -> None:
        who, number = (await customer(erp))["id"], f"INV-{new_id()}"
        first = await erp.post("/v1/invoices", json=wish(who, number=number))
        again = await erp.post("/v1/invoices", json=wish(who, number=spelt.format(number)))
        assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])

    async def test_composed_and_decomposed_are_one(self, erp: httpx2.AsyncClient) -> None:
        who, number = (await customer(erp))["id"], f"Rechnung-Ä-{new_id()}"
        first = await issue(erp, who, number=number)
        again = await issue(erp, who, number=number.replace("Ä", "A\u0308"), expect=200)
        assert again["id"] == first["id"]

    @pytest.mark.parametrize(
        "number", ["", "  ", "\u200b", "INV\u200b7", "INV\x077", "IN\nV", "\u2800", "a\u202eb", "\ufeffA", "  F "]
    )
    async def test_invisible_or_blank_is_refused(self, erp: httpx2.AsyncClient, number: str) -> None:
        who = (await customer(erp))["id"]
        answer = await erp.post("/v1/invoices", json=wish(who, number=number))
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "number")
        answer = await erp.post("/v1/customers", json={"external_id": number, "name": "X"})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "external_id")

    async def test_what_was_stored_before_stays_reachable(self, erp: httpx2.AsyncClient, database: Database) -> None:
        old, who = f"OLD-{new_id()}", await customer(erp, external_id=f"EXT-{new_id()}")
        made = await issue(erp, who["id"], number=old)
        connection = await asyncpg.connect(database.owner_url)
        await connection.execute("UPDATE invoices SET number = number || ' ' WHERE id = $1", made["id"])
        await connection.execute("UPDATE customers SET external_id = ' ' || external_id WHERE id = $1", who["id"])
        await connection.close()
        answer = await erp.post("/v1/invoices", json=wish(who["id"], number=old))
        assert answer.json()["id"] == made["id"]
        again = await erp.post("/v1/customers", json={"external_id": who["external_id"], "name": "Acme"})
        assert (again.status_code, again.json()["id"]) == (200, who["id"])
        for spelt in (who["external_id"], " " + who["external_id"]):
            found = (await erp.get("/v1/customers", params={"external_id": spelt})).json()["items"]
            assert [one["id"] for one in found] == [who["id"]]
        body = wish("", customer_external_id=who["external_id"])
        del body["customer_id"]
        assert (await erp.post("/v1/invoices", json=body)).json()["customer_id"] == who["id"]


class TestIdempotencyKeys:
    async def test_the_first_answer_is_given_again(self, erp: httpx2.AsyncClient) -> None:
        key, body = {"Idempotency-Key": new_id()}, {"external_id": new_id(), "name": "Acme"}
        first = await erp.post("/v1/customers", json=body, headers=key)
        again = await erp.post("/v1/customers", json=body, headers=key)
        assert (first.status_code, again.status_code) == (201, 201)
        assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
        assert again.headers["paidup-seen"] == first.headers["paidup-seen"]

    async def test_another_request_under_a_key_is_refused(self, erp: httpx2.AsyncClient) -> None:
        key, who = {"Idempotency-Key": new_id()}, (await customer(erp))["id"]
        one, two = await issue(erp, who), await issue(erp, who)
        assert (await erp.post(f"/v1/invoices/{one['id']}/void", headers=key)).status_code == 200
        other = await erp.post(f"/v1/invoices/{two['id']}/void", headers=key)
        assert (other.status_code, other.json()["type"]) == (422, "urn:paidup:problem:idempotency-key-reused")
        assert (await erp.get(f"/v1/invoices/{two['id']}")).json()["status"] == "open"

    async def test_many_at_once_get_one_answer(self, erp: httpx2.AsyncClient) -> None:
        key, body = {"Idempotency-Key": new_id()}, {"external_id": new_id(), "name": "Acme"}
        answers = await asyncio.gather(*(erp.post("/v1/customers", json=body, headers=key) for _ in range(8)))
        assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}

    async def test_a_refusal_leaves_the_key_free(self, erp: httpx2.AsyncClient) -> None:
        key = {"Idempotency-Key": new_id()}
        assert (await erp.post("/v1/customers", json={"external_id": "x"}, headers=key)).status_code == 422
        body = {"external_id": new_id(), "name": "Acme"}
        assert (await erp.post("/v1/customers", json=body, headers=key)).status_code == 201

    @pytest.mark.parametrize("key", ["", "a\tb", "k" * 256])
    async def test_a_bad_key_is_refused(self, erp: httpx2.AsyncClient, key: str) -> None:
        answer = await erp.post("/v1/customers", json={}, headers={"Idempotency-Key": key})
        assert answer.status_code == 400

    async def test_a_dead_first_request_holds_no_key(self, erp: httpx2.AsyncClient, database: Database) -> None:
        key, body = {"Idempotency-Key": new_id()}, {"external_id": new_id(), "name": "Acme"}
        await erp.post("/v1/customers", json=body, headers=key)
        connection = await asyncpg.connect(database.owner_url)
        left = """UPDATE idempotency_keys SET status = 0, body = '', created_at = now() - make_interval(secs => $2)
            WHERE key = $1"""
        await connection.execute(left, key["Idempotency-Key"], 10)
        assert (await erp.post("/v1/customers", json=body, headers=key)).status_code == 409
        await connection.execute(left, key["Idempotency-Key"], 61)
        assert (await erp.post("/v1/customers", json=body, headers=key)).status_code == 200
        await connection.close()


class TestProblemsInOtherLanguages:
    async def test_a_fault_has_a_code_and_values(self, erp: httpx2.AsyncClient) -> None:
        answer = await erp.post("/v1/customers", json={"external_id": "x" * 201, "name": ""})
        errors = {error["field"]: error for error in answer.json()["errors"]}
        assert (errors["external_id"]["code"], errors["external_id"]["values"]) == (
            "string-too-long",
            {"max_length": 200},
        )
        assert errors["name"]["values"] == {"min_length": 1}

    async def test_a_refusal_has_its_values(self, erp: httpx2.AsyncClient) -> None:
        made = await issue(erp, (await customer(erp))["id"])
        refused = (await erp.delete(f"/v1/invoices/{made['id']}")).json()
        assert refused["values"] == {"number": made["number"], "status": "open"}


class TestCostlyBodies:
    """What a body costs to refuse is bounded: others wait for it."""

    @pytest.mark.parametrize(
        "lines",
        [
            [{} for _ in range(29_000)],
            [{f"z{n}": 1 for n in range(9)} for _ in range(1_000)],
            [{"description": "x", "quantity": "0", "unit_price_minor": "y"} for _ in range(1_000)],
        ],
        ids=["empty", "unknown members", "wrong members"],
    )
    async def test_it_is_refused_in_a_moment(self, erp: httpx2.AsyncClient, lines: list[dict[str, Any]]) -> None:
        body = wish((await customer(erp))["id"]) | {"lines": lines}
        begun = time.process_time()
        answer = await erp.post("/v1/invoices", json=body)
        assert answer.status_code == 422
        assert time.process_time() - begun < 0.5  # of this process, which serves and asks; 0.6 to 7 s before

    async def test_the_first_line_at_fault_is_named(self, erp: httpx2.AsyncClient) -> None:
        good, bad = {"description": "x", "unit_price_minor": 1}, {"description": "x"}
        answer = await erp.post("/v1/invoices", json=wish("x") | {"lines": [good, bad, bad]})
        assert [error["field"] for error in answer.json()["errors"]] == ["lines.1.unit_price_minor"]

    async def test_a_customers_key_is_refused_before_its_body(
        self, erp: httpx2.AsyncClient, url: str, keys: tuple[pathlib.Path, pathlib.Path]
    ) -> None:
        made = await customer(erp)
        async with client_of(url, keys, made["id"]) as own:
            answer = await own.post("/v1/invoices", content=b"not json", headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:paidup:problem:forbidden")

    async def test_a_blank_name_is_refused(self, erp: httpx2.AsyncClient) -> None:
        made = await customer(erp)
        answer = await erp.patch(f"/v1/customers/{made['id']}", json={"name": "  "})
        assert (answer.status_code, answer.json()["errors"][0]["message"]) == (
            422, "must not be blank, nor contain the character U+0000",
        )  # fmt: skip

    async def test_an_answer_too_long_to_keep_runs_again(self, erp: httpx2.AsyncClient) -> None:
        lines = [{"description": "x" * 300, "unit_price_minor": 1} for _ in range(1_000)]
        key, body = {"Idempotency-Key": new_id()}, wish((await customer(erp))["id"]) | {"lines": lines}
        first = await erp.post("/v1/invoices", json=body, headers=key)
        again = await erp.post("/v1/invoices", json=body, headers=key)
        assert (first.status_code, again.status_code) == (201, 200)
        assert again.json()["id"] == first.json()["id"]
