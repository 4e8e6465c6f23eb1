"""An administrator looks after the company's people, its API keys, its settings, and what could not be handled."""

import base64
import dataclasses
import re
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from playwright.async_api import Locator, expect

from contracts.auth import UNNAMED
from contracts.ids import new_id
from tests.browser.conftest import Manager
from tests.kit.browser import VIEW
from tests.kit.looks import each_look
from tests.kit.pages import sign_in
from tests.kit.provider_sandbox import until
from tests.kit.stack import LocalStack

pytestmark = pytest.mark.asyncio(loop_scope="session")

PATHS = ("/desk/staff", "/desk/keys", "/desk/keys/new", "/desk/settings")
LOGO = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 10"><rect width="40" height="10" fill="#0e5358"/></svg>'
)


@pytest_asyncio.fixture(loop_scope="session")
async def administrator(manager: Manager) -> AsyncIterator[Manager]:
    """The same desk, where an administrator has signed in."""
    email = f"{new_id()}@paidup.example"
    await manager.client.make("/v1/staff", {"email": email, "name": "Ida Storm", "role": "administrator"})
    await manager.page.context.clear_cookies()
    await sign_in(manager.page, f"{manager.url}/desk", email, manager.catcher)
    await expect(manager.page.get_by_role("heading", level=1, name="Customers")).to_be_visible()
    yield dataclasses.replace(manager, email=email)


async def keys_of(client_url: str, key: str) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{client_url}/v1/invoices", headers={"Authorization": f"Bearer {key}"}) as answer,
    ):
        return answer.status


class TestStaff:
    async def test_somebody_is_invited_promoted_and_shut_out(self, administrator: Manager) -> None:
        page, email = administrator.page, f"{new_id()}@paidup.example"
        await page.get_by_role("navigation", name="Desk").get_by_role("link", name="Staff").click()
        await page.get_by_role("button", name="Invite somebody").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("E-mail address").fill(email)
        await dialog.get_by_label("Name").fill("Juno Arkwell")
        await dialog.get_by_role("button", name="Send the invitation").dblclick()
        await expect(page.get_by_role("status").filter(has_text=email)).to_be_visible()
        await administrator.catcher.until(email, lambda found: bool(found))
        row = page.get_by_role("row").filter(has_text=email)
        await expect(row).to_contain_text("Account manager")
        await row.get_by_role("button", name="Make administrator").click()
        await dialog.get_by_role("button", name="Make administrator").click()
        await expect(row).to_contain_text("Administrator")
        await row.get_by_role("button", name="Shut out").click()
        await expect(dialog).to_contain_text("logged out everywhere")
        await dialog.get_by_role("button", name="Shut out").click()
        await expect(row).to_contain_text("can’t log in")

    async def test_nobody_shuts_themselves_out(self, administrator: Manager) -> None:
        page = administrator.page
        await page.goto(f"{administrator.url}/desk/staff")
        own = page.get_by_role("row").filter(has_text=administrator.email)
        await expect(own).to_contain_text("You")
        await expect(own.get_by_role("button")).to_have_count(0)
        await expect(page.get_by_text("so one administrator always stays")).to_be_visible()


class TestKeys:
    async def test_one_is_made_shown_once_and_revoked(self, administrator: Manager) -> None:
        page, name = administrator.page, f"ERP {new_id()[-8:]}"
        asked = list[str]()
        page.on("request", lambda one: asked.append(one.url))
        await page.goto(f"{administrator.url}/desk/keys")
        await page.get_by_role("link", name="New key").click()
        await page.get_by_label("Label").fill(name)
        await page.get_by_role("button", name="Make the key").click()
        await expect(page.get_by_text("Choose at least one.")).to_be_visible()
        assert not any(url.endswith("/v1/customers/") for url in asked)
        await page.get_by_label("Read invoices").check()
        await page.get_by_role("button", name="Make the key").dblclick()
        await expect(page.get_by_role("heading", level=1, name="The key is made")).to_be_visible()
        key = await page.get_by_label(name).input_value()
        await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await page.get_by_role("button", name="Copy").click()
        assert await page.evaluate("navigator.clipboard.readText()") == key
        assert await keys_of(administrator.url, key) == 200
        await page.get_by_role("link", name="To the list of keys").click()
        row = page.get_by_role("row").filter(has_text=name)
        await expect(row).to_have_count(1)
        await expect(row).to_contain_text("Ida Storm")
        assert key not in await page.content()
        await row.get_by_role("button", name=f"Revoke {name}").click()
        await page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        await expect(row).to_contain_text("revoked")

        async def is_refused() -> bool:
            return await keys_of(administrator.url, key) == 401

        await until(is_refused, 20)  # the gateway has heard of it

    async def test_one_customers_key_begins_at_its_page(self, administrator: Manager) -> None:
        page = administrator.page
        await page.goto(f"{administrator.url}/desk/customers/{administrator.customer}")
        await page.get_by_role("link", name="Make an API key for this customer").click()
        await expect(page.get_by_text(f"It sees this customer alone: {administrator.name}")).to_be_visible()
        await page.get_by_label("Label").fill(name := f"Shop {new_id()[-8:]}")
        await page.get_by_label("Read invoices").check()
        await page.get_by_role("button", name="Make the key").click()
        await expect(page.get_by_role("heading", level=1, name="The key is made")).to_be_visible()
        made = (await administrator.client.get("/v1/api-keys"))["items"]
        assert [one["customer_id"] for one in made if one["name"] == name] == [administrator.customer]


