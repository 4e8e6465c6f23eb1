"""The resources of a process of payments, besides those that every service has."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from payments.providers import Provider

if TYPE_CHECKING:
    from payments.collecting.api.waiting import Outcomes
    from payments.collecting.domain.surcharges import SurchargeRule


@dataclass(slots=True)
class Own:
    """`calls`: calls to the provider that are under way. `outcomes`: requests that wait for a payment's end."""

    provider: Provider
    surcharge_rules: tuple[SurchargeRule, ...] = ()
    calls: set[asyncio.Task[None]] = field(default_factory=set)
    outcomes: Outcomes | None = None
