"""Bank files and exceptions in a real browser: sent, read line by line, decided in each way, undone."""

import pathlib
import re
import uuid
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from contracts.ids import new_id
from tests.browser.conftest import Manager
from tests.kit.hearing import PAYMENTS
from tests.kit.looks import each_look

pytestmark = pytest.mark.asyncio(loop_scope="session")

HEAD = "date,amount,currency,account,reference,text,payer,payer_account\n"


@dataclass
class Line:
    """A line of a bank's file in Paidup's own CSV. `text` finds it again."""

    amount: str
    reference: str = ""
    text: str = ""
    payer: str = "Nobody GmbH"


def csv(*lines: Line) -> bytes:
    """Each file has an account of its own, so that no line is in doubt because of another test's."""
    account = f"DE{uuid.UUID(new_id()).int % 10**20:020}"
    rows = (f"2026-03-02,{one.amount},USD,{account},{one.reference},{one.text},{one.payer},\n" for one in lines)
    return (HEAD + "".join(rows)).encode()


async def taken(manager: Manager, *lines: Line) -> str:
    """The id of the run in which all lines are handled."""
    status, run = await manager.client.upload("/v1/bank-statements", csv(*lines))
    assert status in (200, 202), run
    await manager.client.until(f"/v1/reconciliation/runs/{run['id']}", lambda found: found["status"] == "done")
    return str(run["id"])


async def unknown(manager: Manager, amount: str = "50.00") -> None:
    """An exception about money that fits nothing, on its page."""
    run = await taken(manager, Line(amount, text=f"hello {new_id()[-8:]}"))
    lines = await manager.client.get(f"/v1/reconciliation/runs/{run}/lines")
    await manager.page.goto(f"{manager.url}/desk/exceptions/{lines['items'][0]['exception_id']}")
    await expect(manager.page.get_by_role("heading", level=1)).to_contain_text("Unknown money")


async def because(page: Page, why: str = "Agreed by phone") -> None:
    await page.get_by_label("Reason, kept in the trail").fill(why)


async def choose(where: Page | Locator, name: str) -> None:
    await where.get_by_role("searchbox", name="Customer").fill(name)
    await where.get_by_role("button", name=name).click()


async def payments(manager: Manager, customer: str | None = None) -> list[Any]:
    found = await manager.client.get(f"/v1/payments?customer_id={customer or manager.customer}")
    return [(one["amount_minor"], one["reason"]) for one in found["items"]]


def decided(page: Page) -> Locator:
    return page.get_by_text(re.compile("^Decided"))


class TestBankFile:
    async def test_each_line_says_what_became_of_it(self, manager: Manager, tmp_path: pathlib.Path) -> None:
        page, text = manager.page, f"hello {new_id()[-8:]}"
        content = csv(
            Line("70.00", manager.number, "", manager.name), Line("33.00", text=text), Line("-5.00", text="fee")
        )
        (file := tmp_path / "march.csv").write_bytes(content)
        await page.get_by_role("navigation", name="Desk").get_by_role("link", name="Bank files").click()
        await page.get_by_label("Choose a file").set_input_files(file)
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Bank file of")
        rows = page.get_by_role("table", name="Lines").get_by_role("row")
        posted, waits = rows.filter(has_text=manager.name), rows.filter(has_text=text)
        await expect(posted).to_contain_text("Posted")
        await expect(waits).to_contain_text("Waits for a person")
        await expect(rows.filter(has_text="fee")).to_contain_text("Needs nothing")
        tabs = page.get_by_role("navigation", name="Which lines")
        await tabs.get_by_role("link", name="Waits for a person 1").click()
        await expect(rows).to_have_count(2)
        await waits.get_by_role("link", name="Decide").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("$33.00")
        await page.get_by_role("link", name="line 3").click()
        await posted.get_by_role("link", name="Payment").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("$70.00")

    async def test_a_known_file_opens_its_first_run(self, manager: Manager, tmp_path: pathlib.Path) -> None:
        page, content = manager.page, csv(Line("1.00", text="known"))
        status, run = await manager.client.upload("/v1/bank-statements", content)
        assert status == 202
        (file := tmp_path / "again.csv").write_bytes(content)
        await page.goto(f"{manager.url}/desk/bank")
        await page.get_by_label("Choose a file").set_input_files(file)
        await expect(page.get_by_text("This file came before")).to_be_visible()
        assert run["id"] in page.url

    async def test_a_refused_file_names_its_line(self, manager: Manager, tmp_path: pathlib.Path) -> None:
        page, content = manager.page, csv(Line("1.00"), Line("one dollar"))
        (file := tmp_path / "bad.csv").write_bytes(content)
        await page.goto(f"{manager.url}/desk/bank")
        await page.get_by_label("Choose a file").set_input_files(file)
        alert = page.get_by_role("alert")
        await expect(alert).to_contain_text("bad.csv was not taken")
        await expect(alert).to_contain_text("Line 3")
        await expect(page.get_by_label("Account")).to_have_count(0)

    async def test_an_export_without_account_is_asked_for_it(self, manager: Manager, tmp_path: pathlib.Path) -> None:
        page, text = manager.page, new_id()[-8:]
        head = "Details,Posting Date,Description,Amount,Type,Balance,Check or Slip #\n"
        (file := tmp_path / "chase.csv").write_text(f"{head}CREDIT,03/02/2026,{text},12.00,ACH_CREDIT,,\n")
        await page.goto(f"{manager.url}/desk/bank")
        await page.get_by_label("Choose a file").set_input_files(file)
        await page.get_by_label("Account").fill("000111222")
        await page.get_by_role("button", name="Send it with these").click()
        await expect(page.get_by_role("row").filter(has_text=text)).to_contain_text("Waits for a person")

    async def test_a_file_is_dropped(self, manager: Manager) -> None:
        page, text = manager.page, new_id()[-8:]
        await page.goto(f"{manager.url}/desk/bank")
        zone = page.get_by_role("group", name="Send a bank’s file")
        content = csv(Line("2.00", text=text)).decode()
        dropped = await page.evaluate_handle(
            "text => { const all = new DataTransfer(); all.items.add(new File([text], 'drop.csv')); return all }",
            content,
        )
        await zone.dispatch_event("drop", {"dataTransfer": dropped})
        await expect(page.get_by_role("row").filter(has_text=text)).to_be_visible()


