"""Begins and ends sessions, and mails codes and links: what several requests and tasks share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from auth.hashes import new_code, new_token, sha256
from auth.own import Own
from auth.people import messages
from auth.people import store as people
from auth.people.domain import Person
from auth.signin import store
from auth.signin.domain import MailToken, Session, SignIn, begin, device_of
from auth.visits import store as visits
from chassis.messaging.work import Work
from contracts.auth import (
    ConfirmationMade,
    InvitationMade,
    NewDeviceSeen,
    NoticeState,
    PasswordResetMade,
    SignInCodeMade,
)
from contracts.ids import new_id

NOTICES: dict[str, tuple[type[NoticeState], str]] = {
    "invitation": (InvitationMade, "/invite/"),
    "confirmation": (ConfirmationMade, "/confirm/"),
    "reset": (PasswordResetMade, "/reset/"),
}


async def enter(
    work: Work, own: Own, person: Person, *, browser: bytes, user_agent: str, proved_at: datetime | None,
    link_id: str | None = None, ends: datetime | None = None,
) -> tuple[Session, str] | None:  # fmt: skip
    """A session of the person, and the text of its cookie. From a new device, the person is mailed.

    The person's row stays locked until the end of the transaction. None: they may not sign in any more.
    """
    text, device = new_token(), device_of(user_agent)
    session = begin(
        person, session_id=new_id(), digest=sha256(text), browser=browser, device=device, link_id=link_id,
        proved_at=proved_at, now=work.now, ends=ends,
    )  # fmt: skip
    assert person.account is not None, "an erased person does not sign in"
    unknown = await store.insert_session(work, session, person.account)
    if unknown is None:
        return None
    if unknown:
        noted = await people.count_notice(work, person.id)
        work.emit(messages.notice(NewDeviceSeen, noted, own.sealer.seal(device=device), now=work.now))
    return session, text


async def leave(
    work: Work, person_ids: Sequence[str], *, but: str | None = None, only: str | None = None
) -> list[Session]:
    """End the sessions of people: all, all but one, or one."""
    gone = await store.end_sessions(work, person_ids, but=but, only=only)
    work.emit(*(messages.ended(one.id, one.customer_id, work.now) for one in gone))
    return gone


async def end_visits(work: Work, person_ids: Sequence[str]) -> None:
    """End the visits that people have begun."""
    for person_id in person_ids:
        gone = await visits.end_visits(work, person_id)
        work.emit(*(messages.ended(visit_id, customer_id, work.now) for visit_id, customer_id in gone))


async def send_code(work: Work, own: Own, one: SignIn, person: Person) -> None:
    """Make the code of a request, and have it mailed. A link signs in, so the mail of a step-up has none."""
    code, token = new_code(), new_token() if one.session_id is None else None
    await store.save_code(work, one, own.pepper.code(one.id, code), own.pepper.token(token) if token else None)
    link = {"link": own.link(f"/login/code#{token}")} if token else {}
    sealed = own.sealer.seal(code=code, **link)
    noted = await people.count_notice(work, person.id)
    work.emit(messages.notice(SignInCodeMade, noted, sealed, now=work.now, expires_at=one.expires_at))


async def send_link(
    work: Work, own: Own, person: Person, purpose: str, lasts: timedelta, *, password: str | None = None
) -> MailToken:
    """Make the link of an invitation, a confirmation or a reset, and have it mailed. The one before ends."""
    text, (kind, path) = new_token(), NOTICES[purpose]
    made = MailToken(own.pepper.token(text), purpose, person.id, password, work.now, work.now + lasts)
    await store.insert_token(work, made)
    noted = await people.count_notice(work, person.id)
    sealed = own.sealer.seal(link=own.link(path + text))
    work.emit(messages.notice(kind, noted, sealed, now=work.now, expires_at=made.expires_at))
    return made
