"""What people do at the portal's pages."""

from contextlib import suppress

from playwright.async_api import Error, Page, Route

from tests.kit.mails import Catcher
from tests.kit.portal import codes_in, newest_code


async def sign_in(page: Page, url: str, email: str, catcher: Catcher) -> None:
    """With the code of the newest mail, pasted with a space as people do."""
    before = len(codes_in(await catcher.mails(email)))
    await page.goto(url)
    await page.get_by_label("E-mail address").fill(email)
    await page.get_by_role("button", name="Send me a code").click()
    code = await newest_code(catcher, email, before)
    await page.get_by_label("Code from the e-mail").fill(f"{code[:3]} {code[3:]}")
    await page.get_by_role("button", name="Log in").click()


async def lose_the_reply(route: Route) -> None:
    """The request arrives, its answer does not."""
    await route.fetch()
    with suppress(Error):  # the page was loaded anew meanwhile
        await route.abort()
