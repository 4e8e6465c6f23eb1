"""What people do at the portal's pages."""

from playwright.async_api import Page

from tests.kit.mails import Catcher
from tests.kit.portal import CODE, codes_in


async def sign_in(page: Page, url: str, email: str, catcher: Catcher) -> None:
    """With the code of the newest mail, pasted with a space as people do."""
    before = len(codes_in(await catcher.mails(email)))
    await page.goto(url)
    await page.get_by_label("E-mail address").fill(email)
    await page.get_by_role("button", name="Send me a code").click()
    mails = await catcher.until(email, lambda found: len(codes_in(found)) > before)
    code = CODE.search(codes_in(mails)[0]["text"])
    assert code is not None
    await page.get_by_label("Code from the e-mail").fill(f"{code[0][:3]} {code[0][3:]}")
    await page.get_by_role("button", name="Log in").click()
