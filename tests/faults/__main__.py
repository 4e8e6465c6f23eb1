"""`make faults`: breaks a stack of its own in one way after another; each time, money and payments have to hold.

`FAULTS_SCALE` (1.0) scales the counts, `FAULTS_ONLY` names some of them, by commas.
"""

import asyncio
import json
import os
import pathlib
import random
import sys
import tempfile
import time
from typing import Any

from tests.faults import afterwards, attacks, autopay, disputes, mails, scenarios
from tests.faults.load import WrongError
from tests.faults.scenarios import Run
from tests.kit.client import Client
from tests.kit.stack import LocalStack, local_stack

SEED = 20260301
SCENARIOS = (
    scenarios.SCENARIOS
    | afterwards.SCENARIOS
    | autopay.SCENARIOS
    | attacks.SCENARIOS
    | mails.SCENARIOS
    | disputes.SCENARIOS
)

INSIDE = pathlib.Path(__file__).parent / "inside"


FORGED: set[str] = set()  # of all scenarios: they share a stack


async def one(stack: LocalStack, orders: pathlib.Path, name: str, scale: float) -> dict[str, Any]:
    """Run a scenario; a broken promise is in its answer, not raised."""
    began = time.monotonic()
    async with Client(stack.url, stack.api_key) as client:
        figures: dict[str, Any]
        try:
            figures = {"ok": True} | await SCENARIOS[name](
                Run(stack, client, scale, random.Random(f"{SEED}{name}"), orders, FORGED)
            )
        except (Exception, BaseExceptionGroup) as error:
            figures = {"ok": False, "why": "; ".join(_reasons(error))}
    return {"name": name, "seconds": round(time.monotonic() - began, 1)} | figures


def _reasons(error: BaseException) -> list[str]:
    if isinstance(error, BaseExceptionGroup):
        return [reason for inner in error.exceptions for reason in _reasons(inner)]
    return [str(error) if isinstance(error, WrongError) else repr(error)]


def _line(done: dict[str, Any]) -> str:
    shown = [f"{key} {value}" for key, value in done.items() if key not in ("name", "ok")]
    return f"{'holds' if done['ok'] else 'BROKEN':7}{done['name']:17}{', '.join(shown)}"


def _inside(orders: str) -> dict[str, str]:
    """What puts `inside` into each process of the stack, and tells it where its orders are."""
    path = [str(INSIDE), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, path)), "FAULTS_ORDERS": orders}


def main() -> None:
    scale = float(os.environ.get("FAULTS_SCALE", "1"))
    names = [name for name in os.environ.get("FAULTS_ONLY", "").split(",") if name] or list(SCENARIOS)
    if unknown := set(names) - set(SCENARIOS):
        sys.exit(f"There is no scenario {', '.join(unknown)}. Remedy: some of {', '.join(SCENARIOS)}")
    done: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder, local_stack(extra=_inside(folder)) as stack:
        for name in names:
            done.append(asyncio.run(one(stack, pathlib.Path(folder), name, scale)))
            print(_line(done[-1]), flush=True)
    ok = all(each["ok"] for each in done)
    print(json.dumps({"ok": ok, "scenarios": done}))
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
