"""What check-money reads from a topic: gaps, two events under one sequence, and events that nobody may have written."""

import asyncio

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from paidup_local import check_money
from tests.kit import kafka
from tests.kit.poison import NotUtf8, poison_producer
from tests.kit.postgres import admin_dsn

SOURCE = b"paidup/test"


def record(aggregate: str, sequence: int, event: str, source: bytes = SOURCE) -> list[tuple[str, bytes]]:
    told = {
        "ce_source": source,
        "ce_subject": aggregate.encode(),
        "ce_id": event.encode(),
        "sequence": b"%d" % sequence,
    }
    return list(told.items())


class TestTopics:
    async def test_gap_and_repeated_sequence_are_named(self) -> None:
        topic = kafka.unique("told")
        bootstrap = await kafka.create_topics(topic, partitions=1)
        told = [
            *(record("sound", 1, "a"), record("sound", 2, "b"), record("sound", 1, "a"), record("sound", 3, "c")),
            *(record("twice", 1, "a"), record("twice", 2, "b"), record("twice", 1, "other")),
            *(record("gap", 1, "a"), record("gap", 3, "c"), record("gap", 3, "other"), record("gap", 1, "a")),
            record("elsewhere", 7, "a", b"somebody else"),
        ]
        async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
            for headers in told:
                await producer.send_and_wait(topic, b"{}", headers=headers)
        async with AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False) as consumer:
            heard, wrong = await check_money._heard(consumer, TopicPartition(topic, 0), SOURCE)
        assert heard == {"sound": 3, "twice": 2, "gap": 3}
        assert wrong == [
            ("twice", "two events have the sequence 1"), ("gap", "event 2 is missing"),
            ("gap", "two events have the sequence 3"),
        ]  # fmt: skip

    async def test_poison_does_not_stop_the_reading(self) -> None:
        topic = kafka.unique("told")
        bootstrap = await kafka.create_topics(topic, partitions=1)
        sound = record("sound", 1, "a")
        async with poison_producer(kafka.client(bootstrap)) as producer:
            for headers in (
                sound, sound[:1], sound[:2], [*sound, ("ce_subject", b"\xff")], [*sound, ("sequence", b"x")],
                [*sound, ("sequence", b"9" * 30)], [*sound, ("ce_subject", b"a\x00")], [*sound, (NotUtf8("x"), b"1")],
                record("sound", 2, "b"),
            ):  # fmt: skip
                await producer.send_and_wait(topic, b"", headers=headers)
        async with AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False) as consumer:
            heard, wrong = await check_money._heard(consumer, TopicPartition(topic, 0), SOURCE)
        assert (heard, wrong) == ({"sound": 2}, [])


async def told(sequences: dict[str, int], heard: dict[str, int]) -> list[str]:
    """What is wrong where a service has emitted so many events of each aggregate, and a topic holds so many."""
    connection = await asyncpg.connect(await asyncio.to_thread(admin_dsn))
    try:
        await connection.execute("CREATE TEMP TABLE heard (topic text, aggregate text, sequence bigint)")
        await connection.executemany("INSERT INTO heard VALUES ('t', $1, $2)", list(heard.items()))
        rows = ", ".join(f"('t', '{name}', {count}::bigint)" for name, count in sequences.items())
        return await check_money._compared(connection, f"SELECT * FROM (VALUES {rows}) AS v")
    finally:
        await connection.close()


class TestForgedEvents:
    async def test_event_of_unknown_aggregate_is_named(self) -> None:
        assert await told({"sound": 3}, {"sound": 3, "stranger": 1}) == [
            "t of stranger: event 1 is forged, its service has emitted 0 events"
        ]

    async def test_event_after_the_last_is_named(self) -> None:
        assert await told({"paid": 2, "late": 5}, {"paid": 3, "late": 4}) == [
            "t of late: 5 events were emitted, 4 are there",
            "t of paid: event 3 is forged, its service has emitted 2 events",
        ]

    async def test_other_body_under_same_id_is_named(self) -> None:
        topic = kafka.unique("told")
        bootstrap = await kafka.create_topics(topic, partitions=1)
        async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
            for body in (b'{"amount": 1}', b'{"amount": 1}', b'{"amount": 9}'):
                await producer.send_and_wait(topic, body, headers=record("payment", 1, "a"))
        async with AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False) as consumer:
            _, wrong = await check_money._heard(consumer, TopicPartition(topic, 0), SOURCE)
        assert wrong == [("payment", "two events have the sequence 1")]
