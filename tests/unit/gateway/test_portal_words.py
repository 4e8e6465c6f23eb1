"""The portal has a sentence for each code that the API answers, so that nobody reads a code or English in Spanish."""

import json
import pathlib
import re
from typing import Any

import pytest

from contracts.problems import PROBLEMS
from contracts.words import WORDS as FAULTS
from invoicing.timeline import WORDS as INVOICE
from payments.collecting.domain import timeline
from payments.exceptions.domain import OF_CLASS, REMEDIES, remedy
from payments.providers.data_files import CODES

FOLDER = pathlib.Path(__file__).parents[3] / "services/gateway/web/src/words"
DOCUMENT = pathlib.Path(__file__).parents[3] / "contracts/openapi.json"


def sentences(language: str) -> Any:
    return json.loads((FOLDER / f"api.{language}.json").read_text())


class TestProblems:
    def test_each_of_the_document_has_spanish(self) -> None:
        named = set(re.findall(r"- `([a-z0-9-]+)`: ", DOCUMENT.read_text()))
        assert len(named) > 100
        assert named | PROBLEMS.keys() == sentences("es")["problem"].keys(), "add its sentence to words/api.es.json"

    def test_faults_of_fields_are_ones_of_ours(self) -> None:
        known = {code.replace("_", "-") for code in (*FAULTS, "string_pattern_mismatch")}
        assert sentences("es")["fault"].keys() <= known


@pytest.mark.parametrize("language", ["en", "es"])
class TestTimelines:
    def test_of_an_invoice_have_each_line(self, language: str) -> None:
        assert sentences(language)["invoice"].keys() == INVOICE.keys()

    def test_of_a_payment_have_each_event(self, language: str) -> None:
        events = {re.sub("(?<!^)(?=[A-Z])", "_", one.removeprefix("Payment")).lower() for one in timeline.WORDS}
        events |= {re.sub("(?<!^)(?=[A-Z])", "_", one.removeprefix("Payment")).lower() for one in timeline.BACK}
        events |= {f"gone_by_{kind}" for kind in timeline.GONE}
        events |= {f"{how}_{reason}" for how in ("declined", "cancelled") for reason in timeline.REASONS}
        assert events <= sentences(language)["payment"].keys()

    def test_of_a_payment_have_what_comes_next(self, language: str) -> None:
        source = pathlib.Path(timeline.__file__).read_text().partition("def next_step")[2]
        codes = set(re.findall(r'(?:say|plain)\(\s*"([a-z_]+)"', source))
        assert {"bank_confirms", "pay_again", "method_lost", "confirm_new_quote"} < codes
        codes |= {f"pay_again_{reason}" for reason in timeline.AGAIN}
        assert codes <= sentences(language)["next"].keys()

    def test_of_a_payment_have_each_reason(self, language: str) -> None:
        reasons = {one.code for one in CODES} | timeline.REASONS.keys() | timeline.REFUSED.keys()
        assert reasons <= sentences(language)["reason"].keys()


@pytest.mark.parametrize("language", ["en", "es"])
def test_exceptions_have_each_remedy(language: str) -> None:
    codes = {remedy(about, "missing_here").code for about in REMEDIES} | {remedy(*one).code for one in OF_CLASS}
    assert sentences(language)["remedy"].keys() == codes
