"""The scenario of invoices that pay themselves: services die at every step of it, and each try is made once."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from contracts import topics
from paidup_local import business_clock
from tests.faults import crashes, load, records
from tests.faults.afterwards import rows
from tests.faults.load import WrongError
from tests.faults.scenarios import Figures, Run, all_taken

SOFT, LOST = "pm_card_visa_chargeDeclinedInsufficientFunds", "pm_card_visa_chargeDeclinedLostCard"
WRONG_CVC, RETURNED = "pm_card_chargeDeclinedIncorrectCvc", "pm_usBankAccount_dispute"
# Two of them disable the method as well: as the decline is recorded, or when the money went back.
HOLDS = {LOST: "lost_card", WRONG_CVC: "incorrect_cvc", RETURNED: "R10"}
TRY_DAYS = (0, 1, 3, 7)
ENDS = {SOFT: ("declined",) * len(TRY_DAYS), LOST: ("declined",), WRONG_CVC: ("declined",)}
PAID, SKIPPED, NEVER = ("paid",), ("skipped",), ()

SWITCHING = ("commit payments.autopay.api.put_autopay",)
ANNOUNCING = ("commit messaging.consume._together payments", "offsets payments", "produce")
# What lies between them, the reservation, is taken as for any payment: see `crash_points`.
CHARGING = (
    "commit payments.autopay.jobs._charge", "provider charge", "commit payments.collecting.reconciling.save_observed",
    "commit payments.autopay.jobs._follow",
)  # fmt: skip
HOLDING = CHARGING[-2:]
STEPS = {*SWITCHING, *ANNOUNCING, *CHARGING}
SECONDS_TO_END = 120  # a call whose process died is made again once its lease of 15 seconds is over


@dataclass
class Bill:
    """An invoice, and how each of its tries is to end."""

    invoice_id: str
    minor: int
    ends: Sequence[str]
    stays_paid: bool


@dataclass
class Payer:
    """A customer with autopay by the method of a token."""

    customer_id: str
    token: str
    method_id: str
    bills: list[Bill] = field(default_factory=list)


async def autopay(run: Run) -> Figures:
    """Payments dies before and after every step: switched on or off, announced, charged, recorded, held, tried again.

    Who can pay, pays each invoice by one charge. A soft decline is tried again on days 1, 3 and 7 and never after. A
    hard one, or money that went back, holds autopay: nothing more is charged until it is switched on again. Each try
    is announced once. A tenth of the provider's replies is lost meanwhile.
    """
    story = Story(run, crashes.Deaths(run.orders, "payments"))
    await run.rules(drop_replies=0.1)
    try:
        await story.begin()
        await story.first_charges()
        await story.next_charges()
        await story.once_more()
    finally:
        await run.rules(drop_replies=0)
    await run.ready()
    await all_taken(run)
    tries = await _tried(run, story.payers)
    await _paid(run, story.payers)
    await _asked_once(run, tries)
    await _announced_once(run, story.payers, tries)
    await _nothing_parked(run)
    if unknown := story.deaths.passed().difference(crashes.around((*crashes.EVERYWHERE, *STEPS))):
        raise WrongError(f"nothing dies at {', '.join(unknown)}")
    return {
        "deaths": story.deaths.count(), "invoices": sum(len(payer.bills) for payer in story.payers),
        "tries": len(tries), "charges": sum(one["state"] == "paid" for one in tries),
        "all_final_s": round(story.final, 1), "check_money_s": await run.money(),
    }  # fmt: skip


class Story:
    """What happens to the payers from day to day; `final` is how long the last charges took to end."""

    def __init__(self, run: Run, deaths: crashes.Deaths) -> None:
        self.run, self.deaths = run, deaths
        self.payers: list[Payer] = []
        self.final = 0.0

    def by(self, *tokens: str) -> list[Payer]:
        return [payer for payer in self.payers if payer.token in tokens]

    async def begin(self) -> None:
        """All switch autopay on."""
        tokens = [load.CARD_TOKEN] * self.run.count(12) + [load.BANK_TOKEN] * self.run.count(6)
        tokens += [SOFT] * self.run.count(8) + [token for token in HOLDS for _ in range(self.run.count(4))]
        whose = await load.customers(self.run.client, len(tokens))
        methods = await load.spread(zip(whose, tokens, strict=True), lambda one: load.method(self.run.client, *one), 8)
        self.payers = [Payer(*each) for each in zip(whose, tokens, methods, strict=True)]
        await self._dying(SWITCHING, self._switch(self.payers))

    async def first_charges(self) -> None:
        """Of those that are held by them, what was announced for a day later is not charged any more."""
        good = self.by(load.CARD_TOKEN, load.BANK_TOKEN)
        for point, payers in zip(ANNOUNCING, (good, good, self.by(SOFT, *HOLDS)), strict=True):
            await self._dying((point,), self._issue(payers))
        await self._advance("1d")
        await self._issue(self.by(*HOLDS), SKIPPED)
        await self._dying(CHARGING, self._pass("1d"))
        await self._held()

    async def next_charges(self) -> None:
        """Some of those who can pay switch autopay off between notice and charge; soft declines are tried again.

        Those who are held switch it on again, where need be by another such method: not for what came meanwhile.
        """
        cards, held = self.by(load.CARD_TOKEN), self.by(*HOLDS)
        leaving, staying = cards[::3], [payer for payer in cards if payer not in cards[::3]]
        await self._issue(leaving, SKIPPED)
        await self._issue([*staying, *self.by(load.BANK_TOKEN)])
        await self._issue(held, NEVER)
        for payer in self.by(LOST, RETURNED):
            payer.method_id = await load.method(self.run.client, payer.customer_id, payer.token)
        await self._dying(SWITCHING, self._switch(held, leaving))
        await self._issue(self.by(RETURNED))
        await self._pass("2d")
        await self._dying(CHARGING[-1:], self._pass("1d"))
        await self._pass("4d")

    async def once_more(self) -> None:
        """Nothing but hard declines: each commit that dies is of one."""
        await self._issue(self.by(LOST, WRONG_CVC))
        await self._dying(HOLDING, self._pass("2d"))
        await self._held()
        await self._issue(self.by(*HOLDS), NEVER)

    async def _dying(self, points: Iterable[str], act: Coroutine[Any, Any, None]) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.deaths.at_each(crashes.around(points)))
            group.create_task(act)

    async def _switch(self, on: Sequence[Payer], off: Sequence[Payer] = ()) -> None:
        async def one(payer: Payer) -> None:
            wish = {"enabled": True, "method_id": payer.method_id, "surcharge_consent": True}
            path = f"/v1/customers/{payer.customer_id}/autopay"
            await load.persist(self.run.client, path, {"enabled": False} if payer in off else wish, verb="PUT")

        await load.spread([*on, *off], one, 8)

    async def _issue(self, payers: Sequence[Payer], ends: Sequence[str] | None = None) -> None:
        """An invoice for each, until payments has taken it: it announces the charge in the same transaction."""

        async def one(place: int) -> str:
            payer, minor = payers[place], 1_000 + place
            invoice = await load.issued(self.run.client, payer.customer_id, minor)
            wanted = ENDS.get(payer.token, PAID) if ends is None else ends
            payer.bills.append(Bill(invoice, minor, wanted, wanted == PAID and payer.token != RETURNED))
            return invoice

        invoices = await load.spread(range(len(payers)), one, 8)
        await load.settled(self.run.stack, "payments", UNHEARD, invoices, seconds=SECONDS_TO_END)

    async def _advance(self, span: str) -> None:
        await asyncio.to_thread(self.run.stack.paidup, "clock", "advance", span)

    async def _pass(self, span: str) -> None:
        """Days pass, and every charge that is due by then ends, and all know it, before there is a next day."""
        await self._advance(span)
        ahead = float(business_clock.offset(self.run.stack.settings))
        whose = [payer.customer_id for payer in self.payers]
        stack = self.run.stack
        self.final = await load.settled(stack, "payments", UNDER_WAY, whose, ahead, seconds=SECONDS_TO_END)
        self.final += await load.settled(stack, "invoicing", PENDING, whose)
        known = await rows(
            self.run, "invoicing", "SELECT id, sequence FROM invoices WHERE customer_id = ANY($1)", whose
        )
        ids, sequences = [one["id"] for one in known], [one["sequence"] for one in known]
        self.final += await load.settled(stack, "payments", BEHIND, ids, sequences)

    async def _held(self) -> None:
        held = self.by(*HOLDS)
        reasons = [HOLDS[payer.token] for payer in held]
        await load.settled(self.run.stack, "payments", UNHELD, [payer.customer_id for payer in held], reasons)


UNHEARD = """
SELECT w.id::text FROM unnest($1::uuid[]) AS w (id) LEFT JOIN invoices i ON i.id = w.id WHERE i.id IS NULL
"""
UNDER_WAY = """
SELECT c.invoice_id::text, c.attempt, c.state, p.status, p.reconciliation
FROM autopay_charges c LEFT JOIN payments p ON p.id = c.payment_id
WHERE c.customer_id = ANY($1::uuid[]) AND (
    c.state = 'submitted' OR (c.state = 'scheduled' AND c.charge_at <= now() + $2::float * interval '1 second')
    OR p.reconciliation <> 'matched'
)
"""
# Whether payments has heard that nothing of an invoice is under way any more: else it would put the next try off.
PENDING = "SELECT id::text, state, pending FROM invoices WHERE customer_id = ANY($1::uuid[]) AND pending <> 0"
BEHIND = """
SELECT w.id::text, i.sequence, w.sequence AS told FROM unnest($1::uuid[], $2::bigint[]) AS w (id, sequence)
LEFT JOIN invoices i ON i.id = w.id WHERE i.sequence IS NULL OR i.sequence < w.sequence
"""
UNHELD = """
SELECT w.id::text, w.reason, a.held_reason FROM unnest($1::uuid[], $2::text[]) AS w (id, reason)
JOIN autopay a ON a.customer_id = w.id WHERE a.held_reason IS DISTINCT FROM w.reason
"""


# --- what has to hold

TRIES = """
SELECT c.invoice_id::text AS invoice, c.attempt, c.state, c.charge_at - c.first_at AS after, p.id::text AS payment,
    p.status, p.reconciliation
