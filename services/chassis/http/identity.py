"""Who asks: internal tokens (Ed25519, at most a minute, for one service), what they say, and what they allow."""

from __future__ import annotations

import base64
import hmac
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import orjson
from fastapi import Depends, Request
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry

from chassis.http.problems import Problem, not_found
from contracts.auth import EVERY_SCOPE, Audience, CallerKind
from contracts.ids import is_id

ALGORITHM = "Ed25519"
ISSUER = "paidup-auth"
LONGEST_SECONDS = 60
MOST_TOKENS = 10_000
FRESH_SECONDS = 1800

_registry = JWSRegistry(algorithms=[ALGORITHM])


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks, and for whom.

    `customer_id`: the one customer that the caller sees; None: the caller sees all.
    `acting_for`: the customer as whom one of the company's people looks at the portal.
    `session`: the id of the session by which a person came in.
    `signed_in_at`: when that person last proved who they are, in seconds of business time since 1970. None: a program.
    """

    subject: str
    kind: CallerKind
    scopes: frozenset[str]
    customer_id: str | None = None
    acting_for: str | None = None
    session: str | None = None
    signed_in_at: int | None = None

    @property
    def actor(self) -> str:
        """The caller's name in events and audits, as `system:<id>`."""
        return f"{self.kind}:{self.subject}"

    @property
    def key_owner(self) -> str:
        """Whose idempotency keys these are. Who looks as a customer asks for that customer alone: their keys never meet
        those of the desk, nor of another visit."""
        return f"{self.actor}:{self.acting_for}" if self.acting_for else self.actor

    def may(self, scope: str) -> bool:
        return scope in self.scopes or EVERY_SCOPE in self.scopes

    def sees(self, customer_id: str | None) -> bool:
        """Whether the caller may see what belongs to this customer. None: it belongs to no customer."""
        return self.customer_id in (None, customer_id)

    def fresh(self, now: datetime) -> bool:
        """Whether the caller proved lately who they are, by business time. A program does so with each request."""
        return self.signed_in_at is None or now.timestamp() - self.signed_in_at <= FRESH_SECONDS


