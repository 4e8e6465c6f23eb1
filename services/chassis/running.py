"""What a running process of a service holds, for its requests, handlers and jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import asyncpg
from fastapi import Request

from chassis import logs, telemetry
from chassis.clock import Clock
from chassis.db.reads import OfCustomer, Reads
from chassis.http.identity import Identity
from chassis.messaging.work import Cause, Units

Own = TypeVar("Own")


@dataclass(slots=True)
class Running(Generic[Own]):
    """`units` is of the api role for requests and of the work role for jobs. `own`: what the service adds."""

    settings: Any
    clock: Clock
    pool: asyncpg.Pool
    units: Units
    own: Own
    portal: asyncpg.Pool | None = None

    def reads(self, who: Identity) -> Reads:
        """Where the caller's queries read. For a caller of one customer only that customer's rows exist there."""
        if who.customer_id is None:
            everything: Reads = self.pool
            return everything
        assert self.portal is not None, "only a process that serves reads for callers"
        return OfCustomer(self.portal, who.customer_id)


def running_of(request: Request) -> Running[Any]:
    """The process that answers a request."""
    running: Running[Any] = request.app.state.running
    return running


def cause_of(request: Request, identity: Identity) -> Cause:
    """The cause of a request's events: its id, who asked, and its own trace (not the trace of its batch)."""
    return Cause(
        correlation=logs.request_id.get() or None,
        actor=identity.actor,
        acting_for=identity.acting_for,
        traceparent=telemetry.traceparent(),
    )
