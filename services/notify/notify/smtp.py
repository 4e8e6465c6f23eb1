"""The way out: connections to the mail server, each kept for some mails."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage

import aiosmtplib

from notify.domain.mails import Part
from notify.settings import Settings

IDLE_SECONDS = 20.0
MOST_OF_ONE = 100
START_TLS = {"off": False, "try": None, "require": True}


class RefusedError(Exception):
    """The mail server said no, to the sender, a recipient or the message. `said` may hold an address: not for logs."""

    def __init__(self, code: int, said: str, part: Part) -> None:
        super().__init__(f"the mail server answered {code} to the {part}")
        self.code, self.said, self.part = code, said, part


class AwayError(ConnectionError):
    """The mail server can't be used now, whatever the mail: it is away, or it does not accept who we are."""


class Outgoing:
    """Connections of one process, as many as it may send mails at the same time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._idle: list[tuple[aiosmtplib.SMTP, float, int]] = []

    async def send(self, message: EmailMessage, sender: str, to: str) -> None:
        """Return once the server has taken the mail. `RefusedError`: it won't; `AwayError`: try again later."""
        async with self._connection() as client:
            try:
                await client.send_message(message, sender=sender, recipients=[to])
            except aiosmtplib.SMTPRecipientsRefused as error:
                one = error.recipients[0]
                raise _refused(one, "recipient") from None
            except aiosmtplib.SMTPSenderRefused as error:
                raise _refused(error, "sender") from None
            except aiosmtplib.SMTPResponseException as error:
                raise _refused(error, "message") from None
            except (aiosmtplib.SMTPServerDisconnected, OSError) as error:  # perhaps it has taken the mail
                raise AwayError(f"the connection broke: {type(error).__name__}") from None

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[aiosmtplib.SMTP]:
        client, used = await self._open()
        try:
            yield client
        except BaseException:  # what state it is in nobody knows
            client.close()
            raise
        if used + 1 < MOST_OF_ONE:
            self._idle.append((client, time.monotonic(), used + 1))
        else:
            client.close()

    async def _open(self) -> tuple[aiosmtplib.SMTP, int]:
        while self._idle:
            client, since, used = self._idle.pop()
            if client.is_connected and time.monotonic() - since < IDLE_SECONDS:
                return client, used
            client.close()
        settings = self._settings
        client = aiosmtplib.SMTP(
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            timeout=settings.smtp_seconds,
            use_tls=False,
            start_tls=START_TLS[settings.smtp_starttls],
            tls_context=ssl.create_default_context(cafile=settings.smtp_ca),
            username=settings.smtp_user or None,
            password=settings.password if settings.smtp_user else None,
        )
        try:
            await client.connect()
        except aiosmtplib.SMTPResponseException as error:
            client.close()
            raise AwayError(f"the mail server answered {error.code} before any mail") from None
        except (aiosmtplib.SMTPException, OSError) as error:
            client.close()
            raise AwayError(f"the mail server can't be used: {type(error).__name__}") from None
        return client, 0

    def close(self) -> None:
        for client, _, _ in self._idle:
            client.close()
        self._idle.clear()


def _refused(error: aiosmtplib.SMTPResponseException, part: Part) -> Exception:
    if error.code == 421:  # the server closes: it has nothing against this mail
        return AwayError("the mail server answered 421")
    return RefusedError(error.code, error.message, part)
