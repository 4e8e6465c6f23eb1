"""Help in a real browser: tickets and questions, written by a customer and answered at the desk."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, FilePayload, Page, expect

from contracts.ids import new_id
from tests.browser.conftest import Manager, Payer
from tests.browser.test_desk import look_as
from tests.kit.files import PAGE, office, pdf, png
from tests.kit.hearing import SUPPORT, issued, open_and_hear
from tests.kit.looks import each_look
from tests.kit.pages import lose_the_reply, sign_in

pytestmark = pytest.mark.asyncio(loop_scope="session")

TICKETS = re.compile(r"/v1/tickets$")


@pytest_asyncio.fixture(loop_scope="session")
async def contact(context: BrowserContext, manager: Manager) -> AsyncIterator[Page]:
    """The portal of the manager's customer, in another browser."""
    page = await context.new_page()
    await sign_in(page, manager.url, manager.email, manager.catcher)
    await page.get_by_role("heading", name=manager.name).wait_for()
    yield page
    await page.close()
    await context.clear_cookies()


async def submit(page: Page, subject: str, details: str) -> None:
    await page.get_by_label("Subject").fill(subject)
    await page.get_by_label("Details").fill(details)
    await page.get_by_role("button", name="Submit a Ticket").click()
    await expect(page.get_by_role("heading", level=1, name=subject)).to_be_visible()


async def opened(manager: Manager, subject: str, **more: str) -> str:
    """A ticket that a program opened for the manager's customer; its id."""
    body = {"customer_id": manager.customer, "subject": subject, "details": f"About {subject}", **more}
    return str((await manager.client.make("/v1/tickets", body, key=new_id()))["id"])


async def reply(page: Page, text: str) -> None:
    await page.get_by_label(re.compile("^Reply")).fill(text)
    await page.get_by_role("button", name="Send reply").click()


async def shows(page: Page, status: str) -> None:
    await expect(page.locator(".st.big")).to_have_text(status)


class TestTicket:
    async def test_goes_its_way_on_both_sides(self, manager: Manager, contact: Page) -> None:
        desk, subject = manager.page, f"Two boxes {new_id()[-6:]}"
        await contact.get_by_role("navigation", name="Main", exact=True).get_by_role("link", name="Support").click()
        await expect(contact.get_by_role("heading", name="No tickets yet")).to_be_visible()
        await contact.get_by_role("link", name="Submit a Ticket").click()
        await submit(contact, subject, "Only one of the two boxes came.")
        await shows(contact, "New")
        await desk.get_by_role("navigation", name="Desk").get_by_role("link", name="Tickets").click()
        await desk.get_by_role("link", name=subject).click()
        await expect(desk.get_by_text("Only one of the two boxes came.")).to_be_visible()
        await desk.get_by_role("button", name="Assign to me").click()
        await shows(desk, "Open")
        await shows(contact, "Open")
        await expect(contact.get_by_text("with Maren Ostby")).to_be_visible()
        await reply(desk, "The other one is on its way.")
        await expect(contact.get_by_text("The other one is on its way.")).to_be_visible()
        await shows(contact, "Waiting for you")
        await expect(contact.get_by_text("We have answered.")).to_be_visible()
        await shows(desk, "Waiting for the customer")
        await reply(contact, "It came, thank you.")
        await expect(desk.get_by_text("It came, thank you.")).to_be_visible()
        await shows(desk, "Open")
        await desk.get_by_role("button", name="Mark as solved").click()
        await shows(contact, "Solved")
        await contact.get_by_role("button", name="Open again").click()
        await shows(contact, "Open")
        await shows(desk, "Open")
        await contact.get_by_role("button", name="Mark as solved").click()
        await shows(desk, "Solved")
        await contact.get_by_role("link", name="My tickets").click()
        row = contact.get_by_role("row").filter(has_text=subject)
        await expect(row.get_by_text("Solved")).to_be_visible()

    async def test_is_opened_once(self, manager: Manager, contact: Page) -> None:
        subject = f"Once {new_id()[-6:]}"
        await contact.goto(f"{manager.url}/support/new")
        await contact.route(TICKETS, lose_the_reply, times=1)
        await contact.get_by_label("Subject").fill(subject)
        await contact.get_by_label("Details").fill("Is it there twice?")
        await contact.get_by_role("button", name="Submit a Ticket").dblclick()
        await expect(contact.get_by_role("heading", level=1, name=subject)).to_be_visible()
        found = await manager.client.get(f"/v1/tickets?customer_id={manager.customer}")
        assert [one["subject"] for one in found["items"]] == [subject]

    async def test_mail_of_an_answer_leads_to_it(self, manager: Manager, contact: Page) -> None:
        subject = f"Mail {new_id()[-6:]}"
        await contact.goto(f"{manager.url}/support/new")
        await submit(contact, subject, "Where is it?")
        ticket = contact.url.rpartition("/")[2]
        await manager.client.make(f"/v1/tickets/{ticket}/replies", {"text": "In the mail."}, key=new_id())
        mails = await manager.catcher.until(
            manager.email, lambda found: any("/support/" in one["text"] for one in found)
        )
        link = next(
            re.search(r"http\S+/support/[0-9a-f-]+\S*", one["text"]) for one in mails if "/support/" in one["text"]
        )
        assert link is not None
        await contact.goto(link[0])
        await expect(contact.get_by_role("heading", level=1, name=subject)).to_be_visible()
        await expect(contact.get_by_text("In the mail.")).to_be_visible()

    async def test_needs_a_subject_and_details(self, manager: Manager, contact: Page) -> None:
        await contact.goto(f"{manager.url}/support/new")
        await contact.get_by_role("button", name="Submit a Ticket").click()
        for label in ("Subject", "Details"):
            await expect(contact.get_by_label(label)).to_have_attribute("aria-invalid", "true")
        assert await each_look(contact) == []
        assert (await manager.client.get(f"/v1/tickets?customer_id={manager.customer}"))["items"] == []

    async def test_is_found_by_status_and_text(self, manager: Manager, contact: Page) -> None:
        tag = new_id()[-6:]
        one, other = f"Boxes {tag}", f"Labels {tag}"
        solved = await opened(manager, one)
        await opened(manager, other)
        await manager.client.make(f"/v1/tickets/{solved}/solve")
        await contact.goto(f"{manager.url}/support")
        rows = contact.locator("tbody").get_by_role("rowheader").get_by_role("link")
        await expect(rows).to_have_count(2)
        await contact.get_by_role("link", name="Solved", exact=True).click()
        await expect(rows).to_have_text([one])
        await contact.get_by_role("link", name="All", exact=True).click()
        await contact.get_by_label("Search number or text").fill("label")
        await expect(rows).to_have_text([other])
        await contact.get_by_label("Search number or text").fill("nothing like it")
        await expect(contact.get_by_role("heading", name="Nothing found")).to_be_visible()
        await contact.get_by_role("link", name="Remove the filters").click()
        await expect(rows).to_have_count(2)


