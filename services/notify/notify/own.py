"""What a process of notify holds."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from notify.rendering.texts import Texts
from notify.sealed import Opener
from notify.smtp import Outgoing


@dataclass(frozen=True, slots=True)
class Own:
    opener: Opener
    outgoing: Outgoing
    texts: Texts
    room: asyncio.Semaphore
    room_at_once: asyncio.Semaphore
