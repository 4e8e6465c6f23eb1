"""API keys over HTTP."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Annotated, Any, Literal

import asyncpg
from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from auth.edge import Before
from auth.keys import messages, store
from auth.keys.domain import KEY_START, MOST_OF_CUSTOMER, ApiKey, Maker, beyond, hash_of, make_key
from chassis.http.bodies import StrictRoute
from chassis.http.idempotency import LONGEST_KEY, checked, reused
from chassis.http.identity import Identity, TokenSigner, allow, unauthenticated
from chassis.http.problems import Problem, conflict, invalid, not_found, problem_of
from chassis.running import cause_of, running_of
from contracts.ids import is_id, new_id
from contracts.invoicing import Instant
from contracts.refusals import Refusal

router = APIRouter(route_class=StrictRoute)

WriteKeys = Annotated[Identity, allow("keys:write")]
Id = Annotated[str, StringConstraints(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]


class NewKey(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\x00]*$")]
    scopes: Annotated[list[str], Field(min_length=1, max_length=20)]
    customer_id: Annotated[Id | None, Field(description="The key sees this customer alone.")] = None
    expires_at: Instant | None = None


class KeyView(BaseModel):
    id: str
    name: str
    prefix: str
    scopes: list[str]
    customer_id: str | None
    made_by: Annotated[
        str, Field(description="Who made it: the id of a key or of one of your own people, or `command-line`.")
    ]
    made_by_name: Annotated[
        str | None, Field(description="The name or address of your own person, or the name of the key, who made it.")
    ] = None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    status: Literal["active", "expired", "revoked"]


class MadeKey(KeyView):
    key: Annotated[str, Field(description="The key itself, shown this once.")]


class Keys(BaseModel):
    items: list[KeyView]
    next_cursor: str | None


@router.post("/v1/api-keys", status_code=201, response_model=MadeKey)
async def create_api_key(
    request: Request, body: NewKey, who: WriteKeys, response: Response,
    idempotency_key: Annotated[str | None, Header(max_length=LONGEST_KEY)] = None,
) -> MadeKey:  # fmt: skip
    """Make an API key. It can't have a scope that your own key lacks, nor end later than your own key.

    The answer shows the key once, because it is not stored. The same Idempotency-Key shows it again.
    """
    if idempotency_key is None:
        return await _made(request, body, who, new_secret())
    secret = secret_of(running_of(request).own.signer, who.subject, checked(idempotency_key))
    try:
        return await _made(request, body, who, secret)
    except asyncpg.UniqueViolationError:  # of its hash: it was made by the first request with this key
        response.headers["Idempotent-Replayed"] = "true"
        return await _made_before(request, body, secret)


async def _made_before(request: Request, body: NewKey, secret: str) -> MadeKey:
    here = running_of(request)
    key = await store.find_key(here.pool, hash_of(secret))
    if key is None or (body.name, set(body.scopes)) != (key.name, set(key.scopes)):
        raise reused()
    if (body.customer_id or key.customer_id, body.expires_at or key.expires_at) != (key.customer_id, key.expires_at):
        raise reused()
    return MadeKey(**_view(key, here.clock.now()), key=secret)


async def _made(request: Request, body: NewKey, who: Identity, secret: str) -> MadeKey:
    async with running_of(request).units.begin(cause_of(request, who)) as work:
        own = await store.hold_maker(work, who.subject) if is_id(who.subject) else None
        if own is not None and not own.usable(work.now):  # its token lasts some seconds longer
            raise unauthenticated("The API key is unknown, expired or revoked.")
        if who.customer_id and await store.living_keys(work, who.customer_id) >= MOST_OF_CUSTOMER:
            detail = (
                f"This customer has {MOST_OF_CUSTOMER} keys that are not revoked: revoke those that are not needed."
            )
            raise conflict("too-many-keys", detail)
        ends = own.expires_at if own else None
        made = make_key(
            key_id=new_id(), secret=secret, name=body.name, scopes=body.scopes, customer_id=body.customer_id,
            expires_at=body.expires_at, maker=Maker(who.subject, who.scopes, who.customer_id, ends), now=work.now,
        )  # fmt: skip
        if isinstance(made, Refusal):
            raise _problem(made)
        await store.insert_key(work, made)
        work.emit(*messages.of(made, work.now))
        return MadeKey(**_view(made, work.now), key=secret)


@router.get("/v1/api-keys")
async def list_api_keys(
    request: Request, who: WriteKeys, cursor: Before, limit: Annotated[int, Query(ge=1, le=100)] = 20
) -> Keys:
    """List API keys, the newest first, without the keys themselves."""
    found = await store.page_of_keys(running_of(request).pool, who.customer_id, cursor, limit + 1)
    now, pool = running_of(request).clock.now(), running_of(request).pool
    names = await store.names_of_makers(pool, [key.made_by for key in found[:limit] if is_id(key.made_by)])
    items = [KeyView(**_view(key, now), made_by_name=names.get(key.made_by)) for key in found[:limit]]
    return Keys(items=items, next_cursor=items[-1].id if len(found) > limit else None)


@router.delete("/v1/api-keys/{key_id}", status_code=204, response_class=Response)
async def revoke_api_key(request: Request, key_id: str, who: WriteKeys) -> Response:
    """Revoke an API key and all keys that it made. They are refused everywhere within a second.

    A second request changes nothing. You can't revoke a key with a scope that your own key lacks, except your own key.
    """
    if not is_id(key_id):
        raise not_found("API key", key_id)
    async with running_of(request).units.begin(cause_of(request, who)) as work:
        key = await store.lock_key(work, key_id, who.customer_id)
        if key is None:
            raise not_found("API key", key_id)
        if missing := beyond(key, Maker(who.subject, who.scopes, who.customer_id)):
            detail = f"This key holds what yours lacks ({', '.join(missing)}): only a key with all of it can revoke it."
            raise Problem(status=403, slug="beyond-own-rights", detail=detail)
        keys = [key]
        while keys:  # from makers to made, each locked before its own are looked for
            for revoked in (each.revoke(work.now) for each in keys if not each.revoked_at):
                await store.save_revocation(work, revoked)
                work.emit(*messages.of(revoked, work.now))
            keys = await store.lock_made_by(work, [each.id for each in keys])
    return Response(status_code=204)


def secret_of(signer: TokenSigner, subject: str, idempotency_key: str) -> str:
    """The key that a maker gets under an Idempotency-Key: the same each time, and nobody else can find it out."""
    return KEY_START + signer.derive(f"api key\0{subject}\0{idempotency_key}")


def new_secret() -> str:
    """`paidup_sk_` and 256 random bits."""
    return KEY_START + secrets.token_urlsafe(32)


def _problem(refused: Refusal) -> Problem:
    """A field at fault is answered as the reading of a request answers it."""
    if refused.code == "invalid-request":
        return invalid([{"field": refused.field, "message": refused.detail}])
    return problem_of(refused)


def _view(key: ApiKey, now: datetime) -> dict[str, Any]:
    return {
        "id": key.id, "name": key.name, "prefix": key.prefix, "scopes": list(key.scopes),
        "customer_id": key.customer_id, "made_by": key.made_by, "created_at": key.created_at,
        "expires_at": key.expires_at, "revoked_at": key.revoked_at, "status": _status(key, now),
    }  # fmt: skip


def _status(key: ApiKey, now: datetime) -> str:
    if key.revoked_at:
        return "revoked"
    return "active" if key.usable(now) else "expired"
