"""`Prefer: wait`, as RFC 7240 writes it."""

import pytest

from payments.collecting.api.waiting import seconds_of


class TestPreference:
    @pytest.mark.parametrize(
        ("values", "seconds"),
        [
            (["wait=10"], 10),
            (["Wait=10"], 10),
            (['wait="10"'], 10),
            (["wait = 10"], 10),
            (["respond-async, wait=10"], 10),
            (["respond-async", "wait=5;x=1"], 5),
            (["wait=5, wait=9"], 5),
            (["wait=999999"], 30),
            (["wait=0"], 0),
            (["waiting=5"], None),
            (["wait"], None),
            (["wait=-1"], None),
            (["wait=1.5"], None),
            (["wait=soon, wait=5"], None),
            (["wait=\u0665"], None),
            ([""], None),
            ([], None),
        ],
    )
    def test_wait_is_read(self, values: list[str], seconds: int | None) -> None:
        assert seconds_of(values) == seconds
