"""Kafka trusts nobody: who writes and reads which topic, on a real broker with the rights of the registry."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import GroupAuthorizationFailedError, KafkaConnectionError, TopicAuthorizationFailedError
from pydantic import ValidationError

from chassis.messaging.outbox import make_producer
from chassis.settings import KafkaSettings
from contracts.rights import ADMIN, OUTSIDE, Right, rights
from contracts.topics import INBOUND, INVOICE, KEY, PAYMENT, TOPICS
from paidup_local import kafka
from paidup_local import rights as local_rights
from paidup_local.programs import Running
from paidup_local.settings import Settings, cache_folder
from tests.kit import containers, ports

pytestmark = pytest.mark.skipif(containers.wanted(), reason="the broker of the containers trusts everybody")
FORGED = [("ce_type", b"PaymentReconciled"), ("ce_source", b"paidup/payments"), ("sequence", b"1")]


@pytest_asyncio.fixture(scope="module")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Settings]:
    """A broker of the local stack, with its passwords and rights."""
    settings = Settings(tmp_path_factory.mktemp("guarded"), ports.free_block(), cache_folder())
    running = Running(await asyncio.to_thread(kafka.prepare, settings, lambda _: None), settings.logs)
    await running.start()
    try:
        await running.wait_ready(120)
        await local_rights.apply(settings)
        await kafka.create_topics(local_rights.client(settings), TOPICS)
        yield settings
    finally:
        await running.stop()


async def write(settings: Settings, principal: str, topic: str) -> None:
    await send(local_rights.client(settings, principal), topic)


async def send(client: dict[str, Any], topic: str) -> None:
    producer = AIOKafkaProducer(**client, request_timeout_ms=5_000)
    try:
        await producer.start()
        await producer.send_and_wait(topic, b"{}", b"key", partition=0, headers=FORGED)
    finally:
        await producer.stop()  # also after a start that was refused


async def read(settings: Settings, principal: str, topic: str, group: str | None) -> bytes | None:
    """The type of the first record, in a group or without one."""
    consumer = AIOKafkaConsumer(
        **local_rights.client(settings, principal), group_id=group, auto_offset_reset="earliest",
        enable_auto_commit=False,
    )  # fmt: skip
    if group is None:
        consumer.assign([TopicPartition(topic, 0)])
    else:
        consumer.subscribe([topic])
    try:
        async with asyncio.timeout(30):
            await consumer.start()
            record = await consumer.getone()
            return dict(record.headers).get("ce_type")
    finally:
        await consumer.stop()  # also after a start that was refused


class TestForgery:
    @pytest.mark.parametrize("principal", [OUTSIDE, "invoicing", "gateway", "auth"])
    async def test_only_payments_writes_settled_payments(self, guarded: Settings, principal: str) -> None:
        with pytest.raises(TopicAuthorizationFailedError):
            await write(guarded, principal, PAYMENT.name)

    @pytest.mark.parametrize("principal", [OUTSIDE, "invoicing"])
    async def test_joining_anothers_group_is_refused(self, guarded: Settings, principal: str) -> None:
        with pytest.raises(GroupAuthorizationFailedError):
            await read(guarded, principal, INVOICE.name if principal == OUTSIDE else PAYMENT.name, "payments")

    @pytest.mark.parametrize("topic", [topic.name for topic in TOPICS if not topic.public] + [INBOUND.name])
    async def test_outsider_reads_no_internal_topic(self, guarded: Settings, topic: str) -> None:
        with pytest.raises(TopicAuthorizationFailedError):
            await read(guarded, OUTSIDE, topic, "outside.curious")

    async def test_service_reads_nothing_it_does_not_hear(self, guarded: Settings) -> None:
        with pytest.raises(TopicAuthorizationFailedError):
            await read(guarded, "payments", KEY.name, "payments")

    async def test_nameless_client_gets_nothing(self, guarded: Settings) -> None:
        with pytest.raises(KafkaConnectionError):
            await send({"bootstrap_servers": guarded.kafka_address}, INBOUND.name)

    async def test_wrong_password_is_refused(self, guarded: Settings) -> None:
        wrong = local_rights.client(guarded, "payments") | {"sasl_plain_password": "guess"}
        with pytest.raises(KafkaConnectionError):
            await send(wrong, PAYMENT.name)


class TestHonestWays:
    async def test_owner_writes_and_others_hear(self, guarded: Settings) -> None:
        async with make_producer(local_rights.client(guarded, "payments")) as producer:  # as the relay's
            await producer.send_and_wait(PAYMENT.name, b"{}", b"key", partition=0, headers=FORGED)
        assert await read(guarded, "invoicing", PAYMENT.name, "invoicing") == b"PaymentReconciled"
        assert await read(guarded, "gateway", PAYMENT.name, None) == b"PaymentReconciled"
        assert await read(guarded, OUTSIDE, PAYMENT.name, "outside.ledger") == b"PaymentReconciled"
        assert await read(guarded, ADMIN, PAYMENT.name, None) == b"PaymentReconciled"

    async def test_outsider_sends_commands(self, guarded: Settings) -> None:
        await write(guarded, OUTSIDE, INBOUND.name)
        assert await read(guarded, "invoicing", INBOUND.name, "invoicing-inbound") == b"PaymentReconciled"

    async def test_rights_that_ended_are_taken(self, guarded: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        more = Right(OUTSIDE, "topic", PAYMENT.name, ("write",))
        monkeypatch.setattr(local_rights, "rights", lambda: (*rights(), more))
        await local_rights.apply(guarded)
        await _until_written(guarded)
        monkeypatch.undo()
        await local_rights.apply(guarded)
        await _until_written(guarded, False)


async def _until_written(settings: Settings, may: bool = True) -> None:
    """The broker learns of a right a moment after it was given or taken."""
    async with asyncio.timeout(20):
        while True:
            try:
                await write(settings, OUTSIDE, PAYMENT.name)
                written = True
            except TopicAuthorizationFailedError:
                written = False
            if written is may:
                return
            await asyncio.sleep(0.05)


class TestClientArguments:
    """Whatever a process is told of Kafka reaches its clients."""

    def settings(self, **more: Any) -> KafkaSettings:
        return KafkaSettings.model_validate({"kafka": "broker:9093", "kafka_security": "SASL_SSL", **more})

    def test_tls_checks_broker_and_names_user(self, tmp_path: Path) -> None:
        word = tmp_path / "word"
        word.write_text("secret\n")
        found = self.settings(kafka_user="payments", kafka_password_file=word).kafka_client()
        context = found.pop("ssl_context")
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
        assert found == {
            "bootstrap_servers": "broker:9093", "security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": "payments", "sasl_plain_password": "secret",
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("given", "missing"), [({}, "PAIDUP_KAFKA_USER"), ({"kafka_user": "payments"}, "PAIDUP_KAFKA_PASSWORD")]
    )
    def test_missing_name_or_password_is_named(self, given: dict[str, str], missing: str) -> None:
        with pytest.raises(ValidationError, match=f"{missing} is missing"):
            self.settings(**given)

    def test_password_is_not_shown(self) -> None:
        assert "s3cret" not in repr(self.settings(kafka_user="payments", kafka_password="s3cret"))
