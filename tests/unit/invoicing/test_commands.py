"""Commands are read as strictly as requests are."""

from decimal import Decimal

import pytest

from contracts.invoicing import CreateCustomer, IssueInvoice
from contracts.refusals import Refusal
from invoicing.handlers import _read

LINE = '{"description": "x", "quantity": 1.000001, "unit_price_minor": 100, "tax_rate": 0.0825}'
INVOICE = (
    '{"customer_id": "01912d68-783e-7a03-8467-5661c1243ad4", "number": "A", "currency": "USD", '
    '"issued_on": "2026-01-02", "due_on": "2026-02-01", "lines": [%s]}'
)


def test_fractions_are_read_as_they_are_written() -> None:
    (line,) = _read(IssueInvoice, (INVOICE % LINE).encode()).lines
    assert (line.quantity, line.tax_rate) == (Decimal("1.000001"), Decimal("0.0825"))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"external_id": "a", "name": "n", "name": "m"}', None),
        (INVOICE % LINE.replace('"unit_price_minor": 100', '"unit_price_minor": 1, "unit_price_minor": 100'), None),
        (INVOICE % LINE.replace("0.0825", "NaN"), None),
        (INVOICE % LINE.replace("0.0825", "1e-999999999"), None),
        (INVOICE % LINE.replace("100", "100.0"), "lines.0.unit_price_minor"),
        (INVOICE % LINE.replace("100", "1e2"), "lines.0.unit_price_minor"),
        ("{", None),
        ("[" * 100_000, None),
    ],
)
def test_what_could_mean_two_things_is_refused(body: str, field: str | None) -> None:
    command = CreateCustomer if "external_id" in body else IssueInvoice
    refused = _read(command, body.encode())
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.field) == ("invalid-command", field)


def test_a_refusal_says_in_words_what_is_expected() -> None:
    refused = _read(CreateCustomer, b'{"external_id": "a", "name": "n", "email": "ann"}')
    assert (refused.field, refused.detail) == ("email", "must be an e-mail address, as ann@example.com")
