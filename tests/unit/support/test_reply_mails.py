"""Mails that answer a mail about a ticket: whose they are, what the person wrote, which ones no person wrote."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.ids import new_id
from support.mails.domain.addresses import Addresses
from support.mails.domain.automatic import automatic
from support.mails.domain.hypertext import text_of
from support.mails.domain.letters import Letter, Unreadable, read_letter, unflowed
from support.mails.domain.proof import proof
from support.mails.domain.replies import LONGEST, Writer, may_write, text_of_reply
from support.mails.domain.trimming import trimmed
from tests.kit.reply_mails import AUTOMATIC, SAMPLES, Sample, mail

ANN, TO = "Ann Ng <ann@acme.example>", "ticket+x@replies.example"
SOON = 10.0  # seconds; a mail that costs more holds up others


def letter(**more: str) -> Letter:
    return read_letter(mail(ANN, TO, **more))


class TestWritten:
    @pytest.mark.parametrize("sample", SAMPLES, ids=[one.name for one in SAMPLES])
    def test_is_what_the_person_wrote(self, sample: Sample) -> None:
        assert read_letter(sample.mail(ANN, TO)).written == sample.written

    def test_samples_are_of_many_programs(self) -> None:
        assert len(SAMPLES) >= 40
        assert len({one.name.split(",")[0] for one in SAMPLES}) >= 20

    @given(st.text(max_size=400))
    def test_is_never_empty_for_a_text(self, text: str) -> None:
        assert bool(trimmed(text)) == bool(text.strip())

    @given(st.lists(st.sampled_from(["It came.", "", "The blue one", "Thanks for it", "42 boxes"]), max_size=8))
    def test_text_without_marks_stays_whole(self, lines: list[str]) -> None:
        text = "\n".join(lines).strip()
        assert trimmed(text).split() == text.split()

    @pytest.mark.parametrize(
        "text",
        [
            ":\n" * 19_000, "On 1:00 wrote" * 30 + ":\n", ("on 10:00 " + "wrote " * 60 + "x:\n") * 400, "> \n" * 60_000,
            "From: a\n" * 4_000, "best,\n" * 4_000, "a" * 200_000, " " * 200_000, "____\n" * 4_000,
            "this e-mail " + "x " * 90_000, ("On 10:00 <a@b> wrote\n" * 3 + ":\n") * 4_000, "-\n\n" * 10_000,
            "x\n" + "--\n" * 19_990, "____\n" * 19_990,
        ],
    )  # fmt: skip
    def test_hostile_text_costs_little(self, text: str) -> None:
        begin = time.process_time()
        trimmed(text)
        assert time.process_time() - begin < SOON

    @pytest.mark.parametrize(("below", "stays"), [(11, False), (12, True)])
    def test_long_signature_is_text(self, below: int, stays: bool) -> None:
        text = "It came.\n-- \n" + "An own line.\n\n" * below
        assert ("An own line." in trimmed(text)) == stays

    def test_signs_of_signatures_cost_little(self) -> None:
        begin = time.process_time()
        assert trimmed("x\n" + "--\n" * 19_990)
        assert time.process_time() - begin < 8


class TestText:
    @pytest.mark.parametrize(
        ("charset", "text"),
        [
            ("iso-8859-1", "Größe: 5 £"), ("windows-1252", "„Größe“ – 5 €"), ("utf-8", "Größe 箱 📦"),
            ("iso-2022-jp", "箱が来ない"), ("koi8-r", "Коробка"), ("utf-16", "Größe"), ("gb18030", "箱子"),
        ],
    )  # fmt: skip
    def test_is_read_in_its_charset(self, charset: str, text: str) -> None:
        head = f"From: {ANN}\r\nContent-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        assert read_letter(head.encode() + text.encode(charset)).written == text

    @pytest.mark.parametrize(
        "charset",
        ["x-unknown", "utf-8", "us-ascii", "idna", "punycode", "zlib", "rot13", '"', "unicode_escape", "mbcs"],
    )
    def test_wrong_charset_is_guessed(self, charset: str) -> None:
        head = f"From: {ANN}\r\nContent-Type: text/plain; charset={charset}\r\n\r\n"
        assert read_letter(head.encode() + "Größe".encode("cp1252")).written == "Größe"

    @pytest.mark.parametrize("charset", ["unicode_escape", "raw_unicode_escape", "utf-7", "utf-8"])
    @pytest.mark.parametrize("kind", ["plain", "html"])
    def test_can_always_be_kept(self, charset: str, kind: str) -> None:
        head = f"From: {ANN}\r\nContent-Type: text/{kind}; charset={charset}\r\n\r\n"
        read = read_letter(head.encode() + b"It \\ud800+2AA- \xed\xa0\x80 came.")
        assert read.written.encode().endswith(b"came.")

    def test_html_stands_in_for_empty_text(self) -> None:
        found = letter(plain=" \n", html="<p>It&nbsp;came &amp; works.</p>").written
        assert found == "It came & works."

    def test_controls_are_left_out(self) -> None:
        head = f"From: {ANN}\r\nContent-Type: text/plain\r\n\r\n"
        assert read_letter(head.encode() + b"It\x00 ca\x08me.\r\n\x1b[31mRed").written == "It came.\n[31mRed"

    def test_one_line_of_a_megabyte_is_read(self) -> None:
        assert letter(plain="word " * 200_000).written.startswith("word word")

    def test_flowed_lines_are_joined(self) -> None:
        assert unflowed("It \nca \nme.\n> Did \n> it?\n>> Old", delete_space=True) == "Itcame.\n> Didit?\n>> Old"

    def test_no_text_is_empty(self) -> None:
        assert letter(plain=" \n\n").written == ""

    def test_pictures_between_texts_are_files(self) -> None:
        raw = (
            f'From: {ANN}\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: '
            f"text/plain\r\n\r\nSee:"
            "\r\n--b\r\nContent-Type: image/png\r\nContent-Disposition: inline; filename=box.png\r\n"
            "Content-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n--b\r\nContent-Type: text/plain\r\n\r\nIt "
            "is broken."
            "\r\n--b--\r\n"
        )
        read = read_letter(raw.encode())
        assert read.written == "See:\n\nIt is broken."
        assert [(one.name, one.type, one.content) for one in read.attachments] == [
            ("box.png", "image/png", b"\x89PNG\r\n\x1a\n")
        ]

    def test_picture_of_unread_html_is_a_file(self) -> None:
        raw = (
            f'From: {ANN}\r\nContent-Type: multipart/alternative; boundary="a"\r\n\r\n--a\r\nContent-Type: '
            f"text/plain\r\n\r\n"
            'See.\r\n--a\r\nContent-Type: multipart/related; boundary="r"\r\n\r\n--r\r\nContent-Type: '
            "text/html\r\n\r\n<p>See."
            "</p>\r\n--r\r\nContent-Type: image/png; name=box.png\r\n\r\nx\r\n--r--\r\n--a--\r\n"
        )
        read = read_letter(raw.encode())
        assert (read.written, [one.name for one in read.attachments]) == ("See.", ["box.png"])


class TestAttachments:
    def test_names_hold_no_paths_and_turns(self) -> None:
        files = [("../../etc/passwd", "text/plain", b"x"), ("in\u202evoice.exe", "application/pdf", b"y")]
        read = read_letter(mail(ANN, TO, files=files))
        assert [one.name for one in read.attachments] == [".. .. etc passwd", "in voice.exe"]

    def test_names_can_always_be_kept(self) -> None:
        name = 'name="=?utf-8?q?a=FFb.txt?="'
        head = f"From: {ANN}\r\nContent-Type: text/x-log; {name}\r\n\r\nx"
        (file,) = read_letter(head.encode()).attachments
        assert file.name.encode().endswith(b".txt")

    def test_attached_mail_keeps_its_long_headers(self) -> None:
        inner = b"From: x@y.example\r\nReferences: " + b"<a@b.example> " * 2_000 + b"\r\n\r\nx"
        raw = f'From: {ANN}\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n'
        raw += "Content-Type: message/rfc822\r\n\r\n"
        (file,) = read_letter(raw.encode() + inner + b"\r\n--b--\r\n").attachments
        assert b"<a@b.example> " * 2_000 in file.content

    def test_those_not_kept_are_named(self) -> None:
        read = read_letter(mail(ANN, TO, files=[("a.pdf", "application/pdf", b"x"), ("b.png", "image/png", b"y")]))
        text = text_of_reply(read, [one.name for one in read.attachments])
        assert text == "It came.\n\n[2 attachments were not kept: a.pdf, b.png]"

    @pytest.mark.parametrize(("size", "count"), [(2_000, 0), (20_000, 1)])
    def test_small_picture_of_a_signature_is_none(self, size: int, count: int) -> None:
        raw = (
            f'From: {ANN}\r\nContent-Type: multipart/related; boundary="b"\r\n\r\n--b\r\nContent-Type: '
            f"text/html\r\n\r\n"
            "<p>See. <img src=cid:x></p>\r\n--b\r\nContent-Type: image/png; name=image001.png\r\nContent-ID: "
            "<x>\r\n\r\n"
        )
        read = read_letter(f"{raw}{'x' * size}\r\n--b--\r\n".encode())
        assert (read.written, len(read.attachments)) == ("See.", count)

    def test_attached_mail_is_a_file(self) -> None:
        inner = mail("x@y.example", "z@y.example", "secret words").decode()
        raw = (
            f'From: {ANN}\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: '
            f"text/plain\r\n\r\nSee."
            f"\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n{inner}\r\n--b--\r\n"
        )
        read = read_letter(raw.encode())
        assert read.written == "See."
        assert b"secret words" in read.attachments[0].content

    def test_long_text_is_cut_and_says_so(self) -> None:
        text = text_of_reply(letter(plain="x" * 12_000), [])
        assert text.startswith("x" * LONGEST)
        assert "last 2,000 characters were not kept" in text


class TestHostile:
    @pytest.mark.parametrize(
        "content",
        [
            b"", b"\r\n\r\n", b"\x00" * 1000, b"no headers at all", b"From: a@b.example, c@d.example\r\n\r\nx",
            b"From: a@b.example\r\nFrom: c@d.example\r\n\r\nx", b"From:\r\n\r\nx", b"From: Ann\r\n\r\nx",
            b"From: \xff\xfe\r\n\r\nx", b"X: y\r\n" * 2_000 + b"From: a@b.example\r\n\r\nx",
            b"From: a@b.example\r\nX: " + b"y" * 300_000 + b"\r\n\r\nx", b"From: a@b.example\r\n\r\n" + b"\n" * 700_000,
            b"From: " + b"(" * 5_000 + b"a@b.example\r\n\r\nx", b"From: a@b.example" + b"," * 30_000 + b"\r\n\r\nx",
        ],
    )  # fmt: skip
    def test_unreadable_mail_is_refused(self, content: bytes) -> None:
        with pytest.raises(Unreadable):
            read_letter(content)

    @pytest.mark.parametrize("name", ["Content-Type: text/plain", "Content-Disposition: attachment"])
    @pytest.mark.parametrize("parts", [0, 1, 400])
    def test_long_headers_of_parts_are_refused(self, name: str, parts: int) -> None:
        long = f"{name}{';' * (4_001 if parts < 2 else 400)}"
        raw = f"From: {ANN}\r\n"
        if parts:
            raw += 'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
        raw += "".join(f"--b\r\n{long}\r\n a={place}\r\n\r\nx\r\n" for place in range(parts)) or f"{long}\r\n\r\nx"
        begin = time.process_time()
        with pytest.raises(Unreadable, match="headers of its parts"):
            read_letter(raw.encode())
        assert time.process_time() - begin < SOON

    def test_long_header_costs_little(self) -> None:
        head = f"From: {ANN}\r\nContent-Type: text/plain" + ";\r\n a=b" * 400
        begin = time.process_time()
        assert read_letter(f"{head}\r\n\r\nIt came.".encode()).written == "It came."
        with pytest.raises(Unreadable):
            read_letter(f"{head * 20}\r\n\r\nIt came.".encode())
        assert time.process_time() - begin < 1

    @pytest.mark.parametrize(
        "body",
        [
            b"--b\r\n\r\nx\r\n" * 150_000,
            b"".join(b"--b\r\nContent-Type:%bmultipart/mixed; boundary=b\r\n\r\n" % (b" " * 9) for _ in range(600)),
        ],
    )  # fmt: skip
    def test_parts_are_not_read_to_the_end(self, body: bytes) -> None:
        head = f'From: {ANN}\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'.encode()
        begin = time.process_time()
        with pytest.raises(Unreadable, match="too many parts"):
            read_letter(head + body)
        assert time.process_time() - begin < 1

    def test_html_of_all_parts_is_bounded(self) -> None:
        raw = f'From: {ANN}\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
        for word in ("first", "last"):
            raw += f"--b\r\nContent-Type: text/html\r\n\r\n<p>{word}<i {' ' * 600_000}></i></p>tail\r\n" * 2
        assert "last" not in read_letter(raw.encode()).written

    @pytest.mark.parametrize(
        "html",
        [
            "<div></b>" * 111_000, "<div></b>" * 15_000, "<div><!--</div>-->" * 7_000, "<a href=//x>y</a>" * 40_000,
            "<p>" + "".join(f"<b i={place}>" for place in range(180)) + "<p>x" * 14_000, "a<!>" * 250_000,
            "<div " + "".join(f"a{place} " for place in range(100_000)) + ">", "a \n" * 300_000,
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("kind", ["html", 'plain; format="flowed"'])
    def test_form_costs_little(self, html: str, kind: str) -> None:
        head = f"From: {ANN}\r\nContent-Type: text/{kind}\r\n\r\n"
        begin = time.process_time()
        read_letter((head + html).encode())
        assert time.process_time() - begin < 8

    def test_deep_nesting_is_refused(self) -> None:
        raw = f"From: {ANN}\r\n"
        for place in range(2_000):
            raw += f'Content-Type: multipart/mixed; boundary="b{place}"\r\n\r\n--b{place}\r\n'
        with pytest.raises(Unreadable, match="too many parts"):
            read_letter(raw.encode())

    def test_many_parts_are_refused(self) -> None:
        raw = f'From: {ANN}\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n' + "--b\r\n\r\nx\r\n" * 600
        with pytest.raises(Unreadable, match="too many parts"):
            read_letter(raw.encode())

    @pytest.mark.parametrize(
        "html",
        [
            "<div>" * 100_000 + "x", "<blockquote>a" * 60_000, "<!--" * 200_000, "<" * 900_000, "<a " * 300_000,
            "<p><b>" * 150_000, "<table><tr><td>" * 60_000,
        ],
    )  # fmt: skip
    def test_hostile_html_costs_little(self, html: str) -> None:
        begin = time.process_time()
        assert len(text_of(html)) < 2_000_000
        assert time.process_time() - begin < SOON

    @given(
        st.binary(max_size=1_000),
        st.sampled_from(["", "multipart/mixed; boundary=b", "multipart/alternative", "message/rfc822", "text/html"]),
    )
    def test_any_bytes_are_read_or_refused(self, body: bytes, kind: str) -> None:
        head = f"From: ann@acme.example\r\nContent-Type: {kind}\r\n".encode()
        for content in (head + body, head + b"\r\n" + body):
            try:
                sender = read_letter(content).sender
            except Unreadable:
                sender = "ann@acme.example"
            assert sender == "ann@acme.example"


class TestAddress:
    ADDRESSES = Addresses("replies.example", b"secret of the test")

    @given(st.integers(1, 2**40 - 1), st.uuids())
    def test_comes_back_in_any_case(self, number: int, person: object) -> None:
        made = self.ADDRESSES.of(number, str(person))
        for form in (made, made.upper(), made.lower()):
            found = self.ADDRESSES.read(form)
            assert found is not None
            assert (found.number, found.person_id) == (number, str(person))
        assert len(made.partition("@")[0]) <= 64

    def test_changed_one_is_none(self) -> None:
        made = self.ADDRESSES.of(1042, new_id())
        name, domain = made.split("@")
        for place in range(len("ticket+"), len(name)):
            other = "b" if name[place] == "a" else "a"
            assert self.ADDRESSES.read(f"{name[:place]}{other}{name[place + 1 :]}@{domain}") is None

    @pytest.mark.parametrize(
        "form", ["", "@", "ticket+@replies.example", "ticket+é@replies.example", "x@replies.example"]
    )
    def test_other_address_is_none(self, form: str) -> None:
        assert self.ADDRESSES.read(form) is None

    def test_other_domain_is_none(self) -> None:
        name = self.ADDRESSES.of(1, new_id()).partition("@")[0]
        assert self.ADDRESSES.read(f"{name}@other.example") is None


class TestAutomatic:
    @pytest.mark.parametrize(("name", "content", "return_path", "kind"), AUTOMATIC, ids=[one[0] for one in AUTOMATIC])
    def test_mail_of_a_program_is_known(self, name: str, content: bytes, return_path: str, kind: str) -> None:
        assert automatic(read_letter(content), return_path) == kind

    @pytest.mark.parametrize("sample", SAMPLES, ids=[one.name for one in SAMPLES])
    def test_mail_of_a_person_is_not(self, sample: Sample) -> None:
        assert automatic(read_letter(sample.mail(ANN, TO)), "ann@acme.example") is None

    def test_submitted_by_a_person_is_not(self) -> None:
        assert automatic(letter(Auto_Submitted="no"), "ann@acme.example") is None


class TestWriter:
    ANN = Writer(new_id(), new_id(), "Ann@Acme.example", True)

    def test_is_known_by_address_in_any_case(self) -> None:
        assert may_write("ann@acme.example", self.ANN, self.ANN.customer_id)

    @pytest.mark.parametrize("sender", ["bob@acme.example", "ann@acme.example.evil", "", "ann"])
    def test_other_sender_is_a_stranger(self, sender: str) -> None:
        assert not may_write(sender, self.ANN, self.ANN.customer_id)

    def test_disabled_or_moved_person_is_a_stranger(self) -> None:
        disabled = Writer(self.ANN.id, self.ANN.customer_id, self.ANN.email, False)
        assert not may_write("ann@acme.example", disabled, self.ANN.customer_id)
        assert not may_write("ann@acme.example", self.ANN, new_id())
        assert not may_write("ann@acme.example", None, self.ANN.customer_id)

    def test_name_does_not_count(self) -> None:
        sender = read_letter(mail('"ann@acme.example" <eve@evil.example>', TO)).sender
        assert sender == "eve@evil.example"


class TestSender:
    @pytest.mark.parametrize("author", [
        "ann@acme.example", "Ann <ann@acme.example>", "<ANN@acme.example>", '"Roe, Ann" <ann@acme.example>',
        "ann@home.example <ann@acme.example>", '"eve@evil.example" <ann@acme.example>',
        "=?utf-8?q?Ann=2C_Roe?= <ann@acme.example>", "Ann (Home, sweet) <ann@acme.example>",
        "ann@acme.example (Ann)", "Ann\r\n <ann@acme.example>",
    ])  # fmt: skip
    def test_is_the_address_of_its_author(self, author: str) -> None:
        assert read_letter(f"From: {author}\r\n\r\nx".encode()).sender == "ann@acme.example"

    def test_name_like_an_address_does_not_count(self) -> None:
        assert read_letter(b"From: ann@acme.example <eve@evil.example>\r\n\r\nx").sender == "eve@evil.example"

    @pytest.mark.parametrize("author", [
        "<ann@acme.example> <eve@evil.example>", "ann@acme.example, <eve@evil.example>",
        "ann@acme.example; eve@evil.example", "<ann@acme.example>\0<eve@evil.example>", "g: ann@acme.example;",
        '"x" <ann@acme.example> eve@evil.example', "ann@acme.example eve@evil.example", '"x <ann@acme.example>',
    ])  # fmt: skip
    def test_doubtful_author_is_refused(self, author: str) -> None:
        with pytest.raises(Unreadable):
            read_letter(f"From: {author}\r\n\r\nx".encode())


class TestDigest:
    def test_same_identity_with_another_text_differs(self) -> None:
        one, again, other = (
            read_letter(f"From: {ANN}\r\nMessage-ID: <1@localhost>\r\n\r\n{text}".encode()).digest
            for text in ("Yes.", "Yes.", "No.")
        )
        assert one == again
        assert one != other

    def test_same_identity_with_other_files_differs(self) -> None:
        one, again, other, both, none = (
            read_letter(
                mail(ANN, TO, Message_ID="<1@localhost>", files=[("a.txt", "text/plain", one) for one in files])
            )
            for files in ([b"x"], [b"x"], [b"y"], [b"x", b"y"], [])
        )
        assert one.digest == again.digest
        assert len({each.digest for each in (one, other, both, none)}) == 4


class TestProof:
    @pytest.mark.parametrize(
        ("results", "found"),
        [
            (["mx; dmarc=pass header.from=acme.example"], "good"),
            (["mx; dmarc=pass header.from=Acme.Example"], "good"),
            (["mx; dmarc=pass header.from=evil.example"], "forged"),
            (["mx; dmarc=pass header.from=evil.example; dkim=pass header.d=acme.example"], "forged"),
            (["mx; dmarc=pass; dkim=pass header.d=acme.example"], "good"),
            (["mx; dmarc=pass; spf=pass smtp.mailfrom=x@evil.example"], "forged"),
            (["mx; dmarc=fail (p=none) header.from=acme.example"], "forged"),
            (["mx; spf=fail smtp.mailfrom=acme.example"], "forged"),
            (["mx; dkim=fail header.d=acme.example"], "forged"),
            (["mx; spf=softfail smtp.mailfrom=acme.example; dkim=pass header.d=acme.example"], "good"),
            (["mx; spf=fail smtp.mailfrom=list.example; dkim=pass header.d=evil.example"], "forged"),
            (["mx; spf=pass smtp.mailfrom=ann@mail.acme.example; dkim=none"], "good"),
            (["mx; spf=none; dkim=none"], "good"),
            (["mx; dmarc=none; spf=neutral smtp.mailfrom=acme.example"], "good"),
            (["mx; dmarc=none; spf=pass smtp.mailfrom=x@evil.example"], "forged"),
            (["mx; dmarc=none; spf=none; dkim=pass header.d=evil.example"], "forged"),
            (["mx; spf=pass smtp.mailfrom=x@evil.example; dkim=pass header.d=acme.example"], "good"),
            (["mx; spf=pass smtp.mailfrom=x@evil.example; dkim=temperror header.d=acme.example"], "missing"),
            (["mx; spf=pass smtp.mailfrom=x@notacme.example"], "forged"),
            (["mx; spf=pass"], "missing"),
            (["mx; dmarc=pass", "mx; dmarc=fail"], "forged"),
            (["mx; spf=temperror"], "missing"),
            (["mx; dmarc=none header.from=evil.example"], "forged"),
            (["mx; spf=none; dmarc=bestguesspass header.from=evil.example"], "forged"),
            (["mx; dmarc=none header.from=acme.example; spf=none"], "good"),
            (["mx; dkim=none", "mx; spf=fail smtp.mailfrom=é@evil.example"], "missing"),
            (["mx; dmarc=pass header.from=acme.example", "mx; spf=fail smtp.mailfrom=é@evil.example"], "missing"),
            (["mx; dmarc=fail", "mx; spf=fail smtp.mailfrom=é@evil.example"], "forged"),
            (["mx; dkim=none", "mx"], "missing"),
            (["mx; dkim=none", "mx; bogus"], "missing"),
            (["mx 2; dmarc=fail", "mx; spf=none"], "forged"),
            (["(a; b) mx (c; d) 2 (e); dmarc=fail", "mx; spf=none"], "forged"),
            (['"mx"; dmarc=fail', "mx; spf=none"], "forged"),
            (["mx;\r\n\tdmarc=pass header.from=acme.example; "], "good"),
            (["mx; none"], "missing"),
            (["mx; spf=none", "mx.evil; é", "evil.mx; é", "mx-2; é"], "good"),
            (["other; dmarc=fail"], "missing"),
            (["not to be read"], "missing"),
            ([], "missing"),
        ],
    )
    def test_follows_the_server_that_is_named(self, results: list[str], found: str) -> None:
        assert proof(results, "MX", "ann@acme.example") == found

    def test_results_of_others_cost_little(self) -> None:
        begin = time.process_time()
        for text in ("evil" + "; spf=none" * 24_000, "() " * 80_000 + "evil", "(" * 240_000, "mx." + "()" * 120_000):
            assert proof([text] * 10, "mx", "ann@acme.example") == "missing"
        assert time.process_time() - begin < 1
