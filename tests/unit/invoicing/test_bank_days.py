"""Banking days, on which reminders and autopay wait after a rejected dispute."""

from __future__ import annotations

from datetime import date

from invoicing.bank_days import bank_holidays, held_until


class TestBankHolidays:
    def test_sunday_is_kept_on_monday(self) -> None:
        assert date(2027, 7, 5) in bank_holidays(2027)
        assert date(2027, 7, 4) not in bank_holidays(2027)

    def test_banks_work_before_saturday_holiday(self) -> None:
        assert date(2026, 7, 3) not in bank_holidays(2026)

    def test_new_year_on_saturday_takes_no_friday(self) -> None:
        assert date(2027, 12, 31) not in bank_holidays(2027, 2028)


class TestHeldUntil:
    def test_friday_before_saturday_holiday_counts(self) -> None:
        assert held_until(date(2026, 7, 1)) == date(2026, 7, 8)

    def test_thanksgiving_is_left_out(self) -> None:
        assert held_until(date(2026, 11, 25)) == date(2026, 12, 3)
