"""Stripe's API as others wrote it: stripe-mock (its schema) and localstripe (with state), as processes."""

import asyncio
import os
import pathlib
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from paidup_local.settings import cache_folder
from tests.kit.provider_sandbox import free_port, until

STRIPE_MOCK = "v0.203.0"
_LOCALSTRIPE = """
import sys
from aiohttp import web
from localstripe import server
server.store.dump_to_disk = lambda: None
web.run_app(server.app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""


def stripe_mock_program() -> pathlib.Path | str:
    """The program, built once by Go and kept in the cache; or why there is none."""
    folder = cache_folder() / "stripe-mock" / STRIPE_MOCK
    program = folder / "stripe-mock"
    if program.exists():
        return program
    go = shutil.which("go")
    if go is None:
        return "Go is not installed, so stripe-mock can't be built"
    build = folder.with_name(f"{STRIPE_MOCK}.{os.getpid()}")
    done = subprocess.run(
        [go, "install", f"github.com/stripe/stripe-mock@{STRIPE_MOCK}"],
        env={**os.environ, "GOBIN": str(build)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        return f"stripe-mock was not built: {done.stderr.strip()[-300:]}"
    folder.mkdir(parents=True, exist_ok=True)
    (build / "stripe-mock").replace(program)
    build.rmdir()
    return program


@asynccontextmanager
async def stripe_mock(program: pathlib.Path) -> AsyncIterator[str]:
    """Both of its listeners get an address: left to itself, HTTPS takes port 12112 of all interfaces."""
    port, unused = free_port(), free_port()
    command = [str(program), "-http-addr", f"127.0.0.1:{port}", "-https-addr", f"127.0.0.1:{unused}"]
    async with _serving(command, port) as url:
        yield url


@asynccontextmanager
async def localstripe() -> AsyncIterator[str]:
    port = free_port()
    async with _serving([sys.executable, "-c", _LOCALSTRIPE, str(port)], port) as url:
        yield url


@asynccontextmanager
async def _serving(command: list[str], port: int) -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL)
    try:
        await until(lambda: process.returncode is not None or _listens(port), seconds=30)
        assert process.returncode is None, f"{command[0]} ended with {process.returncode}"
        yield f"http://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
