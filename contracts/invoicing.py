"""Events of invoicing, and the commands that it takes."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, ConfigDict, FailFast, Field, model_validator
from pydantic_core import PydanticCustomError

from contracts import topics
from contracts.calendar import within_reach
from contracts.envelope import Amount, Contract, Event, known_currency
from contracts.metadata import Metadata
from contracts.money import LARGEST_MINOR
from contracts.normal import Name

InvoiceStatus = Literal["draft", "open", "in_progress", "paid", "void", "uncollectible"]


class InvoiceState(Event):
    """An invoice after a change, whole: one event is enough for a projection."""

    topic: ClassVar[topics.Topic] = topics.INVOICE
    aggregate: ClassVar[str] = "invoice_id"

    invoice_id: str
    customer_id: str
    number: str
    status: InvoiceStatus
    issued_on: date
    due_on: date
    total: Amount
    credited: Amount
    settled: Amount
    balance: Amount
    pending: Amount
    payable_now: Amount
    payment_id: Annotated[str | None, Field(description="The payment that caused the change, if one did")] = None
    disputed: Annotated[Amount | None, Field(description="Of the balance, what is in dispute; absent: nothing")] = None
    held: Annotated[
        Amount | None,
        Field(
            description="Of the balance, what reminders and autopay leave out; absent: nothing. After `held_until` it "
            "is `disputed` alone"
        ),
    ] = None
    held_until: Annotated[
        date | None, Field(description="The last day on which what a rejected dispute was about is held")
    ] = None
    uncredited: Annotated[
        tuple[str, ...] | None,
        Field(
            description="Accepted disputes, by their ids, that end here without a credit note: the invoice is void or "
            "credited in full, so nothing is left to credit; absent: none"
        ),
    ] = None


class InvoiceIssued(InvoiceState):
    """An invoice is owed from now on."""

    lines: Annotated[
        tuple[Amount, ...] | None,
        Field(description="What each line comes to, with its share of the tax, in order; their sum is `total`"),
    ] = None


class InvoiceChanged(InvoiceState):
    """Amounts changed and the invoice is open: a part was paid or reserved, or a reservation ended."""


class InvoiceInProgress(InvoiceState):
    """All that can be paid is reserved by payments under way."""


class InvoicePaid(InvoiceState):
    """The balance is zero: reconciled money settled it."""


class InvoiceReopened(InvoiceState):
    """Money went back: a paid invoice is owed again, with its old due date."""


class InvoiceHeld(InvoiceState):
    """A customer disputes the invoice or some of its lines: that amount is held from reminders and autopay."""

    dispute_id: str
    dispute_amount: Annotated[Amount, Field(description="What the dispute is about, whatever of it is still owed")]


class InvoiceHoldEnded(InvoiceState):
    """A dispute was rejected or withdrawn: all is owed. Reminders and autopay wait until `held_until`, if any."""

    dispute_id: str
    dispute_amount: Annotated[Amount, Field(description="What the dispute was about")]
    outcome: Literal["rejected", "withdrawn"]


class InvoiceVoided(InvoiceState):
    """The invoice was voided."""

    reason: Annotated[str | None, Field(description="Why, in the words of who withdrew it, if they gave a reason")] = (
        None
    )


class InvoiceWrittenOff(InvoiceState):
    """The invoice is held to be uncollectible; money may still come."""


class AllocatedPart(Contract):
    invoice_id: str
    amount: Amount


class ReservationState(Event):
    topic: ClassVar[topics.Topic] = topics.RESERVATION
    aggregate: ClassVar[str] = "payment_id"

    payment_id: str
    customer_id: str


class ReservationPlaced(ReservationState):
    """All parts of a payment are reserved; its charge may begin."""

    amount: Amount


class ReservationRefused(ReservationState):
    """Nothing is reserved: an invoice can't take its part."""

    reason: Literal["invoice_changed", "invoice_unknown"]
    invoice_id: str


class ReservationReleased(ReservationState):
    """The payment ended without money; its invoices can be paid again."""


class SettlementState(Event):
    topic: ClassVar[topics.Topic] = topics.SETTLEMENT
    aggregate: ClassVar[str] = "payment_id"

    payment_id: str
    customer_id: str
    allocations: tuple[AllocatedPart, ...]
    credit: Amount
    effective_on: date


class SettlementPosted(SettlementState):
    """Reconciled money was shared over invoices; the rest is the customer's credit."""

    by_credit: Annotated[
        tuple[AllocatedPart, ...] | None,
        Field(description="What unapplied credit paid beside it; empty: nothing. Present only if credit was reserved"),
    ] = None


class SettlementReversed(SettlementState):
    """Money of a settlement went back; allocations and credit are what was taken away."""

    left: Annotated[
        tuple[AllocatedPart, ...], Field(description="What the settlement still pays; empty: all went back")
    ] = ()
    credit_left: Annotated[Amount | None, Field(description="Of what became credit, what has not gone back")] = None


class CreditApplied(SettlementState):
    """Credit of an earlier payment paid invoices; allocations and credit are what was applied, by `applied_by`."""

    applied_by: Annotated[str, Field(description="The payment that was confirmed with this credit")]
    left: Annotated[tuple[AllocatedPart, ...], Field(description="All that the settlement pays now")] = ()
    credit_left: Annotated[Amount | None, Field(description="Of what became credit, what is unapplied")] = None


class CreditChanged(Event):
    """Unapplied money of a customer, by the payment that brought it."""

    topic: ClassVar[topics.Topic] = topics.CREDIT
    aggregate: ClassVar[str] = "credit_id"

    credit_id: str
    customer_id: str
    payment_id: str
    amount: Amount
    balance: Amount
    available: Annotated[Amount | None, Field(description="Of the balance, what no payment under way holds")] = None


