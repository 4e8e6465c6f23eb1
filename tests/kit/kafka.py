"""Topics for tests, on one Apache Kafka that the session shares."""

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any

from paidup_local import kafka as local_kafka
from tests.kit import containers, keeper


def bootstrap() -> str:
    """Address of the broker; starts it at the first call."""
    return containers.kafka_bootstrap() if containers.wanted() else keeper.shared("kafka")["bootstrap"]


def client(address: str) -> dict[str, Any]:
    """The arguments of a client of a broker that trusts everybody."""
    return {"bootstrap_servers": address}


def unique(name: str) -> str:
    """A name that no other test has, for a topic or a group."""
    return f"{name}.{secrets.token_hex(4)}"


async def create_topics(*names: str, partitions: int = 12, config: Mapping[str, str] | None = None) -> str:
    """Make topics of these names; gives the broker's address."""
    address = await asyncio.to_thread(bootstrap)
    await local_kafka.make_topics(client(address), {name: (partitions, dict(config or {})) for name in names})
    return address


async def create_contract_topics() -> str:
    """Make every topic of the contracts; gives the broker's address."""
    from contracts.topics import TOPICS

    address = await asyncio.to_thread(bootstrap)
    await local_kafka.create_topics(client(address), TOPICS)
    return address
