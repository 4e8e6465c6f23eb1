"""Days and instants as other systems write them."""

from datetime import UTC, date, datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from contracts.invoicing import Day, Instant

DAYS, INSTANTS = TypeAdapter(Day), TypeAdapter(Instant)


class TestDays:
    def test_day_is_year_month_day(self) -> None:
        assert DAYS.validate_json('"2026-03-01"') == date(2026, 3, 1)
        assert DAYS.validate_python("2026-03-01") == date(2026, 3, 1)

    @pytest.mark.parametrize(
        "body", ["0", '"0"', "20261120", '"20261120"', '"2026-3-1"', '"2026-03-01T00:00:00"', '"2026-02-30"']
    )
    def test_anything_else_is_refused(self, body: str) -> None:
        with pytest.raises(ValidationError):
            DAYS.validate_json(body)


class TestInstants:
    def test_instant_has_its_zone(self) -> None:
        assert INSTANTS.validate_python("2026-03-01T12:00:00Z") == datetime(2026, 3, 1, 12, tzinfo=UTC)
        assert INSTANTS.validate_json('"2026-03-01T12:00:00+01:00"') == datetime(2026, 3, 1, 11, tzinfo=UTC)

    @pytest.mark.parametrize(
        "body", ["0", '"10000000.0"', '"20261120"', '"2026-03-01T12:00:00"', '"9001-01-01T00:00:00Z"']
    )
    def test_anything_else_is_refused(self, body: str) -> None:
        with pytest.raises(ValidationError):
            INSTANTS.validate_json(body)
