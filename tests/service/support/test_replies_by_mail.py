"""Replies by mail on a real PostgreSQL, over real SMTP: what is taken, what is refused, and what counts once."""

import asyncio
import contextlib
import smtplib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from contracts import auth
from contracts.ids import new_id
from support.jobs import forget_mails
from support.mails.domain.addresses import Addresses
from support.mails.domain.replies import MOST_IN_AN_HOUR
from support.mails.listening import listen_for_replies
from tests.kit.provider_sandbox import free_port
from tests.kit.reply_mails import AUTOMATIC, SAMPLES, mail, report
from tests.kit.supporting import REPLIES, Acme, Help

NEW = {"subject": "Two boxes", "details": "Only one of the two boxes came."}
MEGABYTE = 1_048_576


@dataclass
class Inbox:
    """A ticket, and the mail server that takes replies to it."""

    desk: Help
    acme: Acme
    port: int
    ticket: dict[str, Any]
    ann: str
    lee: str
    addresses: dict[str, str] = field(default_factory=dict)

    @property
    def to(self) -> str:
        return self.addresses[self.acme.contact]

    async def send(self, content: bytes, to: str | None = None, sender: str | None = None) -> tuple[int, str]:
        """What the server answers at last."""
        return await asyncio.to_thread(self._send, content, to or self.to, self.ann if sender is None else sender)

    def _send(self, content: bytes, to: str, sender: str) -> tuple[int, str]:
        with smtplib.SMTP("127.0.0.1", self.port, timeout=30) as client:
            client.ehlo("mx.acme.example")
            for command in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{to}>"):
                code, said = client.docmd(command)
                if code != 250:
                    return code, said.decode()
            code, said = client.data(content)
            return code, said.decode()

    async def thread(self) -> list[tuple[str, str, str]]:
        """Event, side and text of what happened."""
        async with self.desk.staff(self.acme.manager) as lee:
            found = (await lee.get(f"/v1/tickets/{self.ticket['id']}")).json()
        return [(one["event"], one["by"]["side"], one["text"]) for one in found["events"]]

    async def replies(self) -> list[tuple[str, str]]:
        return [(side, text) for event, side, text in await self.thread() if event == "replied"]


@contextlib.asynccontextmanager
async def listening(desk: Help, **more: Any) -> AsyncIterator[int]:
    port = free_port()
    settings = desk.running.settings.model_copy(update={"mail_port": port, **more})
    task = asyncio.create_task(listen_for_replies(replace(desk.running, settings=settings)))
    try:
        await answering(port)
        yield port
    finally:
        task.cancel()
        await asyncio.wait([task])


async def answering(port: int) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.01)
                continue
            writer.close()
            await writer.wait_closed()
            return


@contextlib.asynccontextmanager
async def inbox_of(desk: Help, **more: Any) -> AsyncIterator[Inbox]:
    acme = await desk.acme()
    async with listening(desk, **more) as port:
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            made = await ann.post("/v1/tickets", json=NEW, headers={"Idempotency-Key": new_id()})
            ticket = made.json()
            await lee.post(f"/v1/tickets/{ticket['id']}/replies", json={"text": "Which of the boxes?"})
        addresses: dict[str, str] = {}
        for notice in await desk.notices(ticket["id"]):
            addresses |= {name.removeprefix("reply_to:"): value for name, value in notice.items() if ":" in name}
        sql = "SELECT email FROM people WHERE id = $1"
        emails = [await desk.running.pool.fetchval(sql, one) for one in (acme.contact, acme.manager)]
        yield Inbox(desk, acme, port, ticket, *emails, addresses)


@pytest.fixture
async def inbox(desk: Help) -> AsyncIterator[Inbox]:
    async with inbox_of(desk) as made:
        yield made


