"""The one clock of business time. Tests move it in every process at once; leases and network timeouts don't use it."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from contracts.calendar import business_date, start_of


class Clock:
    """Real UTC plus the offset that stands in a file, in seconds; without a file, real UTC."""

    def __init__(self, zone: str, offset_file: Path | None = None) -> None:
        self.zone = zone
        self._file = offset_file
        self._read_at = -1
        self._offset = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._current_offset()

    def today(self) -> date:
        return business_date(self.now(), self.zone)

    def date_of(self, instant: datetime) -> date:
        return business_date(instant, self.zone)

    def start_of(self, day: date) -> datetime:
        return start_of(day, self.zone)

    def _current_offset(self) -> timedelta:
        if self._file is None:
            return self._offset
        try:
            changed = self._file.stat().st_mtime_ns
        except FileNotFoundError:
            return timedelta()
        if changed != self._read_at:
            self._offset = timedelta(seconds=float(self._file.read_text().strip() or 0))
            self._read_at = changed
        return self._offset