class TestDeciding:
    async def test_a_proposal_is_posted_once(self, manager: Manager) -> None:
        page = manager.page
        run = await taken(manager, Line("50.00", manager.number, (text := f"short {new_id()[-8:]}"), manager.name))
        assert (await manager.client.get(f"/v1/reconciliation/runs/{run}"))["proposed"] == 1
        await page.goto(f"{manager.url}/desk/exceptions")
        await page.get_by_role("row").filter(has_text=text).get_by_role("link").click()
        await page.get_by_role("button", name="Post this").first.click()
        await expect(page.get_by_text("Write the reason first")).to_be_visible()
        await because(page)
        await page.get_by_role("button", name="Post this").first.dblclick()
        await expect(decided(page)).to_be_visible()
        assert await payments(manager) == [(5_000, None)]

    async def test_other_invoices_are_chosen_by_hand(self, manager: Manager) -> None:
        page = manager.page
        await unknown(manager)
        await because(page)
        await page.get_by_role("button", name="Choose invoices or credit").click()
        await choose(page, manager.name)
        await page.get_by_role("radio", name="Chosen invoices").check()
        await page.get_by_role("checkbox", name=f"Pay {manager.number}").check()
        await page.get_by_label(f"Amount for {manager.number}").fill("45.00")
        after = page.get_by_role("table", name="What it will do")
        await expect(after.get_by_role("row").filter(has_text="Kept as credit")).to_contain_text("5.00")
        await page.get_by_role("button", name="Post $50.00").click()
        await expect(decided(page)).to_be_visible()
        await expect(page.get_by_role("link", name=f"$50.00 of {manager.name}")).to_be_visible()
        assert await payments(manager) == [(5_000, None)]

    async def test_a_line_is_split_over_customers(self, manager: Manager) -> None:
        page, tag = manager.page, new_id()[-8:]
        other = await manager.client.customer_with_contact(f"Moss {tag} Ltd", f"{new_id()}@example.com")
        await manager.client.heard(PAYMENTS, other)
        await unknown(manager)
        await because(page)
        await page.get_by_role("button", name="Split over customers").click()
        first, second = page.get_by_role("region", name="Share 1"), page.get_by_role("region", name="Share 2")
        await choose(first, manager.name)
        await first.get_by_label("Amount of share 1").fill("30.00")
        await choose(second, f"Moss {tag} Ltd")
        await second.get_by_label("Amount of share 2").fill("25.00")
        await expect(page.get_by_text("$5.00 more than the line")).to_be_visible()
        await page.get_by_role("button", name="Post $50.00").click()
        await expect(page.get_by_role("alert").filter(has_text="sum to the line exactly")).to_be_visible()
        await second.get_by_label("Amount of share 2").fill("")
        await second.get_by_role("button", name="Take the rest, $20.00").click()
        await second.get_by_role("radio", name="Nothing yet").check()
        await page.get_by_role("button", name="Post $50.00").click()
        await expect(decided(page)).to_be_visible()
        await expect(page.get_by_role("button", name="Undo")).to_have_count(2)
        assert (await payments(manager), await payments(manager, other)) == ([(3_000, None)], [(2_000, None)])
        await expect(page.get_by_role("complementary", name="Trail")).not_to_contain_text(other)
        await page.get_by_role("button", name=re.compile(f"^Undo.*Moss {tag}")).click()
        await page.get_by_role("dialog").get_by_label("Reason").fill("Another customer's money")
        await page.get_by_role("dialog").get_by_role("button", name="Void this receipt").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("$20.00")
        line = page.get_by_role("region", name="The bank’s line")
        await expect(line.get_by_role("definition").first).to_have_text("50.00 USD")

    async def test_a_recorded_receipt_is_matched(self, manager: Manager) -> None:
        page = manager.page
        made = await manager.client.receive(manager.customer, 6_100, received_on="2026-02-01")
        await unknown(manager, "61.00")
        await because(page)
        await page.get_by_role("button", name="Match with a receipt or payout").click()
        await page.get_by_role("button", name="Match", exact=True).click()
        await expect(page.get_by_role("alert").filter(has_text="Choose the receipt first")).to_be_visible()
        await choose(page, manager.name)
        await page.get_by_role("checkbox", name=f"Receipt {made['number']}").check()
        await expect(page.get_by_text("$61.00 chosen of $61.00")).to_be_visible()
        await page.get_by_role("button", name="Match", exact=True).click()
        await expect(decided(page)).to_be_visible()
        assert await payments(manager) == [(6_100, None)]
        await expect(page.get_by_role("button", name="Undo")).to_have_count(0)

    async def test_dismissing_asks_first(self, manager: Manager) -> None:
        page = manager.page
        await unknown(manager)
        await page.get_by_role("button", name="Dismiss").click()
        dialog = page.get_by_role("dialog", name="Dismiss this exception?")
        await dialog.get_by_role("button", name="Dismiss").click()
        await expect(dialog.get_by_text("Write the reason first")).to_be_visible()
        await dialog.get_by_label("Reason, kept in the trail").fill("Given back in cash")
        await dialog.get_by_role("button", name="Dismiss").click()
        await expect(decided(page)).to_be_visible()
        trail = page.get_by_role("complementary", name="Trail").get_by_role("listitem")
        await expect(trail.filter(has_text="Dismissed: Given back in cash")).to_contain_text("Maren Ostby")

    async def test_mine_are_found_by_person(self, manager: Manager) -> None:
        page = manager.page
        await unknown(manager)
        one = page.url
        await page.get_by_role("button", name="Assign to me").click()
        await expect(page.get_by_role("button", name="Assign to me")).to_have_count(0)
        await page.get_by_role("navigation", name="Desk").get_by_role("link", name="Exceptions").click()
        await page.get_by_role("checkbox", name="Only mine").check()
        rows = page.get_by_role("table", name="Exceptions").get_by_role("row")
        await expect(rows).to_have_count(2)
        await page.get_by_label("What").select_option(label="Paid twice")
        await expect(page.get_by_role("heading", name="No exception found")).to_be_visible()
        await page.goto(one)
        await page.get_by_role("button", name="Assign to nobody").click()
        await expect(page.get_by_role("button", name="Assign to me")).to_be_visible()