class TestReply:
    async def test_of_a_contact_is_in_the_thread(self, inbox: Inbox) -> None:
        assert await inbox.send(SAMPLES[0].mail(f"Ann Ng <{inbox.ann}>", inbox.to)) == (250, "2.0.0 OK")
        assert (await inbox.replies())[-1] == ("customer", SAMPLES[0].written)
        kinds = [name for name, _, _ in await inbox.desk.events(inbox.ticket["id"])]
        assert kinds == ["TicketOpened", "TicketReplied", "TicketReplied"]
        last = (await inbox.desk.notices(inbox.ticket["id"]))[-1]
        assert (last["about"], last["to"]) == ("from_customer", [inbox.acme.manager])
        assert last["text"] == SAMPLES[0].written

    async def test_of_staff_is_the_company_s(self, inbox: Inbox) -> None:
        await inbox.send(mail(inbox.ann, inbox.to, "The blue one."))
        answer = mail(inbox.lee, inbox.addresses[inbox.acme.manager], "It comes today.")
        assert await inbox.send(answer, inbox.addresses[inbox.acme.manager], inbox.lee) == (250, "2.0.0 OK")
        assert (await inbox.replies())[-1] == ("company", "It comes today.")
        assert (await inbox.desk.notices(inbox.ticket["id"]))[-1]["to"] == [inbox.acme.contact]

    async def test_address_survives_lower_and_upper_case(self, inbox: Inbox) -> None:
        for place, to in enumerate((inbox.to.upper(), inbox.to.lower())):
            assert (await inbox.send(mail(inbox.ann.upper(), to, f"Reply {place}"), to))[0] == 250
        assert [text for _, text in await inbox.replies()][-2:] == ["Reply 0", "Reply 1"]

    async def test_that_comes_again_counts_once(self, inbox: Inbox) -> None:
        content = mail(inbox.ann, inbox.to, "Once.")
        answers = [await inbox.send(content) for _ in range(2)]
        answers += await asyncio.gather(*(inbox.send(content) for _ in range(4)))
        assert set(answers) == {(250, "2.0.0 OK")}
        assert [text for _, text in await inbox.replies()].count("Once.") == 1

    async def test_without_message_id_counts_once(self, inbox: Inbox) -> None:
        content = mail(inbox.ann, inbox.to, "Once.", Message_ID="")
        assert [await inbox.send(content) for _ in range(2)] == [(250, "2.0.0 OK")] * 2
        assert [text for _, text in await inbox.replies()].count("Once.") == 1

    async def test_after_the_end_opens_one_that_follows(self, inbox: Inbox) -> None:
        async with inbox.desk.staff(inbox.acme.manager) as lee:
            await lee.post(f"/v1/tickets/{inbox.ticket['id']}/close")
        inbox.desk.move(timedelta(days=15))
        assert (await inbox.send(mail(inbox.ann, inbox.to, "It broke.")))[0] == 250
        async with inbox.desk.staff(inbox.acme.manager) as lee:
            found = (await lee.get(f"/v1/tickets/{inbox.ticket['id']}")).json()
            (follower,) = found["followed_by"]
            thread = (await lee.get(f"/v1/tickets/{follower['id']}")).json()["events"]
        assert thread[0]["text"] == "It broke."

    async def test_keeps_attachments_and_names_the_others(self, inbox: Inbox) -> None:
        files = [
            ("slip.txt", "text/plain", b"Two boxes."), ("../virus.exe", "application/pdf", b"MZ" + bytes(100)),
            ("large.txt", "text/plain", b"x" * 11 * MEGABYTE),
        ]  # fmt: skip
        content = mail(inbox.ann, inbox.to, "See.", files=files)
        assert [(await inbox.send(content))[0] for _ in range(2)] == [250, 250]
        async with inbox.desk.staff(inbox.acme.manager) as lee:
            last = (await lee.get(f"/v1/tickets/{inbox.ticket['id']}")).json()["events"][-1]
            assert last["text"] == "See.\n\n[2 attachments were not kept: large.txt, .. virus.exe]"
            (file,) = last["files"]
            assert (file["name"], file["size"]) == ("slip.txt", 10)
            link = await lee.get(f"/v1/files/{file['id']}")
            assert (await lee.get(link.headers["location"])).content == b"Two boxes."

    async def test_of_files_alone_is_taken(self, inbox: Inbox) -> None:
        content = mail(inbox.ann, inbox.to, " ", files=[("slip.txt", "text/plain", b"Two boxes.")])
        assert (await inbox.send(content))[0] == 250
        assert (await inbox.replies())[-1][1] == "[The mail had no text.]"

    async def test_of_a_stranger_leaves_no_file(self, inbox: Inbox) -> None:
        before = await inbox.desk.running.pool.fetchval("SELECT count(*) FROM files")
        content = mail("eve@evil.example", inbox.to, "See.", files=[("slip.txt", "text/plain", b"Two boxes.")])
        assert (await inbox.send(content))[0] == 550
        assert await inbox.desk.running.pool.fetchval("SELECT count(*) FROM files") == before

    async def test_mails_that_were_taken_are_forgotten(self, inbox: Inbox) -> None:
        await inbox.send(mail(inbox.ann, inbox.to, "Once."))
        inbox.desk.move(timedelta(days=31))
        await forget_mails(inbox.desk.running)
        sql = "SELECT count(*) FROM mails_taken WHERE ticket_id = $1"
        assert await inbox.desk.running.pool.fetchval(sql, inbox.ticket["id"]) == 0


