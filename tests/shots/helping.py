"""Tickets, as the customer and the desk see them."""

from dataclasses import dataclass

from playwright.async_api import FilePayload, Page

from contracts.ids import new_id
from tests.kit.client import Client
from tests.kit.files import PAGE, pdf
from tests.shots.portal import Seen
from tests.shots.taking import each, go, shoot


@dataclass
class Helped:
    ticket: str
    declined: str
    disputed: str
    dispute: str


async def seed(client: Client, customer: str, seen: Seen) -> Helped:
    """A ticket with a note and an answer, others beside it in the lists, and a payment that did not go through."""

    async def open_one(subject: str, details: str, **more: str) -> str:
        body = {"customer_id": customer, "subject": subject, "details": details, **more}
        return str((await client.make("/v1/tickets", body, key=new_id()))["id"])

    solved = await open_one("A copy of last year’s invoices", "Please send them as one file.")
    await client.make(f"/v1/tickets/{solved}/solve")
    await open_one("New address from December on", "We move to 12 Harbour Street.")
    details = "The delivery note says one box.\n\nPlease correct it."
    ticket = await open_one("Two boxes were billed, one came", details, invoice_id=seen.invoice)
    for text, internal in (("The warehouse says that two were sent.", True), ("We look into it.", False)):
        files = [
            await client.send_file(name, pdf(b"x" * 90_000)) for name in ("Delivery note 4711.pdf", "Port slip.pdf")
        ]
        body = {"text": text, "internal": internal, "file_ids": files}
        await client.make(f"/v1/tickets/{ticket}/replies", body, key=new_id())
    bad = await client.method(customer, "pm_card_visa_chargeDeclined")
    declined = await client.pay(await client.quote(customer, bad, await client.invoice(customer, 7_000)))
    await client.until(f"/v1/payments/{declined['id']}", lambda one: one["status"] == "declined")
    lines = [
        {"description": "Platform, November", "unit_price_minor": 60_000, "tax_rate": "0.07"},
        {"description": "Freight from Rotterdam", "unit_price_minor": 12_000, "tax_rate": "0.07"},
    ]
    disputed = await client.invoice(customer, lines=lines, number="INV-10702")
    body = {"text": "We collected the goods.", "category": "wrong_price", "lines": [{"line": 2}]}
    raised = await client.make(f"/v1/invoices/{disputed}/disputes", body, key=new_id())
    await client.until(f"/v1/invoices/{disputed}", lambda one: one["disputed_minor"])
    return Helped(ticket, declined["id"], disputed, raised["id"])


async def portal(page: Page, url: str, seen: Seen, helped: Helped) -> None:
    error = "at=2026-11-17T19:11:07Z&page=/invoices?tab=open&request=req_3kq7f0v2m9"
    plain = {
        "support": "/support", "support-empty": "/support?q=zzz", "ticket": f"/support/{helped.ticket}",
        "ticket-new": "/support/new", "ticket-payment": f"/support/new?payment={helped.declined}",
        "ticket-error": f"/support/new?{error}", "payment-declined": f"/payments/{helped.declined}",
    }  # fmt: skip
    await each(page, url, plain)
    await each(page, url, {"invoice-disputed": f"/invoices/{helped.disputed}", "dispute": f"/support/{helped.dispute}"})
    await go(page, f"{url}/invoices/{seen.invoice}")
    await page.get_by_role("button", name="Raise a dispute").click()
    await page.get_by_role("button", name="Single lines").click()
    await page.get_by_role("dialog").get_by_role("checkbox").first.check()
    await shoot(page, "invoice-dispute")
    await go(page, f"{url}/support/new")
    await page.get_by_role("button", name="Submit a Ticket").click()
    await shoot(page, "ticket-refused")
    files: list[FilePayload] = [
        {"name": name, "mimeType": "application/pdf", "buffer": content}
        for name, content in (("Delivery note 4711.pdf", pdf()), ("page.pdf", PAGE), ("large.pdf", b"x" * (11 << 20)))
    ]
    await page.get_by_label("Choose files").set_input_files(files)
    await page.get_by_text("“page.pdf”").wait_for()
    await shoot(page, "ticket-files")
    await go(page, f"{url}/invoices/{seen.invoice}")
    await page.get_by_role("button", name="Ask a question").click()
    await shoot(page, "invoice-question")


async def desk(page: Page, url: str, customer: str, helped: Helped) -> None:
    plain = {
        "desk-tickets": "/desk/tickets?queue=all", "desk-tickets-none": "/desk/tickets?queue=mine",
        "desk-ticket": f"/desk/tickets/{helped.ticket}", "desk-customer-tickets": f"/desk/customers/{customer}/tickets",
    }  # fmt: skip
    await each(page, url, plain)
    await each(page, url, {"desk-disputes": "/desk/disputes", "desk-dispute": f"/desk/tickets/{helped.dispute}"})
    await page.get_by_role("button", name="Accept").click()
    await shoot(page, "desk-dispute-accept")
    await go(page, f"{url}/desk/tickets/{helped.ticket}")
    await page.get_by_role("button", name="Internal note").click()
    await shoot(page, "desk-ticket-note")
    await page.get_by_role("button", name="Assign …").click()
    await page.get_by_role("dialog").wait_for()
    await shoot(page, "desk-ticket-assign")
