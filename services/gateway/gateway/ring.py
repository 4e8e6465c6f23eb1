"""The last minutes of the public topics, in memory, and the positions of subscribers in them."""

from __future__ import annotations

import asyncio
import base64
import binascii
import importlib
import time
import zlib
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import orjson

from contracts.envelope import type_registry
from contracts.services import SERVICES
from contracts.topics import PARTITIONS, TOPICS

STREAMED = tuple(topic.name for topic in TOPICS if topic.public and not topic.commands)
PLACES = {name: place * PARTITIONS for place, name in enumerate(STREAMED)}
MOST_MARKS = 1000
for _service in SERVICES:  # each declares what only the company sees of its events
    if _service.says:
        importlib.import_module(f"contracts.{_service.name}")
ENTRY_OVERHEAD = 1000  # bytes that an entry takes beside its value

_layout = zlib.crc32("\n".join(STREAMED).encode()).to_bytes(4, "big")[:2]


class Position:
    """The next offset of every streamed partition; as text it is the id of a server-sent event."""

    __slots__ = ("offsets",)

    def __init__(self, offsets: Sequence[int] | None = None) -> None:
        self.offsets = list(offsets) if offsets is not None else [0] * (len(STREAMED) * PARTITIONS)

    def encode(self) -> str:
        """Variable-length integers in base64url, after two bytes that show another list of topics."""
        out = bytearray(_layout)
        for offset in self.offsets:
            while offset > 0x7F:
                out.append(offset & 0x7F | 0x80)
                offset >>= 7
            out.append(offset)
        return base64.urlsafe_b64encode(zlib.compress(out, 1)).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str) -> Position | None:
        """None when it is no position of these topics."""
        try:
            raw = zlib.decompressobj().decompress(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), 4096)
        except (binascii.Error, ValueError, zlib.error):
            return None
        offsets = _integers(raw[2:])
        if raw[:2] != _layout or len(offsets) != len(STREAMED) * PARTITIONS:
            return None
        return cls(offsets)

    def behind(self, other: Position) -> bool:
        """Whether some partition stands before the other's."""
        return any(mine < theirs for mine, theirs in zip(self.offsets, other.offsets, strict=True))


def _integers(raw: bytes) -> list[int]:
    found, value, shift = [], 0, 0
    for byte in raw:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            found.append(value)
            value = shift = 0
    return found


@dataclass(slots=True)
class Entry:
    """One record. Its text is made when the first subscriber needs it."""

    place: int
    offset: int
    topic: str
    headers: Sequence[tuple[str, bytes]]
    value: bytes
    at: float
    customer: str | None
    text: bytes | None = None
    text_for_customer: bytes | None = None

    def render(self) -> bytes:
        """`event:` and `data:` lines: a CloudEvent in JSON, its sequence and topic as extensions."""
        if self.text is None:
            self.text = self._lines(_one_line(self.value))
        return self.text

    def render_for_customer(self) -> bytes:
        """The same for a stream of the customer: without what only the company sees, which may be all of it."""
        if self.text_for_customer is None:
            kind = type_registry.get(self._type())
            if kind is None or not (kind.of_company or kind.company_fields):
                self.text_for_customer = self.render()
            elif kind.of_company:
                self.text_for_customer = b""
            else:
                self.text_for_customer = self._lines(_without(self.value, kind.company_fields))
        return self.text_for_customer

    def shown_to(self, customer: str | None) -> bytes:
        """What a stream of this customer has of it, which may be nothing. None: a stream of the company."""
        if customer is None:
            return self.render()
        return self.render_for_customer() if self.customer == customer else b""

    def _type(self) -> str:
        return (dict(self.headers).get("ce_type") or b"").decode("utf-8", "replace")

    def _lines(self, body: bytes) -> bytes:
        said = {name: value.decode("utf-8", "replace") for name, value in self.headers if value is not None}
        head = {
            "specversion": "1.0",
            "id": said.get("ce_id"),
            "type": said.get("ce_type"),
            "source": said.get("ce_source"),
            "subject": said.get("ce_subject"),
            "time": said.get("ce_time"),
            "sequence": said.get("sequence"),
            "customer": self.customer,
            "topic": self.topic,
        }
        kind = b"".join(said.get("ce_type", "").encode().split())
        return b'event: %b\ndata: %b,"data":%b}\n\n' % (kind, orjson.dumps(head)[:-1], body)


def _one_line(value: bytes) -> bytes:
    """The JSON without line breaks (which stand between tokens only); null for what is no JSON."""
    try:
        orjson.loads(value)
    except orjson.JSONDecodeError:
        return b"null"
    return value.replace(b"\n", b"").replace(b"\r", b"")


def _without(value: bytes, fields: frozenset[str]) -> bytes:
    """The JSON object without these fields; null for what is no such object."""
    try:
        body = orjson.loads(value)
    except orjson.JSONDecodeError:
        return b"null"
    if not isinstance(body, dict):
        return b"null"
    return orjson.dumps({name: said for name, said in body.items() if name not in fields})


class Ring:
    """Bounded by age and by bytes. `floor` is the earliest position from which nothing is missing."""

    def __init__(self, *, seconds: float, most_bytes: int) -> None:
        self._seconds, self._most_bytes = seconds, most_bytes
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self.first = 0  # number of the oldest entry ever since the start
        self.floor = Position()
        self.head = Position()
        self.generation = 0
        self._marks: OrderedDict[int, tuple[list[int], bytes]] = OrderedDict()
        self._news = asyncio.Event()

    @property
    def end(self) -> int:
        return self.first + len(self._entries)

    def start(self, position: Position) -> None:
        """Begin anew at a position, with another generation, so that subscribers elsewhere notice it."""
        self._entries.clear()
        self._bytes = 0
        self.first += 1
        self.generation += 1
        self.floor, self.head = Position(position.offsets), Position(position.offsets)
        self.wake()

    def add(self, entry: Entry) -> None:
        self._entries.append(entry)
        self._bytes += len(entry.value) + ENTRY_OVERHEAD
        self.head.offsets[entry.place] = entry.offset + 1

    def pass_over(self, place: int, offset: int) -> None:
        """Count a record that nobody is shown, so that subscribers do not count it as missed."""
        self.head.offsets[place] = offset + 1

    def mark(self, number: int, position: Position) -> bytes:
        """The position as text, after the entry of a number: encoded once for all who stand there with it."""
        known = self._marks.get(number)
        if known is not None and known[0] == position.offsets:
            return known[1]
        text = position.encode().encode()
        self._marks[number] = (list(position.offsets), text)
        if len(self._marks) > MOST_MARKS:
            self._marks.popitem(last=False)
        return text

    def trim(self) -> None:
        """Remove entries that are too old or too many."""
        oldest = time.monotonic() - self._seconds
        while self._entries and (self._bytes > self._most_bytes or self._entries[0].at < oldest):
            entry = self._entries.popleft()
            self._bytes -= len(entry.value) + ENTRY_OVERHEAD
            self.floor.offsets[entry.place] = entry.offset + 1
            self.first += 1

    def wake(self) -> None:
        """Wake everybody who waits: there is something new."""
        self._news.set()
        self._news = asyncio.Event()

    @property
    def news(self) -> asyncio.Event:
        return self._news

    def since(self, number: int, most: int) -> Iterator[Entry]:
        """Entries from a number on, at most `most`; the number must not lie before `first`."""
        start = number - self.first
        for place in range(start, min(start + most, len(self._entries))):
            yield self._entries[place]
