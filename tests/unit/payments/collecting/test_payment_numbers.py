"""Short numbers of payments, as people read and type them."""

from hypothesis import given
from hypothesis import strategies as st

from contracts.ids import new_id
from payments.collecting.domain.payment_numbers import SYMBOLS, digits_of, number_of

ENDS = st.integers(0, 16**12 - 1).map(lambda value: f"{value:012x}")


class TestNumbers:
    @given(end=ENDS)
    def test_read_back_to_the_same_id(self, end: str) -> None:
        number = number_of(f"018f0000-0000-7000-8000-{end}")
        assert digits_of(number) == end
        assert set(number.removeprefix("P-")) <= {*SYMBOLS, "-"}

    @given(end=ENDS, other=ENDS)
    def test_different_ids_have_different_numbers(self, end: str, other: str) -> None:
        same = number_of(f"018f0000-0000-7000-8000-{end}") == number_of(f"018f0000-0000-7000-8000-{other}")
        assert same == (end == other)

    @given(end=ENDS)
    def test_any_spelling_is_read(self, end: str) -> None:
        number = number_of(f"018f0000-0000-7000-8000-{end}")
        heard = number.replace("0", "o").replace("1", "l").lower()
        for text in (
            heard,
            number.replace("-", ""),
            number.replace("-", " "),
            number.removeprefix("P-"),
            f" {number} ",
        ):
            assert digits_of(text) == end

    def test_invalid_text_is_no_number(self) -> None:
        for text in ("", "P-", "P-7K3M9-2QXT", "P-7K3M9-2QXTBB", "P-ZZZZZ-ZZZZZ", "P-7K3M9-2QX*B", new_id()):
            assert digits_of(text) is None
