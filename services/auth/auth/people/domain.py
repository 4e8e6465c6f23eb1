"""People: contacts of customers, and the company's own; what each may do. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from auth.keys.domain import Maker, lacking
from contracts.auth import EVERY_SCOPE, SCOPES, Role
from contracts.refusals import Refusal

OWN_SCOPE = "self"  # of everybody who signed in: their session, password, devices
CONTACT_SCOPES = frozenset(
    {
        "customers:read", "events:read", "invoices:read", "methods:read", "methods:write", "payments:read",
        "payments:write", "tickets:read", "tickets:write", "visits:read", OWN_SCOPE,
    }
)  # fmt: skip
VISIT_SCOPES = frozenset(
    {"customers:read", "events:read", "invoices:read", "payments:read", "tickets:read", "tickets:write", OWN_SCOPE}
)
"""Who looks at a customer's portal changes nothing there, but asks and replies in tickets for the customer."""
NOT_OF_MANAGERS = frozenset({"company:write", "keys:write", "staff:write", EVERY_SCOPE})
ROLE_SCOPES: Mapping[Role, frozenset[str]] = {
    "account_manager": frozenset(SCOPES) - NOT_OF_MANAGERS | {OWN_SCOPE},
    "administrator": frozenset({EVERY_SCOPE, OWN_SCOPE}),
}
DEFAULT_LANGUAGE = "en"
MOST_CONTACTS = 200


@dataclass(frozen=True, slots=True)
class Person:
    """A contact has a customer, one of the company's own people a role. An erased one has no address any more."""

    id: str
    kind: Literal["contact", "staff"]
    customer_id: str | None
    role: Role | None
    email: str | None
    account: bytes | None
    name: str | None
    language: str
    enabled: bool
    created_at: datetime
    erased_at: datetime | None = None
    sequence: int = 1
    notices: int = 0

    @property
    def scopes(self) -> frozenset[str]:
        return CONTACT_SCOPES if self.role is None else ROLE_SCOPES[self.role]

    @property
    def administers(self) -> bool:
        return self.role == "administrator" and self.enabled

    def changed(
        self, *, name: str | None, language: str | None, enabled: bool | None, role: Role | None = None,
        email: str | None = None, account: bytes | None = None,
    ) -> Person:  # fmt: skip
        """The person with what is given; the same value if that changes nothing. `account`: the hash of `email`."""
        wished = replace(
            self,
            name=self.name if name is None else name,
            language=language or self.language,
            enabled=self.enabled if enabled is None else enabled,
            role=role or self.role,
            email=email or self.email,
            account=account or self.account,
        )
        return self if wished == self else replace(wished, sequence=self.sequence + 1)

    def erased(self, now: datetime) -> Person:
        """The person without name and address; nobody signs in as one any more."""
        if self.erased_at:
            return self
        return replace(
            self, email=None, account=None, name=None, enabled=False, erased_at=now, sequence=self.sequence + 1
        )


def beyond_own_rights(maker: Maker, *roles: Role) -> Refusal | None:
    """Why `maker` can't give one of the roles, or change somebody who has it: the role may do more than `maker`."""
    for role in roles:
        if missing := lacking(sorted(ROLE_SCOPES[role] - {OWN_SCOPE}), maker):
            needed = ", ".join(missing)
            detail = f"The role {role} needs what you lack: use a key with the scope {needed}, or ask an administrator."
            return Refusal("beyond-own-rights", detail, "role", forbidden=True)
    return None


def last_administrator(before: Person, after: Person, administrators: Collection[str]) -> Refusal | None:
    """Why the change is refused: nobody else could make an administrator. `administrators`: the ids of the enabled."""
    if after.administers or set(administrators) != {before.id}:
        return None
    detail = "This is the last administrator who may sign in: make somebody else an administrator first."
    return Refusal("last-administrator", detail, conflict=True)


def new_person(
    person_id: str, email: str, account: bytes, now: datetime, *, customer_id: str | None = None,
    role: Role | None = None, name: str | None = None, language: str = DEFAULT_LANGUAGE, enabled: bool = True,
) -> Person:  # fmt: skip
    """A contact of a customer, or with a role one of the company's own people."""
    kind: Literal["contact", "staff"] = "contact" if role is None else "staff"
    return Person(person_id, kind, customer_id, role, email, account, name, language, enabled, now)
