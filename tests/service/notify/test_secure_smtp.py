"""STARTTLS and a login, at a mail server with a certificate of its own."""

import asyncio
import datetime
import ipaddress
import pathlib
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from notify.settings import Settings
from sandbox.mail.inbox import Inbox
from sandbox.mail.smtp import Catching
from tests.kit.notifying import desk_of, receipt
from tests.kit.provider_sandbox import free_port

PASSWORD = "correct horse canary"


def certificate(folder: pathlib.Path) -> tuple[ssl.SSLContext, pathlib.Path]:
    """A server's context with a certificate for 127.0.0.1, and the file by which a client trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    public, both = folder / "ca.pem", folder / "server.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    both.write_bytes(public.read_bytes() + private)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(both)
    return context, public


@pytest.fixture
async def server(tmp_path: pathlib.Path) -> AsyncIterator[tuple[int, pathlib.Path, Inbox]]:
    """Takes mail after STARTTLS and a login alone."""
    inbox, port = Inbox(), free_port()
    context, public = certificate(tmp_path)

    def asked(_server: Any, _session: Any, _envelope: Any, _how: str, given: Any) -> AuthResult:
        return AuthResult(success=(given.login, given.password) == (b"paidup", PASSWORD.encode()), handled=False)

    def session() -> SMTP:
        return SMTP(
            Catching(inbox), tls_context=context, require_starttls=True, auth_required=True, authenticator=asked,
            hostname="mail", loop=asyncio.get_running_loop(),
        )  # fmt: skip

    listening = await asyncio.get_running_loop().create_server(session, "127.0.0.1", port)
    yield port, public, inbox
    listening.close()


async def sent(tmp_path: pathlib.Path, port: int, inbox: Inbox, seconds: float = 10, **more: Any) -> bool:
    """Whether a mail arrives within this time; if not, nothing is lost and no failure counted."""
    async with desk_of(tmp_path, smtp_port=port, **more) as desk:
        contact = await desk.contact()
        await desk.hear(receipt(contact.customer_id))
        async with desk.sending():
            try:
                await desk.until(lambda rows: rows[0]["state"] == "sent", seconds)
            except AssertionError:
                (row,) = await desk.mails()
                assert (row["state"], row["attempts"]) == ("queued", 0)
                return False
    return bool(list(inbox.newest(None, 1)))


LOGIN = {"smtp_starttls": "require", "smtp_user": "paidup"}


class TestLogin:
    async def test_mail_goes_encrypted(
        self, tmp_path: pathlib.Path, server: tuple[int, pathlib.Path, Inbox], capfd: pytest.CaptureFixture[str]
    ) -> None:
        port, public, inbox = server
        word = tmp_path / "password"
        word.write_text(f"{PASSWORD}\n")
        assert await sent(tmp_path, port, inbox, smtp_ca=public, smtp_password_file=word, **LOGIN)
        assert PASSWORD not in capfd.readouterr().out

    async def test_wrong_password_is_no_mails_fault(
        self, tmp_path: pathlib.Path, server: tuple[int, pathlib.Path, Inbox], capfd: pytest.CaptureFixture[str]
    ) -> None:
        port, public, inbox = server
        assert not await sent(tmp_path, port, inbox, 3, smtp_ca=public, smtp_password="wrong canary", **LOGIN)
        said = capfd.readouterr().out
        assert "535" in said
        assert "wrong canary" not in said

    async def test_unknown_certificate_is_not_trusted(
        self, tmp_path: pathlib.Path, server: tuple[int, pathlib.Path, Inbox]
    ) -> None:
        port, _, inbox = server
        assert not await sent(tmp_path, port, inbox, 3, smtp_password=PASSWORD, **LOGIN)


class TestSettings:
    def test_password_never_travels_in_clear(self, tmp_path: pathlib.Path) -> None:
        with pytest.raises(ValueError, match="NOTIFY_SMTP_STARTTLS must be `require`"):
            Settings(
                private_key=tmp_path, unsubscribe_secret="s", sender="a@example.com", smtp_host="mail.example.com",
                smtp_user="paidup", smtp_password="w", smtp_starttls="try",
            )  # fmt: skip
