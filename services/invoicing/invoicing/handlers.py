"""Handlers of the events and commands that invoicing hears."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from chassis.messaging.handlers import Handlers, Lock
from chassis.messaging.records import Received
from chassis.messaging.work import Work
from contracts import payments as heard
from contracts import support, words
from contracts.allocation import Part
from contracts.invoicing import AllocatedPart, CreateCustomer, IssueInvoice
from contracts.refusals import Refusal
from contracts.strict_json import NotJsonError, read_strict
from invoicing import issuing, messages, store
from invoicing.bank_days import held_until
from invoicing.domain import MOST_PARTS, Book, Dispute, accept, credit_accepted, disputed, end_hold, raise_dispute

handlers = Handlers("invoicing")
commands = Handlers("invoicing-inbound", answer_unreadable=messages.unreadable, answer_unknown=messages.unknown_command)
customer_of = Lock(1, "customers", lambda event: event.customer_id)


def _asked(parts: Sequence[AllocatedPart]) -> tuple[Part, ...]:
    return tuple(Part(part.invoice_id, part.amount.money()) for part in parts)


@handlers.on_many(heard.PaymentSubmitted, lock=customer_of)
async def reserve_invoices(events: Sequence[Received[heard.PaymentSubmitted]], work: Work) -> None:
    named = {part.invoice_id for received in events for part in received.event.asked}
    using = {_place(received.event) for received in events if received.event.credit_used}
    book = await store.load_book(work, invoices=named, credits_of=using)
    for received in events:
        event = received.event
        currency, parts = event.amount.currency, _asked(event.asked)
        credit = event.credit_used.amount_minor if event.credit_used else 0
        book.reserve(event.payment_id, event.customer_id, parts, currency, event.expected_by, credit)
        _say(book, received, work)
    await store.save_book(work, book)


@handlers.on_many(heard.PaymentReconciled, lock=customer_of)
async def settle_invoices(events: Sequence[Received[heard.PaymentReconciled]], work: Work) -> None:
    free = {_place(received.event) for received in events if _finds_invoices(received.event)}
    oldest: dict[tuple[str, str], int] = defaultdict(int)
    for event in (received.event for received in events):
        if _place(event) in free:  # what pays an invoice by name moves on what the rest reaches
            oldest[_place(event)] += event.amount.amount_minor
    named = {part.invoice_id for received in events for part in received.event.asked}
    ids = [received.event.payment_id for received in events]
    most = MOST_PARTS * max(1, sum(_finds_invoices(received.event) for received in events))
    book = await store.load_book(work, payments=ids, invoices=named, oldest=oldest, most=most)
    for received in events:
        event = received.event
        effective_on = event.effective_on or work.clock.today()
        book.settle(
            event.payment_id, event.customer_id, event.amount.money(), _asked(event.asked), effective_on,
            on_account=bool(event.on_account),
        )  # fmt: skip
        _say(book, received, work)
    await store.save_book(work, book)


def _finds_invoices(event: heard.PaymentReconciled) -> bool:
    return not event.asked and not event.on_account


def _place(event: heard.PaymentState) -> tuple[str, str]:
    return event.customer_id, event.amount.currency


@handlers.on_many(heard.PaymentDeclined, heard.PaymentCancelled, heard.PaymentExpired, lock=customer_of)
async def release_reservations(events: Sequence[Received[Any]], work: Work) -> None:
    book = await store.load_book(work, payments=[received.event.payment_id for received in events])
    for received in events:
        book.release(received.event.payment_id)
        _say(book, received, work)
    await store.save_book(work, book)


@handlers.on_many(heard.PaymentReversed, lock=customer_of)
async def reverse_settlements(events: Sequence[Received[heard.PaymentReversed]], work: Work) -> None:
    book = await store.load_book(work, payments=[received.event.payment_id for received in events])
    booked = await store.load_booked(work, [received.event.payment_id for received in events if received.event.voided])
    for received in events:
        event, taken = received.event, received.event.taken
        if event.voided:
            book.unsettle(event.payment_id, booked[event.payment_id])
        elif taken is None or taken.amount_minor:  # a last bit of surcharge goes back by itself
            book.reverse(event.payment_id, event.effective_on or work.clock.today(), taken.money() if taken else None)
        _say(book, received, work)
    await store.save_book(work, book)
    await _keep(events, work)


@handlers.on_many(
    heard.PaymentDisputed, heard.PaymentDisputeWon, heard.PaymentReconciliationOverdue, heard.AutopayScheduled,
    heard.AutopayChanged,
)  # fmt: skip
async def keep_what_was_heard(events: Sequence[Received[Any]], work: Work) -> None:
    """Keep events for the timelines of invoices; they change no amount."""
    await _keep(events, work)


async def _keep(events: Sequence[Received[Any]], work: Work) -> None:
    kept = []
    for received in events:
        about = next(name for name in ("invoice_id", "payment_id", "customer_id") if hasattr(received.event, name))
        name = type(received.event).__name__
        kept.append((getattr(received.event, about), received.time or work.now, name, received.body))
    await store.add_heard(work, kept)


@handlers.on_many(heard.PaymentRefundFailed, lock=customer_of)
async def give_again(events: Sequence[Received[heard.PaymentRefundFailed]], work: Work) -> None:
    """Make credit of a refund that had gone and did not arrive. A refund that never went has changed no settlement."""
    back = [(each, each.event.came_back.money()) for each in events if each.event.came_back]
    book = await store.load_book(work, payments=[received.event.payment_id for received, _ in back])
    for received, money in back:
        event = received.event
        if money:  # a last bit of surcharge comes back by itself
            book.give_again(event.payment_id, money, event.effective_on or work.clock.today())
        _say(book, received, work)
    await store.save_book(work, book)


@handlers.on_many(
    support.DisputeRaised, support.DisputeAccepted, support.DisputeRejected, support.DisputeWithdrawn, lock=customer_of
)  # fmt: skip
async def follow_disputes(events: Sequence[Received[support.DisputeState]], work: Work) -> None:
    accepting = any(isinstance(received.event, support.DisputeAccepted) for received in events)
    book = await store.load_book(work, disputed={received.event.invoice_id for received in events}, accepting=accepting)
    raised = [received.event.invoice_id for received in events if isinstance(received.event, support.DisputeRaised)]
    documents = await store.load_documents(work.connection, raised)
    for received in events:
        event, today = received.event, work.clock.today()
        match event:
            case support.DisputeRaised():
                amount = _disputed(event, book, documents)
                raise_dispute(book, Dispute(event.dispute_id, event.customer_id, event.invoice_id, amount), today)
            case support.DisputeAccepted():
                accept(book, event.dispute_id, today)
            case support.DisputeRejected():
                end_hold(book, event.dispute_id, "rejected", today, held_until(today))
            case support.DisputeWithdrawn():
                end_hold(book, event.dispute_id, "withdrawn", today)
        _say(book, received, work)
    await store.save_book(work, book)


def _disputed(event: support.DisputeState, book: Book, documents: Mapping[str, store.Document]) -> int:
    """What is disputed, by the lines that invoicing knows: at most what they come to."""
    total = book.invoices[event.invoice_id].total
    if not event.lines:
        return min(total, event.amount.amount_minor) if event.amount else total
    lines = [(one.line, one.amount.amount_minor if one.amount else None) for one in event.lines]
    return disputed(documents[event.invoice_id].line_totals, lines)


def _say(book: Book, received: Received[Any], work: Work) -> None:
    """Credit accepted disputes for which no money is under way any more; emit the facts that one event led to."""
    credit_accepted(book, work.clock.today())
    work.cause = received.cause
    work.emit(*messages.of(book.take_facts(), work.now))


@commands.on_many(IssueInvoice, raw=True)
async def issue_invoices(events: Sequence[Received[IssueInvoice]], work: Work) -> None:
    read = [(received, _read(IssueInvoice, received.body)) for received in events]
    asked = [command for _, command in read if isinstance(command, IssueInvoice)]
    outcomes = iter(await issuing.issue(asked, work))
    for received, command in read:
        work.cause = received.cause
        outcome = command if isinstance(command, Refusal) else next(outcomes)
        if isinstance(outcome, Refusal):
            work.emit(messages.refused(received.id, "IssueInvoice", outcome, work.now))
        else:
            work.emit(messages.accepted(received.id, "IssueInvoice", outcome.invoice.id, work.now))


@commands.on_many(CreateCustomer, raw=True)
async def create_customers(events: Sequence[Received[CreateCustomer]], work: Work) -> None:
    for received in events:
        work.cause = received.cause
        command = _read(CreateCustomer, received.body)
        try:
            if isinstance(command, Refusal):
                raise command
            customer, _ = await issuing.create_customer(command, work)
            work.emit(messages.accepted(received.id, "CreateCustomer", customer["id"], work.now))
        except Refusal as refused:
            work.emit(messages.refused(received.id, "CreateCustomer", refused, work.now))


def _read(command: type[Any], body: bytes) -> Any:
    """The command, or the reason and field for which it is refused; never the input itself."""
    try:
        return command.model_validate(read_strict(body))
    except NotJsonError as error:
        return Refusal("invalid-command", str(error))
    except ValidationError as error:
        fault = error.errors(include_input=False)[0]
        return Refusal("invalid-command", words.sentence(fault), words.field(fault) or None)
