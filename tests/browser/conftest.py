"""One stack and one browser for all browser tests."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext

from tests.kit import browser
from tests.kit.stack import LocalStack, local_stack


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalStack]:
    with local_stack() as running:
        yield running


@pytest_asyncio.fixture(scope="session")
async def context() -> AsyncIterator[BrowserContext]:
    program = browser.chromium()
    if isinstance(program, str):
        pytest.skip(program)
    async with browser.browsing(program) as context:
        yield context
