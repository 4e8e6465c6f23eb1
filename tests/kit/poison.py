"""Records that no careful sender writes."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.producer import message_accumulator, producer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy


class NotUtf8(str):
    """The name of a header as a sender writes it that does not look at what it writes."""

    def encode(self, *_: Any) -> bytes:
        return b"\xff\xfe"


@contextlib.asynccontextmanager
async def poison_producer(kafka: Mapping[str, Any], **more: Any) -> AsyncIterator[AIOKafkaProducer]:
    """A producer that takes names of headers which are no text; the fast one of the library looks at them."""
    modules = (message_accumulator, producer)
    fast = [module.DefaultRecordBatchBuilder for module in modules]
    for module in modules:
        module.DefaultRecordBatchBuilder = _DefaultRecordBatchBuilderPy
    try:
        async with AIOKafkaProducer(**kafka, **more) as made:
            yield made
    finally:
        for module, one in zip(modules, fast, strict=True):
            module.DefaultRecordBatchBuilder = one
