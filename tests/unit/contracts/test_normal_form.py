"""Names have one normal form."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.normal import normal_form


def formed(text: str) -> str | None:
    try:
        return normal_form(text)
    except ValueError:
        return None


class TestNormalForm:
    @given(st.text(max_size=30))
    def test_it_is_its_own_normal_form(self, text: str) -> None:
        once = formed(text)
        if once is not None:
            assert formed(once) == once

    @given(st.text(max_size=30))
    def test_nothing_in_it_is_invisible(self, text: str) -> None:
        once = formed(text) or "x"
        assert once == once.strip()
        assert not {unicodedata.category(one) for one in once} & {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}

    @pytest.mark.parametrize("padded", ["INV-7" + " " * 40, " " * 40 + "INV-7", " INV-7 ", "\u3000INV-7\n"])
    def test_padding_is_dropped(self, padded: str) -> None:
        assert normal_form(padded) == "INV-7"

    @pytest.mark.parametrize("text", ["  F ", "\n \tA\n", "   12   "])
    def test_mostly_blanks_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="mostly blanks"):
            normal_form(text)
