"""`python -m sandbox`: serve until SIGTERM or Ctrl-C."""

import asyncio
import logging
import signal

import uvloop

from sandbox.server import serve
from sandbox.settings import from_environment


async def main() -> None:
    serving = asyncio.ensure_future(serve(from_environment()))
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, serving.cancel)
    await serving


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    uvloop.run(main())
