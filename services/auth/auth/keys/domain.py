"""API keys: who may make which, when one is refused. No I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from contracts.auth import EVERY_SCOPE, SCOPES
from contracts.refusals import Refusal

KEY_START = "paidup_sk_"  # `pk_` before: keys that begin so stay valid
SHOWN_CHARACTERS = len(KEY_START) + 7
MOST_OF_CUSTOMER = 100


@dataclass(frozen=True, slots=True)
class Maker:
    """Who asks for a key. `customer_id` set: sees that customer alone, and so do the keys that it makes.

    No key outlasts its maker: `expires_at` is the maker's own end.
    """

    subject: str
    scopes: frozenset[str]
    customer_id: str | None = None
    expires_at: datetime | None = None

    def holds(self, scope: str) -> bool:
        return scope in self.scopes or EVERY_SCOPE in self.scopes


@dataclass(frozen=True, slots=True)
class ApiKey:
    """`prefix` is what people see of the key after it was made."""

    id: str
    name: str
    prefix: str
    hash: bytes
    scopes: tuple[str, ...]
    customer_id: str | None
    made_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None = None
    sequence: int = 1

    def usable(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def revoke(self, now: datetime) -> ApiKey:
        """The key, revoked from `now` on; unchanged if it is revoked already."""
        return self if self.revoked_at else replace(self, revoked_at=now, sequence=self.sequence + 1)


def lacking(scopes: Iterable[str], maker: Maker) -> list[str]:
    """Those of the scopes that `maker` can't give or take, because it has not got them."""
    return [scope for scope in scopes if not maker.holds(scope)]


def beyond(key: ApiKey, maker: Maker) -> list[str]:
    """The scopes of `key` that `maker` lacks. None if it is the maker's own key."""
    return [] if key.id == maker.subject else lacking(key.scopes, maker)


def hash_of(key: str) -> bytes:
    """SHA-256: a key holds 256 random bits, so nothing slower is needed."""
    return hashlib.sha256(key.encode()).digest()


def make_key(
    *,
    key_id: str,
    secret: str,
    name: str,
    scopes: Sequence[str],
    customer_id: str | None,
    expires_at: datetime | None,
    maker: Maker,
    now: datetime,
) -> ApiKey | Refusal:
    """The key whose text is `secret`. It can't do more, or for more customers, than its maker."""
    for place, scope in enumerate(scopes):
        if scope not in SCOPES:
            return Refusal("invalid-request", f"there is no scope {scope!r:.60}", f"scopes.{place}")
        if not maker.holds(scope):
            detail = f"a key without the scope {scope} can't grant it"
            return Refusal("beyond-own-rights", detail, f"scopes.{place}", forbidden=True)
    if not scopes:
        return Refusal("invalid-request", "at least one scope is needed", "scopes")
    if maker.customer_id and customer_id not in (None, maker.customer_id):
        detail = "a key of one customer can't make keys of another"
        return Refusal("beyond-own-rights", detail, "customer_id", forbidden=True)
    if expires_at and expires_at <= now:
        return Refusal("invalid-request", "this instant has passed", "expires_at")
    ends = [instant for instant in (expires_at, maker.expires_at) if instant]
    return ApiKey(
        id=key_id,
        name=name,
        prefix=secret[:SHOWN_CHARACTERS],
        hash=hash_of(secret),
        scopes=tuple(dict.fromkeys(scopes)),
        customer_id=customer_id or maker.customer_id,
        made_by=maker.subject,
        created_at=now,
        expires_at=min(ends, default=None),
    )
