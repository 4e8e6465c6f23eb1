"""What a process of support holds."""

from __future__ import annotations

from dataclasses import dataclass

from chassis.files.keeping import Files
from chassis.sealing import Sealer


@dataclass(frozen=True, slots=True)
class Own:
    sealer: Sealer
    files: Files
