"""Internal tokens for the gateway: who comes in by an API key, a session or a visit."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel, ConfigDict, StringConstraints

from auth.keys import store as keys
from auth.own import Own
from auth.people.domain import VISIT_SCOPES
from auth.signin import store as sessions
from auth.signin.domain import IDLE
from auth.visits import store as visits
from chassis.http.bodies import StrictRoute
from chassis.http.identity import LONGEST_SECONDS, Identity, unauthenticated
from chassis.http.problems import Problem
from chassis.running import Running, running_of
from contracts.auth import Audience, CredentialKind

router = APIRouter(route_class=StrictRoute)


STREAMS: Audience = "gateway"


class VisitRequest(BaseModel):
    """What somebody who looks as a customer asks for. It is kept."""

    model_config = ConfigDict(extra="forbid")

    method: Annotated[str, StringConstraints(max_length=20)]
    path: Annotated[str, StringConstraints(max_length=2000)]
    request_id: Annotated[str, StringConstraints(max_length=255)]


class TokenRequest(BaseModel):
    """`digest`: the SHA-256 of a credential in hex, so that credentials travel no further than the gateway.

    `request`: of a visit, each request needs a token of its own.
    """

    model_config = ConfigDict(extra="forbid")

    kind: CredentialKind
    digest: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    audience: Audience
    request: VisitRequest | None = None


class Token(BaseModel):
    """`expires_at` is real time, in seconds since 1970. `until` is business time: from then on, ask again."""

    token: str
    expires_at: int
    credential_id: str
    scopes: list[str]
    customer_id: str | None
    until: datetime | None
    person: bool


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who comes in, by which credential, until when."""

    who: Identity
    credential_id: str
    until: datetime | None


REFUSALS: dict[CredentialKind, str] = {
    "key": "The API key is unknown, expired or revoked.",
    "session": "The session has ended: sign in again.",
    "visit": "The visit has ended.",
}


@router.post("/internal/token", include_in_schema=False)
async def issue_token(request: Request, body: TokenRequest, paidup_internal: Annotated[str, Header()] = "") -> Token:
    """A token of at most a minute for the holder of a credential. Only the gateway may ask."""
    here: Running[Own] = running_of(request)
    expected: str = here.settings.internal_secret
    if not expected or not hmac.compare_digest(paidup_internal.encode(), expected.encode()):
        raise Problem(status=403, slug="forbidden", detail="Only the gateway asks here.")
    now = here.clock.now()
    found = await FIND[body.kind](here, body, now)
    if found is None:
        raise unauthenticated(REFUSALS[body.kind])
    token, ends = here.own.signer.sign(found.who, body.audience, seconds=seconds_left(found.until, now))
    return Token(
        token=token, expires_at=ends, credential_id=found.credential_id, scopes=sorted(found.who.scopes),
        customer_id=found.who.customer_id, until=found.until, person=body.kind != "key",
    )  # fmt: skip


def seconds_left(until: datetime | None, now: datetime) -> int:
    """How many whole seconds a token may last: at least 1, at most a minute."""
    return LONGEST_SECONDS if until is None else max(1, min(LONGEST_SECONDS, int((until - now).total_seconds())))


async def _of_key(here: Running[Own], body: TokenRequest, now: datetime) -> Admitted | None:
    digest = bytes.fromhex(body.digest)
    key = await keys.find_key(here.pool, digest)
    if key is None or not hmac.compare_digest(key.hash, digest) or not key.usable(now):
        return None
    who = Identity(key.id, "system", frozenset(key.scopes), key.customer_id)
    return Admitted(who, key.id, key.expires_at)


async def _of_session(here: Running[Own], body: TokenRequest, now: datetime) -> Admitted | None:
    by_person = body.audience != STREAMS  # an open stream asks by itself: nobody needs to sit before it
    found = await sessions.use_session(here.pool, bytes.fromhex(body.digest), now, IDLE, counts=by_person)
    if found is None or not found[0].alive(now) or not found[1].enabled:
        return None
    session, person = found
    proved_at = int(session.proved_at.timestamp()) if session.proved_at else 0
    who = Identity(
        person.id, person.kind, person.scopes, person.customer_id, session=session.id, signed_in_at=proved_at
    )
    return Admitted(who, session.id, min(session.expires_at, now + IDLE) if by_person else session.until)


async def _of_visit(here: Running[Own], body: TokenRequest, now: datetime) -> Admitted | None:
    found = await visits.find_visit(here.pool, bytes.fromhex(body.digest))
    if found is None or body.request is None or not found[0].alive(now) or not found[1].enabled:
        return None
    visit, person = found
    asked = body.request
    await visits.note_request(here.pool, visit.id, asked.method, asked.path, asked.request_id, now)
    who = Identity(
        person.id, "staff", VISIT_SCOPES, visit.customer_id, acting_for=visit.customer_id, session=visit.id,
        signed_in_at=int(visit.made_at.timestamp()),
    )  # fmt: skip
    return Admitted(who, visit.id, visit.expires_at)


FIND = {"key": _of_key, "session": _of_session, "visit": _of_visit}