FROM autopay_charges c LEFT JOIN payments p ON p.id = c.payment_id
WHERE c.customer_id = ANY($1::uuid[]) ORDER BY c.invoice_id, c.attempt
"""
STRAY = "SELECT id::text FROM payments WHERE customer_id = ANY($1::uuid[]) AND id <> ALL($2::uuid[])"
PAYMENT_OF = {"paid": ("succeeded", "matched"), "declined": ("declined", None), "skipped": (None, None)}


async def _tried(run: Run, payers: Sequence[Payer]) -> list[Any]:
    """All tries: of each invoice as many as there should be, each on its day, each of one payment that ended so."""
    whose = [payer.customer_id for payer in payers]
    tries = await rows(run, "payments", TRIES, whose)
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for one in tries:
        found[one["invoice"]].append(
            (one["attempt"], one["state"], one["after"].days, one["status"], one["reconciliation"])
        )
    for payer in payers:
        for bill in payer.bills:
            wanted = [(number + 1, end, TRY_DAYS[number], *PAYMENT_OF[end]) for number, end in enumerate(bill.ends)]
            if found[bill.invoice_id] != wanted:
                raise WrongError(f"the tries by {payer.token} are {found[bill.invoice_id]}, not {wanted}")
    stray = await rows(run, "payments", STRAY, whose, [one["payment"] for one in tries if one["payment"]])
    if stray:
        raise WrongError(f"{len(stray)} payments are of no try, as {stray[0]['id']}")
    return tries


UNSETTLED = """
SELECT i.id::text, i.state, i.settled, i.pending FROM unnest($1::uuid[], $2::bigint[]) AS w (id, settled)
JOIN invoices i ON i.id = w.id WHERE (i.state, i.settled, i.pending)
    IS DISTINCT FROM (CASE WHEN w.settled > 0 THEN 'paid' ELSE 'open' END, w.settled, 0)
