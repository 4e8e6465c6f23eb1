"""`make shots`: each page of the portal as pictures, at three widths and in both themes, into .local/shots."""

import asyncio
import datetime
import pathlib
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from playwright.async_api import Browser, Page, async_playwright

from contracts.ids import new_id
from paidup_local import business_clock
from tests.kit.browser import FLAGS, chromium
from tests.kit.client import Client
from tests.kit.mails import Catcher
from tests.kit.pages import sign_in
from tests.kit.stack import local_stack

OUT = pathlib.Path(__file__).parents[2] / ".local" / "shots"
WIDTHS, THEMES = (390, 1024, 1440), ("light", "dark")
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


async def shoot(page: Page, name: str) -> None:
    """The page at each width, in each theme."""
    for theme in THEMES:
        await page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        for width in WIDTHS:
            await page.set_viewport_size({"width": width, "height": 900})
            await page.wait_for_timeout(120)
            await page.screenshot(path=OUT / f"{name}-{width}-{theme}.png", full_page=True)


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


async def each(page: Page, url: str, paths: dict[str, str]) -> None:
    for name, path in paths.items():
        await page.goto(url + path)
        await page.locator("h1").first.wait_for()
        await page.wait_for_load_state("networkidle")
        await shoot(page, name)


async def desk(page: Page, url: str, customer: str, seen: Seen) -> None:
    """What an administrator of the company sees."""
    one, invoice = f"/desk/customers/{customer}", f"/desk/invoices/{seen.invoice}"
    plain = {
        "desk": "/desk", "desk-customer": one, "desk-customer-new": "/desk/customers/new",
        "desk-customer-change": f"{one}/change", "desk-invoices": f"{one}/invoices",
        "desk-invoice-new": f"{one}/invoices/new", "desk-visits": f"{one}/visits", "desk-invoice": invoice,
        "desk-staff": "/desk/staff", "desk-keys": "/desk/keys", "desk-key-new": "/desk/keys/new",
        "desk-settings": "/desk/settings", "desk-failures": "/desk/failures", "desk-mails": "/desk/mails",
    }  # fmt: skip
    await each(page, url, plain)
    await page.goto(url + one)
    await page.get_by_role("button", name="Change").first.click()
    await shoot(page, "desk-contact")
    await page.goto(url + invoice)
    await page.get_by_role("button", name="Void").click()
    await shoot(page, "desk-void")
    await page.goto(f"{url}/desk/staff")
    await page.get_by_role("button", name="Invite somebody").click()
    await shoot(page, "desk-invite")
    await page.goto(f"{url}/desk/settings")
    await page.get_by_label("Brand colour", exact=True).fill("#e8c200")
    await page.get_by_role("button", name="Take #").wait_for()
    await shoot(page, "desk-settings-unreadable")


async def doors(page: Page, url: str, email: str) -> None:
    await page.goto(f"{url}/login")
    await shoot(page, "sign-in")
    await page.get_by_label("E-mail address").fill(email)
    await page.get_by_role("button", name="Send me a code").click()
    await page.get_by_label("Code from the e-mail").wait_for()
    await shoot(page, "sign-in-code")


async def main(wanted: Callable[[Page, str, Seen], Awaitable[None]] = pages) -> None:
    program = chromium()
    if isinstance(program, str):
        sys.exit(program)
    OUT.mkdir(parents=True, exist_ok=True)
    with local_stack() as stack:
        async with Client(stack.url, stack.api_key) as client, async_playwright() as playwright:
            email = f"imke.dunmore.{new_id()[-4:]}@brackenmoor.example"
            customer = await client.customer_with_contact(NAME, email)
            seen = await seed(client, customer, business_clock.today(stack.settings))
            browser: Browser = await playwright.chromium.launch(executable_path=program, args=[*FLAGS])
            page = await (await browser.new_context()).new_page()
            await doors(page, stack.url, email)
            await sign_in(page, stack.url, email, Catcher(stack.settings.mail_url))
            await page.get_by_role("heading", name=NAME).wait_for()
            await wanted(page, stack.url, seen)
            staff = f"ida.storm.{new_id()[-4:]}@paidup.example"
            await client.make("/v1/staff", {"email": staff, "name": "Ida Storm", "role": "administrator"})
            page = await (await browser.new_context()).new_page()
            await sign_in(page, f"{stack.url}/desk", staff, Catcher(stack.settings.mail_url))
            await page.get_by_role("heading", name="Customers").wait_for()
            await desk(page, stack.url, customer, seen)
            await browser.close()
    print(f"{len(list(OUT.glob('*.png')))} pictures in {OUT}")


if __name__ == "__main__":
    asyncio.run(main())
