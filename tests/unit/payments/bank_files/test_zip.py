"""Bank files in a ZIP: unpacked within bounds, or refused in words that fit."""

import io
import time
import zipfile

import pytest

from payments.bank_files import BadFile, BankLine, Reading, read, zip_file
from tests.kit.bank_files import FORMATS, SMALL, content


def packed(*files: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as archive:
        for name, text in files:
            archive.writestr(name, text)
    return data.getvalue()


APPLE = b"\0\x05\x16\x07" + b"\0" * 100


def of(kind: str) -> bytes:
    return content(FORMATS[kind](SMALL))


def reading(data: bytes) -> tuple[Reading, list[BankLine]]:
    found = read(io.BytesIO(data))
    return found, list(found.lines)


def refusal(data: bytes) -> str:
    with pytest.raises(BadFile) as refused:
        reading(data)
    return str(refused.value)


class TestZip:
    @pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_its_files_are_read_one_after_another(self, method: int) -> None:
        files = [("march/a.xml", of("camt.053")), ("march/", b""), ("__MACOSX/._a.xml", APPLE), ("b.sta", of("mt940"))]
        found, lines = reading(packed(*files, method=method))
        assert found.format == "camt.053"
        assert len(lines) == 2 * len(SMALL)
        assert lines[0].place == "march/a.xml: statement 1, entry 1"
        assert lines[-1].place.startswith("b.sta: line ")

    def test_a_fault_in_one_names_the_file(self) -> None:
        said = refusal(packed(("a.xml", of("camt.053")), ("b.sta", of("mt940").replace(b":62F:C", b":62F:D"))))
        assert "b.sta: line " in said
        assert "opening and movements come to" in said

    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (packed(), "not"),
            (packed(("a/", b"")), "holds no file"),
            (packed(("a.zip", packed(("a.xml", b"<a/>")))), "a.zip is a ZIP in a ZIP"),
            (packed(("[Content_Types].xml", b"<a/>"), ("xl/workbook.xml", b"<a/>")), "Office document"),
            (packed(*((f"{number}.xml", b"<a/>") for number in range(201))), "holds 201 files, more than 200"),
            (packed(("a.xml", b"<" + b" " * 10_000_000)), "more than 200 times its size"),
            (packed(("a.xml", of("camt.053")))[:-30], "the ZIP is broken"),
            (packed(("a.txt", b"hello")), "a.txt: "),
            (b"PK\x03\x04" + b"\0" * 100, "the ZIP is broken"),
            (b"\x1f\x8b\x08" + b"\0" * 100, "packed with gzip"),
            (b"%PDF-1.7 ...", "a PDF"),
        ],
        ids=range(11),
    )
    def test_refusal_says_why(self, data: bytes, reason: str) -> None:
        assert reason in refusal(data)

    def test_more_bytes_than_are_taken_are_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(zip_file, "LARGEST", 1_000)
        assert "more than 1000" in refusal(packed(("a.xml", of("camt.053"))))

    def test_wrong_size_and_password_are_refused(self) -> None:
        data = bytearray(packed(("a.xml", of("camt.053")), method=zipfile.ZIP_STORED))
        at = data.index(b"PK\x01\x02") + 24  # the size of the file, unpacked
        data[at : at + 4] = (10).to_bytes(4, "little")
        assert "a.xml" in refusal(bytes(data))
        locked = bytearray(packed(("a.xml", of("camt.053"))))
        for mark, flags in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
            locked[locked.index(mark) + flags] |= 1
        assert "password" in refusal(bytes(locked))


class TestMembers:
    @pytest.mark.parametrize(
        "name",
        ["./b.sta", "../../etc/x.sta", ".hidden/b.sta", ".b.sta", "__MACOSX/b.sta", "__MACOSX/._b.sta", "b.sta/"],
    )
    def test_none_is_passed_over_for_its_name(self, name: str) -> None:
        _, lines = reading(packed(("a.xml", of("camt.053")), (name, of("mt940"))))
        assert len(lines) == 2 * len(SMALL)

    def test_what_macos_adds_is_no_file(self) -> None:
        assert "holds no file" in refusal(packed(("__MACOSX/._a.xml", APPLE)))

    def test_each_statement_is_a_part(self) -> None:
        _, lines = reading(packed(("a.xml", of("camt.053")), ("b.sta", 2 * of("mt940")), ("c.xml", of("camt.053"))))
        assert [line.part for line in lines[:: len(SMALL)]] == [1, 2, 3, 4]

    def test_a_large_directory_is_refused_unread(self) -> None:
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as archive:
            for number in range(20_000):
                archive.writestr(f"{number}/", b"")
        began = time.process_time()
        assert "directory has 20000 entries" in refusal(data.getvalue())
        assert time.process_time() - began < 0.1

    def test_a_directory_larger_than_its_count_is_refused(self) -> None:
        data = bytearray(packed(*((f"{'x' * 60_000}{number}/", b"") for number in range(30))))
        at = data.rindex(b"PK\x05\x06")
        data[at + 8 : at + 12] = (1).to_bytes(2, "little") * 2
        assert "directory has 1 entries in 18" in refusal(bytes(data))
