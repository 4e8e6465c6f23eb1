"""The check of lengths finds what is too long."""

from tests.names import faults_of_subjects, faults_of_tests, long_names

NINE = "test_one_two_three_four_five_six_seven_eight_nine"
EIGHT = "test_one_two_three_four_five_six_seven_eight"


class TestLongNames:
    def test_eight_words_are_allowed(self) -> None:
        source = f"def {EIGHT}(): ...\nclass TestIt:\n    async def {NINE}(self): ...\n"
        assert long_names(source) == [(3, NINE)]

    def test_long_name_is_shown_with_its_line(self) -> None:
        (fault,) = faults_of_tests({"tests/a.py": [(3, NINE)]})
        assert fault.startswith(f"tests/a.py:3: {NINE} has 9 words")


class TestSubjects:
    def test_more_than_72_characters_is_a_fault(self) -> None:
        assert faults_of_subjects(["x" * 72]) == []
        assert len(faults_of_subjects(["x" * 73])) == 1