class TestDesk:
    async def test_notes_stay_with_the_company(self, manager: Manager, contact: Page) -> None:
        desk, ticket = manager.page, await opened(manager, f"Note {new_id()[-6:]}")
        await contact.goto(f"{manager.url}/support/{ticket}")
        await desk.goto(f"{manager.url}/desk/tickets/{ticket}")
        await desk.get_by_label(re.compile("^Reply to")).fill("We look into")
        await desk.get_by_role("button", name="Internal note").click()
        await desk.get_by_label("Note", exact=True).fill("He asked before.")
        await desk.get_by_role("button", name="Add the note").click()
        note = desk.get_by_role("article").filter(has_text="He asked before.")
        await expect(note.get_by_text("Internal note")).to_be_visible()
        await desk.get_by_role("button", name="Reply", exact=True).click()
        await expect(desk.get_by_label(re.compile("^Reply to"))).to_have_value("We look into")
        await reply(desk, "We look into it.")
        await expect(contact.get_by_text("We look into it.")).to_be_visible()
        await expect(contact.get_by_text("He asked before.")).to_have_count(0)
        assert await each_look(desk) == []

    async def test_one_is_given_and_escalated(self, manager: Manager) -> None:
        desk, subject = manager.page, f"Given {new_id()[-6:]}"
        email = f"{new_id()}@paidup.example"
        bo = {"email": email, "name": f"Bo {email[-24:-16]}", "role": "administrator"}
        made = await manager.client.make("/v1/staff", bo)
        await manager.client.heard(SUPPORT, made["id"])
        ticket = await opened(manager, subject)
        await desk.goto(f"{manager.url}/desk/tickets/{ticket}")
        await desk.get_by_role("button", name="Assign …").click()
        await desk.get_by_role("dialog").get_by_label("With").select_option(label=bo["name"])
        await desk.get_by_role("button", name="Assign", exact=True).click()
        await expect(desk.get_by_text(f"Maren Ostby gave it to {bo['name']}.")).to_be_visible()
        await desk.get_by_role("button", name="Escalate").click()
        await desk.get_by_label("Reason, for the company alone").fill("They ask for a discount.")
        assert await each_look(desk) == []
        await desk.get_by_role("dialog").get_by_role("button", name="Escalate").click()
        await expect(desk.get_by_text("Maren Ostby escalated it.")).to_contain_text("They ask for a discount.")
        await expect(desk.get_by_role("button", name="Escalate")).to_have_count(0)

    async def test_queues_hold_what_they_say(self, manager: Manager) -> None:
        desk, tag = manager.page, new_id()[-8:]
        mine, free = f"Mine {tag}", f"Free {tag}"
        await opened(manager, free)
        await desk.goto(f"{manager.url}/desk/tickets/{await opened(manager, mine)}")
        await desk.get_by_role("button", name="Assign to me").click()
        await expect(desk.get_by_text("Maren Ostby gave it to Maren Ostby.")).to_be_visible()
        rows = desk.locator("tbody").get_by_role("rowheader").get_by_role("link")
        for queue, expected in (("mine", [mine]), ("nobody", [free]), ("all", [mine, free]), ("us", [])):
            await desk.goto(f"{manager.url}/desk/tickets?queue={queue}")
            await desk.get_by_label("Search number or text").fill(tag)
            if expected:
                await expect(rows).to_have_text(expected)
            else:
                await expect(desk.get_by_role("heading", name="Nothing found")).to_be_visible()
        await desk.goto(f"{manager.url}/desk/customers/{manager.customer}/tickets")
        await expect(rows).to_have_count(2)

    async def test_pages_have_no_violation(self, manager: Manager, contact: Page) -> None:
        found, ticket = {}, await opened(manager, "Boxes")
        await manager.client.make(f"/v1/tickets/{ticket}/replies", {"text": "Where to?"}, key=new_id())
        one = f"/desk/customers/{manager.customer}/tickets"
        for path in ("/desk/tickets", "/desk/tickets?queue=mine", f"/desk/tickets/{ticket}", one):
            await manager.page.goto(manager.url + path)
            await manager.page.get_by_role("heading", level=1).wait_for()
            await manager.page.wait_for_load_state("load")
            found[path] = await each_look(manager.page)
        for path in ("/support", "/support?q=none", "/support/new", f"/support/{ticket}"):
            await contact.goto(manager.url + path)
            await contact.get_by_role("heading", level=1).wait_for()
            found[path] = await each_look(contact)
        assert {path: some for path, some in found.items() if some} == {}