class TestUndo:
    async def test_a_posted_line_waits_again(self, manager: Manager) -> None:
        page = manager.page
        await unknown(manager)
        await because(page)
        await page.get_by_role("button", name="Choose invoices or credit").click()
        await choose(page, manager.name)
        await page.get_by_role("button", name="Post $50.00").click()
        await expect(decided(page)).to_be_visible()
        await page.get_by_role("button", name="Undo").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog.get_by_text("its line waits again as an exception")).to_be_visible()
        await expect(dialog.get_by_text(manager.number)).to_be_visible()
        await dialog.get_by_label("Reason").fill("Another customer's money")
        await dialog.get_by_role("button", name="Void this receipt").click()
        await expect(page.get_by_text(re.compile("^Open since"))).to_be_visible()
        await expect(page.get_by_label("Reason, kept in the trail")).to_have_value("")
        assert await payments(manager) == [(5_000, "voided")]
        await page.goto(f"{manager.url}/desk/exceptions?state=resolved")
        await expect(page.get_by_role("row").filter(has_text="Unknown money").first).to_be_visible()


class TestPages:
    async def test_have_no_violation(self, manager: Manager) -> None:
        page, found = manager.page, {}
        run = await taken(manager, Line("50.00", manager.number, "", manager.name), Line("12.34", text="hello"))
        lines = (await manager.client.get(f"/v1/reconciliation/runs/{run}/lines"))["items"]
        exception = f"/desk/exceptions/{lines[0]['exception_id']}"
        for path in (
            "/desk/bank",
            f"/desk/bank/{run}",
            "/desk/exceptions",
            "/desk/exceptions?state=resolved",
            exception,
        ):
            await page.goto(manager.url + path)
            await page.get_by_role("heading", level=1).wait_for()
            await page.wait_for_load_state("networkidle")
            found[path] = await each_look(page)
        for name in ("Choose invoices or credit", "Split over customers", "Match with a receipt or payout", "Dismiss"):
            await page.get_by_role("button", name=name).click()
            found[name] = await each_look(page)
        assert {path: some for path, some in found.items() if some} == {}