"""


async def _paid(run: Run, payers: Sequence[Payer]) -> None:
    """What was to be paid is; every other invoice is open, and nothing is under way."""
    bills = [bill for payer in payers for bill in payer.bills]
    settled = [bill.minor if bill.stays_paid else 0 for bill in bills]
    await load.settled(run.stack, "invoicing", UNSETTLED, [bill.invoice_id for bill in bills], settled)


async def _asked_once(run: Run, tries: Sequence[Any]) -> None:
    """The provider's own record: one charge for each payment, and it ended as the try did."""
    charges: defaultdict[str, list[str]] = defaultdict(list)
    for one in await asyncio.to_thread(lambda: list(run.stack.charges())):
        charges[one["metadata"].get("payment_id", "")].append(one["status"])
    for one in tries:
        wanted = {"paid": ["succeeded"], "declined": ["failed"], "skipped": []}[one["state"]]
        if (found := charges.get(one["payment"] or "none", [])) != wanted:
            raise WrongError(f"the provider has {found}, not {wanted}, for payment {one['payment']}")


async def _announced_once(run: Run, payers: Sequence[Payer], tries: Sequence[Any]) -> None:
    """An event for each try, and no other; its record may be there twice, as after any death of who wrote it."""
    whose = {payer.customer_id for payer in payers}
    told: defaultdict[tuple[str, int], set[bytes]] = defaultdict(set)
    for record in await records.read_all(run.stack.kafka(), (topics.AUTOPAY.name,)):
        headers, event = dict(record.headers), json.loads(record.value)
        if headers["ce_type"] == b"AutopayScheduled" and event["customer_id"] in whose:
            told[event["invoice_id"], event["attempt"]].add(headers["ce_id"])
    several = [which for which, events in told.items() if len(events) != 1]
    if several or told.keys() != {(one["invoice"], one["attempt"]) for one in tries}:
        raise WrongError(f"{len(told)} tries were announced, {len(several)} of them more than once, not {len(tries)}")


DEAD = "SELECT topic, error FROM dead_letters WHERE state IN ('waiting', 'unreadable')"


async def _nothing_parked(run: Run) -> None:
    for service in ("invoicing", "payments"):
        letters = await rows(run, service, DEAD)
        if letters or await rows(run, service, "SELECT key FROM parked"):
            raise WrongError(f"{len(letters)} letters of {service} are dead, as {[dict(one) for one in letters[:1]]}")


SCENARIOS: dict[str, Callable[[Run], Awaitable[Figures]]] = {"autopay": autopay}
