"""Days as other systems write them."""

from datetime import date

import pytest
from pydantic import TypeAdapter, ValidationError

from contracts.invoicing import Day

DAYS = TypeAdapter(Day)


def test_a_day_is_written_as_year_month_and_day() -> None:
    assert DAYS.validate_json('"2026-03-01"') == date(2026, 3, 1)
    assert DAYS.validate_python("2026-03-01") == date(2026, 3, 1)


@pytest.mark.parametrize(
    "body", ["0", '"0"', "20261120", '"20261120"', '"2026-3-1"', '"2026-03-01T00:00:00"', '"2026-02-30"']
)
def test_a_number_an_instant_or_another_spelling_is_no_day(body: str) -> None:
    with pytest.raises(ValidationError):
        DAYS.validate_json(body)
