"""The catcher's SMTP server. It delivers nothing: what it takes goes into the inbox."""

from __future__ import annotations

import asyncio
import email.utils
from collections import Counter
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from sandbox.mail.inbox import Inbox

MOST_OF_ONE = 10_000_000


class Catching:
    """What is answered: addresses decide, so that a test can make a mail fail.

    `unknown…@`: 550 at once. `busy…@`: 451 the first two times. `refused…@`: 554 after the whole message.
    """

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._busy: Counter[str] = Counter()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        name = email.utils.parseaddr(address)[1] or address
        if name.startswith("unknown"):
            return "550 5.1.1 There is no such mailbox"
        if name.startswith("busy") and self._busy[name] < 2:
            self._busy[name] += 1
            return "451 4.7.1 Come again later"
        envelope.rcpt_tos.append(name)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        if any(name.startswith("refused") for name in envelope.rcpt_tos):
            return "554 5.7.1 The message is refused"
        content = envelope.content
        assert isinstance(content, bytes)
        self._inbox.add(envelope.rcpt_tos, envelope.mail_from or "", content)
        return "250 OK"


class Receiving:
    """The server, which may be away for a while: nobody can connect then, and who is connected is cut off."""

    def __init__(self, inbox: Inbox, host: str, port: int) -> None:
        self._handler, self._host, self._port = Catching(inbox), host, port
        self._server: asyncio.Server | None = None
        self._open: set[SMTP] = set()

    async def come(self) -> None:
        if self._server is None:
            self._server = await asyncio.get_running_loop().create_server(self._session, self._host, self._port)

    def go_away(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            for each in list(self._open):
                if isinstance(each.transport, asyncio.WriteTransport):
                    each.transport.abort()

    @property
    def is_there(self) -> bool:
        return self._server is not None

    def _session(self) -> SMTP:
        return _Session(self._open, self._handler)


class _Session(SMTP):
    """One connection, known as long as it lasts."""

    def __init__(self, known: set[SMTP], handler: Catching) -> None:
        super().__init__(
            handler, data_size_limit=MOST_OF_ONE, enable_SMTPUTF8=True, hostname="mail.localhost", ident="catcher",
            loop=asyncio.get_running_loop(),
        )  # fmt: skip
        self._known = known

    def connection_made(self, transport: Any) -> None:
        self._known.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._known.discard(self)
        super().connection_lost(error)
