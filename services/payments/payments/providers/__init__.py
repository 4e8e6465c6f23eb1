"""What payments asks of a payment provider: one small interface, in ISO minor units and UTC instants."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, Protocol

MethodKind = Literal["card", "bank_account"]
Funding = Literal["credit", "debit", "prepaid", "unknown"]
BackKind = Literal["refund", "return", "chargeback"]
BackState = Literal["processing", "open", "succeeded", "failed", "won"]
ChargeState = Literal["succeeded", "processing", "requires_action", "declined", "cancelled", "open"]
SetupState = Literal["open", "verifying", "succeeded", "failed", "expired"]
PayoutState = Literal["pending", "in_transit", "paid", "failed", "cancelled"]
LineKind = Literal[
    "charge", "refund", "refund_failed", "return", "chargeback", "chargeback_won", "fee", "payout_failed", "adjustment"
]


class ProviderError(Exception):
    """What every error of a provider is."""


class ProviderRefused(ProviderError):
    """The provider refused for good and did nothing (a bad token, an amount it can't take, an unknown id)."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class ProviderUnknown(ProviderError):
    """Whether the provider acted is not known (a timeout, a lost connection, its own failure): ask again."""


class ProviderDown(ProviderUnknown):
    """The provider can't be reached, or turns everything away. What an earlier call did stays unknown."""


class BadSignature(ProviderError):
    """A webhook was not signed by the provider, or too long ago."""


@dataclass(frozen=True, slots=True)
class MethodDetails:
    """A way to pay as the provider keeps it. `expires` is (year, month); `funding` is None for a bank account.

    `country` (ISO 3166-1 alpha-2), `state` and `postal_code` are those of its billing address, where it has one.
    """

    provider_id: str
    kind: MethodKind
    funding: Funding | None
    brand: str | None
    last4: str | None
    expires: tuple[int, int] | None
    country: str | None = None
    state: str | None = None
    postal_code: str | None = None


@dataclass(frozen=True, slots=True)
class ChargeRequest:
    """One attempt to take money. `amount_minor` is in ISO 4217 minor units.

    `on_session`: the payer is there and can be asked by the card's bank, coming back to `return_url`; otherwise a card
    that would ask is declined.
    """

    attempt_id: str
    payment_id: str
    provider_customer: str
    provider_method: str
    amount_minor: int
    currency: str
    on_session: bool = False
    return_url: str | None = None


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """Money to give back of a charge, once per `refund_id`. `amount_minor` is in ISO 4217 minor units."""

    refund_id: str
    charge_id: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class TakenBack:
    """Money of a charge that goes back: a refund, a bank's return, or a chargeback, in ISO 4217 minor units.

    `open`: the payer's bank holds it until it is decided; `won`: decided for us. `refund_id`: the refund of ours that
    it is; `code` is the provider's reason, `at` its instant of the state.
    """

    provider_id: str
    kind: BackKind
    state: BackState
    amount_minor: int
    at: datetime
    code: str | None = None
    refund_id: str | None = None


@dataclass(frozen=True, slots=True)
class Charge:
    """A charge as the provider's record has it, in ISO 4217 minor units.

    `captured_minor` is what it has taken for good: a bank debit's is 0 until it clears. `cleared_on` is the
    provider's instant of that, `reason` its decline code, `next_action_url` where the payer confirms it while it
    `requires_action`. In an event about money that goes back `attempt_id` is None:
    `get_charge` has the whole record.
    """

    provider_id: str
    attempt_id: str | None
    state: ChargeState
    amount_minor: int
    currency: str
    captured_minor: int
    cleared_on: datetime | None
    reason: str | None
    taken_back: tuple[TakenBack, ...] = ()
    next_action_url: str | None = None


@dataclass(frozen=True, slots=True)
class SetupPage:
    """The provider's own page on which a customer gives a way to pay; `id` asks for its outcome."""

    id: str
    url: str


@dataclass(frozen=True, slots=True)
class SetupOutcome:
    """What has become of a setup.

    `open`: nothing was given so far. `verifying`: the bank account of `method` can't be charged until the amounts or
    the code of two small deposits are told, which arrive at `deposits_at`. `failed`: `reason` is the provider's code.
    """

    state: SetupState
    method: MethodDetails | None = None
    deposits_at: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Payout:
    """Money that the provider sends to the company's bank account, in ISO 4217 minor units.

    `arrives_on` is the day that the provider expects, `trace` what the bank's line about it says, where it is known.
    `reason`: the provider's code of a failure. `by_hand`: somebody made it, and the provider lists no lines of it.
    """

    provider_id: str
    state: PayoutState
    amount_minor: int
    currency: str
    arrives_on: date
    created_at: datetime
    trace: str | None = None
    descriptor: str | None = None
    reason: str | None = None
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class PayoutLine:
    """A movement that a payout consists of, in ISO 4217 minor units: `net = amount - fee`; Σ net is the payout.

    What was taken from the company has a negative `amount_minor`. `charge_id` is a `Charge.provider_id`; None where no
    charge stands behind it. `payout_id`: the payout that failed or was cancelled, whose money it brings again.
    """

    provider_id: str
    kind: LineKind
    charge_id: str | None
    amount_minor: int
    fee_minor: int
    net_minor: int
    currency: str
    at: datetime
    payout_id: str | None = None


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """Something that happened at the provider: to a charge, a payout, or a setup; to none that payments knows of.

    `setup_id` is the reference that `begin_setup` was told. Of payouts and setups the record is asked.
    """

    id: str
    kind: str
    occurred_at: datetime
    charge: Charge | None
    payout_id: str | None = None
    setup_id: str | None = None


class Provider(Protocol):
    """A payment provider. Every call may raise `ProviderRefused` or `ProviderUnknown`."""

    async def create_customer(self, customer_id: str) -> str:
        """The provider's id of a customer of ours; the same one when asked again."""
        ...

    async def attach_method(self, provider_customer: str, token: str, idempotency_key: str) -> MethodDetails:
        """Keep what the token stands for with the customer."""
        ...

    async def begin_setup(
        self, provider_customer: str, kinds: tuple[MethodKind, ...], return_url: str, reference: str
    ) -> SetupPage:
        """A page that takes one of `kinds` with billing address and terms; it leads back to `return_url`, done or not.

        The same page when asked again with the same reference.
        """
        ...

    async def setup_outcome(self, setup_page_id: str) -> SetupOutcome: ...

    async def verify_deposits(
        self, setup_page_id: str, *, amounts_minor: tuple[int, int] | None = None, code: str | None = None
    ) -> SetupOutcome:
        """Tell the deposits, by amounts or by the code of one. `ProviderRefused` with the code `deposits_wrong`, or
        `deposits_exhausted` when it was the last guess."""
        ...

    async def detach_method(self, provider_method: str) -> None:
        """It can't be charged any more; nothing happens when it is gone already."""
        ...

    async def charge(self, request: ChargeRequest) -> Charge:
        """Take money once per `attempt_id`, however often it is called. A decline is an answer, not an error."""
        ...

    async def get_charge(self, provider_id: str) -> Charge:
        """The provider's record now, with all that has gone back of it or is about to."""
        ...

    async def find_charge(self, provider_customer: str, attempt_id: str, since: datetime) -> Charge | None:
        """The charge that an attempt made, begun at `since` or later; None: not made so far."""
        ...

    async def cancel_charge(self, provider_id: str) -> Charge:
        """End a charge that has taken no money. Too late: the charge as it is, in another state than `cancelled`."""
        ...

    async def refund(self, request: RefundRequest) -> TakenBack:
        """Give money back once per `refund_id`, however often it is called."""
        ...

    async def payouts_since(self, cursor: str | None, limit: int) -> list[Payout]:
        """Payouts made after the one with the id `cursor`, or from the first on; oldest first."""
        ...

    async def get_payout(self, payout_id: str) -> Payout: ...

    async def payout_lines(self, payout_id: str) -> list[PayoutLine]:
        """All that it consists of, oldest first."""
        ...

    async def events_since(self, cursor: str | None, limit: int) -> list[ProviderEvent]:
        """Events after the one with the id `cursor`, or from the oldest that is kept; oldest first."""
        ...

    async def get_event(self, event_id: str) -> ProviderEvent:
        """An event again."""
        ...

    def read_webhook(self, body: bytes, signature: str, now: datetime) -> ProviderEvent:
        """The event that the provider pushed; `BadSignature` unless signed within 300 s of `now`."""
        ...

    def accepts(self, amount_minor: int, currency: str) -> str | None:
        """Why the provider can't take this amount; None when it can."""
        ...

    def charges_in(self, currency: str) -> int:
        """The provider charges multiples of so many minor units."""
        ...

    async def close(self) -> None: ...
