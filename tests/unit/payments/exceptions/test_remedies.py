"""What people are told to do about what does not agree."""

from typing import get_args

import pytest

from payments.exceptions.domain import OF_CLASS, About, ExceptionClass, remedy


class TestRemedies:
    @pytest.mark.parametrize("about", get_args(About))
    @pytest.mark.parametrize("why", get_args(ExceptionClass))
    def test_every_exception_has_one_in_whole_sentences(self, about: About, why: ExceptionClass) -> None:
        words = remedy(about, why).text
        assert words[0].isupper()
        assert words.endswith(".")

    def test_class_remedy_differs_from_the_general_one(self) -> None:
        assert len({*OF_CLASS.values()}) == len(OF_CLASS)

    def test_each_has_its_own_code(self) -> None:
        said = [remedy(about, why) for about in get_args(About) for why in get_args(ExceptionClass)]
        assert len({each.code for each in said}) == len({each.text for each in said})
