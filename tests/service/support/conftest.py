"""What tests of support share."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio

from tests.kit.supporting import Help, help_of


@pytest_asyncio.fixture(scope="module")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Help]:
    async with help_of(tmp_path_factory.mktemp("support")) as made:
        yield made


@pytest.fixture
def desk(whole: Help) -> Help:
    """Support, with the business clock at the real time."""
    whole.move(timedelta())
    return whole