class TestMerge:
    async def test_leads_both_sides_to_the_other(self, manager: Manager, contact: Page) -> None:
        desk, tag = manager.page, new_id()[-6:]
        one, other = await opened(manager, f"Boxes {tag}"), await opened(manager, f"Labels {tag}")
        await opened(manager, f"Else {tag}")
        numbers = [(await manager.client.get(f"/v1/tickets/{each}"))["number"] for each in (one, other)]
        await contact.goto(f"{manager.url}/support/{one}")
        await desk.goto(f"{manager.url}/desk/tickets/{one}")
        await desk.get_by_role("button", name="Merge into …").click()
        dialog = desk.get_by_role("dialog")
        await expect(dialog.get_by_role("radio")).to_have_count(2)
        await dialog.get_by_role("button", name="Merge", exact=True).click()
        await expect(dialog.get_by_text("Choose the ticket that goes on.")).to_be_visible()
        await dialog.get_by_label("Find a ticket of").fill("labels")
        await expect(dialog.get_by_role("radio")).to_have_count(1)
        await dialog.get_by_label(f"Labels {tag}").check()
        await expect(dialog.get_by_text(f"{numbers[0]} closes, and {numbers[1]} waits for us.")).to_be_visible()
        assert await each_look(desk) == []
        await dialog.get_by_role("button", name="Merge", exact=True).click()
        await expect(desk.get_by_role("heading", level=1, name=f"Labels {tag}")).to_be_visible()
        await expect(desk.get_by_text("Maren Ostby merged another ticket into this one:")).to_contain_text(numbers[0])
        await shows(contact, "Closed")
        await expect(contact.get_by_text("Maren Ostby merged this ticket into")).to_contain_text(numbers[1])
        await expect(contact.get_by_text(f"What you write is added to {numbers[1]}.")).to_be_visible()
        assert await each_look(contact) == []
        await contact.get_by_role("link", name=f"Go on in {numbers[1]}").click()
        await reply(contact, "Both are about one order.")
        await expect(desk.get_by_text("Both are about one order.")).to_be_visible()
        assert await each_look(contact) == []
        await desk.get_by_role("complementary").get_by_role("link", name=numbers[0]).click()
        await expect(desk.get_by_role("button", name="Merge into …")).to_have_count(0)
        await expect(desk.get_by_role("link", name=f"Go on in {numbers[1]}")).to_be_visible()
        assert await each_look(desk) == []

    async def test_what_is_typed_meanwhile_goes_there(self, manager: Manager, contact: Page) -> None:
        one, other = await opened(manager, f"Late {new_id()[-6:]}"), await opened(manager, f"There {new_id()[-6:]}")
        await open_and_hear(contact, f"{manager.url}/support/{one}")
        await contact.get_by_label("Reply").fill("It came.")
        await manager.client.make(f"/v1/tickets/{one}/merge", {"into": other})
        await shows(contact, "Closed")
        await contact.get_by_role("button", name="Send reply").click()
        await expect(contact.get_by_role("heading", level=1, name=re.compile("^There"))).to_be_visible()
        await expect(contact.get_by_text("It came.")).to_be_visible()


