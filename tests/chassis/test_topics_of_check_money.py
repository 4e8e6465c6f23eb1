"""What check-money reads from a topic: gaps, and two events under one sequence."""

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from paidup_local import check_money
from tests.kit import kafka
from tests.kit.poison import NotUtf8, poison_producer

SOURCE = b"paidup/test"


def record(aggregate: str, sequence: int, event: str, source: bytes = SOURCE) -> list[tuple[str, bytes]]:
    told = {
        "ce_source": source,
        "ce_subject": aggregate.encode(),
        "ce_id": event.encode(),
        "sequence": b"%d" % sequence,
    }
    return list(told.items())


async def test_a_gap_and_a_second_event_of_one_sequence_are_named_and_the_same_event_again_is_not() -> None:
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
        ("twice", "two events are told as 1"), ("gap", "event 2 is missing"), ("gap", "two events are told as 3"),
    ]  # fmt: skip


async def test_poison_is_passed_over_and_the_rest_is_read() -> None:
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
