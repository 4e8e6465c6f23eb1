"""Sessions in a real Chromium, at an address without TLS: what it keeps and sends, what no foreign page can do."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Page

from contracts.ids import new_id
from tests.kit.client import Client
from tests.kit.mails import Catcher
from tests.kit.portal import codes_in, newest_code
from tests.kit.stack import LocalStack

LIGHT = "/docs/start.js"  # shown as text: nothing is run there
ASK = """async ([method, path, body, own]) => {
    const headers = {'Content-Type': 'application/json', ...(own ? {'Paidup-CSRF': '1'} : {})}
    const answer = await fetch(path, {method, headers, body: body && JSON.stringify(body)})
    return [answer.status, await answer.json().catch(() => null)]
}"""
HEAR = """path => new Promise((heard, broken) => {
    const events = new EventSource(path)
    events.onopen = () => { events.close(); heard('open') }
    events.onerror = () => { events.close(); heard('refused') }
})"""
FOREIGN_FORM = """([url]) => {
    const form = document.createElement('form')
    Object.assign(form, {method: 'POST', action: url, enctype: 'text/plain'})
    document.body.append(form)
    form.submit()
}"""


async def ask(page: Page, method: str, path: str, body: Any = None, *, own: bool = True) -> tuple[int, Any]:
    """As a page of Paidup does; without `own` it leaves the proof out."""
    status, answer = await page.evaluate(ASK, [method, path, body, own])
    return status, answer


@pytest_asyncio.fixture(params=["127.0.0.1", "localhost"])
async def page(request: pytest.FixtureRequest, stack: LocalStack, context: BrowserContext) -> AsyncIterator[Page]:
    """A light page of the gateway, by each name of this machine."""
    await context.clear_cookies()
    page = await context.new_page()
    await page.goto(stack.url.replace("127.0.0.1", request.param) + LIGHT)
    yield page
    await page.close()


async def sign_in(page: Page, stack: LocalStack, email: str) -> Any:
    catcher = Catcher(stack.settings.mail_url)
    before = len(codes_in(await catcher.mails(email)))
    assert (await ask(page, "POST", "/v1/sign-in/codes", {"email": email}))[0] == 202
    code = await newest_code(catcher, email, before)
    status, session = await ask(page, "POST", "/v1/sign-in/codes/verify", {"code": code})
    assert status == 200, session
    return session


@pytest_asyncio.fixture
async def customer(stack: LocalStack) -> tuple[str, str]:
    """A customer, and the address of its contact."""
    email = f"{new_id()}@example.com"
    async with Client(stack.url, stack.api_key) as client:
        made = await client.customer(email=email)
        await client.until(f"/v1/contacts?customer_id={made}", lambda found: found["items"])
    return made, email


class TestSession:
    async def test_is_kept_and_sent(self, page: Page, stack: LocalStack, customer: tuple[str, str]) -> None:
        session = await sign_in(page, stack, customer[1])
        assert session["customer"]["id"] == customer[0]
        kept = {cookie["name"]: cookie for cookie in await page.context.cookies()}
        assert kept["__Host-paidup-session"]["secure"]
        assert kept["__Host-paidup-session"]["httpOnly"]
        assert "paidup" not in await page.evaluate("document.cookie")
        await page.reload()
        assert (await ask(page, "GET", "/v1/session"))[0] == 200
        assert (await page.evaluate(HEAR, "/v1/events/stream")) == "open"

    async def test_ends_with_its_cookie(self, page: Page, stack: LocalStack, customer: tuple[str, str]) -> None:
        await sign_in(page, stack, customer[1])
        assert (await ask(page, "DELETE", "/v1/session"))[0] == 204
        assert (await ask(page, "GET", "/v1/session"))[0] == 401
        assert "__Host-paidup-session" not in {cookie["name"] for cookie in await page.context.cookies()}
        assert (await page.evaluate(HEAR, "/v1/events/stream")) == "refused"


class TestForeignPage:
    async def test_own_page_without_proof_is_refused(
        self, page: Page, stack: LocalStack, customer: tuple[str, str]
    ) -> None:
        await sign_in(page, stack, customer[1])
        status, answer = await ask(page, "DELETE", "/v1/session", own=False)
        assert (status, answer["type"]) == (403, "urn:paidup:problem:csrf")
        assert (await ask(page, "GET", "/v1/session"))[0] == 200

    async def test_form_of_another_site_changes_nothing(
        self, page: Page, stack: LocalStack, customer: tuple[str, str]
    ) -> None:
        await sign_in(page, stack, customer[1])
        ours = page.url.removesuffix(LIGHT)
        theirs = (
            ours.replace("localhost", "127.0.0.1") if "localhost" in ours else ours.replace("127.0.0.1", "localhost")
        )
        foreign = await page.context.new_page()
        await foreign.goto(theirs + LIGHT)
        async with foreign.expect_navigation() as navigated:
            await foreign.evaluate(FOREIGN_FORM, [f"{ours}/v1/sign-in/password"])
        answer = await (await navigated.value).json()  # type: ignore[union-attr]
        assert answer["type"] == "urn:paidup:problem:csrf"
        await foreign.close()


class TestVisit:
    async def test_cookie_goes_to_its_path_alone(
        self, page: Page, stack: LocalStack, customer: tuple[str, str]
    ) -> None:
        staff = f"{new_id()}@paidup.example"
        async with Client(stack.url, stack.api_key) as client:
            await client.make("/v1/staff", {"email": staff, "role": "account_manager"})
        await sign_in(page, stack, staff)
        status, visit = await ask(page, "POST", "/v1/visits", {"customer_id": customer[0], "reason": "asked for it"})
        assert status == 201
        status, seen = await ask(page, "GET", f"{visit['path']}v1/customers")
        assert (status, [each["id"] for each in seen["items"]]) == (200, [customer[0]])
        assert (await page.evaluate(HEAR, f"{visit['path']}v1/events/stream")) == "open"
        assert (await ask(page, "GET", f"/as/{new_id()}/v1/customers"))[0] == 401
        assert (await ask(page, "GET", "/v1/staff"))[0] == 200  # the manager's own session goes on beside it
