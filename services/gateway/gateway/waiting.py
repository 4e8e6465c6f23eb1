"""Requests that ask to be answered late (`Prefer: wait`, RFC 7240): they hold connections of their own, a few a key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from gateway.client import Headers, Upstream

LONGEST_WAIT = 30  # seconds that a service lets a request wait


def waits(method: str, headers: Headers) -> bool:
    """Whether a request asks for its answer only once the outcome is known. Names come in lower case."""
    return method == "POST" and any(name == b"prefer" and b"wait" in value.lower() for name, value in headers)


class Waiting:
    """Places for requests that wait: `most` for a service, `per_key` of them for one key."""

    def __init__(self, urls: Mapping[str, str], *, most: int, per_key: int, timeout: float) -> None:
        self._upstreams = {
            owner: Upstream(url, connections=most, timeout=timeout + LONGEST_WAIT) for owner, url in urls.items()
        }
        self._most, self._per_key = most, per_key
        self._held: Counter[str] = Counter()

    @contextmanager
    def place(self, owner: str, key_id: str) -> Iterator[Upstream | None]:
        """A service's connections for requests that wait; None if no place is free, so that it is answered at once."""
        upstream = self._upstreams.get(owner)
        full = self._held[f"all of {owner}"] >= self._most or self._held[key_id] >= self._per_key
        if upstream is None or full:
            yield None
            return
        names = (f"all of {owner}", key_id)
        self._held.update(names)
        try:
            yield upstream
        finally:
            self._held.subtract(names)
            if not self._held[key_id]:
                del self._held[key_id]

    def close(self) -> None:
        for upstream in self._upstreams.values():
            upstream.close()
