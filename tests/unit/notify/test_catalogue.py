"""Every mail of the catalogue, in every language."""

import re
import tomllib
from email import policy
from email.parser import BytesParser
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.colours import DARK_SHEET, LIGHT_SHEET, brand, contrast
from contracts.money import EXPONENTS
from notify.domain.catalogue import EVENTS, KINDS
from notify.rendering.formats import money
from notify.rendering.texts import CATALOGUE
from tests.kit.mail_samples import FACTS, PORTAL, SECRETS, TEXTS, composed, png
from tests.kit.mails import parts_of

EVERY = pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
LANGUAGES = pytest.mark.parametrize("language", TEXTS.languages)


LONG_LISTS = ["Ann, Bea, Carol, Dora, Emma, Fay, Gina, Hanna, Ida, Jo, ceo@rival.example, x", "A, " * 40]


class Shown(HTMLParser):
    """What a reader sees of a page, and where its links lead."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words, self.links, self._hidden = "", set[str](), False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden = tag in ("style", "title", "script")
        self.links |= {value for name, value in attrs if name == "href" and value}

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words += f" {data}"


def squeezed(text: str) -> str:
    return " ".join(text.split())


class TestEveryMail:
    def test_there_are_two_languages(self) -> None:
        assert TEXTS.languages == ("en", "es")

    def test_samples_are_of_all_kinds(self) -> None:
        assert set(FACTS) == {kind.name for kind in KINDS}

    @EVERY
    @LANGUAGES
    def test_text_and_html_say_the_same(self, kind: str, language: str) -> None:
        text, html = parts_of(composed(kind, language))
        seen = squeezed(Shown(html).words)
        for line in filter(None, map(squeezed, text.splitlines())):
            if line != "--" and not line.startswith("http") and PORTAL not in line:
                for part in line.rstrip(":").split(": ", 1):  # a label and its value are two cells
                    assert part in seen

    @EVERY
    @LANGUAGES
    def test_amount_invoice_and_link_are_named(self, kind: str, language: str) -> None:
        message = composed(kind, language)
        text, html = parts_of(message)
        facts = str(FACTS[kind])
        total = money(128_750 if "disputed" in facts else 125_000, "USD", language)
        for there, words in (
            ("amount_minor': 125000", total),
            ("'invoice_id'", "INV-1042"),
            ("'number'", FACTS[kind].get("number", "")),
        ):
            if there in facts:
                assert squeezed(words) in squeezed(text)
                assert squeezed(words) in squeezed(Shown(html).words)
        links = [line for line in text.splitlines() if line.startswith(PORTAL)]
        assert links
        assert set(links) <= Shown(html).links

    @LANGUAGES
    def test_link_of_auth_says_its_language(self, language: str) -> None:
        text, _ = parts_of(composed("invitation", language))
        assert f"{SECRETS['link']}?language={language}\n" in text

    @EVERY
    @LANGUAGES
    def test_nothing_is_left_unfilled(self, kind: str, language: str) -> None:
        message = composed(kind, language)
        text, html = parts_of(message)
        for one in (str(message["Subject"]), text, Shown(html).words):
            assert not re.search(r"\{\{|\}\}|\{%|None|Undefined|  ,", one)
        assert len(str(message["Subject"])) > 5

    @EVERY
    def test_languages_differ_in_each_text(self, kind: str) -> None:
        one, other = (tomllib.loads((CATALOGUE / f"{kind}/{name}.toml").read_text()) for name in ("en", "es"))
        assert one.keys() == other.keys()
        for english, spanish in zip(one["lines"], other["lines"], strict=True):
            assert english != spanish or english.startswith("{{ words.")
        assert one["title"] != other["title"]

    @EVERY
    def test_asks_nobody_but_the_portal(self, kind: str) -> None:
        _, html = parts_of(composed(kind, "en", logo=png()))
        hosts = set(re.findall(r"//([\w.-]+)", re.sub(r' xmlns(:\w+)?="[^"]*"', "", html)))
        assert hosts <= {urlsplit(PORTAL).netloc}

    @EVERY
    def test_letter_survives_its_way(self, kind: str) -> None:
        message = composed(kind, "es", company="Niño & Söhne", logo=png())
        again = BytesParser(policy=policy.default).parsebytes(message.as_bytes(policy=policy.SMTP))
        assert parts_of(again)[0].split() == parts_of(message)[0].split()
        assert [(one.display_name, one.addr_spec) for one in again["From"].addresses] == [
            ("Niño & Söhne", "billing@example.com")
        ]
        assert [part.get_content_type() for part in again.walk()][-1] == "image/png"


class TestHeaders:
    def test_group_can_be_stopped_by_one_click(self) -> None:
        message = composed("payment_received", "en")
        assert message["List-Unsubscribe"] == f"<{PORTAL}/v1/unsubscribe/words>"
        assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"

    def test_needed_mail_can_not_be_stopped(self) -> None:
        message = composed("returned", "en")
        assert message["List-Unsubscribe"] is None
        assert "unsubscribe" not in parts_of(message)[1]

    def test_answers_go_to_the_company(self) -> None:
        message = composed("code", "en")
        assert message["Reply-To"] == "Northwind <hello@example.com>"
        assert message["From"] == "Northwind <billing@example.com>"
        assert message["Auto-Submitted"] == "auto-generated"
        assert message["Content-Language"] == "en"

    def test_code_is_not_in_the_headers(self) -> None:
        message = composed("code", "en")
        assert SECRETS["code"] in parts_of(message)[0]
        assert not any(SECRETS["code"] in str(value) for value in message.values())

    @pytest.mark.parametrize(
        "name", ["Ann\r\nBcc: all@example.com", "=?utf-8?q?x?=", 'A "B" <c@d.e>', "ñ" * 100, *LONG_LISTS]
    )
    def test_name_begins_no_header(self, name: str) -> None:
        message = composed("code", "en", name=name)
        again = BytesParser(policy=policy.default).parsebytes(message.as_bytes(policy=policy.SMTP))
        assert again["Bcc"] is None
        assert [one.addr_spec for one in again["To"].addresses] == ["ann@example.com"]

    @pytest.mark.parametrize("name", LONG_LISTS)
    def test_company_stays_one_sender(self, name: str) -> None:
        message = composed("code", "en", company=name)
        again = BytesParser(policy=policy.default).parsebytes(message.as_bytes(policy=policy.SMTP))
        assert [one.addr_spec for one in again["From"].addresses] == ["billing@example.com"]

    @pytest.mark.parametrize("sign", ["\uffff", "\ufffe", "\x0b"])
    def test_sign_that_is_none_is_left_out(self, sign: str) -> None:
        _, html = parts_of(composed("code", "en", name=f"Ann{sign}Ng"))
        assert sign not in html

    def test_markup_in_a_name_is_shown(self) -> None:
        _, html = parts_of(composed("code", "en", name="<script>alert(1)</script>", company="A<b>&</b>"))
        assert "<script" not in html
        assert "<script>alert(1)</script>" in Shown(html).words
        assert "A<b>&</b>" in Shown(html).words

    @pytest.mark.parametrize(
        "logo", [None, "data:image/svg+xml;base64,AA==", "https://elsewhere/x.png", "data:image/png;base64,A"]
    )
    def test_name_stands_for_no_logo(self, logo: str | None) -> None:
        _, html = parts_of(composed("code", "en", logo=logo))
        assert "<img" not in html
        assert "Northwind" in Shown(html).words


class TestMoney:
    @given(st.integers(-(10**15), 10**15), st.sampled_from(sorted(EXPONENTS)), st.sampled_from(["en", "es"]))
    def test_every_digit_is_written(self, minor: int, currency: str, language: str) -> None:
        written = money(minor, currency, language)
        number = re.search(r"[0-9]([0-9.,]*[0-9])?", written)
        assert number is not None
        mark = {"en": ".", "es": ","}[language]
        whole, _, part = number[0].rpartition(mark) if EXPONENTS[currency] else (number[0], "", "")
        assert len(part) == EXPONENTS[currency]
        assert int(re.sub("[.,]", "", whole) + part) == abs(minor)
        assert (minor < 0) == ("-" in written)


class TestColours:
    @given(st.integers(0, 0xFFFFFF))
    def test_any_brand_can_be_read(self, colour: int) -> None:
        found = brand(f"#{colour:06x}")
        assert contrast(found.colour, LIGHT_SHEET) >= 4.5
        assert contrast(found.dark_colour, DARK_SHEET) >= 4.5
        assert contrast(found.on, found.colour) >= 4.5
        assert contrast(found.dark_on, found.dark_colour) >= 4.5

    def test_readable_brand_stays_as_it_is(self) -> None:
        assert brand("#0e5358").colour == "#0e5358"


def test_each_event_is_mailed_as_one_kind() -> None:
    assert len(EVENTS) == len(set(EVENTS))
