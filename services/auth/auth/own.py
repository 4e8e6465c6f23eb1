"""The resources of a process of auth, besides those that every service has."""

from __future__ import annotations

from dataclasses import dataclass

from auth.hashes import Pepper
from auth.passwords import Hasher
from chassis.http.identity import TokenSigner
from chassis.sealing import Sealer


@dataclass(slots=True)
class Own:
    """`public_url`: where people reach the portal, without a slash at its end."""

    signer: TokenSigner
    sealer: Sealer
    hasher: Hasher
    pepper: Pepper
    public_url: str

    def link(self, path: str) -> str:
        return f"{self.public_url}{path}"
