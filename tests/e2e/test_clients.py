"""Clients that are generated from the API's document pay an invoice."""

import json
import os
import pathlib
import subprocess

import pytest

from tests.kit import clients
from tests.kit.stack import LocalStack


def walk(stack: LocalStack, *command: str, cwd: pathlib.Path) -> str:
    done = subprocess.run(
        [*command, stack.url, stack.api_key], env={**os.environ, "PYTHONPATH": str(cwd)}, cwd=cwd,
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class TestGeneratedClients:
    def test_python_pays_an_invoice(self, stack: LocalStack, tmp_path: pathlib.Path) -> None:
        python, said = clients.python_client(tmp_path)
        assert "WARNING" not in said.upper()
        assert "paid 11149" in walk(stack, str(python), str(clients.HERE / "walk.py"), cwd=tmp_path)
        made = {path.stem.replace("_", "") for path in (tmp_path / "paidup_client/models").glob("*.py")}
        schemas = json.loads(clients.DOCUMENT.read_text())["components"]["schemas"]
        assert {name.lower() for name, schema in schemas.items() if schema["type"] == "object"} <= made

    def test_typescript_pays_an_invoice(self, stack: LocalStack, tmp_path: pathlib.Path) -> None:
        walks = clients.typescript_client(tmp_path)
        if isinstance(walks, str):
            pytest.skip(walks)
        assert "paid 11149" in walk(stack, "node", str(walks), cwd=tmp_path)
