"""Each page of the portal: axe finds no violation of WCAG 2.2 AA, nothing is foreign, and all is small."""

import pathlib
import re

import pytest
from playwright.async_api import BrowserContext, Page

from contracts.ids import new_id
from tests.browser.conftest import Payer
from tests.kit.client import Client
from tests.kit.hearing import issued
from tests.kit.looks import each_look
from tests.kit.mails import Catcher
from tests.kit.pages import sign_in
from tests.kit.stack import LocalStack

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROOT = pathlib.Path(__file__).parents[2] / "services/gateway"
FIRST, CHUNK = 70_000, 30_000  # bytes of JavaScript, gzipped


class TestAccessibility:
    async def test_a_long_address_fits_a_phone(self, own_context: BrowserContext, stack: LocalStack) -> None:
        async with Client(stack.url, stack.api_key) as client:
            email = f"{'w' * 40}{new_id()[-12:]}@example.com"
            await client.customer_with_contact("Blue Fern Ltd", email)
            page = await own_context.new_page()
            await sign_in(page, stack.url, email, Catcher(stack.settings.mail_url))
            await page.get_by_role("heading", name="Blue Fern Ltd").wait_for()
            await page.goto(f"{stack.url}/account")
            await page.locator("h1").wait_for()
            assert await each_look(page) == []

    async def test_pages_of_a_customer(self, payer: Payer) -> None:
        page, client = payer.page, payer.client
        invoice = await issued(client, payer.customer, 7_000)
        payment = await client.receive(payer.customer, 2_000, invoice)
        found = {}
        lists = ("/", "/invoices", "/invoices?q=none", "/payments", "/nowhere")
        for path in (*lists, f"/invoices/{invoice}", f"/pay?invoice={invoice}", f"/payments/{payment['id']}"):
            await page.goto(payer.url + path)
            await page.locator("h1").first.wait_for()
            await page.wait_for_load_state("networkidle")
            found[path] = await each_look(page)
        await page.goto(f"{payer.url}/pay?invoice={invoice}")
        await page.get_by_role("button", name="Edit Amount").click()
        await page.get_by_label("Amount for").fill("90")
        found["edit amount"] = await each_look(page)
        await page.get_by_label("Amount for").fill("10")
        await page.get_by_role("button", name="PAY SELECTED").click()
        await page.get_by_role("button", name=re.compile(r"^Pay \$")).wait_for()
        found["review"] = await each_look(page)
        await page.get_by_role("button", name=re.compile(r"^Pay \$")).click()
        await page.get_by_role("dialog").wait_for()
        found["surcharge"] = await each_look(page)
        assert {name: some for name, some in found.items() if some} == {}

    async def test_pages_without_anything(self, payer: Payer) -> None:
        page, found = payer.page, {}
        for path in ("/", "/invoices", "/pay", "/payments"):
            await page.goto(payer.url + path)
            await page.locator("h1").first.wait_for()
            await page.wait_for_load_state("networkidle")
            found[path] = await each_look(page)
        await page.route("**/v1/payments?*", lambda route: route.abort())
        await page.goto(f"{payer.url}/payments")
        await page.get_by_role("button", name="Try again").wait_for()
        found["error"] = await each_look(page)
        await page.unroute("**/v1/payments?*")
        assert {name: some for name, some in found.items() if some} == {}

    async def test_pages_of_my_account(self, payer: Payer) -> None:
        page, found = payer.page, {}
        for path in ("", "/methods", "/methods/add?to=/pay/review", "/password", "/sessions", "/viewers"):
            await page.goto(f"{payer.url}/account{path}")
            await page.locator("h1").wait_for()
            await page.wait_for_load_state("networkidle")
            found[path] = await each_look(page)
        await page.goto(f"{payer.url}/account/methods")
        await page.get_by_role("switch", name="Autopay Future Invoices").click()
        await page.get_by_role("button", name=re.compile("^Delete")).click()
        await page.get_by_role("dialog").wait_for()
        found["choosing"] = await each_look(page)
        assert {name: some for name, some in found.items() if some} == {}

    async def test_pages_of_signing_in(self, payer: Payer) -> None:
        page, found, token = payer.page, {}, "x" * 22
        await page.context.clear_cookies()
        for path in (
            "login",
            "login/code",
            "login/password",
            "forgot",
            *(f"{one}/{token}" for one in ("invite", "i", "confirm", "reset")),
        ):
            await page.goto(f"{payer.url}/{path}")
            await page.locator("h1").wait_for()
            found[path] = await each_look(page)
        assert {name: some for name, some in found.items() if some} == {}


def sizes() -> dict[str, int]:
    """Bytes of each script, gzipped."""
    return {path.stem: path.stat().st_size for path in (ROOT / "gateway/portal/assets").glob("*.js.gz")}


async def scripts_of(page: Page, url: str) -> set[str]:
    """The names of the scripts that a page loads."""
    await page.goto(url)
    await page.wait_for_load_state("networkidle")
    loaded = await page.evaluate("performance.getEntriesByType('resource').map(one => one.name)")
    return {pathlib.Path(name).name for name in loaded if "/assets/" in name and name.endswith(".js")}


class TestSize:
    async def test_first_load_is_small(self, payer: Payer) -> None:
        first = await scripts_of(payer.page, payer.url)
        assert 20_000 < sum(size for name, size in sizes().items() if name in first) <= FIRST

    async def test_each_pages_own_chunk_is_small(self, payer: Payer) -> None:
        every_page = await scripts_of(payer.page, payer.url) & await scripts_of(payer.page, f"{payer.url}/invoices")
        own = {name: size for name, size in sizes().items() if name not in every_page}
        assert len(own) > 10
        assert {name: size for name, size in own.items() if size > CHUNK} == {}


class TestPrivacy:
    async def test_nothing_foreign_and_no_error(self, payer: Payer) -> None:
        page, asked, errors = payer.page, [], []
        page.on("request", lambda one: asked.append(one.url))
        page.on("console", lambda one: errors.append(one.text) if one.type == "error" else None)
        page.on("pageerror", lambda one: errors.append(str(one)))
        for path in ("/", "/invoices", "/pay", "/payments"):
            await page.goto(payer.url + path)
            await page.wait_for_load_state("networkidle")
        assert len(asked) > 20
        assert [url for url in asked if not url.startswith((payer.url, "data:"))] == []
        assert errors == []
