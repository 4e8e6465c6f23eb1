"""The catalogue of problems is what the code answers."""

import ast
import pathlib
import re
from collections.abc import Iterator

import pytest

from contracts.problems import PROBLEMS

SERVICES = pathlib.Path(__file__).parents[3] / "services"
KEBAB = re.compile("[a-z]+(-[a-z0-9]+)*")
REFUSALS = {"Refusal", "_refusal", "conflict"}
NOT_OVER_HTTP = {"invalid-command", "unknown-command", "unreadable-command"}  # of commands, answered on Kafka


def slugs() -> Iterator[tuple[str, str]]:
    """Each slug that stands in the code of the services, with its file."""
    for path in sorted(SERVICES.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                texts = [word.value for word in node.keywords if word.arg == "slug"]
                texts += node.args[:1] if name in REFUSALS else []
                for text in texts:
                    if isinstance(text, ast.Constant) and isinstance(text.value, str) and "_" not in text.value:
                        yield text.value, path.name


def statuses() -> Iterator[tuple[str, int]]:
    """Each refusal's slug, with the status that it has by itself."""
    for path in sorted(SERVICES.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Refusal":
                slug, said = node.args[0], {word.arg for word in node.keywords}
                if isinstance(slug, ast.Constant):
                    yield slug.value, 403 if "forbidden" in said else 409 if "conflict" in said else 422


class TestCatalogue:
    def test_has_every_slug(self) -> None:
        unknown = {slug: place for slug, place in slugs() if slug not in PROBLEMS}
        assert unknown.keys() - NOT_OVER_HTTP == set(), unknown

    def test_has_statuses_of_refusals(self) -> None:
        by_its_route = {"bad-signature"}  # 400
        known = [(slug, status) for slug, status in statuses() if slug not in NOT_OVER_HTTP | by_its_route]
        assert [(slug, status) for slug, status in known if status not in PROBLEMS[slug].statuses] == []

    def test_has_nothing_else(self) -> None:
        # "unavailable" is a default, and the framework's own refusals have their slugs from the status.
        assert PROBLEMS.keys() - {slug for slug, _ in slugs()} == {"unavailable"}

    @pytest.mark.parametrize("slug", PROBLEMS)
    def test_explains_each_kind_in_a_sentence(self, slug: str) -> None:
        assert KEBAB.fullmatch(slug)
        assert PROBLEMS[slug].meaning.endswith(".")
        assert all(400 <= status < 600 for status in PROBLEMS[slug].statuses)
