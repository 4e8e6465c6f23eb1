"""Signing in: how often, how long, and with what. No I/O."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

from auth.people.domain import Person

CODE = timedelta(minutes=10)
GUESSES_A_CODE, GUESSES_A_DAY, CODES = 5, 9, 1_000_000
CODES_AN_HOUR, CODES_OF_ALL = 6, 30  # mails to one address, by one client and by all
PASSWORD_GUESSES_A_DAY = 50
FAILURES_AN_HOUR = 30  # of one client
RESET, RESETS_AN_HOUR = timedelta(minutes=30), 3
INVITATION, CONFIRMATION = timedelta(hours=72), timedelta(hours=24)
IDLE, LONGEST = timedelta(minutes=30), timedelta(hours=12)
BROWSER = timedelta(days=365)
SHORTEST_PASSWORD, LONGEST_PASSWORD = 15, 128
STRANGERS = b""  # the budget that all devices share from which an address has never signed in


@dataclass(frozen=True, slots=True)
class SignIn:
    """A request for a code, and the code once it is made. `session_id`: it is to prove again who is signed in."""

    id: str
    account: bytes
    browser: bytes
    link_id: str | None
    session_id: str | None
    client: bytes
    budget: bytes
    code: bytes | None
    token: bytes | None
    made_at: datetime
    expires_at: datetime
    guesses: int = 0
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Guess:
    """A guess, counted. `tries_left`: how many more the code and its address take, be the address known or not."""

    one: SignIn | None
    tries_left: int = 0


def tries_left(guesses: int, today: int) -> int:
    """`guesses` at this code, `today` at the address."""
    return max(min(GUESSES_A_CODE - guesses, GUESSES_A_DAY - today), 0)


def opens(typed: bytes, kept: bytes | None) -> bool:
    """Whether the hash of what was typed is the one that is kept; takes as long when nothing is kept."""
    return hmac.compare_digest(typed, kept or bytes(len(typed))) and kept is not None


@dataclass(frozen=True, slots=True)
class Session:
    """Opaque: `digest` is the SHA-256 of the cookie. `proved_at`: when a code or password last proved who it is."""

    id: str
    digest: bytes
    person_id: str
    customer_id: str | None
    browser: bytes
    device: str
    link_id: str | None
    proved_at: datetime | None
    made_at: datetime
    used_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None

    @property
    def until(self) -> datetime:
        """From then on it is refused, unless it is used before."""
        return min(self.expires_at, self.used_at + IDLE)

    def alive(self, now: datetime) -> bool:
        return self.ended_at is None and now < self.until


def begin(
    person: Person,
    *,
    session_id: str,
    digest: bytes,
    browser: bytes,
    device: str,
    link_id: str | None,
    proved_at: datetime | None,
    now: datetime,
    ends: datetime | None = None,
) -> Session:
    """`ends`: of the session that this one follows; a new one lasts twelve hours at most."""
    return Session(
        session_id,
        digest,
        person.id,
        person.customer_id,
        browser,
        device,
        link_id,
        proved_at,
        now,
        now,
        ends or now + LONGEST,
    )


SYSTEMS = (("iPhone", "an iPhone"), ("iPad", "an iPad"), ("Android", "Android"), ("Windows", "Windows"),
           ("Mac OS X", "a Mac"), ("CrOS", "ChromeOS"), ("Linux", "Linux"))  # fmt: skip
BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))


def device_of(user_agent: str) -> str:
    """A browser in words, for lists and mails.

    >>> device_of("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
    'Firefox on Linux'
    """
    browser = next((name for mark, name in BROWSERS if mark in user_agent), "A browser")
    system = next((name for mark, name in SYSTEMS if mark in user_agent), "an unknown system")
    return f"{browser} on {system}"


@dataclass(frozen=True, slots=True)
class MailToken:
    """What the link of an invitation, a confirmation or a reset holds, as a hash."""

    digest: bytes
    purpose: str
    person_id: str
    password: str | None
    made_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None

    def alive(self, now: datetime) -> bool:
        return self.ended_at is None and now < self.expires_at
