"""The state of a ticket follows from what happened to it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.refusals import Refusal
from support.tickets.domain import (
    ITSELF,
    REOPENS_FOR,
    Author,
    Entry,
    People,
    State,
    Ticket,
    What,
    about,
    after,
    changes_nothing,
    entries_of_merge,
    entries_of_reply,
    first,
    recipients,
    refusal_of,
    refusal_of_merge,
    state_of,
)

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
ANN = Author("customer", "contact", "ann")
LEE = Author("company", "staff", "lee")
WHATS: tuple[What, ...] = ("replied", "noted", "assigned", "escalated", "solved", "closed", "reopened")


def entry(what: What, author: Author = ANN, *, days: float = 0, text: str = "", assignee: str | None = None) -> Entry:
    return Entry(what, NOW + timedelta(days=days), author, text, assignee)


def thread(*entries: Entry) -> State:
    return state_of([entry("asked"), *entries])


class TestStatus:
    def test_goes_through_the_workflow(self) -> None:
        story = [
            entry("asked"), entry("assigned", LEE), entry("replied", LEE), entry("replied"), entry("solved", LEE),
            entry("closed", ITSELF),
        ]  # fmt: skip
        seen = [state_of(story[: end + 1]).status for end in range(len(story))]
        assert seen == ["new", "open", "waiting_for_you", "open", "solved", "closed"]

    def test_new_one_stays_new_while_customer_writes(self) -> None:
        assert thread(entry("replied"), entry("replied")).status == "new"

    def test_what_company_opens_waits_for_customer(self) -> None:
        assert state_of([entry("asked", LEE)]).status == "waiting_for_you"

    def test_note_changes_nothing(self) -> None:
        before = thread(entry("replied", LEE))
        assert after(before, entry("noted", LEE, days=1)) == before

    def test_first_answer_of_company_is_kept(self) -> None:
        answered = thread(entry("replied", LEE, days=1), entry("replied", LEE, days=2)).answered_at
        assert answered == NOW + timedelta(days=1)

    def test_assignment_begins_the_work(self) -> None:
        state = thread(entry("assigned", LEE, assignee="lee"))
        assert (state.status, state.assignee) == ("open", "lee")


class TestReopening:
    @pytest.mark.parametrize("end", ["solved", "closed"])
    def test_reply_reopens_for_fourteen_days(self, end: What) -> None:
        state = thread(entry(end))
        assert state.reopens(NOW + REOPENS_FOR - timedelta(seconds=1))
        assert not state.reopens(NOW + REOPENS_FOR)

    def test_days_count_from_being_solved(self) -> None:
        state = thread(entry("solved"), entry("closed", ITSELF, days=13))
        assert not state.reopens(NOW + REOPENS_FOR)

    def test_days_begin_anew_after_a_reply(self) -> None:
        state = thread(entry("solved"), entry("replied", days=10), entry("solved", days=11))
        assert state.reopens(NOW + timedelta(days=24))

    def test_reply_says_that_it_reopens(self) -> None:
        reply = entry("replied", days=1, text="Again")
        assert [one.what for one in entries_of_reply(thread(entry("closed")), reply)] == ["reopened", "replied"]
        assert entries_of_reply(thread(), reply) == [reply]

    def test_too_late_is_refused(self) -> None:
        refusal = refusal_of(thread(entry("closed")), entry("reopened", days=14))
        assert isinstance(refusal, Refusal)
        assert refusal.code == "reopened-too-late"


class TestRequestsSentAgain:
    @pytest.mark.parametrize("what", ["solved", "closed", "assigned", "escalated"])
    def test_change_nothing(self, what: What) -> None:
        one = entry(what, LEE, assignee="lee")
        assert not changes_nothing(thread(), one)
        assert changes_nothing(thread(one), one)

    def test_reopening_what_is_open_changes_nothing(self) -> None:
        assert changes_nothing(thread(), entry("reopened"))

    def test_closed_ticket_is_not_solved(self) -> None:
        refusal = refusal_of(thread(entry("closed")), entry("solved"))
        assert refusal is not None
        assert refusal.code == "ticket-ended"


def ticket(name: str, state: State | None = None, **more: Any) -> Ticket:
    found: dict[str, Any] = {"customer_id": "acme", "kind": "request", "number": f"T-{name}", **more}
    return Ticket(
        id=name, subject="Two boxes", invoice_id=None, payment_id=None, follows=None, created_at=NOW,
        state=state or thread(), **found,
    )  # fmt: skip


class TestMerging:
    def test_closes_one_and_opens_the_other(self) -> None:
        one, other = ticket("1"), ticket("2", thread(entry("replied", LEE)))
        merged, took_in = entries_of_merge(one, other, LEE, NOW)
        assert (merged.other, took_in.other) == ("2", "1")
        assert (merged.internal, took_in.internal) == (False, False)
        assert (after(one.state, merged).status, after(other.state, took_in).status) == ("closed", "open")
        assert (about(merged), about(took_in)) == (None, None)

    def test_goes_on_escalated_with_the_assignee(self) -> None:
        one = ticket("1", thread(entry("assigned", LEE, assignee="lee"), entry("escalated", LEE)))
        for theirs, heir in ((thread(), "lee"), (thread(entry("assigned", LEE, assignee="kim")), "kim")):
            _, took_in = entries_of_merge(one, ticket("2", theirs), LEE, NOW, "lee")
            state = after(theirs, took_in)
            assert (state.assignee, state.escalated) == (heir, True)

    def test_of_plain_one_takes_nothing_away(self) -> None:
        theirs = thread(entry("assigned", LEE, assignee="kim"), entry("escalated", LEE))
        _, took_in = entries_of_merge(ticket("1"), ticket("2", theirs), LEE, NOW)
        state = after(theirs, took_in)
        assert (state.assignee, state.escalated) == ("kim", True)

    def test_keeps_when_it_had_ended(self) -> None:
        state = after(thread(entry("solved")), entry("merged", LEE, days=3))
        assert (state.status, state.ended_at, state.merged) == ("closed", NOW, True)

    @pytest.mark.parametrize("what", ["reopened", "solved", "assigned", "escalated"])
    def test_is_for_ever(self, what: What) -> None:
        state = thread(entry("merged", LEE))
        assert not state.reopens(NOW)
        refusal = refusal_of(state, entry(what, LEE))
        assert refusal is not None
        assert refusal.code == "ticket-merged"

    def test_of_two_open_ones_is_allowed(self) -> None:
        assert refusal_of_merge(ticket("1"), ticket("2")) is None
        assert refusal_of_merge(ticket("1", thread(entry("closed"))), ticket("2")) is None

    @pytest.mark.parametrize(
        ("one", "other", "code"),
        [
            (ticket("1"), ticket("1"), "merged-with-itself"),
            (ticket("1"), ticket("2", customer_id="other"), "of-other-customer"),
            (ticket("1", kind="dispute"), ticket("2"), "dispute-not-merged"),
            (ticket("1"), ticket("2", kind="dispute"), "dispute-not-merged"),
            (ticket("1", merged_into="3"), ticket("2"), "merged-already"),
            (ticket("1"), ticket("2", merged_into="3"), "target-merged"),
            (ticket("1"), ticket("2", thread(entry("solved"))), "ticket-ended"),
        ],
    )
    def test_refusal_says_why(self, one: Ticket, other: Ticket, code: str) -> None:
        refusal = refusal_of_merge(one, other)
        assert refusal is not None
        assert (refusal.code, refusal.detail.endswith(".")) == (code, True)


authors = st.sampled_from([ANN, LEE, ITSELF, Author("customer", "staff", "lee", acting_for="acme")])
entries = st.builds(
    entry, st.sampled_from(WHATS), authors, days=st.floats(0, 60), assignee=st.sampled_from([None, "lee", "kim"])
)


class TestAnyOrder:
    @given(st.lists(entries, max_size=30), authors)
    def test_end_is_known_while_it_has_ended(self, rest: Sequence[Entry], author: Author) -> None:
        state = first(entry("asked", author))
        for one in rest:
            if refusal_of(state, one) or changes_nothing(state, one):
                continue
            state = after(state, one)
            assert state.ended == (state.ended_at is not None)
            assert state.ended == (state.status in ("solved", "closed"))
            assert state.status != "new" or one.what in ("replied", "noted")

    @given(st.lists(entries, max_size=30))
    def test_step_by_step_is_the_whole(self, rest: Sequence[Entry]) -> None:
        state = first(entry("asked"))
        for one in rest:
            state = after(state, one)
        assert state == state_of([entry("asked"), *rest])

    @given(st.lists(entries, max_size=30), entries)
    def test_repeated_change_is_seen(self, rest: Sequence[Entry], last: Entry) -> None:
        state = state_of([entry("asked"), *rest, last])
        if last.what not in ("replied", "noted"):
            assert changes_nothing(state, last)

    @given(st.lists(entries, max_size=30))
    def test_public_replies_always_reach_the_other_side(self, rest: Sequence[Entry]) -> None:
        state = state_of([entry("asked"), *rest])
        reply = entry("replied", LEE)
        assert after(state, reply).status == "waiting_for_you"
        assert after(after(state, reply), entry("replied")).status == "open"

    @given(st.lists(entries, max_size=30))
    def test_notes_never_change_the_state(self, rest: Sequence[Entry]) -> None:
        without = [one for one in rest if one.what != "noted"]
        assert state_of([entry("asked"), *rest]) == state_of([entry("asked"), *without])


class TestMails:
    PEOPLE = People(asking=("ann",), manager="kim", queue=("kim", "lee"), deciding=("root",))

    @pytest.mark.parametrize(
        ("one", "subject"),
        [
            (entry("asked"), "opened"),
            (entry("asked", LEE), "from_company"),
            (entry("replied"), "from_customer"),
            (entry("replied", LEE), "from_company"),
            (entry("noted", LEE), None),
            (entry("solved", LEE), "solved"),
            (entry("solved"), None),
            (entry("closed", ITSELF), None),
            (entry("closed", ITSELF, text="paid"), "solved"),
            (entry("assigned", LEE, assignee="lee"), None),
            (entry("assigned", LEE, assignee="kim"), "assigned"),
            (entry("escalated", LEE), "escalated"),
        ],
    )
    def test_are_about_what_others_wait_for(self, one: Entry, subject: str | None) -> None:
        assert about(one) == subject

    def test_go_to_the_manager_first(self) -> None:
        assert recipients("opened", self.PEOPLE, ANN) == ("kim",)
        assert recipients("opened", replace(self.PEOPLE, manager=None), ANN) == ("kim", "lee")
        assert recipients("opened", People(deciding=("root",)), ANN) == ("root",)
        assert recipients("opened", People(), ANN) is None

    def test_go_to_who_works_on_it(self) -> None:
        assert recipients("from_customer", replace(self.PEOPLE, assignee="lee"), ANN) == ("lee",)

    def test_go_to_contacts_who_wrote(self) -> None:
        assert recipients("from_company", self.PEOPLE, LEE) == ("ann",)
        assert recipients("from_company", People(), LEE) == ()

    def test_never_go_to_their_author(self) -> None:
        looks = Author("customer", "staff", "kim", acting_for="acme")
        assert recipients("opened", self.PEOPLE, looks) is None
