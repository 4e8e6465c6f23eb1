"""One stack for all end-to-end tests."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.kit.client import Client
from tests.kit.stack import LocalStack, local_stack


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalStack]:
    with local_stack() as running:
        yield running


@pytest_asyncio.fixture
async def client(stack: LocalStack) -> AsyncIterator[Client]:
    async with Client(stack.url, stack.api_key) as client:
        yield client


@pytest.fixture(scope="session")
def moving_stack() -> Iterator[LocalStack]:
    """Another stack, for tests that move the clock."""
    with local_stack() as running:
        yield running


@pytest_asyncio.fixture
async def moving(moving_stack: LocalStack) -> AsyncIterator[Client]:
    async with Client(moving_stack.url, moving_stack.api_key) as client:
        yield client