class TestSavedReplies:
    async def test_are_written_chosen_and_deleted(self, manager: Manager) -> None:
        desk, title = manager.page, f"On its way {new_id()[-6:]}"
        await desk.goto(f"{manager.url}/desk/tickets")
        await desk.get_by_role("link", name="Saved replies").click()
        await expect(desk.get_by_role("heading", level=1, name="Saved replies")).to_be_visible()
        await desk.get_by_role("button", name="New saved reply").click()
        dialog = desk.get_by_role("dialog")
        await dialog.get_by_label("Title").fill(title)
        await dialog.get_by_label("Text").fill("Your order left our warehouse.")
        assert await each_look(desk) == []
        await dialog.get_by_role("button", name="Save").click()
        await expect(desk.get_by_role("row").filter(has_text=title)).to_contain_text("Your order left")
        await desk.get_by_role("button", name="New saved reply").click()
        await dialog.get_by_label("Title").fill(title.upper())
        await dialog.get_by_label("Text").fill("Again.")
        await dialog.get_by_role("button", name="Save").click()
        await expect(dialog.get_by_label("Title")).to_have_attribute("aria-invalid", "true")
        await dialog.get_by_role("button", name="Cancel").click()
        assert await each_look(desk) == []
        await desk.goto(f"{manager.url}/desk/tickets/{await opened(manager, 'Boxes')}")
        area = desk.get_by_label(re.compile("^Reply to"))
        await area.fill("Hello!\n\nBest, Maren")
        await area.evaluate("one => one.setSelectionRange(7, 7)")
        await desk.get_by_role("button", name="Saved replies").press("Enter")
        menu = desk.get_by_role("group", name="Saved replies")
        await expect(menu.get_by_role("button", name=title)).to_be_visible()
        assert await each_look(desk) == []
        await menu.get_by_role("button", name=title).press("Enter")
        await expect(menu).to_be_hidden()
        await expect(area).to_be_focused()
        await expect(area).to_have_value("Hello!\nYour order left our warehouse.\nBest, Maren")
        await desk.keyboard.type("!")
        await expect(area).to_have_value("Hello!\nYour order left our warehouse.!\nBest, Maren")
        await desk.goto(f"{manager.url}/desk/saved-replies")
        await desk.get_by_role("button", name=f"Change “{title}”").click()
        await dialog.get_by_label("Text").fill("It is with you tomorrow.")
        await dialog.get_by_role("button", name="Save").click()
        row = desk.get_by_role("row").filter(has_text=title)
        await expect(row).to_contain_text("It is with you tomorrow.")
        await desk.get_by_role("button", name=f"Delete “{title}”").click()
        await dialog.get_by_role("button", name="Delete").click()
        await expect(row).to_have_count(0)

    async def test_many_are_found_by_typing(self, manager: Manager) -> None:
        desk, tag = manager.page, new_id()[-6:]
        made = [
            await manager.client.make("/v1/saved-replies", {"title": f"Reply {n} {tag}", "text": f"Text {n}."})
            for n in range(11)
        ]
        await desk.goto(f"{manager.url}/desk/tickets/{await opened(manager, 'Boxes')}")
        await desk.get_by_role("button", name="Saved replies").click()
        menu = desk.get_by_role("group", name="Saved replies")
        await expect(menu.get_by_label("Find by words")).to_be_focused()
        await desk.keyboard.type(f"{tag} text 7.")
        await expect(menu.get_by_role("button")).to_have_count(1)
        assert await each_look(desk) == []
        await desk.keyboard.press("ArrowDown")
        await desk.keyboard.press("Enter")
        await expect(desk.get_by_label(re.compile("^Reply to"))).to_have_value("Text 7.")
        await desk.get_by_role("button", name="Saved replies").click()
        await desk.keyboard.press("Escape")
        await expect(desk.get_by_role("button", name="Saved replies")).to_be_focused()
        for one in made:
            await manager.client.ask("DELETE", f"/v1/saved-replies/{one['id']}")