class TokenSigner:
    """Signs with the private key of a JWK file; auth alone has one."""

    def __init__(self, private_key: Path) -> None:
        self._key = _import(orjson.loads(private_key.read_bytes()))
        if not self._key.is_private or not self._key.kid:
            raise ValueError(f"{private_key} must hold a private Ed25519 key with a kid")

    def derive(self, text: str) -> str:
        """256 bits of a text, as URL-safe text: only the holder of the private key can compute them."""
        private = str(self._key.as_dict(private=True)["d"])
        mac = hmac.digest(private.encode(), b"derived\0" + text.encode(), "sha256")
        return base64.urlsafe_b64encode(mac).decode().rstrip("=")

    def sign(self, identity: Identity, audience: Audience, *, seconds: int = LONGEST_SECONDS) -> tuple[str, int]:
        """The token and when it ends, as seconds since 1970 in real time."""
        now = int(time.time())
        ends = now + min(seconds, LONGEST_SECONDS)
        claims = {
            "iss": ISSUER,
            "sub": identity.subject,
            "aud": audience,
            "iat": now,
            "exp": ends,
            "kind": identity.kind,
            "scope": " ".join(sorted(identity.scopes)),
            "customer": identity.customer_id,
            "acting_for": identity.acting_for,
            "sid": identity.session,
            "auth_time": identity.signed_in_at,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode({"alg": ALGORITHM, "kid": self._key.kid}, claims, self._key, registry=_registry), ends


class TokenVerifier:
    """Tokens for one audience, checked against a JWKS file (read again when it changes) and kept until they end."""

    def __init__(self, jwks_path: Path, audience: str) -> None:
        self._path, self._audience = jwks_path, audience
        self._keys: dict[str, OKPKey] = {}
        self._read_at = -1
        self._known: OrderedDict[str, tuple[int, Identity]] = OrderedDict()

    def verify(self, token: str) -> Identity:
        """The identity, or a 401 problem."""
        known = self._known.get(token)
        if known is None:
            known = self._read(token)
            self._known[token] = known
            if len(self._known) > MOST_TOKENS:
                self._known.popitem(last=False)
        ends, identity = known
        if ends <= time.time():
            self._known.pop(token, None)
            raise unauthenticated("The token has expired.")
        return identity

    def _read(self, token: str) -> tuple[int, Identity]:
        self._refresh_keys()
        try:
            decoded = jwt.decode(token, lambda found: self._keys[str(found.headers()["kid"])], registry=_registry)
        except (JoseError, KeyError, ValueError, TypeError) as error:
            raise unauthenticated("The token is not one of ours.") from error
        claims = decoded.claims
        ends = claims.get("exp")
        if claims.get("iss") != ISSUER or claims.get("aud") != self._audience or not isinstance(ends, int):
            raise unauthenticated("The token is not for this service.")
        return ends, Identity(
            subject=str(claims["sub"]),
            kind=claims["kind"],
            scopes=frozenset(str(claims.get("scope", "")).split()),
            customer_id=claims.get("customer"),
            acting_for=claims.get("acting_for"),
            session=claims.get("sid"),
            signed_in_at=claims.get("auth_time"),
        )

    def _refresh_keys(self) -> None:
        """Read the keys again. Keys that left the file are refused; tokens checked before end within a minute."""
        changed = self._path.stat().st_mtime_ns
        if changed != self._read_at:
            keys = [_import(data) for data in orjson.loads(self._path.read_bytes())["keys"]]
            self._keys = {key.kid: key for key in keys if key.kid}
            self._read_at = changed


def _import(data: dict[str, Any]) -> OKPKey:
    if data.get("crv") != "Ed25519":
        raise ValueError("only Ed25519 keys sign internal tokens")
    return OKPKey.import_key({name: value for name, value in data.items() if name not in ("alg", "key_ops", "use")})


def unauthenticated(detail: str) -> Problem:
    return Problem(status=401, slug="unauthenticated", detail=detail, headers={"WWW-Authenticate": "Bearer"})


def bearer(request: Request) -> str:
    """The token of `Authorization: Bearer …`, or a 401 problem."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise unauthenticated("Send the header Authorization: Bearer.")
    return token.strip()


Callers = Literal["company", "programs", "contacts", "everybody"]
"""Who may use a route. Each of them includes those before it:

company    the company's people and programs, who see all customers
programs   a program with a key of one customer
contacts   the people of that customer
everybody  one of the company's people who looks at that customer's portal
"""


@dataclass(frozen=True, slots=True)
class Guard:
    """Accepts callers of this kind with the scope; others get a 401 or 403 problem.

    `also`: another scope that is enough to come in. The route then looks what its caller may do with it.
    """

    scope: str
    by: Callers = "everybody"
    also: str | None = None

    async def __call__(self, request: Request) -> Identity:
        return self.check(request)

    def check(self, request: Request) -> Identity:
        verifier: TokenVerifier = request.app.state.verifier
        identity = verifier.verify(bearer(request))
        if refusal := _REFUSALS[self.by].get(_caller(identity)):
            raise Problem(status=403, slug="forbidden", detail=refusal)
        if not identity.may(self.scope) and not (self.also and identity.may(self.also)):
            raise Problem(status=403, slug="scope-missing", detail=f"This needs the scope {self.scope}.")
        return identity


def _caller(identity: Identity) -> Callers:
    if identity.acting_for is not None:
        return "everybody"
    if identity.customer_id is None:
        return "company"
    return "programs" if identity.kind == "system" else "contacts"


_OF_COMPANY = "This is done by the company alone, not for one customer."
_OF_PEOPLE = "This is not for people of a customer: the company does it."
_OF_CUSTOMER = "Who looks at a customer's portal does not do this: the customer's own people do."
_REFUSALS: dict[Callers, dict[Callers, str]] = {
    "company": dict.fromkeys(("programs", "contacts", "everybody"), _OF_COMPANY),
    "programs": dict.fromkeys(("contacts", "everybody"), _OF_PEOPLE),
    "contacts": {"everybody": _OF_CUSTOMER},
    "everybody": {},
}


def allow(scope: str, *, by: Callers = "everybody", also: str | None = None) -> Any:
    """A dependency that yields the identity of a caller with this scope: `who: Annotated[Identity, allow("a:b")]`."""
    return Depends(Guard(scope, by, also))


def need_fresh(identity: Identity, now: datetime) -> None:
    """A 403 problem for a person who signed in long ago, or by a link that may have been passed on."""
    if not identity.fresh(now):
        raise step_up_required()


def step_up_required() -> Problem:
    detail = "Prove again who you are: ask for a code with POST /v1/session/step-up, and send it there."
    return Problem(status=403, slug="step-up-required", detail=detail)


def whose(customer_id: str | None, identity: Identity) -> str | None:
    """The customer that a request is about; None for all. Raises 404 if the identity may not see that customer."""
    if customer_id is not None and not (is_id(customer_id) and identity.sees(customer_id)):
        raise not_found("customer", customer_id)
    return identity.customer_id or customer_id
