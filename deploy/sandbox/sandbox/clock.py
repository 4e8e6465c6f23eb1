"""Business time: real time plus the offset, in seconds, that stands in a file."""

import time
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo


class Clock:
    """`zone`: the company's, whose days its bank and its account have."""

    def __init__(self, offset_file: Path | None, zone: str = "UTC") -> None:
        self._file = offset_file
        self._zone = ZoneInfo(zone)
        self._read_at = -1
        self._offset = 0.0

    def now(self) -> int:
        """Seconds since 1970, as Stripe counts them."""
        return int(time.time() + self._current_offset())

    def today(self) -> int:
        """The company's day, as Stripe writes a day: its first second in UTC."""
        day = datetime.fromtimestamp(self.now(), self._zone).date()
        return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())

    def _current_offset(self) -> float:
        if self._file is None:
            return 0.0
        try:
            changed = self._file.stat().st_mtime_ns
        except FileNotFoundError:
            return 0.0
        if changed != self._read_at:
            self._offset = float(self._file.read_text().strip() or 0)
            self._read_at = changed
        return self._offset
