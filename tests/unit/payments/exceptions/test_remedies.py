"""What people are told to do about what does not agree."""

from typing import get_args

import pytest

from payments.exceptions.domain import OF_CLASS, About, ExceptionClass, remedy


@pytest.mark.parametrize("about", get_args(About))
@pytest.mark.parametrize("why", get_args(ExceptionClass))
def test_whatever_does_not_agree_has_a_remedy_in_whole_sentences(about: About, why: ExceptionClass) -> None:
    words = remedy(about, why).text
    assert words[0].isupper()
    assert words.endswith(".")


def test_every_remedy_of_a_class_is_another_than_the_general_one() -> None:
    assert len({*OF_CLASS.values()}) == len(OF_CLASS)


def test_each_remedy_has_a_code_of_its_own() -> None:
    said = [remedy(about, why) for about in get_args(About) for why in get_args(ExceptionClass)]
    assert len({each.code for each in said}) == len({each.text for each in said})