def chosen(name: str, content: bytes) -> FilePayload:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}


async def downloaded(page: Page, name: str) -> tuple[str, bytes]:
    async with page.expect_download() as coming:
        await page.get_by_role("link", name=f"Download {name}").click()
    download = await coming.value
    path = await download.path()
    return download.suggested_filename, await asyncio.to_thread(path.read_bytes)


DROP = """([name, text]) => {
    const data = new DataTransfer();
    data.items.add(new File([text], name));
    const event = new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true});
    document.querySelector(".drop").dispatchEvent(event);
}"""
PLAN, SLIP = office(), pdf()


class TestFiles:
    async def test_reach_the_other_side_byte_for_byte(self, manager: Manager, contact: Page) -> None:
        desk, subject = manager.page, f"Files {new_id()[-6:]}"
        await contact.goto(f"{manager.url}/support/new")
        await contact.get_by_label("Choose files").set_input_files(
            [chosen("Año 1.pdf", SLIP), chosen("plan.xlsx", PLAN)]
        )
        await expect(contact.get_by_role("listitem").filter(has_text="plan.xlsx")).to_be_visible()
        await submit_when_sent(contact, subject)
        ticket = contact.url.rpartition("/")[2]
        await desk.goto(f"{manager.url}/desk/tickets/{ticket}")
        for page in (desk, contact):
            assert await downloaded(page, "Año 1.pdf") == ("Año 1.pdf", SLIP)
            assert await downloaded(page, "plan.xlsx") == ("plan.xlsx", PLAN)
        await desk.get_by_label("Choose files").set_input_files([chosen("answer.png", png())])
        await expect(desk.get_by_role("progressbar")).to_have_count(0)
        await reply(desk, "See the picture.")
        await expect(contact.get_by_role("link", name="Download answer.png")).to_be_visible()
        assert await downloaded(contact, "answer.png") == ("answer.png", png())
        assert contact.url.endswith(ticket)
        for page in (desk, contact):
            assert await each_look(page) == []

    async def test_are_dropped_refused_and_removed(self, manager: Manager, contact: Page) -> None:
        await contact.goto(f"{manager.url}/support/new")
        await contact.get_by_text("Drop files here, or").wait_for()
        await contact.evaluate(DROP, ["notes.txt", "Two boxes."])
        listed = contact.get_by_role("list", name="Files to send").get_by_role("listitem")
        await expect(listed).to_have_count(1)
        bad = [chosen("page.txt", PAGE), chosen("large.pdf", b"x" * (11 << 20))]
        await contact.get_by_label("Choose files").set_input_files(bad)
        await expect(
            contact.get_by_text("“page.txt” holds the beginning of a page or of another file.")
        ).to_be_visible()
        await expect(contact.get_by_text("“large.pdf” is larger than 10 MB.")).to_be_visible()
        await contact.get_by_label("Subject").fill("Boxes")
        await contact.get_by_label("Details").fill("See the notes.")
        await contact.get_by_role("button", name="Submit a Ticket").click()
        await expect(contact.get_by_text("A file could not be sent. Remove it, or try again.")).to_be_visible()
        assert await each_look(contact) == []
        for name in ("page.txt", "large.pdf"):
            await contact.get_by_role("button", name=f"Remove {name}").focus()
            await contact.keyboard.press("Enter")
            await expect(contact.get_by_label("Choose files")).to_be_focused()
        await expect(listed).to_have_count(1)
        await contact.get_by_role("button", name="Submit a Ticket").click()
        await expect(contact.get_by_role("link", name="Download notes.txt")).to_be_visible()

    async def test_are_ten_at_most(self, manager: Manager, contact: Page) -> None:
        await contact.goto(f"{manager.url}/support/new")
        files = [chosen(f"{place}.txt", b"a") for place in range(12)]
        await contact.get_by_label("Choose files").set_input_files(files)
        await expect(contact.get_by_role("list", name="Files to send").get_by_role("listitem")).to_have_count(10)
        await expect(contact.get_by_text("At most 10 files can be sent at a time.")).to_be_visible()
        await submit_when_sent(contact, f"Ten {new_id()[-6:]}")
        await expect(contact.get_by_role("link", name=re.compile("^Download"))).to_have_count(10)

    async def test_are_sent_again_after_a_cut(self, manager: Manager, contact: Page) -> None:
        await contact.goto(f"{manager.url}/support/new")
        await contact.route("**/v1/files", lambda route: route.abort(), times=1)
        await contact.get_by_label("Choose files").set_input_files([chosen("slip.pdf", SLIP)])
        await expect(contact.get_by_text("“slip.pdf” could not be sent.")).to_be_visible()
        await contact.get_by_role("button", name="Try again to send slip.pdf").click()
        await submit_when_sent(contact, f"Cut {new_id()[-6:]}")
        assert await downloaded(contact, "slip.pdf") == ("slip.pdf", SLIP)

    async def test_of_a_note_stay_at_the_desk(self, manager: Manager, contact: Page) -> None:
        desk, ticket = manager.page, await opened(manager, f"Note {new_id()[-6:]}")
        await desk.goto(f"{manager.url}/desk/tickets/{ticket}")
        await desk.get_by_label("Choose files").set_input_files([chosen("reply.pdf", SLIP)])
        await desk.get_by_role("button", name="Internal note").click()
        await expect(desk.get_by_role("button", name="Remove reply.pdf")).to_have_count(0)
        await desk.get_by_label("Choose files").set_input_files([chosen("ours.pdf", SLIP)])
        await desk.get_by_label("Note", exact=True).fill("For us.")
        await expect(desk.get_by_role("progressbar")).to_have_count(0)
        await desk.get_by_role("button", name="Add the note").click()
        await expect(desk.get_by_role("link", name="Download ours.pdf")).to_be_visible()
        await desk.get_by_role("button", name="Reply", exact=True).click()
        await expect(desk.get_by_role("button", name="Remove reply.pdf")).to_be_visible()  # it waits for its reply
        await contact.goto(f"{manager.url}/support/{ticket}")
        await expect(contact.get_by_text("For us.")).to_have_count(0)
        await expect(contact.get_by_role("link", name="Download ours.pdf")).to_have_count(0)


