"""Requests and answers of signing in, and its refusals."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Request
from pydantic import BaseModel, Field, StringConstraints

from auth.edge import Strict
from auth.people.domain import Person
from auth.signin.domain import FAILURES_AN_HOUR, Session
from chassis.http.problems import Problem
from contracts.auth import Role
from contracts.invoicing import Email

Code = Annotated[str, StringConstraints(strip_whitespace=True, pattern="^[0-9 ]{6,12}$")]
Token = Annotated[str, StringConstraints(pattern="^[A-Za-z0-9_-]{20,100}$")]
Password = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class Address(Strict):
    email: Email


class CodeOrToken(Strict):
    """`code`: the six digits of the mail, blanks allowed. `token`: what the link of the same mail holds."""

    code: Code | None = None
    token: Token | None = None


class AddressAndPassword(Strict):
    email: Email
    password: Password


class TokenAndPassword(Strict):
    token: Token
    password: Password


class JustToken(Strict):
    token: Token


class JustPassword(Strict):
    password: Password


class StepUp(Strict):
    """Without `code`: send one. With it: prove who you are."""

    code: Code | None = None


class Switch(Strict):
    contact_id: str


class Taken(BaseModel):
    """The request was taken. The answer is the same whether or not the address is known."""

    detail: str


class CustomerView(BaseModel):
    id: str
    name: str | None


class PersonView(BaseModel):
    id: str
    email: str
    name: str | None
    language: str


class StaffView(PersonView):
    role: Role


class OtherContact(BaseModel):
    contact_id: str
    customer: CustomerView


class SessionView(BaseModel):
    """`csrf`: what the header `Paidup-CSRF` must hold in each request that changes something.

    `grant`: the visit by which one of the company's people looks as this customer. `proof_until`: until when methods,
    autopay and passwords can be changed without a new code; null: a new code is needed. `others`: the same address as a
    contact of other customers.
    """

    kind: Literal["contact", "staff"]
    contact: PersonView | None = None
    staff: StaffView | None = None
    customer: CustomerView | None = None
    scopes: list[str]
    csrf: str
    expires_at: datetime
    ends_at: datetime
    proof_until: datetime | None = None
    others: list[OtherContact] = Field(default_factory=list)
    grant: str | None = None
    reason: str | None = None


def person_view(person: Person) -> dict[str, Any]:
    return {"id": person.id, "email": person.email, "name": person.name, "language": person.language}


class OneSession(BaseModel):
    id: str
    device: str
    made_at: datetime
    used_at: datetime
    expires_at: datetime
    this: bool


class Sessions(BaseModel):
    items: list[OneSession]


def session_item(session: Session, own: str | None) -> OneSession:
    return OneSession(
        id=session.id, device=session.device, made_at=session.made_at, used_at=session.used_at,
        expires_at=session.until, this=session.id == own,
    )  # fmt: skip


def code_refused(tries_left: int | None) -> Problem:
    """One answer for all reasons, so that it says nothing of the address. `tries_left`: None for a link."""
    detail = "This code is not right, or was used, or has expired, or was asked for in another browser. "
    if tries_left is None:
        return Problem(status=401, slug="sign-in-refused", detail=f"{detail}Ask for a new one.")
    again = f"Type it again: {tries_left} {'try is' if tries_left == 1 else 'tries are'} left."
    none = "No tries are left: open the link in the e-mail, or ask for a new code."
    extra = {"values": {"tries_left": tries_left}}
    return Problem(status=401, slug="sign-in-refused", detail=detail + (again if tries_left else none), extra=extra)


def password_refused() -> Problem:
    detail = "The address and the password do not fit. Type them again, or ask for a code by e-mail."
    return Problem(status=401, slug="sign-in-refused", detail=detail)


def too_many_tries() -> Problem:
    detail = (
        f"There were more than {FAILURES_AN_HOUR} tries without success from your network in this hour. "
        "Try again in an hour; the link in an e-mail with a code works now."
    )
    return Problem(status=429, slug="too-many-tries", detail=detail, headers={"Retry-After": "3600"})


def link_ended() -> Problem:
    detail = "This link has ended or was used. Ask for a new one."
    return Problem(status=410, slug="link-ended", detail=detail)


def bad_password(reason: str) -> Problem:
    return Problem(
        status=422, slug="password-refused", detail=reason, errors=[{"field": "password", "message": reason}]
    )


def user_agent(request: Request) -> str:
    return request.headers.get("user-agent", "")[:500]
