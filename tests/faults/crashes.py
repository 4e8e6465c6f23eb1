"""Everything that services do, over and over, while one of their processes after another dies at a chosen point."""

import asyncio
import pathlib
import time
from collections.abc import Iterable, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer

from contracts.ids import new_id
from tests.faults import load, poison
from tests.faults.load import Wish, WrongError
from tests.kit.client import Client
from tests.kit.stack import LocalStack

SECONDS_TO_REACH = 90  # a call whose process died is made again once its lease is over

_RELAY = ("produce", "commit messaging.outbox._publish")
_LETTERS = (
    "commit messaging.dead_letters.keep_unreadable", "commit messaging.dead_letters.park",
    "commit messaging.replay.retry_due", "commit messaging.replay._put_off",
)  # fmt: skip


def _of_consumer(name: str) -> tuple[str, ...]:
    return (f"commit messaging.consume._together {name}", f"offsets {name}")


POINTS = {
    "auth": (
        "commit auth.keys.api._made", "commit auth.keys.api.revoke_api_key",
        "commit auth.people.api.add_contact", "commit auth.people.api.change_contact",
        "commit auth.people.api.invite_contact", "commit auth.people.api.erase_contact",
        "commit auth.signin.api.codes.wish_for_code", "commit auth.signin.jobs.make_code", "commit tasks.worker._claim",
        *_of_consumer("auth"), *_RELAY,
    ),
    "invoicing": (
        "commit invoicing.api.customers.create_customer", "commit invoicing.api.invoices.issue_invoice",
        "commit invoicing.api.invoices._change",
        *_of_consumer("invoicing"), *_of_consumer("invoicing-inbound"), "commit service._working", *_LETTERS, *_RELAY,
    ),
    "payments": (
        "provider create_customer", "provider attach_method",
        "commit payments.methods.store.methods.keep_provider_customer", "commit payments.methods.api.add_method",
        "commit payments.collecting.store.quotes.add_quotes", "commit payments.collecting.store.payments.add_payments",
        "commit payments.collecting.store.attempts.claim_attempts", "provider charge",
        "commit payments.collecting.reconciling.save_observed", "commit payments.collecting.jobs._unknown",
        "provider get_charge", "provider events_since",
        "commit payments.collecting.store.provider_events.save_cursor", *_of_consumer("payments"), *_RELAY,
        "provider refund", "commit payments.collecting.api.refunds._once",
        "commit payments.collecting.jobs.call_refund",
        "commit payments.receiving.api.bank_statements._kept", "commit payments.receiving.jobs.bank_lines._next_lines",
        "commit payments.collecting.store.attempts.claim_polls", "commit tasks.worker._claim",
        "commit tasks.worker._record",
        "provider payouts_since", "provider payout_lines", "commit payments.receiving.jobs.payouts.save_payout",
    ),
    "notify": (
        *_of_consumer("notify"), "commit tasks.worker._claim", "mail", "commit notify.sending._hand_over",
        "commit notify.jobs.address_mails",
    ),
}  # fmt: skip
# Not again while the process lives, or for an hour: nobody dies there.
AT_START = (
    "commit jobs.prune", "commit payments.collecting.store.surcharges.take_rules", "commit auth.signin.store.prune",
    "commit notify.jobs.warn_of_expiring",
)  # fmt: skip
MUCH_LATER = ("commit payments.collecting.jobs._notice", "provider find_charge")
SOMETIMES = (
    "commit payments.setbacks.store.put_off", "commit payments.setbacks.store.recovered", "commit notify.sending._end",
    "commit notify.sending._tried",
)  # fmt: skip
EVERYWHERE = (*AT_START, *MUCH_LATER, *SOMETIMES, *(point for points in POINTS.values() for point in points))


