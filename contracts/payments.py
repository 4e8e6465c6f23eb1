"""Events of payments."""

from __future__ import annotations

from datetime import date
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from contracts import topics
from contracts.envelope import Amount, Contract, CurrencyCode, Event
from contracts.invoicing import AllocatedPart

PaymentStatus = Literal[
    "submitted",
    "reserved",
    "requires_action",
    "processing",
    "unknown",
    "succeeded",
    "declined",
    "cancelled",
    "expired",
]
Reconciliation = Literal["waiting", "matched", "mismatch", "exception"]
FINAL: frozenset[str] = frozenset({"succeeded", "declined", "cancelled", "expired"})


class PaymentState(Event):
    """A payment after a change, whole."""

    topic: ClassVar[topics.Topic] = topics.PAYMENT
    aggregate: ClassVar[str] = "payment_id"

    payment_id: str
    customer_id: str
    way: Annotated[Literal["collect", "receive"], Field(description="Charged through a provider, or received offline")]
    status: PaymentStatus
    reconciliation: Reconciliation | None = None
    reason: str | None = None
    amount: Annotated[Amount, Field(description="What goes to invoices and credit, without surcharge")]
    surcharge: Amount
    total: Amount
    asked: Annotated[
        tuple[AllocatedPart, ...], Field(description="Invoices as the payer chose; empty: oldest first")
    ] = ()
    credit_used: Annotated[
        Amount | None, Field(description="Unapplied credit that pays some of `asked`, beside `amount`")
    ] = None
    on_account: Annotated[
        bool | None, Field(description="True: it pays no invoice by itself, all of it is the customer's credit")
    ] = None
    effective_on: Annotated[date | None, Field(description="The day on which the money counts")] = None
    expected_by: date | None = None
    number: Annotated[str | None, Field(description="Its short number, which people read out: P-7K3M9-2QXTB")] = None


class PaymentSubmitted(PaymentState):
    """A payer confirmed a quote: invoicing may reserve."""


class PaymentActionRequired(PaymentState):
    """The payer has to act, as in 3-D Secure."""


class PaymentSucceeded(PaymentState):
    """The provider says it took the money. Its record must still confirm it."""


class PaymentDeclined(PaymentState):
    """The provider took no money and will not."""


class PaymentCancelled(PaymentState):
    """The payment ended before any money moved."""


class PaymentExpired(PaymentState):
    """The payer never acted; the provider has cancelled the charge, no money moved and none will."""


class PaymentUnknown(PaymentState):
    """The provider's answer was lost. The provider is asked until it answers."""


class PaymentReconciled(PaymentState):
    """The money is there by the provider's own record, or was received: invoices settle now."""


class PaymentReconciliationOverdue(PaymentState):
    """`expected_by` has passed without a match."""


ReversalKind = Literal["refund", "return", "chargeback"]


class PaymentReversed(PaymentState):
    """Money of a reconciled payment went back; `effective_on` is the day of the return."""

    code: str
    reversed: Annotated[Amount, Field(description="All that has gone back of the payment so far, with surcharge")]
    reversal_id: str | None = None
    kind: ReversalKind | None = None
    taken: Annotated[
        Amount | None, Field(description="What went back now of `amount`, without surcharge; absent: all of it")
    ] = None
    voided: Annotated[
        bool | None, Field(description="True: no money went; a receipt was recorded in error, and counts on no day")
    ] = None


class RefundState(PaymentState):
    """A refund on its way; `refund` is its part of `amount`, without surcharge."""

    reversal_id: str
    refund: Amount


class PaymentRefundRequested(RefundState):
    """The company gives money back; the provider has yet to say that it did."""


class PaymentRefundFailed(RefundState):
    """The provider could not give the money back: it is still the company's to return."""

    came_back: Annotated[
        Amount | None,
        Field(description="`refund` if `PaymentReversed` had said that the money was gone; it is the customer's again"),
    ] = None


