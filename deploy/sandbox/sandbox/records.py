"""What the sandbox keeps: customers, methods and payments (an intent with its latest charge)."""

import os
from dataclasses import dataclass, field


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
    """`token` names the test id that it came from."""

    id: str
    created: int
    customer: str
    token: str
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Payment:
    """A payment intent. Amounts are in Stripe's unit, instants in seconds of business time.

    Its charge, balance transactions and dispute take their ids from it, so that each finds the others.
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

    @property
    def charge_id(self) -> str | None:
        prefix = "ch" if self.kind == "card" else "py"
        return f"{prefix}_{self.tries}{self.id[3:]}" if self.tries else None

    @property
    def transaction_id(self) -> str | None:
        return f"txn_{self.tries}{self.id[3:]}" if self.cleared is not None else None

    @property
    def dispute_id(self) -> str | None:
        return f"du_{self.tries}{self.id[3:]}" if self.returned is not None else None

    @property
    def fee(self) -> int:
        """2.9 % + 30 for a card, 0.8 % and at most 500 for a bank debit."""
        if self.kind == "card":
            return (self.amount * 29 + 500) // 1000 + 30
        return min((self.amount * 8 + 500) // 1000, 500)


def intent_id_of(part: str) -> str:
    """The intent of a charge, balance transaction or dispute."""
    return "pi_" + part.partition("_")[2][1:25]
