"""The state machine of tests/unit/books, ten times as often and for longer."""

import asyncio
import os
import pathlib
import sys
from typing import Any

from tests.faults.load import WrongError

TESTS = pathlib.Path(__file__).parents[1]


async def two_books(examples: int, steps: int = 50) -> dict[str, Any]:
    """WrongError with the shortest sequence of steps after which payments and invoicing don't agree."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pytest", "-q", "--tb=short", str(TESTS / "unit" / "books"), cwd=TESTS.parent,
        env=os.environ | {"TWO_BOOKS": f"{examples}x{steps}"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    if process.returncode:
        raise WrongError(said.decode(errors="replace")[-2_000:])
    return {"examples": examples, "steps": steps}
