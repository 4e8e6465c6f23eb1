"""What an administrator of the company sees."""

from playwright.async_api import Page

from tests.shots.portal import Seen
from tests.shots.taking import each, shoot


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