async def submit_when_sent(page: Page, subject: str) -> None:
    await expect(page.get_by_role("progressbar")).to_have_count(0)
    await submit(page, subject, "See the files.")


class TestQuestion:
    async def test_on_an_invoice_is_a_ticket(self, payer: Payer) -> None:
        page, invoice = payer.page, await issued(payer.client, payer.customer, 7_000)
        number = (await payer.client.get(f"/v1/invoices/{invoice}"))["number"]
        await page.goto(f"{payer.url}/invoices/{invoice}")
        await page.get_by_role("button", name="Ask a question").click()
        assert await each_look(page) == []
        await page.get_by_label("Your question").fill("What is the second line for?")
        await page.get_by_label("Choose files").set_input_files([chosen("slip.pdf", SLIP)])
        await expect(page.get_by_role("progressbar")).to_have_count(0)
        await page.get_by_role("button", name="Send the question").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text(number)
        await expect(page.get_by_text("What is the second line for?")).to_be_visible()
        assert await downloaded(page, "slip.pdf") == ("slip.pdf", SLIP)
        await page.get_by_role("complementary").get_by_role("link", name=number).click()
        await expect(page.get_by_role("heading", level=1, name=number)).to_be_visible()


LINES = ({"description": "Boxes", "unit_price_minor": 6_000}, {"description": "Freight", "unit_price_minor": 4_000})


