"""The committed OpenAPI document is the one that the services' code gives."""

import pathlib
import runpy

import pytest

ROOT = pathlib.Path(__file__).parents[3]


@pytest.fixture(scope="module")
def written() -> str:
    text: str = runpy.run_path(str(ROOT / "deploy" / "openapi.py"))["text"]()
    return text


def test_the_committed_document_is_current(written: str) -> None:
    assert (ROOT / "contracts" / "openapi.json").read_text() == written, "run `make schemas`"
