"""The texts of the catalogue: one folder for each kind of mail, one file for each language."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from jinja2 import ChainableUndefined, Environment, Template
from markupsafe import Markup

from notify.domain.catalogue import KINDS
from notify.rendering.formats import Formats

CATALOGUE = resources.files("notify") / "catalogue"
WORDS = "words"
BLANKS = re.compile(r"[ \t\r\n]+")  # not those that keep an amount on one line
LAYOUTS = ("layout.mjml", "layout.txt", "unsubscribe.html")


@dataclass(frozen=True, slots=True)
class Filled:
    """A mail's texts with everything filled in; what came out empty is left out.

    `quote`: what a person wrote, line by line.
    """

    subject: str
    title: str
    lines: tuple[str, ...]
    quote: tuple[str, ...]
    code: str
    button: str
    facts: tuple[tuple[str, str], ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Texts:
    """Every template, for HTML (escaped) and for text, read once when the process starts.

    `compiled`: those of the catalogue that were used. To compile one takes longer than to render a whole mail.
    """

    html: Environment
    plain: Environment
    layout: Template
    layout_of_text: Template
    stopping: Template
    found: Mapping[tuple[str, str], Mapping[str, Any]]
    languages: tuple[str, ...]
    compiled: dict[tuple[bool, str], Template] = field(default_factory=dict)

    @classmethod
    def load(cls) -> Texts:
        html = Environment(autoescape=True, undefined=ChainableUndefined)
        plain = Environment(autoescape=False, undefined=ChainableUndefined)  # noqa: S701 - for the text part, no HTML
        for each in (html, plain):
            each.trim_blocks = each.lstrip_blocks = True
            each.filters |= {name: getattr(Formats, name) for name in ("money", "day", "month", "moment")}
        languages = tuple(
            sorted(file.name.split(".")[1] for file in CATALOGUE.iterdir() if file.name.startswith(WORDS))
        )
        found = {(WORDS, one): _read(f"{WORDS}.{one}.toml") for one in languages}
        found |= {(kind.name, one): _read(f"{kind.name}/{one}.toml") for kind in KINDS for one in languages}
        mjml, text, page = ((CATALOGUE / f"{name}.jinja").read_text() for name in LAYOUTS)
        templates = (html.from_string(mjml), plain.from_string(text), html.from_string(page))
        return cls(html, plain, *templates, found, languages)

    def language(self, wished: str, of_company: Sequence[str]) -> str:
        """The reader's language if there are texts in it, else the company's first, else English."""
        return next((one for one in (wished, *of_company) if one in self.languages), "en")

    def words(self, language: str) -> Mapping[str, Any]:
        return self.found[WORDS, language]

    def line(self, template: str, values: Mapping[str, Any], *, escaped: bool) -> str:
        """One template of the catalogue filled in, on one line."""
        return _squeezed(self._filled(template, values, escaped=escaped), escaped=escaped)

    def lines(self, template: str, values: Mapping[str, Any], *, escaped: bool) -> tuple[str, ...]:
        """One template filled in, with the line breaks of its values."""
        parts = self._filled(template, values, escaped=escaped).splitlines()
        return tuple(filter(None, (_squeezed(part, escaped=escaped) for part in parts)))

    def _filled(self, template: str, values: Mapping[str, Any], *, escaped: bool) -> str:
        compiled = self.compiled.get((escaped, template))
        if compiled is None:
            compiled = (self.html if escaped else self.plain).from_string(template)
            self.compiled[escaped, template] = compiled
        return compiled.render(values)

    def page(self, wished: str, nonce: str) -> str:
        """The page that asks whether mails of a kind are to stop."""
        language = self.language(wished, ())
        return self.stopping.render(language=language, words=self.words(language), nonce=nonce)

    def fill(self, kind: str, language: str, values: Mapping[str, Any], *, escaped: bool) -> Filled:
        def text(template: str) -> str:
            return self.line(template, values, escaped=escaped)

        found = self.found[kind, language]
        facts = [(text(label), text(value)) for label, value in found.get("facts", ())]
        return Filled(
            subject=text(found["subject"]),
            title=text(found["title"]),
            lines=tuple(filter(None, map(text, found["lines"]))),
            quote=self.lines(found.get("quote", ""), values, escaped=escaped),
            code=text(found.get("code", "")),
            button=text(found.get("button", "")),
            facts=tuple((label, value) for label, value in facts if value),
            after=tuple(filter(None, map(text, found.get("after", ())))),
        )


def _squeezed(text: str, *, escaped: bool) -> str:
    squeezed = BLANKS.sub(" ", text).strip()
    return Markup(squeezed) if escaped else squeezed  # noqa: S704 - the environment has escaped every value


def _read(path: str) -> Mapping[str, Any]:
    return tomllib.loads((CATALOGUE / path).read_text())
