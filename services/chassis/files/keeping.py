"""Takes files in: one of a request, checked before anything of it is kept. Scans it, and lets go what nobody uses."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, BinaryIO

import asyncpg
import structlog
from fastapi import Request
from obstore.exceptions import BaseError as StoreError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from chassis.files import store
from chassis.files.contents import Contents
from chassis.files.kinds import FIELD, kind_of
from chassis.files.links import Signer
from chassis.files.names import cleaned
from chassis.files.scanning import PART, Scanner, ScannerAwayError
from chassis.files.settings import FileSettings
from chassis.http.identity import Identity
from chassis.http.problems import Problem, problem_of, unavailable
from chassis.http.uploads import Room
from chassis.jobs import Job
from chassis.messaging.work import Cause, Work
from chassis.running import Running
from chassis.tasks.queue import Queues, Task, enqueue
from contracts.ids import is_id, new_id
from contracts.refusals import Refusal

log = structlog.get_logger()

LARGEST = 10 << 20
MOST_WAITING = 100  # of one sender, attached to nothing
AT_ONCE = 16
UNUSED_FOR = timedelta(days=1)
SCAN = "scan-files"
AT_THE_DOOR, LATER = 8.0, 60.0  # seconds that a scan may take: while the sender waits, and afterwards
# A scanner that is away for hours is a person's matter after two days.
PAUSES = tuple(timedelta(seconds=seconds) for seconds in (1, 5, 25, 120, 600, *[3600] * 48))
PORTION = 100


@dataclass(frozen=True, slots=True)
class Files:
    """What a process holds to keep files. `scanner`: None: what comes is taken as clean."""

    contents: Contents
    signer: Signer
    scanner: Scanner | None

    @classmethod
    def of(cls, settings: FileSettings) -> Files:
        scanner = Scanner(settings.files_scanner) if settings.files_scanner else None
        return cls(Contents(settings.files), Signer(settings.files_secret.get_secret_value()), scanner)


@dataclass(frozen=True, slots=True)
class Sender:
    """`customer_id`: whose person or program it is; None: the company's. `name`: as `Identity.key_owner` says it."""

    customer_id: str | None
    name: str


UPLOADS = Room(AT_ONCE)  # a file on the disk each
CHECKING = asyncio.Semaphore(2)  # a thread each


async def take(request: Request, running: Running[Any], files: Files, who: Identity, cause: Cause) -> dict[str, Any]:
    """Keep the file of a request: its id, name, type, size and state. Problems name the file, or the field."""
    with UPLOADS.one():
        async with _sent(request) as (file, size, name):
            try:
                sender = Sender(who.customer_id, who.key_owner)
                return await _kept(file, size, cleaned(name), running, files, sender, cause)
            except Refusal as refusal:
                raise problem_of(refusal) from None


async def keep(
    file: BinaryIO, name: str, running: Running[Any], files: Files, sender: Sender, cause: Cause
) -> dict[str, Any]:
    """Keep a file of at most `LARGEST` that came in no request, as `take` does. A `Refusal` names the file."""
    return await _kept(file, file.seek(0, os.SEEK_END), cleaned(name), running, files, sender, cause)


@asynccontextmanager
async def _sent(request: Request) -> AsyncIterator[tuple[BinaryIO, int, str]]:
    """The one file of a form, whole, in a file of this machine that has no name: nothing of it stays."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "multipart/form-data":
        await _rest_of(request)
        raise _no_file()
    parser = MultiPartParser(request.headers, request.stream(), max_files=1, max_fields=0)
    try:
        found = (await parser.parse()).get(FIELD)
        if not isinstance(found, UploadFile):
            raise _no_file()
        size, name = found.size or 0, found.filename or ""
        if size > LARGEST:
            raise _too_large(cleaned(name))
        yield found.file, size, name
    except ClientDisconnect:
        raise _cut_off() from None
    except MultiPartException:
        await _rest_of(request)
        raise _no_file() from None
    finally:
        for file in parser._files_to_close_on_error:  # the parser leaves a file open whose end has not come
            file.close()


async def _rest_of(request: Request) -> None:
    """Read on to the end, so that the sender hears the refusal. The limit of bodies holds."""
    with contextlib.suppress(ClientDisconnect, RuntimeError):
        async for _ in request.stream():
            pass


def _no_file() -> Problem:
    says = "Send one file as multipart/form-data, in the field `file`, with its name, whole, and nothing beside it."
    return problem_of(Refusal("no-file", says, FIELD))


def _cut_off() -> Problem:
    detail = "The file ended before all of it had come. Nothing of it was kept. Send it again."
    return Problem(status=400, slug="body-cut-off", title="The file was cut off", detail=detail)


def _too_large(name: str) -> Problem:
    most = LARGEST >> 20
    says = f"“{name}” is larger than {most} MB."
    values = {"name": name, "most_mb": most}
    errors = [{"field": FIELD, "message": says}]
    return Problem(status=413, slug="file-too-large", detail=says, errors=errors, extra={"values": values})


async def _kept(
    file: BinaryIO, size: int, name: str, running: Running[Any], files: Files, sender: Sender, cause: Cause
) -> dict[str, Any]:
    async with CHECKING:
        kind, name = await asyncio.to_thread(kind_of, file, size, name)
        digest = await asyncio.to_thread(_digest, file)
    scanned = files.scanner is None or await _clean(file, name, files.scanner)
    made = store.NewFile(
        new_id(), sender.customer_id, sender.name, name, kind.type, size, digest, Contents.new_place()
    )  # fmt: skip
    if not await store.add_file(running.pool, made, running.clock.now(), MOST_WAITING):
        detail = f"{MOST_WAITING} files that you sent are attached to nothing yet. Attach them first, or wait a day."
        raise Refusal("too-many-files", detail, FIELD, conflict=True)
    try:
        await files.contents.put(made.place, file)
        async with running.units.begin(cause) as work:
            await store.arrived(work, made.id, scanned=scanned)
            if not scanned:
                await enqueue(work, SCAN, made.id)
    except BaseException as error:
        await asyncio.shield(_undo(running, files, made))
        if isinstance(error, (StoreError, OSError)):
            log.error("a file could not be stored", error=repr(error))
            raise unavailable("Files can't be kept just now. Send this one again.", retry_after=5) from error
        raise
    state = "ready" if scanned else "scanning"
    return {"id": made.id, "name": name, "type": kind.type, "size": size, "state": state}


async def _undo(running: Running[Any], files: Files, made: store.NewFile) -> None:
    """Leave nothing of it. What can't be deleted now goes with the files that were never attached."""
    with contextlib.suppress(Exception):
        await files.contents.delete(made.place)
        await store.forget(running.pool, made.id)


