"""What the sandbox keeps: customers, methods, payments (an intent with its latest charge), what goes back."""

import os
from dataclasses import asdict, dataclass, field
from typing import Any

from sandbox.catalogue import RETURN_REASONS

AVAILABLE_AFTER = 2 * 86400


def new_id(prefix: str) -> str:
    return f"{prefix}_{os.urandom(12).hex()}"


@dataclass(slots=True)
class Customer:
    id: str
    created: int
    metadata: dict[str, str]
    name: str | None = None
    email: str | None = None
    description: str | None = None


@dataclass(slots=True)
class Method:
    """`token` names the test id that it came from; `customer` is None before it is attached and after it was detached.

    `billing` is as Stripe's `billing_details`, `expires` a card's year and month.
    """

    id: str
    created: int
    customer: str | None
    token: str
    metadata: dict[str, str] = field(default_factory=dict)
    billing: dict[str, Any] = field(default_factory=dict)
    expires: list[int] = field(default_factory=lambda: [2034, 12])


@dataclass(slots=True)
class Payment:
    """A payment intent. Amounts are in Stripe's unit, instants in seconds of business time.

    Its charge and the balance transaction of that take their ids from it, so that each finds the others. `refunded`
    holds refunds under way too.
    """

    id: str
    created: int
    customer: str
    method: str
    kind: str
    amount: int
    currency: str
    types: list[str]
    metadata: dict[str, str]
    status: str = "requires_confirmation"
    description: str | None = None
    tries: int = 0
    charged: int | None = None
    charge_status: str | None = None
    failure: str | None = None
    decline: str | None = None
    cleared: int | None = None
    cancelled: int | None = None
    cancel_reason: str | None = None
    returned: int | None = None
    return_code: str | None = None
    refunded: int = 0
    disputed: bool = False
    action_url: str | None = None
    return_url: str | None = None

    @property
    def charge_id(self) -> str | None:
        prefix = "ch" if self.kind == "card" else "py"
        return f"{prefix}_{self.tries}{self.id[3:]}" if self.tries else None

    @property
    def transaction_id(self) -> str | None:
        return f"txn_{self.tries}{self.id[3:]}" if self.cleared is not None else None

    @property
    def fee(self) -> int:
        """2.9 % + 30 for a card, 0.8 % and at most 500 for a bank debit; whole kronur and shillings."""
        if self.kind == "card":
            fee = (self.amount * 29 + 500) // 1000 + 30
        else:
            fee = min((self.amount * 8 + 500) // 1000, 500)
        return -(-fee // 100) * 100 if self.currency in ("isk", "ugx") else fee


@dataclass(slots=True)
class Transaction:
    """A movement of the company's balance; it belongs to one payout at most."""

    id: str
    created: int
    available: int
    source: str
    kind: str
    category: str
    amount: int
    fee: int
    currency: str
    payout: str | None = None
    description: str | None = None

    @property
    def net(self) -> int:
        return self.amount - self.fee


@dataclass(slots=True)
class Refund:
    id: str
    created: int
    payment: str
    charge: str
    amount: int
    currency: str
    metadata: dict[str, str]
    reason: str | None
    status: str
    transaction: str | None = None
    failure: str | None = None
    failure_transaction: str | None = None


@dataclass(slots=True)
class Dispute:
    """A card holder's, or a bank's return: Stripe books that as one that is lost when it is opened."""

    id: str
    created: int
    payment: str
    charge: str
    kind: str
    amount: int
    currency: str
    reason: str
    code: str | None
    status: str
    transactions: list[dict[str, Any]] = field(default_factory=list)

    @staticmethod
    def of_return(payment: Payment) -> "Dispute":
        code = payment.return_code or ""
        return Dispute(
            new_id("du"), payment.returned or 0, payment.id, payment.charge_id or "", payment.kind, payment.amount,
            payment.currency, RETURN_REASONS.get(code, "bank_cannot_process"), code, "lost",
        )  # fmt: skip

    @staticmethod
    def of_card(payment: Payment, amount: int, reason: str, at: int) -> "Dispute":
        return Dispute(
            new_id("du"), at, payment.id, payment.charge_id or "", payment.kind, amount, payment.currency, reason, None,
            "needs_response",
        )  # fmt: skip

    def withdrawal(self, fee: int = 0) -> Transaction:
        """Takes the money from the balance."""
        return self._booked(-self.amount, fee, self.created, "dispute")

    def reinstatement(self, at: int) -> Transaction:
        """Gives it back."""
        return self._booked(self.amount, 0, at, "dispute_reversal")

    def _booked(self, amount: int, fee: int, at: int, category: str) -> Transaction:
        made = Transaction(new_id("txn"), at, at, self.id, "adjustment", category, amount, fee, self.currency)
        self.transactions.append(asdict(made))
        return made


@dataclass(slots=True)
class Payout:
    """Money to the company's bank account, with `trace` in its text; `arrival` is the first second of that day."""

    id: str
    created: int
    arrival: int
    amount: int
    currency: str
    transaction: str
    trace: str
    status: str = "pending"
    failure: str | None = None
    failure_transaction: str | None = None


@dataclass(slots=True)
class Session:
    """A visit to the hosted page, open until it `expires`."""

    id: str
    created: int
    expires: int
    customer: str
    setup: str
    types: list[str]
    success_url: str
    cancel_url: str | None
    metadata: dict[str, str]
    status: str = "open"


@dataclass(slots=True)
class Setup:
    """A setup intent: `action` is where its holder authenticates the card, `arrives` when micro-deposits do."""

    id: str
    created: int
    customer: str
    session: str
    types: list[str]
    metadata: dict[str, str]
    status: str = "requires_payment_method"
    method: str | None = None
    error: str | None = None
    action: str | None = None
    arrives: int | None = None
    attempts: int = 0


def charge_transaction(payment: Payment) -> Transaction:
    """What a charge brings; the money is available two days later."""
    at, kind = payment.cleared or 0, "charge" if payment.kind == "card" else "payment"
    return Transaction(
        payment.transaction_id or "", at, at + AVAILABLE_AFTER, payment.charge_id or "", kind, "charge", payment.amount,
        payment.fee, payment.currency, description=payment.description,
    )  # fmt: skip


def intent_id_of(charge: str) -> str:
    return "pi_" + charge.partition("_")[2][1:25]
