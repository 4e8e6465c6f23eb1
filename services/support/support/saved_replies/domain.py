"""Saved replies: texts that the company's people put into what they write. Values in, values out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from contracts.refusals import Refusal

MOST = 500


@dataclass(frozen=True, slots=True)
class SavedReply:
    id: str
    title: str
    text: str
    changed_at: datetime

    @property
    def title_key(self) -> str:
        """The title as it is compared: small and capital letters are the same.

        >>> SavedReply("1", "On its WAY", "", datetime(2026, 3, 2)).title_key
        'on its way'
        """
        return self.title.casefold()


def refusal_of(reply: SavedReply, others: Sequence[SavedReply]) -> Refusal | None:
    """Why it can't be kept beside these."""
    if len(others) >= MOST:
        detail = f"There are {MOST} saved replies already: delete one that nobody needs."
        return Refusal("too-many-saved-replies", detail, conflict=True)
    if any(other.title_key == reply.title_key for other in others):
        return Refusal("title-taken", "Another saved reply has this title: choose another one.", "title", conflict=True)
    return None