class TestRefusal:
    @pytest.mark.parametrize("form", ["{0}.evil.example", "x{0}", "eve@evil.example", '"{0}" <eve@evil.example>'])
    async def test_other_sender_writes_nothing(self, inbox: Inbox, form: str) -> None:
        code, said = await inbox.send(mail(form.format(inbox.ann), inbox.to, "I am Ann."))
        assert code == 550
        assert inbox.ticket["number"] not in said
        assert len(await inbox.replies()) == 1

    async def test_two_authors_write_nothing(self, inbox: Inbox) -> None:
        content = mail(inbox.ann, inbox.to, "I am Ann.")
        for forged in (
            b"From: eve@evil.example\r\n" + content,
            content.replace(b"From: ", b"From: eve@evil.example, ", 1),
        ):
            assert (await inbox.send(forged))[0] == 554
        assert len(await inbox.replies()) == 1

    async def test_address_of_another_person_does_not_serve(self, inbox: Inbox) -> None:
        to = inbox.addresses[inbox.acme.manager]
        stranger = await inbox.send(mail(inbox.ann, to, "I am Lee."), to)
        gone = Addresses(REPLIES.domain, REPLIES.secret).of(999_999_999, inbox.acme.contact)
        nobody = REPLIES.of(int(inbox.ticket["number"][2:]), new_id())
        assert stranger[0] == 550
        for address in (gone, nobody):  # the same answer: nobody learns what there is
            assert await inbox.send(mail(inbox.ann, address, "Hello?"), address) == stranger
        assert len(await inbox.replies()) == 1

    async def test_disabled_or_erased_person_is_refused(self, inbox: Inbox) -> None:
        who = {"contact_id": inbox.acme.contact, "customer_id": inbox.acme.id, "name": "Ann Ng", "language": "en"}
        await inbox.desk.hear(auth.ContactChanged(email=inbox.ann, enabled=False, **who))
        assert (await inbox.send(mail(inbox.ann, inbox.to, "Hello?")))[0] == 550
        await inbox.desk.hear(auth.ContactErased(contact_id=inbox.acme.contact))
        assert (await inbox.send(mail(inbox.ann, inbox.to, "Hello?")))[0] == 550
        assert len(await inbox.replies()) == 1

    async def test_no_mail_is_passed_on(self, inbox: Inbox) -> None:
        name, _, domain = inbox.to.partition("@")
        for to in ("eve@evil.example", f"{name}@evil.example", f"x@{domain}", f"ticket+{'a' * 48}@{domain}"):
            assert (await inbox.send(mail(inbox.ann, to, "Hello?"), to))[0] == 550

    async def test_too_many_within_an_hour_are_refused(self, inbox: Inbox) -> None:
        answers = [await inbox.send(mail(inbox.ann, inbox.to, f"Reply {one}")) for one in range(MOST_IN_AN_HOUR + 2)]
        assert [code for code, _ in answers] == [250] * MOST_IN_AN_HOUR + [550] * 2
        inbox.desk.move(timedelta(hours=1, seconds=1))
        assert (await inbox.send(mail(inbox.ann, inbox.to, "Later")))[0] == 250

    async def test_mail_without_anything_is_refused(self, inbox: Inbox) -> None:
        code, said = await inbox.send(mail(inbox.ann, inbox.to, " \n"))
        assert (code, "no text" in said) == (554, True)