def _digest(file: BinaryIO) -> bytes:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").digest()  # type: ignore[arg-type]


async def _clean(file: BinaryIO, name: str, scanner: Scanner) -> bool:
    """Whether it is known to be clean. False: that is found out later. A virus is a `Refusal`."""
    try:
        virus = await scanner.virus_in(_parts(file), seconds=AT_THE_DOOR)
    except ScannerAwayError as error:
        log.warning("a file is scanned later", error=str(error))
        return False
    if virus is not None:
        log.warning("a file with a virus was refused", virus=virus)
        raise Refusal("file-infected", f"“{name}” holds a virus ({virus}).", FIELD, values={"name": name})
    return True


async def _parts(file: BinaryIO) -> AsyncIterator[bytes]:
    file.seek(0)
    while part := await asyncio.to_thread(file.read, PART):
        yield part


async def attach(
    work: Work, ids: Sequence[str], customer_id: str, uploaded_by: str, *, internal: bool, field: str = "file_ids"
) -> None:
    """Attach all of these files, or raise a `Refusal` that names the first that can't be."""
    found = await store.attach(work, [one for one in ids if is_id(one)], customer_id, uploaded_by, internal=internal)
    for place, one in enumerate(ids):
        if one not in found or one in ids[:place]:
            detail = f"You sent no file {one!r:.80} that is still to be attached: each is attached once."
            raise Refusal("unknown-file", detail, f"{field}.{place}")


def _files_of(running: Running[Any]) -> Files:
    found: Files = running.own.files
    return found


async def scan(task: Task, running: Running[Any]) -> None:
    """Scan a file that could not be scanned while it came. One with a virus loses its bytes."""
    files, file = _files_of(running), await store.find_file(running.pool, task.id)
    if file is None or file["state"] not in ("scanning", "infected"):
        return
    if file["state"] == "scanning":
        virus = None
        if files.scanner is not None:
            virus = await files.scanner.virus_in(files.contents.parts(file["place"]), seconds=LATER)
        await store.decide(running.pool, task.id, clean=virus is None)
        if virus is None:
            return
        log.warning("a file with a virus was deleted", file=task.id, virus=virus)
    await files.contents.delete(file["place"])


async def sweep(running: Running[Any]) -> bool:
    """Delete files that were never attached: first their bytes, then what is known of them."""
    gone = await store.let_go(running.pool, running.clock.now() - UNUSED_FOR, PORTION)
    for file_id, place in gone:
        await _files_of(running).contents.delete(place)
        await store.forget(running.pool, file_id)
    return len(gone) == PORTION


SWEEP = Job("sweep-files", 600, sweep, first_after_seconds=30, alone=True)


def scan_in(queues: Queues) -> None:
    """Have a service scan the files that it keeps."""
    queues.on(SCAN, at_once=2, lease_seconds=300, pauses=PAUSES)(scan)


Verdict = tuple[dict[str, Any], AsyncIterator[bytes]]


async def download(pool: asyncpg.Pool, files: Files, file_id: str, path: str, until: str, signature: str) -> Verdict:
    """A file and its bytes, for whoever has a link that was signed some minutes ago."""
    verdict = files.signer.check(path, until, signature)
    file = await store.find_file(pool, file_id) if verdict != "forged" and is_id(file_id) else None
    if file is None:
        raise Problem(status=404, slug="not-found", detail="There is no such download. Ask for the file again.")
    if verdict == "ended":
        detail = "The link of this download has ended: it holds for some minutes. Ask for the file again."
        raise Problem(status=410, slug="link-ended", detail=detail)
    need_ready(file)
    parts = files.contents.parts(file["place"])
    try:
        first = await anext(parts)
    except (StoreError, FileNotFoundError) as error:
        log.error("the bytes of a file are missing", file=file_id, error=repr(error))
        raise unavailable("The file can't be read just now. Ask for it again.", retry_after=5) from error
    return file, _with(first, parts)


async def _with(first: bytes, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for part in parts:
        yield part


def need_ready(file: dict[str, Any]) -> None:
    if file["state"] == "infected":
        detail = f"“{file['name']}” held a virus, so it was deleted."
        raise Problem(status=410, slug="file-infected", detail=detail, extra={"values": {"name": file["name"]}})
    if file["state"] != "ready":
        detail = f"“{file['name']}” is still being scanned for viruses."
        raise Problem(
            status=409, slug="file-not-ready", detail=detail, headers={"Retry-After": "5"},
            extra={"values": {"name": file["name"]}},
        )  # fmt: skip
