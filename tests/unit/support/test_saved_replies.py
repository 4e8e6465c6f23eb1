"""Saved replies: a title is taken once, whatever its letters, and there are not too many."""

from datetime import UTC, datetime

import pytest

from support.saved_replies.domain import MOST, SavedReply, refusal_of

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


def reply(title: str) -> SavedReply:
    return SavedReply(title, title, "It comes today.", NOW)


class TestTitle:
    @pytest.mark.parametrize("title", ["Refund", "REFUND", "refund"])
    def test_is_taken_in_any_case(self, title: str) -> None:
        refusal = refusal_of(reply(title), [reply("On its way"), reply("Refund")])
        assert refusal is not None
        assert (refusal.code, refusal.field, refusal.status) == ("title-taken", "title", 409)

    def test_of_another_one_is_free(self) -> None:
        assert refusal_of(reply("Refunds"), [reply("Refund")]) is None


class TestNumber:
    def test_ends_at_five_hundred(self) -> None:
        others = [reply(str(place)) for place in range(MOST)]
        refusal = refusal_of(reply("More"), others)
        assert refusal is not None
        assert refusal.code == "too-many-saved-replies"
        assert refusal_of(reply("More"), others[1:]) is None