class Traffic:
    """Customers who are made, send invoices and pay them by every way, until `stop` is set; keys; bad records."""

    def __init__(self, client: Client, stack: LocalStack, customer: str) -> None:
        self.client, self.stack, self.kafka, self.customer = client, stack, stack.kafka(), customer
        self.refunded: list[str] = []
        self.invited: list[str] = []
        self.stop = asyncio.Event()
        self.wishes: list[Wish] = []
        self.commands: list[poison.Record] = []
        self.foreign: list[poison.Record] = []

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(6):
                group.create_task(self._again(self._pay, number, 0.05))
            group.create_task(self._again(self._keys, 0, 0.5))
            group.create_task(self._again(self._contacts, 0, 0.5))
            group.create_task(self._again(self._codes, 0, 0.5))
            group.create_task(self._again(self._drafts, 0, 0.5))
            group.create_task(self._again(self._events, 0, 1))
            group.create_task(self._again(self._refunds, 0, 0.2))
            group.create_task(self._again(self._files, 0, 0.5))
            group.create_task(self._again(self._payouts, 0, 1))

    async def _again(self, act: Any, number: int, pause: float) -> None:
        while not self.stop.is_set():
            await act(number)
            number += 1
            await asyncio.sleep(pause)

    async def _pay(self, number: int) -> None:
        customer = (await load.customers(self.client, 1))[0]
        minor = 1_000 + number
        if number % 3 == 0:
            wish = await load.receipt(self.client, customer, minor)
        else:
            token = (load.CARD_TOKEN, load.BANK_TOKEN, load.DECLINED_TOKEN)[number % 5 % 3]
            method = await load.method(self.client, customer, token)
            wish = await load.charge(self.client, customer, method, minor, token == load.DECLINED_TOKEN)
        await load.Storm(self.client, [wish], patient=True).send()
        self.wishes.append(wish)

    async def _refunds(self, number: int) -> None:
        """Of payments that are no wishes: their invoices are owed again."""
        customer = (await load.customers(self.client, 1))[0]
        method = await load.method(self.client, customer, load.CARD_TOKEN)
        wish = await load.charge(self.client, customer, method, 100_000 + number)
        await load.Storm(self.client, [wish], patient=True).send()
        path, body = f"/v1/payments/{next(iter(wish.answered))}/refunds", {"reason": "back"}
        await load.persist(self.client, path, body, wish.key, patient=True, seconds=600)  # 409 until it is matched
        self.refunded.append(next(iter(wish.answered)))

    async def _files(self, number: int) -> None:
        """A transfer of each file is exact."""
        invoice = await load.issued(self.client, self.customer, 700 + number)
        told, _ = await load.persist(self.client, f"/v1/invoices/{invoice}", None, verb="GET")
        line = f"2026-03-02,{(700 + number) / 100:.2f},USD,DE1,{told['number']},,,\n"
        file = f"date,amount,currency,account,reference,text,payer,payer_account\n{line}".encode()
        await load.uploaded(self.client, file)

    async def _payouts(self, number: int) -> None:
        await asyncio.to_thread(self.stack.sandbox, "payouts", everything=True, paid=True)

    async def _keys(self, number: int) -> None:
        body = {"name": f"key {number}", "scopes": ["invoices:read"]}
        made = (await load.persist(self.client, "/v1/api-keys", body))[0]
        await load.persist(self.client, f"/v1/api-keys/{made['id']}", None, verb="DELETE")

    async def _contacts(self, number: int) -> None:
        """Made, changed and invited; every second one is erased, the others are mailed."""
        customer = (await load.customers(self.client, 1))[0]
        body = {"customer_id": customer, "email": f"{new_id()}@example.com"}
        await load.persist(self.client, "/v1/contacts", body, patient=True, done=(201, 409))  # 409: an earlier try
        found, _ = await load.persist(self.client, f"/v1/contacts?customer_id={customer}", None, verb="GET")
        (contact,) = (one["id"] for one in found["items"])
        await load.persist(self.client, f"/v1/contacts/{contact}", {"name": "Ana"}, verb="PATCH")
        await load.persist(self.client, f"/v1/contacts/{contact}/invitations", {})
        if number % 2:
            await load.persist(self.client, f"/v1/contacts/{contact}", None, verb="DELETE", done=(204, 404))
        else:
            self.invited.append(contact)

    async def _codes(self, number: int) -> None:
        """Asked for by strangers, each from a machine of its own: one machine may not ask often."""
        async with Client(self.stack.url, None, f"127.2.{number // 250}.{number % 250 + 1}") as stranger:
            await load.persist(stranger, "/v1/sign-in/codes", {"email": f"{new_id()}@example.com"})

    async def _drafts(self, number: int) -> None:
        invoice = await load.issued(self.client, self.customer, 500 + number, draft=True)
        for change in ("issue", "void"):  # 409: an earlier try has done it
            await load.persist(self.client, f"/v1/invoices/{invoice}/{change}", None, done=(200, 409))

    async def _events(self, number: int) -> None:
        commands = [poison.issue(self.customer, 100 + number), *poison.commands(5, self.customer)]
        foreign = poison.payments(5)
        async with AIOKafkaProducer(**self.kafka) as producer:
            for one in (*commands, *foreign):
                await one.send(producer)
        self.commands += commands
        self.foreign += foreign


class Deaths:
    """Orders to one service, see `inside`."""

    def __init__(self, orders: pathlib.Path, service: str) -> None:
        self.service = service
        self._order = orders / service
        self._died, self._passed = orders / f"{service}.died", orders / f"{service}.passed"
        for noted in (self._died, self._passed):  # in an earlier scenario
            noted.unlink(missing_ok=True)

    async def at_each(self, points: Sequence[str]) -> None:
        """Die at every point, one after the other; the next order is there before the process is up again."""
        for place, point in enumerate(points):
            self._give(f"{place % 3 + 1 if point.endswith('produce') else 1} {point}")  # amid a batch of records
            end = time.monotonic() + SECONDS_TO_REACH
            while self._order.exists():
                if time.monotonic() > end:
                    raise WrongError(f"{self.service} did not come to: {point}")
                await asyncio.sleep(0.02)
        if (died := _lines(self._died)[-len(points) :]) != list(points):
            raise WrongError(f"{self.service} died at {died}, not at {points}")

    def _give(self, order: str) -> None:
        draft = self._order.with_suffix(".draft")
        draft.write_text(order)
        draft.rename(self._order)

    def count(self) -> int:
        return len(_lines(self._died))

    def passed(self) -> set[str]:
        """Every point that the service came by."""
        return set(_lines(self._passed))


def _lines(path: pathlib.Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def around(points: Iterable[str]) -> list[str]:
    return [f"{side} {point}" for point in points for side in ("before", "after")]
