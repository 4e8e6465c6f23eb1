"""Every kind of mail: which event causes it, to whom it goes, and whether its reader may do without it.

Another mail is one row here and one folder of its texts in `notify/catalogue`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from contracts import auth
from contracts.envelope import Event

Audience = Literal["person", "payer", "contacts", "staff"]
"""`person`: whom the event names. `payer`: who paid, else as `contacts`: all of the customer who are enabled."""

Group = Literal["invoices", "receipts", "methods"]
"""What a contact may switch off, each by itself."""

GROUPS: tuple[Group, ...] = ("invoices", "receipts", "methods")


@dataclass(frozen=True, slots=True)
class Kind:
    """`name` is also its folder. `event`: None if a job causes it. `path`: where its button leads, at the portal.

    `at_once`: a person waits for it, so it overtakes other mails. `group`: None: it can't be switched off.
    """

    name: str
    event: type[Event] | None
    to: Audience
    when: Callable[[Any], bool] = lambda _event: True
    group: Group | None = None
    at_once: bool = False
    path: str | None = None


def _kind_of(kind: str) -> Callable[[Any], bool]:
    return lambda event: event.kind == kind and not event.voided


KINDS: tuple[Kind, ...] = (Kind("code", auth.SignInCodeMade, "person", at_once=True),)
BY_NAME: Mapping[str, Kind] = {kind.name: kind for kind in KINDS}


def kind_of(event: Event) -> Kind | None:
    """The mail that an event causes; None: nobody is mailed."""
    return next((kind for kind in KINDS if kind.event is type(event) and kind.when(event)), None)
