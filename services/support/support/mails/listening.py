"""The mail server of replies, SMTP or LMTP, behind the company's own. It takes mails for signed addresses alone."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session, syntax

from chassis.running import Running
from support.mails.domain.letters import Unreadable, read_letter
from support.mails.domain.replies import ANSWERS
from support.mails.receiving import received, take
from support.own import Own

log = structlog.get_logger()
logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd's own, which writes addresses
END = b"\r\n.\r\n"
PIECE = 65_536
MOST_COMMANDS = {"RCPT": 200, "MAIL": 100, "DATA": 100, "RSET": 100, "*": 20}  # of one connection
SESSION_SECONDS = 900.0
HELD_MAILS = 4  # as many of the largest may be in memory at once
READERS = 2
AGAIN_SECONDS = 5.0
STOP_SECONDS = 1.5


async def listen_for_replies(running: Running[Own]) -> None:
    """Until cancelled; then mails that are being taken may still end. Without a port it does nothing."""
    settings = running.settings
    if running.own.addresses is None or settings.mail_port is None:
        await asyncio.Event().wait()
    listener = Listener(running)
    loop = asyncio.get_running_loop()
    while True:
        try:
            server = await loop.create_server(
                listener.connection, settings.mail_host, settings.mail_port, reuse_port=True
            )  # replicas on one machine share the port
            break
        except OSError as error:
            log.error("replies by mail can't be received", port=settings.mail_port, error=str(error))
            await asyncio.sleep(AGAIN_SECONDS)
    try:
        await asyncio.Event().wait()
    finally:
        server.close()
        await listener.stop()


class Listener:
    """The connections of one process."""

    def __init__(self, running: Running[Own]) -> None:
        self.running, self.settings = running, running.settings
        self.open: set[Connection] = set()
        self.held = 0  # bytes of mails in memory
        self._taking: set[asyncio.Task[Any] | None] = set()
        self._readers = ThreadPoolExecutor(READERS, "mail")

    def connection(self) -> asyncio.BaseProtocol:
        if len(self.open) >= self.settings.mail_connections:
            return Full()
        return LmtpConnection(self) if self.settings.mail_protocol == "lmtp" else Connection(self)

    async def stop(self) -> None:
        for one in list(self.open):
            if one.task not in self._taking:
                one.cut()
        taking = [task for task in self._taking if task is not None]
        if taking:
            await asyncio.wait(taking, timeout=STOP_SECONDS)
        for one in list(self.open):
            one.cut()
        self._readers.shutdown(wait=False, cancel_futures=True)

    # --- what aiosmtpd asks

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if envelope.rcpt_tos:
            return "452 4.5.3 One recipient at a time"
        addresses = self.running.own.addresses
        if addresses is None or addresses.read(address) is None:
            received.labels("no_address").inc()
            return "550 5.1.1 There is no such address here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        task = asyncio.current_task()
        self._taking.add(task)
        try:
            return await self._take(envelope)
        finally:
            self._taking.discard(task)

    async def _take(self, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        addresses = self.running.own.addresses
        answered = addresses.read(envelope.rcpt_tos[0]) if addresses else None
        assert answered is not None, "RCPT has looked"
        try:
            reading = asyncio.get_running_loop().run_in_executor(self._readers, read_letter, envelope.content)
            outcome = await take(self.running, answered, await reading, envelope.mail_from or "")
        except Unreadable as error:
            received.labels("unreadable").inc()
            return f"{ANSWERS['unreadable']}: {error}."
        received.labels(outcome).inc()
        return ANSWERS[outcome]

    async def handle_exception(self, error: Exception) -> str:
        """Trouble of ours: the mail stays with the server that has it, and comes again."""
        log.warning("a mail could not be taken, it comes again", error=type(error).__name__)
        received.labels("later").inc()
        return ANSWERS["later"]


class Full(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: Any) -> None:
        transport.write(b"421 4.3.2 Too many connections, try again later\r\n")
        transport.close()


class Connection(SMTP):
    """One connection, bounded in time, commands and bytes."""

    line_length_limit = PIECE

    def __init__(self, listener: Listener) -> None:
        settings = listener.settings
        super().__init__(
            listener, data_size_limit=settings.mail_most_bytes, enable_SMTPUTF8=True, hostname=settings.mail_domain,
            ident="Paidup", timeout=settings.mail_seconds, command_call_limit=MOST_COMMANDS,
            loop=asyncio.get_running_loop(),
        )  # fmt: skip
        self._listener, self._ends, self._holds = listener, self.loop.call_later(SESSION_SECONDS, self.cut), 0

    @property
    def task(self) -> asyncio.Task[None] | None:
        return self._handler_coroutine

    def cut(self) -> None:
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()

    def connection_made(self, transport: Any) -> None:
        self._listener.open.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._listener.open.discard(self)
        self._ends.cancel()
        super().connection_lost(error)

    @syntax("DATA")
    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802 - aiosmtpd's name
        """As aiosmtpd's, but in large pieces: that one keeps an object for each line, which may be millions."""
        envelope = self.envelope
        if await self.check_helo_needed():
            return
        if envelope is None or not envelope.rcpt_tos:
            await self.push("503 5.5.1 Error: need RCPT command")
            return
        if arg:
            await self.push("501 5.5.4 Syntax: DATA")
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        try:
            answer = await self._receive(envelope)
        finally:
            self._listener.held -= self._holds
            self._holds = 0
        self.envelope = self._create_envelope()
        await self.push(answer)

    async def _receive(self, envelope: Envelope) -> str:
        data, refused, ended = bytearray(), "", False
        first = await self._reader.readexactly(1)
        if not b"!" <= first <= b"~" or first in b".:":
            await self.push("554 5.6.0 The mail must begin with its headers")
            if self.transport is not None:
                self.transport.close()
            await asyncio.Event().wait()  # where such a mail ends is not known, so no command is read any more
        data += first
        while not ended:
            try:
                piece, ended = await self._reader.readuntil(END), True
            except asyncio.LimitOverrunError as error:
                piece = await self._reader.read(error.consumed)
            refused = refused or self._refusal(len(data) + len(piece), len(piece))
            if refused:
                data.clear()
            else:
                data += piece
        if refused:
            return refused
        envelope.content = bytes(data[:-3]).replace(b"\r\n..", b"\r\n.")
        data.clear()
        return str(await self._call_handler_hook("DATA"))

    def _refusal(self, size: int, more: int) -> str:
        """Why a mail of this size, of which these bytes came now, is not kept; the rest of it is read all the same."""
        most = self._listener.settings.mail_most_bytes
        if size > most:
            return "552 5.3.4 The mail is too large"
        if self._listener.held + more > HELD_MAILS * most:
            return "452 4.3.1 Too many large mails, try again later"
        self._listener.held += more
        self._holds += more
        return ""


class LmtpConnection(Connection, LMTP):
    """LMTP answers for each recipient; there is one."""
