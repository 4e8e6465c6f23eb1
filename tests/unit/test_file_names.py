"""Names of files are harmless, whatever was sent; links of downloads are good for one path and some minutes."""

import re
import time
from string import hexdigits

from hypothesis import given
from hypothesis import strategies as st

from chassis.files.links import MINUTES, Signer
from chassis.files.names import LONGEST, UNSEEN, cleaned, parted
from chassis.files.serving import disposition

SIGNER = Signer("of-these-tests-alone")
NAMES = st.text(st.characters() | st.sampled_from("./\\ :\u202e\0\"'%;<\n"), max_size=300)


class TestNames:
    @given(NAMES)
    def test_are_harmless_whatever_was_sent(self, name: str) -> None:
        found = cleaned(name)
        assert 0 < len(found) <= LONGEST
        assert not re.search(r'[/\\<>:"|?*]', found)
        assert not UNSEEN.search(found)
        assert found.strip(". ") == found
        assert cleaned(found) == found

    @given(NAMES)
    def test_stand_in_a_header_as_they_are(self, name: str) -> None:
        header = disposition(cleaned(name))
        assert header.isascii()
        assert header.isprintable()
        assert header.count('"') == 2

    @given(NAMES)
    def test_part_into_a_start_and_an_ending(self, name: str) -> None:
        start, ending = parted(name)
        assert (start + ending).lower() == name.lower()


class TestLinks:
    @given(st.integers(1, 10**9), st.text(hexdigits, max_size=70))
    def test_are_never_guessed(self, until: int, signature: str) -> None:
        assert SIGNER.check("/v1/files/a/content", str(until), signature) == "forged"

    def test_hold_for_their_path_and_minutes(self) -> None:
        now = time.time()
        for ago, says in ((0, "good"), (60 * MINUTES + 2, "ended")):
            until, signature = re.findall("=(\\w+)", SIGNER.link("/v1/files/a/content", now - ago))
            assert SIGNER.check("/v1/files/a/content", until, signature) == says
            assert SIGNER.check("/v1/files/b/content", until, signature) == "forged"
            assert Signer("another-secret").check("/v1/files/a/content", until, signature) == "forged"
