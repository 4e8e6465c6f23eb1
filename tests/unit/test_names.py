"""The check of lengths finds what is too long, and each exception that nothing needs."""

from tests.names import EXCEPTIONS, faults_of_subjects, faults_of_tests, long_names

NINE = "test_one_two_three_four_five_six_seven_eight_nine"
EIGHT = "test_one_two_three_four_five_six_seven_eight"


class TestLongNames:
    def test_eight_words_are_allowed(self) -> None:
        source = f"def {EIGHT}(): ...\nclass TestIt:\n    async def {NINE}(self): ...\n"
        assert long_names(source) == [(3, NINE)]

    def test_long_name_is_shown_with_its_line(self) -> None:
        (fault,) = faults_of_tests({"tests/a.py": [(3, NINE)]}, {})
        assert fault.startswith(f"tests/a.py:3: {NINE} has 9 words")


class TestExceptions:
    def test_listed_folder_is_passed_over(self) -> None:
        assert faults_of_tests({"tests/old/a.py": [(3, NINE)]}, {"tests/old/": 1}) == []

    def test_folder_may_not_get_more(self) -> None:
        (fault,) = faults_of_tests({"tests/old/a.py": [(3, NINE), (9, NINE)]}, {"tests/old/": 1})
        assert "2 long test names" in fault

    def test_unneeded_exception_is_a_fault(self) -> None:
        (fault,) = faults_of_tests({"tests/old/a.py": []}, {"tests/old/": 1})
        assert "Remedy: remove it" in fault

    def test_list_holds_folders(self) -> None:
        assert all(folder.endswith("/") and most > 0 for folder, most in EXCEPTIONS.items())


class TestSubjects:
    def test_more_than_72_characters_is_a_fault(self) -> None:
        assert faults_of_subjects(["x" * 72]) == []
        assert len(faults_of_subjects(["x" * 73])) == 1
