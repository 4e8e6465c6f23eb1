"""Every kind of mail: which event causes it, to whom it goes, and whether its reader may do without it.

Another mail is one row here and one folder of its texts in `notify/catalogue`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from contracts import auth, payments, support
from contracts.envelope import Event

Audience = Literal["person", "payer", "contacts", "staff"]
"""`person`: whom the event names. `payer`: who paid, else as `contacts`: all of the customer who are enabled."""

Group = Literal["invoices", "receipts", "methods"]
"""What a contact may switch off, each by itself."""

GROUPS: tuple[Group, ...] = ("invoices", "receipts", "methods")


@dataclass(frozen=True, slots=True)
class Kind:
    """`name` is also its folder. `events`: none if a job causes it. `path`: where its button leads, at the portal.

    `at_once`: a person waits for it, so it overtakes other mails. `group`: None: it can't be switched off.
    """

    name: str
    events: tuple[type[Event], ...]
    to: Audience
    when: Callable[[Any], bool] = lambda _event: True
    group: Group | None = None
    at_once: bool = False
    path: str | None = None

    @property
    def sealed(self) -> bool:
        """Whether a part of it is sealed to notify: once the mail is final, that part is kept nowhere."""
        return any("sealed" in event.model_fields for event in self.events)


def _went_back(kind: str) -> Callable[[Any], bool]:
    return lambda event: (event.kind or "return") == kind and not event.voided


def _way(way: str) -> Callable[[Any], bool]:
    return lambda event: bool(event.way == way)


def _about(*subjects: str) -> Callable[[Any], bool]:
    return lambda event: event.about in subjects


PAYMENT, METHODS = "/payments/{payment_id}", "/account/methods"
NOTICE, TICKET, AT_DESK = (support.TicketNoticeMade,), "/support/{ticket_id}", "/desk/tickets/{ticket_id}"
KINDS: tuple[Kind, ...] = (
    Kind("code", (auth.SignInCodeMade,), "person", at_once=True),
    Kind("invitation", (auth.InvitationMade,), "person", at_once=True),
    Kind("confirmation", (auth.ConfirmationMade,), "person", at_once=True),
    Kind("reset", (auth.PasswordResetMade,), "person", at_once=True),
    Kind("new_device", (auth.NewDeviceSeen,), "person", at_once=True, path="/account/sessions"),
    Kind(
        "invoice_issued", (auth.PayerLinkMade,), "contacts", lambda event: event.about == "invoice_issued", "invoices"
    ),
    Kind("payment_received", (payments.PaymentReconciled,), "payer", _way("collect"), "receipts", path=PAYMENT),
    Kind("receipt_recorded", (payments.PaymentReconciled,), "contacts", _way("receive"), "receipts", path=PAYMENT),
    Kind("payment_failed", (payments.PaymentDeclined, payments.PaymentExpired), "payer", path=PAYMENT),
    Kind("needs_confirmation", (payments.PaymentActionRequired,), "payer", path=PAYMENT),
    Kind("refunded", (payments.PaymentReversed,), "payer", _went_back("refund"), "receipts", path=PAYMENT),
    Kind("returned", (payments.PaymentReversed,), "payer", _went_back("return"), path=PAYMENT),
    Kind("chargeback_opened", (payments.PaymentDisputed,), "payer", path=PAYMENT),
    Kind("chargeback_lost", (payments.PaymentReversed,), "payer", _went_back("chargeback"), path=PAYMENT),
    Kind("receipt_voided", (payments.PaymentReversed,), "contacts", lambda event: bool(event.voided), path=PAYMENT),
    Kind("autopay_notice", (payments.AutopayScheduled,), "contacts", path=METHODS),
    Kind("autopay_held", (payments.AutopayChanged,), "contacts", lambda event: bool(event.held_reason), path=METHODS),
    Kind("method_expiring", (), "contacts", group="methods", path=METHODS),
    Kind("exception_assigned", (payments.ExceptionAssigned,), "staff", path="/desk/exceptions/{exception_id}"),
    Kind("ticket_opened", NOTICE, "staff", _about("opened"), path=AT_DESK),
    Kind("ticket_replied", NOTICE, "staff", _about("from_customer"), path=AT_DESK),
    Kind("ticket_assigned", NOTICE, "staff", _about("assigned"), path=AT_DESK),
    Kind("ticket_escalated", NOTICE, "staff", _about("escalated"), path=AT_DESK),
    Kind("ticket_answered", NOTICE, "contacts", _about("from_company"), path=TICKET),
    Kind("dispute_accepted", NOTICE, "contacts", _about("dispute_accepted"), path=TICKET),
    Kind("dispute_rejected", NOTICE, "contacts", _about("dispute_rejected"), path=TICKET),
    Kind("ticket_solved", NOTICE, "contacts", _about("solved"), path=TICKET),
)
BY_NAME: Mapping[str, Kind] = {kind.name: kind for kind in KINDS}
EVENTS: tuple[type[Event], ...] = tuple(dict.fromkeys(event for kind in KINDS for event in kind.events))

TO_CUSTOMERS = frozenset(event.__name__ for event in EVENTS) - {
    event.__name__ for kind in KINDS for event in kind.events if kind.to in ("person", "staff")
}
"""Types of the events that are mailed to contacts of a customer alone."""


def kind_of(event: Event) -> Kind | None:
    """The mail that an event causes; None: nobody is mailed."""
    return next((kind for kind in KINDS if type(event) in kind.events and kind.when(event)), None)
