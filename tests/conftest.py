"""End-to-end and browser tests wait for a stack most of the time: each folder runs in a process of its own."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name in {"e2e", "browser"}:
            item.add_marker(pytest.mark.xdist_group(item.path.parent.name))
