"""The bytes of files, under names that mean nothing: in a directory, or at S3 and stores like it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

import obstore
from obstore.store import LocalStore, from_url

PART = 65_536


class Contents:
    """`where`: a directory, which is made, or an address such as `s3://bucket/folder`.

    The credentials of a store are those of its own variables, as `AWS_ACCESS_KEY_ID`.
    """

    def __init__(self, where: str) -> None:
        self._folder = None if "://" in where else Path(where).expanduser().resolve()
        if self._folder is None:
            self._store = from_url(where)
        else:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._store = LocalStore(self._folder)

    @staticmethod
    def new_place() -> str:
        """A place that nobody can guess, and that says nothing of the file."""
        name = secrets.token_hex(20)
        return f"{name[:2]}/{name[2:]}"

    async def put(self, place: str, file: BinaryIO) -> None:
        """Write a file as a stream; whoever reads the place finds all of it or nothing."""
        file.seek(0)
        await obstore.put_async(self._store, place, file)
        if self._folder is not None:
            await asyncio.to_thread(_flush, self._folder / place)

    async def parts(self, place: str) -> AsyncIterator[bytes]:
        """The content as a stream. FileNotFoundError: there is none."""
        found = await obstore.get_async(self._store, place)
        async for part in found.stream(min_chunk_size=PART):
            yield bytes(part)

    async def delete(self, place: str) -> None:
        """Leave nothing of it, also of a write that broke off; it may be gone already."""
        with contextlib.suppress(FileNotFoundError):
            await obstore.delete_async(self._store, place)
        if self._folder is not None:
            await asyncio.to_thread(_tidy, self._folder / place)

    async def places(self) -> AsyncIterator[str]:
        """Each place that holds something."""
        async for page in obstore.list(self._store):
            for one in page:
                yield str(one["path"])


def _tidy(path: Path) -> None:
    for begun in path.parent.glob(f"{path.name}#*"):  # where the local store writes before it renames
        begun.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """To the disk: what was taken in is not lost when the machine stops."""
    for each in (path, path.parent):
        opened = os.open(each, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
