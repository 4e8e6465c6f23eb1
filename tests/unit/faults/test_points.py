"""The points at which processes are to die name code that is there."""

import ast
import pathlib
from collections.abc import Iterator

import pytest

from payments.providers.stripe_adapter import StripeAdapter
from tests.faults import autopay, crashes, disputes

SERVICES = pathlib.Path(__file__).parents[3] / "services"
POINTS = sorted({*crashes.EVERYWHERE, *autopay.STEPS, *(one for each in disputes.STEPS.values() for one in each)})


def functions(place: str) -> Iterator[str]:
    """Every function of a module, as `inside` names it: of a service, or of the chassis without its name."""
    path = place.replace(".", "/")
    service = place.partition(".")[0]
    for file in (SERVICES / service / f"{path}.py", SERVICES / "chassis" / f"{path}.py"):
        if file.exists():
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.AsyncFunctionDef):
                    yield node.name


@pytest.mark.parametrize("point", [one for one in POINTS if one.startswith("commit ")])
def test_commit_names_a_function(point: str) -> None:
    place, _, name = point.split()[1].rpartition(".")
    assert name in set(functions(place)), f"{place} has no {name}: name the function that commits now"


@pytest.mark.parametrize("point", [one for one in POINTS if one.startswith("provider ")])
def test_call_names_a_method(point: str) -> None:
    assert hasattr(StripeAdapter, point.split()[1])