class DisputeState(PaymentState):
    """`disputed` is the money that the payer's bank holds until the chargeback is decided, with surcharge."""

    reversal_id: str
    code: str
    disputed: Amount


class PaymentDisputed(DisputeState):
    """The payer's bank opened a chargeback. Only losing it reverses the payment."""


class PaymentDisputeWon(DisputeState):
    """The chargeback was decided for the company: the money is back."""


Funding = Literal["credit", "debit", "prepaid", "unknown"]
Verification = Literal["verified", "pending", "failed"]
Expiry = Annotated[
    str | None, Field(pattern="^[0-9]{4}-(0[1-9]|1[0-2])$", description="The last month of a card, as 2027-04")
]


class MethodAdded(Event):
    """A customer can pay with this method. It has no numbers and no names."""

    topic: ClassVar[topics.Topic] = topics.METHOD
    aggregate: ClassVar[str] = "method_id"

    method_id: str
    customer_id: str
    kind: Literal["card", "bank_account"]
    funding: Funding | None = None
    saved: Annotated[bool | None, Field(description="False: for one payment only")] = None
    is_default: bool | None = None
    verification: Annotated[Verification | None, Field(description="A pending one can't be charged yet")] = None
    expires: Expiry = None


class MethodChanged(Event):
    """The method after a change: it became the default or ceased to be it, was verified, or was disabled."""

    topic: ClassVar[topics.Topic] = topics.METHOD
    aggregate: ClassVar[str] = "method_id"

    method_id: str
    customer_id: str
    kind: Literal["card", "bank_account"]
    funding: Funding | None = None
    saved: bool
    is_default: bool
    verification: Verification
    disabled: Annotated[bool, Field(description="It can't be charged any more")]
    expires: Expiry = None


class MethodRemoved(Event):
    """The method was removed: it is in no list any more, and the provider forgets it."""

    topic: ClassVar[topics.Topic] = topics.METHOD
    aggregate: ClassVar[str] = "method_id"

    method_id: str
    customer_id: str
    kind: Literal["card", "bank_account"]


class CurrencyMethod(Contract):
    """The method that pays what is in one currency."""

    currency: CurrencyCode
    method_id: str


class AutopayChanged(Event):
    """A customer's autopay after a change. `held_reason`: it charges nothing until a person switches it on again."""

    topic: ClassVar[topics.Topic] = topics.AUTOPAY
    aggregate: ClassVar[str] = "customer_id"

    customer_id: str
    enabled: bool
    method_id: str | None = None
    day: Annotated[Literal["due", "issue"], Field(description="The day of an invoice on which it is charged")]
    surcharge_consent: bool
    held_reason: Annotated[str | None, Field(description="A code of the provider's, or of what is in the way")] = None
    methods: Annotated[
        tuple[CurrencyMethod, ...] | None,
        Field(description="The methods of single currencies; `method_id` pays the others, as far as it can"),
    ] = None


class AutopayScheduled(Event):
    """Notice of a charge: of the first try of an invoice two days before it at least, and of each further one."""

    topic: ClassVar[topics.Topic] = topics.AUTOPAY
    aggregate: ClassVar[str] = "customer_id"

    customer_id: str
    invoice_id: str
    method_id: str
    attempt: int
    charge_on: date
    amount: Annotated[Amount, Field(description="Charged is what is payable then, and no more than this")]
    surcharge: Annotated[Amount, Field(description="What the method carries by the rules of today")]
    total: Amount


class ExceptionAssigned(Event):
    """An exception was given to somebody, who is to look at it. Internal: `assigned_to` may be an address.

    `assigned_to`: the id or e-mail address of one of the company's people, or a name that only people understand.
    """

    topic: ClassVar[topics.Topic] = topics.EXCEPTION
    aggregate: ClassVar[str] = "exception_id"

    exception_id: str
    assigned_to: str
    why: Annotated[str, Field(description="The class of the exception")]
    amount: Amount
    payment_id: str | None = None
