"""Argon2id in few threads, so that many who try passwords at once don't take the machine from those who pay."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from auth.hashes import Pepper
from auth.signin.domain import LONGEST_PASSWORD, SHORTEST_PASSWORD
from auth.signin.known_passwords import easily_guessed
from chassis.http.problems import unavailable

T = TypeVar("T")
MOST_WAITING = 32  # a few seconds of hashing: who would wait longer is asked to come again


def _give_way() -> None:
    """Let everything else on the machine run first: a flood of passwords is not to slow down payments."""
    if sys.platform == "linux":  # elsewhere this would be for the whole process
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 15)


class Hasher:
    """Hashes and checks passwords. A hash takes 19 MiB and two passes (OWASP's least for Argon2id)."""

    def __init__(self, pepper: Pepper, threads: int = 1) -> None:
        self._pepper = pepper
        self._argon = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="passwords", initializer=_give_way)
        self._waiting = 0
        self._nobodys = self._argon.hash(pepper.password("nobody has this password"))

    async def hash(self, password: str) -> str:
        return await self._run(self._argon.hash, self._pepper.password(password))

    async def matches(self, password: str, kept: str | None) -> bool:
        """Whether the password is the one of `kept`. An address without a password takes as long."""
        right = await self._run(self._matches, kept or self._nobodys, self._pepper.password(password))
        return right and kept is not None

    def _matches(self, kept: str, peppered: str) -> bool:
        try:
            return self._argon.verify(kept, peppered)
        except (VerificationError, InvalidHashError):
            return False

    async def refusal(self, password: str, email: str) -> str | None:
        """Why the password is not good enough, as a sentence; None if it is."""
        if len(password) < SHORTEST_PASSWORD:
            return f"A password has at least {SHORTEST_PASSWORD} characters: take several words."
        if len(password) > LONGEST_PASSWORD:
            return f"A password has at most {LONGEST_PASSWORD} characters."
        if easily_guessed(password, email):
            return "This password is in lists of known ones, or put together from them: take several words."
        return None

    async def _run(self, function: Callable[..., T], *arguments: str) -> T:
        if self._waiting >= MOST_WAITING:
            raise unavailable("Too many passwords are being checked. Try again in some seconds.", slug="too-busy")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
