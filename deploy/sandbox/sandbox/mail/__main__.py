"""`python -m sandbox.mail`: catch every mail of a stack until SIGTERM or Ctrl-C. Loopback only."""

import asyncio
import logging
import os
import signal

import uvloop
from aiohttp import web

from sandbox.mail.inbox import Inbox
from sandbox.mail.smtp import Receiving
from sandbox.mail.web import application

HOST = "127.0.0.1"


async def main() -> None:
    for name in ("MAIL_PORT", "MAIL_SMTP_PORT"):
        if not os.environ.get(name, "").isdecimal():
            raise SystemExit(f"set {name} to a port")
    inbox, ended = Inbox(), asyncio.Event()
    receiving = Receiving(inbox, HOST, int(os.environ["MAIL_SMTP_PORT"]))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    runner = web.AppRunner(application(inbox, receiving), access_log=None)
    await receiving.come()
    await runner.setup()
    await web.TCPSite(runner, HOST, int(os.environ["MAIL_PORT"])).start()
    await ended.wait()
    receiving.go_away()
    await runner.cleanup()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("mail.log").setLevel(logging.WARNING)  # aiosmtpd's own, a line for each command
    uvloop.run(main())