class CreditNoteState(Event):
    """A credit note, whole: a part paid its own invoice, the rest is the customer's credit."""

    topic: ClassVar[topics.Topic] = topics.CREDIT_NOTE
    aggregate: ClassVar[str] = "credit_note_id"

    credit_note_id: str
    customer_id: str
    number: str
    invoice_id: str
    dispute_id: str
    issued_on: date
    amount: Amount
    applied: Annotated[Amount, Field(description="Of the amount, what its own invoice took when it was issued")]
    balance: Annotated[Amount, Field(description="Of the rest, what has paid nothing yet")]
    available: Annotated[Amount, Field(description="Of the balance, what no payment under way holds")]


class CreditNoteIssued(CreditNoteState):
    """A dispute was accepted, and its amount is credited."""


class CreditNoteChanged(CreditNoteState):
    """A payment that uses the rest of the credit note began, ended, or was confirmed."""


class CustomerChanged(Event):
    """A customer, whole. Internal: names and addresses travel here alone."""

    topic: ClassVar[topics.Topic] = topics.CUSTOMER
    aggregate: ClassVar[str] = "customer_id"

    customer_id: str
    external_id: str
    name: str
    email: str | None = None
    address: str | None = None
    account_manager: str | None = None


class CustomerErased(Event):
    """A customer's name and addresses are to be forgotten. The body is null."""

    topic: ClassVar[topics.Topic] = topics.CUSTOMER
    aggregate: ClassVar[str] = "customer_id"
    erases: ClassVar[bool] = True

    customer_id: str


DAY_TEXT = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _exact_decimal(value: Any) -> Any:
    """A number is read from its text, so that 0.0825 means 8.25 % and not the nearest binary fraction."""
    return str(value) if isinstance(value, float) else value


def _written_as_a_day(value: Any) -> Any:
    """A number is not taken for seconds since 1970."""
    if isinstance(value, date) or (isinstance(value, str) and DAY_TEXT.fullmatch(value)):
        return value
    raise ValueError("write a day as YYYY-MM-DD")


def _written_as_an_instant(value: Any) -> Any:
    """A number is not taken for seconds since 1970."""
    if isinstance(value, datetime) or (isinstance(value, str) and DAY_TEXT.fullmatch(value[:10])):
        return value
    raise ValueError("write an instant as YYYY-MM-DDThh:mm:ssZ")


Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Called = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$")]
LongText = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00]*$")]
Quantity = Annotated[Decimal, BeforeValidator(_exact_decimal), Field(gt=0, max_digits=15, decimal_places=6)]
TaxRate = Annotated[Decimal, BeforeValidator(_exact_decimal), Field(ge=0, le=1, max_digits=8, decimal_places=6)]
UnitPrice = Annotated[int, Field(strict=True, ge=-LARGEST_MINOR, le=LARGEST_MINOR)]
PositiveMinor = Annotated[int, Field(strict=True, gt=0, le=LARGEST_MINOR)]
Day = Annotated[date, BeforeValidator(_written_as_a_day), AfterValidator(within_reach)]
Instant = Annotated[AwareDatetime, BeforeValidator(_written_as_an_instant), AfterValidator(within_reach)]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$"), AfterValidator(known_currency)]
Email = Annotated[str, Field(max_length=254, pattern=r"^[^@\s\x00]+@[^@\s\x00]+\.[^@\s\x00]+$")]


class CommandState(Event):
    """A command of another system: by HTTP, or as a message, which is carried out once for each `ce_id`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    topic: ClassVar[topics.Topic] = topics.INBOUND
    aggregate: ClassVar[str] = "external_id"


class CreateCustomer(CommandState):
    external_id: Name
    name: Called
    email: Email | None = None
    address: LongText | None = None
    account_manager: Text | None = None
    metadata: Metadata | None = None


class LineRequest(Contract):
    model_config = ConfigDict(frozen=True, extra="forbid")

    description: LongText
    quantity: Quantity = Decimal(1)
    unit_price_minor: UnitPrice
    tax_rate: TaxRate = Decimal(0)


# The first line at fault is named: to find all faults of a thousand lines takes a second.
MostLines = Annotated[tuple[LineRequest, ...], FailFast(), Field(min_length=1, max_length=1000)]


class IssueInvoice(CommandState):
    """Names its customer by `customer_id` or `customer_external_id`, one of the two."""

    aggregate: ClassVar[str] = "number"

    customer_id: Annotated[str, Field(max_length=36)] | None = None
    customer_external_id: Name | None = None
    number: Name
    currency: Currency
    issued_on: Day
    due_on: Day
    lines: MostLines
    po_number: Text | None = None
    terms: LongText | None = None
    notes: LongText | None = None
    metadata: Metadata | None = None
    draft: Annotated[bool, Field(strict=True)] = False

    @model_validator(mode="after")
    def _dates_and_customer_fit(self) -> IssueInvoice:
        if self.due_on < self.issued_on:
            raise PydanticCustomError("due_before_issue", "lies before issued_on", {"field": "due_on"})
        if (self.customer_id is None) == (self.customer_external_id is None):
            one = "name the customer by customer_id or by customer_external_id, one of the two"
            raise PydanticCustomError("one_customer", one, {"field": "customer_id"})
        return self


class OutcomeState(Event):
    topic: ClassVar[topics.Topic] = topics.OUTCOMES
    aggregate: ClassVar[str] = "command_id"

    command_id: str
    command: str


class CommandAccepted(OutcomeState):
    resource_id: str


class CommandRefused(OutcomeState):
    code: str
    detail: str
    field: str | None = None