class TestProof:
    async def test_forged_mail_is_refused(self, desk: Help) -> None:
        async with inbox_of(desk, mail_authserv_id="mx.paidup.test") as inbox:
            forged = {"Authentication_Results": "mx.paidup.test; dmarc=fail header.from=example.com"}
            good = {"Authentication_Results": "mx.paidup.test; dmarc=pass header.from=example.com"}
            assert (await inbox.send(mail(inbox.ann, inbox.to, "I am Ann.", **forged)))[0] == 550
            assert (await inbox.send(mail(inbox.ann, inbox.to, "Unseen.")))[0] == 451
            assert (await inbox.send(mail(inbox.ann, inbox.to, "It is me.", **good)))[0] == 250
            assert [text for _, text in await inbox.replies()][1:] == ["It is me."]


class TestAutomatic:
    async def test_mails_of_programs_write_nothing(self, inbox: Inbox) -> None:
        for _, content, return_path, _ in AUTOMATIC:
            own = content.replace(b"ann@acme.example", inbox.ann.encode())
            path = "" if return_path == "<>" else inbox.ann
            assert await inbox.send(own, sender=path) == (250, "2.0.0 OK")
        assert await inbox.send(report(inbox.ann, inbox.to), sender="") == (250, "2.0.0 OK")
        assert len(await inbox.thread()) == 2
        assert len(await inbox.desk.notices(inbox.ticket["id"])) == 2


class TestTrouble:
    async def test_answer_that_is_lost_counts_once(self, inbox: Inbox) -> None:
        content, first = mail(inbox.ann, inbox.to, "Once."), await opened(inbox)
        first.send(content + b"\r\n.\r\n")
        await until_replied(inbox, "Once.")
        first.close()  # killed before it heard the answer, so the mail comes again
        assert (await inbox.send(content))[0] == 250
        assert [text for _, text in await inbox.replies()].count("Once.") == 1

    async def test_stopped_server_takes_all_or_nothing(self, desk: Help) -> None:
        async with inbox_of(desk) as inbox:
            content, first = mail(inbox.ann, inbox.to, "Once."), await opened(inbox)
            first.send(content + b"\r\n.\r\n")
        first.close()
        async with listening(desk) as port:
            assert (await replace(inbox, port=port).send(content))[0] == 250
        assert [text for _, text in await inbox.replies()].count("Once.") == 1

    async def test_trouble_has_the_mail_come_again(self, inbox: Inbox) -> None:
        owner, content = await asyncpg.connect(inbox.desk.database.owner_url), mail(inbox.ann, inbox.to, "Once.")
        try:
            await owner.execute("ALTER TABLE mails_taken RENAME TO mails_away")
            code, said = await inbox.send(content)
            await owner.execute("ALTER TABLE mails_away RENAME TO mails_taken")
        finally:
            await owner.close()
        assert (code, "mails_taken" in said) == (451, False)
        assert await inbox.send(content) == (250, "2.0.0 OK")
        assert [text for _, text in await inbox.replies()].count("Once.") == 1


