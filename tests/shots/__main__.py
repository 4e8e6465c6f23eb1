"""`make shots`: each page of the portal as pictures, at three widths and in both themes, into .local/shots.

Names of groups, as `python -m tests.shots books`, make these alone: doors, portal, desk, books, help.
"""

import asyncio
import sys

from playwright.async_api import async_playwright

from contracts.ids import new_id
from paidup_local import business_clock
from tests.kit.browser import FLAGS, chromium
from tests.kit.client import Client
from tests.kit.mails import Catcher
from tests.kit.pages import sign_in
from tests.kit.stack import local_stack
from tests.shots import books, desk, helping, portal
from tests.shots.taking import OUT


async def main(wanted: set[str]) -> None:
    program = chromium()
    if isinstance(program, str):
        sys.exit(program)
    OUT.mkdir(parents=True, exist_ok=True)
    with local_stack() as stack:
        async with Client(stack.url, stack.api_key) as client, async_playwright() as playwright:
            email = f"imke.dunmore.{new_id()[-4:]}@brackenmoor.example"
            customer = await client.customer_with_contact(portal.NAME, email)
            seen = await portal.seed(client, customer, business_clock.today(stack.settings))
            browser = await playwright.chromium.launch(executable_path=program, args=[*FLAGS])
            page = await (await browser.new_context()).new_page()
            if "doors" in wanted:
                await portal.doors(page, stack.url, email)
            if wanted & {"portal", "help"}:
                await sign_in(page, stack.url, email, Catcher(stack.settings.mail_url))
                await page.get_by_role("heading", name=portal.NAME).wait_for()
            if "portal" in wanted:
                await portal.pages(page, stack.url, seen)
            if "help" in wanted:
                helped = await helping.seed(client, customer, seen)
                await helping.portal(page, stack.url, seen, helped)
            staff = f"ida.storm.{new_id()[-4:]}@paidup.example"
            await client.make("/v1/staff", {"email": staff, "name": "Ida Storm", "role": "administrator"})
            page = await (await browser.new_context()).new_page()
            await sign_in(page, f"{stack.url}/desk", staff, Catcher(stack.settings.mail_url))
            await page.get_by_role("heading", name="Customers").wait_for()
            if "desk" in wanted:
                await desk.desk(page, stack.url, customer, seen)
            if "books" in wanted:
                await books.receipts(page, stack.url, client, customer)
                await books.bank(page, stack.url, client, customer, seen)
            if "help" in wanted:
                await helping.desk(page, stack.url, customer, helped)
            await browser.close()
    print(f"{len(list(OUT.glob('*.png')))} pictures in {OUT}")


if __name__ == "__main__":
    asyncio.run(main(set(sys.argv[1:]) or {"doors", "portal", "desk", "books", "help"}))