class TestDispute:
    async def test_of_a_line_is_accepted(self, manager: Manager, contact: Page) -> None:
        invoice = await issued(manager.client, manager.customer, lines=LINES)
        number = (await manager.client.get(f"/v1/invoices/{invoice}"))["number"]
        await contact.goto(f"{manager.url}/invoices/{invoice}")
        await contact.get_by_role("button", name="Dispute line 2: Freight").click()
        dialog = contact.get_by_role("dialog")
        await expect(dialog.get_by_label("Amount of line 2 with tax, USD")).to_have_value("40.00")
        await expect(dialog.get_by_text("$40.00 is left out of reminders and autopay")).to_be_visible()
        await expect(dialog.get_by_text("You can pay the other $60.00 meanwhile.")).to_be_visible()
        await dialog.get_by_label("What is wrong").select_option(label="Wrong price")
        await dialog.get_by_role("button", name="Raise a dispute").click()
        await expect(dialog.get_by_label("Explain it")).to_have_attribute("aria-invalid", "true")
        assert await each_look(contact) == []
        await dialog.get_by_label("Explain it").fill("The freight is ours.")
        await dialog.get_by_role("button", name="Raise a dispute").click()
        await expect(contact.get_by_role("heading", level=1)).to_contain_text(number)
        beside = contact.get_by_role("complementary")
        await expect(beside.get_by_text("$40.00").first).to_be_visible()
        assert await each_look(contact) == []
        ticket = contact.url
        await contact.goto(f"{manager.url}/invoices")
        row = contact.get_by_role("row").filter(has_text=number)
        await expect(row.get_by_text("$40.00 in dispute")).to_be_visible()
        await row.get_by_role("link", name=number, exact=True).click()
        await expect(contact.get_by_role("heading", name="Disputes")).to_be_visible()
        assert await each_look(contact) == []
        await contact.get_by_role("link", name="Pay $60.00").click()
        await expect(contact.get_by_label(f"Amount for {number}")).to_have_value("60.00")
        desk = manager.page
        await desk.goto(f"{manager.url}/desk")
        await desk.get_by_role("navigation", name="Desk").get_by_role("link", name="Disputes").click()
        await expect(desk.get_by_role("row").filter(has_text=number)).to_contain_text("Wrong price")
        assert await each_look(desk) == []
        await desk.get_by_role("link", name=number).click()
        await desk.get_by_role("button", name="Look into it").click()
        await expect(desk.get_by_role("complementary").get_by_text("Under review")).to_be_visible()
        await desk.get_by_role("button", name="Accept").click()
        dialog = desk.get_by_role("dialog")
        await expect(dialog.get_by_text(f"$40.00 is credited to invoice {number}")).to_be_visible()
        assert await each_look(desk) == []
        await dialog.get_by_label("Your answer to the customer").fill("You are right.")
        await dialog.get_by_role("button", name="Accept").click()
        await expect(desk.get_by_role("complementary").get_by_text("Accepted")).to_be_visible()
        await expect(desk.get_by_text(re.compile("CN-[0-9]+"))).to_be_visible()
        await contact.goto(ticket)
        await expect(contact.get_by_text("You are right.")).to_be_visible()
        await expect(contact.get_by_text("All of it was taken off the invoice.")).to_be_visible()
        await contact.goto(f"{manager.url}/invoices/{invoice}")
        await expect(contact.get_by_text("A credit note took $40.00 off it.")).to_be_visible()
        await expect(contact.get_by_role("link", name="Pay $60.00")).to_be_visible()

    async def test_whole_invoice_is_left_out(self, manager: Manager, contact: Page) -> None:
        """Nothing that is in dispute is paid by somebody who does not say so."""
        number, other = f"INV-{new_id()}", f"INV-{new_id()}"
        invoice = await issued(manager.client, manager.customer, 5_000, number=number)
        await manager.client.invoice(manager.customer, 3_000, number=other)
        await manager.client.make(f"/v1/invoices/{invoice}/disputes", {"text": "Not ours."}, key=new_id())
        await manager.client.until(f"/v1/invoices/{invoice}", lambda one: one["disputed_minor"])
        await contact.goto(f"{manager.url}/invoices/{invoice}")
        await expect(contact.get_by_role("link", name="Pay the disputed $50.00")).to_be_visible()
        await expect(contact.get_by_role("rowheader").get_by_text("in dispute")).to_be_visible()
        await expect(contact.get_by_role("button", name="Raise a dispute")).to_have_count(0)
        assert await each_look(contact) == []
        await contact.goto(f"{manager.url}/pay")
        await contact.get_by_label("Choose all").check()
        await expect(contact.get_by_label(f"Pay {other}")).to_be_checked()
        await expect(contact.get_by_label(f"Pay {number}")).not_to_be_checked()

    async def test_is_rejected_with_an_answer(self, manager: Manager, contact: Page) -> None:
        invoice = await issued(manager.client, manager.customer, lines=LINES)
        made = await manager.client.make(f"/v1/invoices/{invoice}/disputes", {"text": "Not ours."}, key=new_id())
        await contact.goto(f"{manager.url}/support/{made['id']}")
        await expect(contact.get_by_text("Not ours.")).to_be_visible()
        await expect(contact.get_by_text("We have answered")).to_have_count(0)  # a program wrote for the customer
        desk = manager.page
        await desk.goto(f"{manager.url}/desk/tickets/{made['id']}")
        await expect(desk.get_by_role("button", name="Mark as solved")).to_have_count(0)
        await desk.get_by_role("button", name="Reject").click()
        dialog = desk.get_by_role("dialog")
        await dialog.get_by_label("Your answer to the customer").fill("Both boxes came.")
        await dialog.get_by_role("button", name="Reject").click()
        await expect(contact.get_by_text("Both boxes came.")).to_be_visible()
        await contact.goto(f"{manager.url}/invoices/{invoice}")
        await expect(contact.get_by_text("Reminders and autopay start again after")).to_be_visible()

    async def test_says_what_others_leave(self, manager: Manager, contact: Page) -> None:
        """A discount makes the total less than the lines."""
        lines = (*LINES, {"description": "Discount", "unit_price_minor": -2_000})
        invoice = await issued(manager.client, manager.customer, lines=lines)
        first = {"text": "Not ours.", "lines": [{"line": 1}]}
        await manager.client.make(f"/v1/invoices/{invoice}/disputes", first, key=new_id())
        await contact.goto(f"{manager.url}/invoices/{invoice}")
        await contact.get_by_role("button", name="Dispute line 2: Freight").click()
        dialog = contact.get_by_role("dialog")
        await expect(dialog.get_by_text("Of this invoice $20.00 can still be disputed.")).to_be_visible()
        await dialog.get_by_label("Explain it").fill("The freight is ours, too.")
        await dialog.get_by_role("button", name="Raise a dispute").click()
        await expect(dialog).to_be_visible()
        assert await each_look(contact) == []
        await dialog.get_by_label("Amount of line 2 with tax, USD").fill("20.00")
        await expect(dialog.get_by_text("can still be disputed")).to_have_count(0)
        await dialog.get_by_role("button", name="Raise a dispute").click()
        await expect(contact.get_by_role("complementary").get_by_text("$20.00").first).to_be_visible()

    async def test_is_withdrawn(self, manager: Manager, contact: Page) -> None:
        invoice = await issued(manager.client, manager.customer, lines=LINES)
        await contact.goto(f"{manager.url}/invoices/{invoice}")
        await contact.get_by_role("button", name="Raise a dispute").click()
        dialog = contact.get_by_role("dialog")
        await dialog.get_by_role("button", name="Single lines").click()
        await dialog.get_by_label("Explain it").fill("All of it.")
        await dialog.get_by_role("button", name="Raise a dispute").click()
        await expect(dialog.get_by_text("Choose the lines that are wrong")).to_be_visible()
        await dialog.get_by_role("button", name="The whole invoice").click()
        await dialog.get_by_role("button", name="Raise a dispute").click()
        await contact.get_by_role("button", name="Withdraw the dispute").click()
        await contact.get_by_role("dialog").get_by_role("button", name="Withdraw the dispute").click()
        await expect(contact.get_by_role("complementary").get_by_text("Withdrawn")).to_be_visible()
        await shows(contact, "Closed")


