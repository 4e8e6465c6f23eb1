"""Kafka's records as they are: a header's name that is not UTF-8 does not make the rest of its batch unreadable.

aiokafka decodes names while it reads, and raises: no record from there on could be reached, of a good sender neither.
Here the name comes with its bytes escaped (PEP 383), so that whoever takes the record sees what is wrong with it alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy


class _Text(bytearray):
    def decode(self, *_: Any) -> str:
        return super().decode("utf-8", "surrogateescape")


class _Buffer(bytearray):
    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _Text(found) if isinstance(at, slice) else found


class _Batch:
    """The library's own fast reader of a batch; where it fails, its slow one, with names escaped."""

    def __init__(self, raw: memoryview) -> None:
        self._raw, self._fast = raw, DefaultRecordBatch(raw)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fast, name)

    def __iter__(self) -> Iterator[Any]:
        given = 0
        try:
            for record in self._fast:
                given += 1
                yield record
        except UnicodeDecodeError:
            slow = _DefaultRecordBatchPy(self._raw)
            slow._maybe_uncompress()
            slow._buffer = _Buffer(slow._buffer)
            yield from islice(slow, given, None)


class Records(_MemoryRecordsPy):  # type: ignore[misc]
    """A fetch's batches, each read as above."""

    def next_batch(self) -> Any:
        raw = self._next_slice
        if raw is None or len(raw) <= self.MAGIC_OFFSET or raw[self.MAGIC_OFFSET] < 2:
            return super().next_batch()
        self._cache_next()
        return _Batch(raw)


def install() -> None:
    """For all consumers of this process."""
    fetcher.MemoryRecords = Records
