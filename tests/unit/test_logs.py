"""Logging that fails: whatever happens to a line, who logs goes on."""

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from chassis import logs


class Full(io.StringIO):
    """A stream whose disk is full until the test frees it."""

    error: Exception | None = OSError(28, "No space left on device")

    def write(self, text: str) -> int:
        if self.error:
            raise self.error
        return super().write(text)


@pytest.fixture
def stdout(monkeypatch: pytest.MonkeyPatch) -> Iterator[Full]:
    out, root = Full(), logging.getLogger()
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr(logging, "raiseExceptions", True)
    before, handlers, level = structlog.get_config(), root.handlers[:], root.level
    logs.configure("info")
    yield out
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)


class Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


class TestLogging:
    @pytest.mark.parametrize(
        "error", [OSError(28, "full"), BrokenPipeError(), ValueError("closed file"), RuntimeError("any")], ids=repr
    )
    def test_stream_that_fails_raises_nothing(self, stdout: Full, error: Exception) -> None:
        stdout.error = error
        structlog.get_logger().error("first", one=1)
        logging.getLogger("aiokafka").error("second %s", 2)
        stdout.error = None
        structlog.get_logger().error("third")
        said = [json.loads(line) for line in stdout.getvalue().splitlines() if line]
        assert [line["event"] for line in said] == ["log lines were lost", "third"]
        assert said[0]["count"] == 2

    @pytest.mark.parametrize(
        "say",
        [
            lambda log: log.error("a value", it=Unspeakable()),
            lambda log: log.warning("an argument %d", "one"),
            lambda log: log.error("an error", exc_info=type("E", (Exception,), {"__str__": Unspeakable.__str__})()),
            lambda log: log.info("a lone half \ud800 of a character"),
            lambda log: log.error("deep", it={"it": [[[[[[b"\xff"]]]]]]}),
        ],
    )
    def test_line_that_cannot_be_made(self, stdout: Full, say: Callable[[Any], None]) -> None:
        stdout.error = None
        say(structlog.get_logger())
        assert json.loads(stdout.getvalue())["event"]

    def test_foreign_line_that_cannot_be_made(self, stdout: Full) -> None:
        stdout.error = None
        logging.getLogger("uvicorn.error").error("%d", "one")
        logging.getLogger("uvicorn.error").error("%s", Unspeakable())
        logging.getLogger("uvicorn.error").error("good")
        assert "good" in stdout.getvalue()

    def test_process_outlives_its_full_log(self) -> None:
        program = (
            "import structlog; from chassis import logs; logs.configure('info');"
            "[structlog.get_logger().error('x' * 5000) for _ in range(9)]; import os; os.write(2, b'alive')"
        )
        with open("/dev/full", "wb") as full:
            ran = subprocess.run(
                [sys.executable, "-c", program], stdout=full, stderr=subprocess.PIPE, env=os.environ | UNBUFFERED
            )
        assert ran.stderr.startswith(b"alive")


UNBUFFERED = {"PYTHONUNBUFFERED": "1"}