class TestSettings:
    async def test_are_seen_before_and_at_once_after(self, administrator: Manager) -> None:
        page, name = administrator.page, f"Kestrel {new_id()[-6:]}"
        await page.goto(f"{administrator.url}/desk/settings")
        await page.get_by_label("Name of your company").fill(name)
        await page.get_by_label("Logo", exact=True).set_input_files(
            {"name": "logo.gif", "mimeType": "image/gif", "buffer": b"GIF89a"}
        )
        await expect(page.get_by_text("Choose an SVG or PNG file.")).to_be_visible()
        await page.get_by_label("Logo", exact=True).set_input_files(
            {"name": "logo.svg", "mimeType": "image/svg+xml", "buffer": LOGO}
        )
        await expect(page.get_by_role("img", name="The present logo")).to_be_visible()
        colour = page.get_by_label("Brand colour", exact=True)
        await colour.fill("#e8c200")
        await expect(page.get_by_text("White text can’t be read on this colour")).to_be_visible()
        await page.get_by_role("button", name="Save").click()
        await page.get_by_role("button", name="Take #").click()
        await expect(page.get_by_text("White text can’t be read on this colour")).to_have_count(0)
        better = await colour.input_value()
        preview = page.get_by_role("img", name="The portal and an e-mail on a light screen")
        assert await brand_of(preview) == better
        await expect(preview).to_contain_text(name)
        await page.set_viewport_size({"width": 320, "height": 900})
        assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
        await page.set_viewport_size(VIEW)
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_text("The sign-in page shows it from now on.")).to_be_visible()
        kept = await administrator.client.get("/v1/company")
        assert (kept["name"], kept["brand_colour"]) == (name, better)
        assert kept["logo"] == "data:image/svg+xml;base64," + base64.b64encode(LOGO).decode()
        await page.get_by_role("button", name="Log out").first.click()
        await expect(page.get_by_label("E-mail address")).to_be_visible()
        await page.goto(f"{administrator.url}/login")
        await expect(page.get_by_text(name).first).to_be_visible()
        back = {"name": UNNAMED, "logo": None, "brand_colour": "#0e5358"}
        status, answer = await administrator.client.ask("PUT", "/v1/company", back)
        assert status == 200, answer


async def brand_of(preview: Locator) -> str:
    """The colour of the button in a preview."""
    seen = await preview.locator(".btn").first.evaluate("one => getComputedStyle(one).backgroundColor")
    return "#" + "".join(f"{int(part):02x}" for part in re.findall(r"\d+", seen))


class TestSetAside:
    async def test_shows_what_to_do(self, manager: Manager, stack: LocalStack) -> None:
        page = manager.page
        async with AIOKafkaProducer(**stack.kafka()) as producer:
            await producer.send_and_wait("invoicing.customer.v1", b"not what it should be", key=b"nobody")
        await manager.client.until("/v1/dead-letters/payments", lambda found: bool(found["letters"]))
        await page.get_by_role("navigation", name="Desk").get_by_role("link", name="Dead letters").click()
        table = page.get_by_role("table", name="Events that payments could not handle")
        await expect(table).to_contain_text("invoicing.customer.v1")
        await expect(table).to_contain_text("can’t be read")
        await expect(table).to_contain_text('--reason "…" --service payments')
        assert await each_look(page) == []


class TestPages:
    async def test_have_no_violation(self, administrator: Manager) -> None:
        page, found = administrator.page, {}
        long = f"{'eleonore-' * 6}{new_id()[-8:]}@a-company-with-a-long-name.example"
        await administrator.client.make("/v1/staff", {"email": long, "role": "account_manager"})
        for path in (*PATHS, "/desk/failures"):
            await page.goto(administrator.url + path)
            await page.get_by_role("heading", level=1).wait_for()
            await page.wait_for_load_state("networkidle")
            found[path] = await each_look(page)
        await page.goto(f"{administrator.url}/desk/staff")
        await page.get_by_role("button", name="Invite somebody").click()
        found["invite"] = await each_look(page)
        assert {path: some for path, some in found.items() if some} == {}

    async def test_are_not_there_for_an_account_manager(self, manager: Manager) -> None:
        page = manager.page
        for path in PATHS:
            await page.goto(manager.url + path)
            await expect(page.get_by_role("heading", level=1)).to_have_text("There is nothing here")
        for name in ("Staff", "API keys", "Company settings"):
            await expect(page.get_by_role("link", name=name)).to_have_count(0)
