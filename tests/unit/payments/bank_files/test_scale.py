"""A hundred thousand lines: memory does not grow with the file, and reading is fast. Bounds are loose."""

import json
import pathlib
import subprocess
import sys

import pytest

from tests.kit.bank_files import FORMATS, transfers, write

LINES = 100_000
MOST_MEGABYTES = 15
SLOWEST = 4_000  # lines a second of CPU time, where 20,000 and more are measured

MEASURE = """
import json, pathlib, re, resource, sys, time
from payments.bank_files import read
from payments.bank_files.identity import identities

def peak():  # megabytes; of this program alone, where the system tells
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1 << 20)

with open(sys.argv[1], "rb") as file, open(sys.argv[2], "rb") as small:
    list(identities(read(small).lines))
    before, began = peak(), time.process_time()
    reading = read(file)
    count = total = 0
    for line, identity in identities(reading.lines):
        count, total = count + 1, total + line.amount_minor
    print(json.dumps([reading.format, count, total, time.process_time() - began, peak() - before]))
"""


@pytest.mark.parametrize("kind", FORMATS)
def test_memory_is_flat_and_reading_is_fast(kind: str, tmp_path: pathlib.Path) -> None:
    for name, lines in (("large", LINES), ("small", 10)):
        with (tmp_path / name).open("wb") as file:
            write(FORMATS[kind](transfers(lines)), file)
    command = [sys.executable, "-c", MEASURE, str(tmp_path / "large"), str(tmp_path / "small")]
    measured = subprocess.run(command, capture_output=True, text=True, check=True)
    (tmp_path / "large").unlink()
    found, count, total, seconds, megabytes = json.loads(measured.stdout)
    assert (found, count) == (kind, LINES)
    assert total == sum(one.minor for one in transfers(LINES))
    assert megabytes < MOST_MEGABYTES
    assert LINES / seconds > SLOWEST
    print(f"{kind}: {LINES / seconds:,.0f} lines a second with identities, {megabytes:.1f} MB more at the peak")
