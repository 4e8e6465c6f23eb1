"""Makes the events about methods."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from contracts import payments as says
from contracts.envelope import Message, message
from payments.methods.domain.methods import Method


def method_added(method: Method, now: datetime) -> Message:
    event = says.MethodAdded(
        method_id=method.id, customer_id=method.customer_id, kind=method.kind, funding=_funding(method),
        saved=method.saved, is_default=method.is_default, verification=method.verification,
        expires=_expires(method),
    )  # fmt: skip
    return message(event, sequence=1, time=now, customer=method.customer_id)


def method_changed(method: Method, now: datetime) -> Message:
    event = says.MethodChanged(
        method_id=method.id, customer_id=method.customer_id, kind=method.kind, funding=_funding(method),
        saved=method.saved, is_default=method.is_default, verification=method.verification,
        disabled=method.disabled_at is not None, expires=_expires(method),
    )  # fmt: skip
    return message(event, sequence=method.sequence, time=now, customer=method.customer_id)


def method_removed(method: Method, now: datetime) -> Message:
    event = says.MethodRemoved(method_id=method.id, customer_id=method.customer_id, kind=method.kind)
    return message(event, sequence=method.sequence, time=now, customer=method.customer_id)


def _expires(method: Method) -> str | None:
    last = method.expires_on
    return f"{last:%Y-%m}" if last else None


def _funding(method: Method) -> says.Funding | None:
    return cast("says.Funding | None", method.funding)
