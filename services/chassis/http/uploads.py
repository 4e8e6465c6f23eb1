"""How many files a process takes in at a time: each lies on its disk, or in its memory, meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from chassis.http.problems import unavailable

RETRY_SECONDS = 5


class Room:
    """Lets in so many requests at a time; one more gets a 503 problem."""

    def __init__(self, most: int) -> None:
        self._left = most

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        if not self._left:
            detail = "As many files as this service takes at a time are on their way in. Send this one again then."
            raise unavailable(detail, slug="too-many-uploads", retry_after=RETRY_SECONDS)
        self._left -= 1
        try:
            yield
        finally:
            self._left += 1
