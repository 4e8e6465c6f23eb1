"""The scenario of disputes: services die at every step, with a payment of the same invoice in flight."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from contracts.ids import new_id
from tests.faults import crashes, load
from tests.faults.load import WrongError
from tests.faults.scenarios import Figures, Run, all_taken

_SAID = ("produce", "commit messaging.outbox._publish")
STEPS = {
    "support": (
        "commit support.edge.once", "commit support.disputes.api._decide", "commit messaging.consume._together support",
        "offsets support", *_SAID,
    ),
    "invoicing": ("commit messaging.consume._together invoicing", "offsets invoicing", *_SAID),
    "payments": ("commit messaging.consume._together payments", "offsets payments", *_SAID),
}  # fmt: skip
DECISIONS = (("accept", "accepted"), ("reject", "rejected"), ("accept", "accepted"), ("withdraw", "withdrawn"))


@dataclass
class Disputed:
    dispute_id: str
    state: str
    minor: int
    payment_id: str


async def disputes(run: Run) -> Figures:
    """Support, invoicing and payments die before and after each step of disputes, while their invoices are paid.

    Each dispute ends as it was decided, and each accepted one is one credit note of its amount. The money that pays the
    same invoice counts once, whichever of the two is first.
    """
    story = Story(run)
    deaths = {service: crashes.Deaths(run.orders, service) for service in STEPS}

    async def die() -> None:
        for service, points in STEPS.items():
            each = crashes.around(points)
            run.dice.shuffle(each)
            await deaths[service].at_each(each[: run.count(len(each))])
        story.stop.set()

    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(story.again(number))
        group.create_task(die())
    await run.ready()
    await all_taken(run)
    made = story.made
    final = await load.settled(run.stack, "payments", UNENDED, [one.payment_id for one in made])
    ids, states, minors = [m.dispute_id for m in made], [m.state for m in made], [m.minor for m in made]
    final += await load.settled(run.stack, "invoicing", WRONG, ids, states, minors)
    final += await load.settled(run.stack, "support", UNTOLD, ids, states)
    if {one.state for one in made} != {state for _, state in DECISIONS}:
        raise WrongError(f"of {len(made)} disputes some decision was never made")
    return {
        "deaths": sum(each.count() for each in deaths.values()), "disputes": len(made),
        "all_final_s": round(final, 1), "check_money_s": await run.money(),
    }  # fmt: skip


class Story:
    """Invoices that are disputed and paid at the same time, until `stop` is set."""

    def __init__(self, run: Run) -> None:
        self.client, self.stop = run.client, asyncio.Event()
        self.made: list[Disputed] = []

    async def again(self, number: int) -> None:
        while not self.stop.is_set() or len(self.made) < len(DECISIONS):
            await self._one(*DECISIONS[number % len(DECISIONS)], 1_000 + number)
            number += 1

    async def _one(self, what: str, state: str, minor: int) -> None:
        customer = (await load.customers(self.client, 1))[0]
        method = await load.method(self.client, customer, load.CARD_TOKEN)
        wish = await load.charge(self.client, customer, method, minor)
        part = minor // 4
        body = {"text": "Not ours.", "lines": [{"line": 1, "amount_minor": part}]}
        path = f"/v1/invoices/{wish.invoice_id}/disputes"
        async with asyncio.TaskGroup() as group:
            paying = group.create_task(load.persist(self.client, wish.path, wish.body, wish.key, patient=True))
            raising = group.create_task(load.persist(self.client, path, body, new_id(), patient=True))
        dispute = raising.result()[0]["dispute"]["id"]
        await load.persist(self.client, f"/v1/disputes/{dispute}/{what}", {"text": "So it is."})
        self.made.append(Disputed(dispute, state, part, paying.result()[0]["id"]))


# A payment whose invoice was credited before it was reserved is cancelled.
UNENDED = """
SELECT id::text, status, reconciliation FROM payments WHERE id = ANY($1::uuid[])
    AND NOT (status IN ('declined', 'cancelled') OR (status = 'succeeded' AND reconciliation = 'matched'))
"""
WRONG = """
SELECT w.id::text, w.state, d.state AS found, n.amount
FROM unnest($1::uuid[], $2::text[], $3::bigint[]) AS w (id, state, minor)
LEFT JOIN disputes d ON d.id = w.id LEFT JOIN credit_notes n ON n.dispute_id = w.id
WHERE d.state IS DISTINCT FROM w.state OR n.amount IS DISTINCT FROM CASE WHEN w.state = 'accepted' THEN w.minor END
"""
UNTOLD = """
SELECT w.id::text, w.state, d.status, d.note_amount FROM unnest($1::uuid[], $2::text[]) AS w (id, state)
LEFT JOIN disputes d ON d.id = w.id
WHERE d.status IS DISTINCT FROM w.state OR (d.note_amount IS NOT NULL) <> (w.state = 'accepted')
"""
SCENARIOS: dict[str, Callable[[Run], Awaitable[Figures]]] = {"disputes": disputes}