class TestPayment:
    async def test_that_failed_leads_to_a_ticket(self, payer: Payer) -> None:
        page, client = payer.page, payer.client
        invoice = await issued(client, payer.customer, 7_000)
        method = await client.method(payer.customer, "pm_card_visa_chargeDeclined")
        payment = await client.pay(await client.quote(payer.customer, method, invoice))
        await client.until(f"/v1/payments/{payment['id']}", lambda one: one["status"] == "declined")
        await page.goto(f"{payer.url}/payments/{payment['id']}")
        await page.get_by_role("link", name="Get help with this payment").click()
        await expect(page.get_by_label("Subject")).to_have_value(
            re.compile(rf"{payment['number']}.*did not go through")
        )
        await page.get_by_label("Details").fill("The card is fine.")
        await page.get_by_role("button", name="Submit a Ticket").click()
        beside = page.get_by_role("complementary")
        await expect(beside.get_by_role("link", name=payment["number"])).to_be_visible()
        found = await client.get(f"/v1/tickets?customer_id={payer.customer}")
        assert [(one["kind"], one["payment_id"]) for one in found["items"]] == [("payment", payment["id"])]


class TestError:
    async def test_fills_in_a_ticket(self, payer: Payer) -> None:
        page = payer.page
        await page.goto(f"{payer.url}/invoices/{new_id()}")
        request = re.sub("^Request ", "", await page.get_by_role("alert").get_by_text("Request").inner_text())
        await page.get_by_role("link", name="Submit a Ticket about it").click()
        await expect(page.get_by_label("Subject")).to_have_value(re.compile("An error on the page /invoices/"))
        await page.get_by_label("Details").fill("I clicked a link in a mail.")
        assert await each_look(page) == []
        await page.get_by_role("button", name="Submit a Ticket").click()
        written = page.get_by_role("article").filter(has_text="I clicked a link in a mail.")
        await expect(written).to_contain_text(f"Request: {request}")
        await expect(written).to_contain_text("Page: /invoices/")


class TestVisit:
    async def test_writes_for_the_customer(self, manager: Manager) -> None:
        visit = await look_as(manager)
        await visit.get_by_role("navigation", name="Main", exact=True).get_by_role("link", name="Support").click()
        await visit.get_by_role("link", name="Submit a Ticket").click()
        subject = f"For them {new_id()[-6:]}"
        await submit(visit, subject, "They called us.")
        written = visit.get_by_role("article").filter(has_text="They called us.")
        await expect(written).to_contain_text("for the customer")
        await expect(visit.get_by_role("button", name="Mark as solved")).to_have_count(0)
        found = await manager.client.get(f"/v1/tickets?customer_id={manager.customer}")
        assert [one["subject"] for one in found["items"]] == [subject]
