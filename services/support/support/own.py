"""What a process of support holds."""

from __future__ import annotations

from dataclasses import dataclass

from chassis.files.keeping import Files
from chassis.sealing import Sealer
from support.mails.domain.addresses import Addresses


@dataclass(frozen=True, slots=True)
class Own:
    """`addresses`: None if mails about tickets are not answered to support."""

    sealer: Sealer
    files: Files
    addresses: Addresses | None = None
