"""What a customer's own people see, and what there is to see."""

import datetime
from dataclasses import dataclass

from playwright.async_api import Page

from tests.kit.client import Client
from tests.shots.taking import each, shoot

NAME = "Brackenmoor & Tallis Marine Refrigeration Services (North Atlantic) Ltd."


@dataclass
class Seen:
    """What there is to see: a customer with invoices in each state."""

    invoice: str
    paid: str
    payment: str


async def seed(client: Client, customer: str, today: datetime.date) -> Seen:

    async def issue(number: int, minor: int, due_in: int, currency: str = "USD") -> str:
        due = today + datetime.timedelta(days=due_in)
        dates = {"issued_on": str(due - datetime.timedelta(days=30)), "due_on": str(due)}
        return await client.invoice(
            customer,
            minor,
            number=f"INV-{number}-{customer[-4:]}",
            currency=currency,
            po_number=f"PO 77-{number}",
            **dates,
        )

    late = [
        await issue(10_482 + 37 * n, minor, -days)
        for n, (minor, days) in enumerate(((412_875, 94), (146_000, 75), (731_520, 52), (109_435, 16)))
    ]
    for n, (minor, days) in enumerate(((987_440, 10), (48_600, 16), (1_532_085, 25))):
        await issue(10_634 + 9 * n, minor, days)
    await issue(10_627, 1_284_500, 2, "JPY")
    method = await client.method(customer)
    await client.method(customer, "pm_usBankAccount_success")
    await client.receive(customer, 50_000, late[1])
    payment = await client.pay(await client.quote(customer, method, late[3]))
    await client.paid(late[3])
    return Seen(late[0], late[3], payment["id"])


async def doors(page: Page, url: str, email: str) -> None:
    await page.goto(f"{url}/login")
    await shoot(page, "sign-in")
    await page.get_by_label("E-mail address").fill(email)
    await page.get_by_role("button", name="Send me a code").click()
    await page.get_by_label("Code from the e-mail").wait_for()
    await shoot(page, "sign-in-code")


async def pages(page: Page, url: str, seen: Seen) -> None:
    """All pages of a customer that a reader can go to."""
    plain = {
        "home": "/", "invoices": "/invoices", "invoices-open": "/invoices?tab=open",
        "invoices-empty": "/invoices?q=zzz",
        "invoice": f"/invoices/{seen.invoice}", "invoice-paid": f"/invoices/{seen.paid}", "to-pay": "/pay",
        "payment": f"/payments/{seen.payment}",
        "payments": "/payments",
        "account": "/account",
        "methods": "/account/methods",
        "method-add": "/account/methods/add",
        "sessions": "/account/sessions",
        "viewers": "/account/viewers",
        "password": "/account/password", "missing": "/nowhere",
    }  # fmt: skip
    await each(page, url, plain)
    await page.goto(f"{url}/pay")
    for row in (1, 2):
        await page.get_by_role("row").nth(row).get_by_role("checkbox").check()
    await page.get_by_role("button", name="Edit Amount").first.click()
    await shoot(page, "to-pay-chosen")
    await page.get_by_role("button", name="PAY SELECTED").click()
    await page.get_by_role("button", name="Pay $").wait_for()
    await shoot(page, "review")
    await page.get_by_role("button", name="Pay $").click()
    await page.get_by_role("dialog").wait_for()
    await shoot(page, "surcharge")
