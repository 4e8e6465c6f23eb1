"""Bank lines that are alike in two statements: a copy counts once, and a statement that follows is never dropped."""

import io
import zipfile

import pytest

from chassis.messaging.work import Units
from payments.bank_files import read
from tests.service.payments.receiving.test_bank_taking import take, waiting


def mt940(number: int, opening: str, closing: str) -> bytes:
    return (
        f":20:A\n:25:DE1\n:28C:{number}/1\n:60F:C260302USD{opening}\n:61:2603020302C50,00NTRFNONREF\n:86:Rent\n"
        f":62F:C260302USD{closing}\n-\n"
    ).encode()


FIRST, NEXT = mt940(1, "0,00", "50,00"), mt940(2, "50,00", "100,00")


def zipped(*files: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for place, content in enumerate(files):
            archive.writestr(f"{place}.sta", content)
    return made.getvalue()


async def taken(units: Units, *files: bytes) -> list[list[str]]:
    """What became of the lines of each file."""
    return [await take(units, *read(io.BytesIO(one)).lines) for one in files]


class TestLinesAlike:
    async def test_next_statement_in_a_zip_is_doubted(self, units: Units) -> None:
        assert await taken(units, zipped(FIRST, NEXT)) == [["proposed", "proposed"]]
        assert sorted(await waiting(units)) == [("doubled", 5_000), ("missing_here", 5_000)]

    async def test_next_statement_in_a_later_file_is_doubted(self, units: Units) -> None:
        assert await taken(units, FIRST, NEXT) == [["proposed"], ["proposed"]]
        assert [why for why, _ in await waiting(units)][-1] == "doubled"

    async def test_both_in_one_file_count(self, units: Units) -> None:
        assert await taken(units, FIRST + NEXT) == [["proposed", "proposed"]]
        assert "doubled" not in [why for why, _ in await waiting(units)]

    @pytest.mark.parametrize("files", [(zipped(FIRST, FIRST),), (FIRST, zipped(FIRST)), (FIRST + NEXT, NEXT)])
    async def test_copy_counts_once(self, units: Units, files: tuple[bytes, ...]) -> None:
        assert (await taken(units, *files))[-1][-1] == "duplicate"
        assert "doubled" not in [why for why, _ in await waiting(units)]

    async def test_doubt_is_raised_once(self, units: Units) -> None:
        outcome = await taken(units, FIRST, NEXT, zipped(NEXT))
        assert outcome[-1] == ["duplicate"]
        assert [why for why, _ in await waiting(units)].count("doubled") == 1
