"""Mails on a real stack, read in its catcher."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from aiokafka import AIOKafkaProducer

from contracts import auth
from contracts.envelope import Event, message
from contracts.ids import new_id
from tests.kit.mails import Catcher, sealed
from tests.kit.stack import LocalStack, local_stack


@pytest.fixture(scope="module")
def own_stack() -> Iterator[LocalStack]:
    """A stack of its own: what is written here in auth's name is in no book of auth's."""
    with local_stack() as running:
        yield running


async def say(stack: LocalStack, *events: Event) -> None:
    """Write each event as the first of its aggregate, as its service would."""
    async with AIOKafkaProducer(**stack.kafka()) as producer:
        for event in events:
            made = message(event, sequence=1, time=datetime.now(UTC))
            source = f"paidup/{event.topic.owner}"
            await producer.send_and_wait(made.topic, made.body, made.aggregate.encode(), headers=made.headers(source))


class TestCode:
    async def test_is_unsealed_in_the_mail_alone(self, own_stack: LocalStack) -> None:
        contact, address = new_id(), f"{new_id()}@example.com"
        (key,) = json.loads((own_stack.home / "keys/notify-public.json").read_text())["keys"]
        until = datetime.now(UTC) + timedelta(minutes=10)
        await say(
            own_stack,
            auth.ContactChanged(
                contact_id=contact, customer_id=new_id(), email=address, name="Ann Ng", language="en", enabled=True
            ),
            auth.SignInCodeMade(
                person_id=contact, sealed=sealed(key, code="271828", link="http://x/l"), expires_at=until
            ),
        )
        mail = await Catcher(own_stack.settings.mail_url).newest(address)
        assert "271828" in mail["text"]
        assert "271828" in mail["html"]
        assert "271828" not in own_stack.log("notify")
        assert "http://x/l" in mail["text"]