class TestHostile:
    async def test_mail_too_large_is_refused(self, inbox: Inbox) -> None:
        large = mail(inbox.ann, inbox.to, "x") + (b"z" * 76 + b"\r\n") * (26 * MEGABYTE // 78)
        assert (await inbox.send(large))[0] == 552
        assert (await inbox.send(mail(inbox.ann, inbox.to, "Small.")))[0] == 250

    async def test_large_mail_is_taken(self, inbox: Inbox) -> None:
        files = [("a.pdf", "application/pdf", b"%PDF" + bytes(15 * MEGABYTE))]
        assert (await inbox.send(mail(inbox.ann, inbox.to, "See.", files=files)))[0] == 250

    async def test_ten_thousand_recipients_are_cut_off(self, inbox: Inbox) -> None:
        client = await opened(inbox, "RSET", f"MAIL FROM:<{inbox.ann}>", f"RCPT TO:<{inbox.to}>")
        codes = []
        with contextlib.suppress(smtplib.SMTPServerDisconnected, OSError):
            for _ in range(10_000):
                codes.append((await asyncio.to_thread(client.docmd, f"RCPT TO:<{inbox.to}>"))[0])
        client.close()
        assert set(codes) <= {452, 421}
        assert len(codes) < 1_000
        assert (await inbox.send(mail(inbox.ann, inbox.to, "Small.")))[0] == 250

    async def test_slow_sender_is_cut_off(self, desk: Help) -> None:
        async with inbox_of(desk, mail_seconds=0.5) as inbox:
            client = await opened(inbox)
            async with asyncio.timeout(20):
                with contextlib.suppress(OSError, smtplib.SMTPServerDisconnected):
                    while True:
                        client.send(b"X")
                        await asyncio.sleep(0.05)
            client.close()
            assert (await inbox.send(mail(inbox.ann, inbox.to, "Small.")))[0] == 250

    async def test_connections_are_bounded(self, desk: Help) -> None:
        async with inbox_of(desk, mail_connections=2) as inbox:
            held = [await opened(inbox, "NOOP") for _ in range(2)]
            third = socket.create_connection(("127.0.0.1", inbox.port), 10)
            assert (await asyncio.to_thread(third.recv, 100)).startswith(b"421")
            for each in (*held, third):
                each.close()

    @pytest.mark.parametrize("start", [b"\r\n", b".\r\nNOOP\r\n", b" x\r\nNOOP\r\n", b":\r\n", b"\x00"])
    async def test_data_without_headers_is_refused(self, inbox: Inbox, start: bytes) -> None:
        client = await opened(inbox)
        client.send(start)
        assert (await asyncio.to_thread(client.getreply))[0] == 554
        assert client.sock is not None
        assert client.sock.recv(100) == b""
        client.close()

    @pytest.mark.parametrize(
        "more",
        [
            b"X: y\r\n" * 3_000, b"X: " + b"y" * 2_000_000 + b"\r\n",
            b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(900)),
        ],
    )  # fmt: skip
    async def test_bombs_are_refused(self, inbox: Inbox, more: bytes) -> None:
        assert (await inbox.send(more + mail(inbox.ann, inbox.to, "x")))[0] == 554
        assert len(await inbox.replies()) == 1

    async def test_zeros_and_long_lines_are_taken(self, inbox: Inbox) -> None:
        head = f"From: {inbox.ann}\r\nContent-Type: text/plain\r\n\r\n".encode()
        assert (await inbox.send(head + b"A\x00B " + b"word " * 200_000))[0] == 250
        assert (await inbox.replies())[-1][1].startswith("AB word")

    async def test_dots_at_line_starts_come_through(self, inbox: Inbox) -> None:
        assert (await inbox.send(mail(inbox.ann, inbox.to, "One\n.two\n..\n.\nthree")))[0] == 250
        assert (await inbox.replies())[-1][1] == "One\n.two\n..\n.\nthree"


class TestLmtp:
    async def test_takes_a_reply(self, desk: Help) -> None:
        async with inbox_of(desk, mail_protocol="lmtp") as inbox:

            def send() -> object:
                with smtplib.LMTP("127.0.0.1", inbox.port) as client:
                    return client.sendmail(inbox.ann, [inbox.to], mail(inbox.ann, inbox.to, "By LMTP."))

            assert await asyncio.to_thread(send) == {}
            assert (await inbox.replies())[-1] == ("customer", "By LMTP.")


async def opened(inbox: Inbox, *commands: str) -> smtplib.SMTP:
    """A connection after these commands, or else ready for the mail."""
    steps = commands or (f"MAIL FROM:<{inbox.ann}>", f"RCPT TO:<{inbox.to}>", "DATA")

    def begin() -> smtplib.SMTP:
        client = smtplib.SMTP("127.0.0.1", inbox.port, timeout=20)
        client.ehlo("mx.acme.example")
        for step in steps:
            code, said = client.docmd(step)
            assert code < 400, said
        return client

    return await asyncio.to_thread(begin)


async def until_replied(inbox: Inbox, text: str) -> None:
    async with asyncio.timeout(20):
        while True:
            if text in [each for _, each in await inbox.replies()]:
                return
            await asyncio.sleep(0.01)
