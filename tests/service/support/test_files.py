"""Files over HTTP on a real PostgreSQL: who may send, attach and download them, and what becomes of them."""

import hashlib
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from chassis.checks import look, violations
from chassis.files import keeping
from chassis.tasks.queue import Task
from contracts.ids import new_id
from support.checks import CHECKS
from support.jobs import QUEUES
from tests.kit.clamd import Clamd, clamd
from tests.kit.files import EICAR, form, jpeg, office, pdf, png
from tests.kit.supporting import Acme, Help, help_of
from tests.service.support.test_tickets_http import opened

NAME = "Año 1 – slip.pdf"


async def sent(client: httpx2.AsyncClient, name: str = NAME, content: bytes = pdf(), expect: int = 201) -> Any:
    body, headers = form(name, content)
    answer = await client.post("/v1/files", content=body, headers=headers)
    assert answer.status_code == expect, answer.text
    return answer.json()


async def replied(client: httpx2.AsyncClient, ticket: str, *files: str, expect: int = 201, **more: Any) -> Any:
    body = {"text": "Here it is.", "file_ids": files, **more}
    answer = await client.post(f"/v1/tickets/{ticket}/replies", json=body)
    assert answer.status_code == expect, answer.text
    return answer.json()


async def downloaded(client: httpx2.AsyncClient, file_id: str, expect: int = 302) -> httpx2.Response | None:
    answer = await client.get(f"/v1/files/{file_id}", follow_redirects=False)
    assert answer.status_code == expect, answer.text
    if expect != 302:
        return None
    async with httpx2.AsyncClient(base_url=client.base_url) as anybody:
        return await anybody.get(answer.headers["location"])


def on_disk(desk: Help) -> dict[str, bytes]:
    """What lies in the directory of the files."""
    folder = Path(desk.running.settings.files)
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


class TestSending:
    async def test_keeps_the_bytes_under_another_name(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann:
            file = await sent(ann)
        assert {**file, "id": ""} == {
            "id": "", "name": NAME, "type": "application/pdf", "size": len(pdf()), "state": "ready",
        }  # fmt: skip
        row = await desk.running.pool.fetchrow("SELECT * FROM files WHERE id = $1", file["id"])
        assert (row["sha256"], row["customer_id"]) == (hashlib.sha256(pdf()).digest(), acme.id)
        assert on_disk(desk)[row["place"]] == pdf()
        assert re.fullmatch("[0-9a-f]{2}/[0-9a-f]{38}", row["place"])

    async def test_name_gets_the_ending_of_the_content(self, desk: Help) -> None:
        async with desk.contact(await desk.acme()) as ann:
            for name, content, kept in (
                ("scan", pdf(), "scan.pdf"),
                ("a.jpg", png(), "a.png"),
                ("b.PNG", jpeg(), "b.jpg"),
            ):
                assert (await sent(ann, name, content))["name"] == kept

    async def test_large_file_comes_back_the_same(self, desk: Help) -> None:
        content = pdf(bytes(range(256)).replace(b"(", b"").replace(b")", b"") * 40_000)
        acme = await desk.acme()
        async with desk.contact(acme) as ann:
            file = await sent(ann, "large.pdf", content)
            answer = await downloaded(ann, file["id"])
        assert answer is not None
        assert len(content) > 10_000_000
        assert answer.content == content

    async def test_stops_at_many_unused_files(self, desk: Help, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(keeping, "MOST_WAITING", 2)
        acme = await desk.acme()
        async with desk.contact(acme) as ann:
            ticket = await opened(ann)
            first, _ = await sent(ann), await sent(ann)
            before = on_disk(desk)
            assert (await sent(ann, expect=409))["type"] == "urn:paidup:problem:too-many-files"
            assert on_disk(desk) == before
            await replied(ann, ticket["id"], first["id"])
            await sent(ann)

    async def test_store_that_is_away_leaves_nothing(self, desk: Help, monkeypatch: pytest.MonkeyPatch) -> None:
        async def full(*_: Any) -> None:
            raise OSError("no space left on the device")

        monkeypatch.setattr("chassis.files.contents.Contents.put", full)
        acme = await desk.acme()
        async with desk.contact(acme) as ann:
            assert (await sent(ann, expect=503))["type"] == "urn:paidup:problem:unavailable"
        sql = "SELECT count(*) FROM files WHERE customer_id = $1"
        assert await desk.running.pool.fetchval(sql, acme.id) == 0


class TestDownload:
    async def test_is_an_attachment_and_no_page(self, desk: Help) -> None:
        async with desk.contact(await desk.acme()) as ann:
            answer = await downloaded(ann, (await sent(ann))["id"])
        assert answer is not None
        assert answer.content == pdf()
        headers = answer.headers
        assert headers["content-disposition"] == (
            "attachment; filename=\"A_o 1 _ slip.pdf\"; filename*=UTF-8''A%C3%B1o%201%20%E2%80%93%20slip.pdf"
        )
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"].startswith("sandbox")
        assert (headers["content-type"], headers["content-length"]) == ("application/pdf", str(len(pdf())))

    async def test_link_holds_for_minutes_and_one_file(self, desk: Help) -> None:
        async with desk.contact(await desk.acme()) as ann:
            one, other = await sent(ann), await sent(ann)
            found = await ann.get(f"/v1/files/{one['id']}", follow_redirects=False)
        signer, link = desk_signer(desk), found.headers["location"]
        until, signature = re.fullmatch(r"\S+\?until=(\d+)&signature=(\w+)", link).groups()  # type: ignore[union-attr]
        wrong = (
            link.replace(one["id"], other["id"]), link.replace(until, str(int(until) + 9)), link[:-1] + "g", link[:-3],
            link.replace(signature, "é"),
        )  # fmt: skip
        async with httpx2.AsyncClient(base_url=desk.url) as anybody:
            assert [(await anybody.get(one)).status_code for one in wrong] == [404] * len(wrong)
            old = await anybody.get(signer.link(link.partition("?")[0], now=1_700_000_000))
            assert (old.status_code, old.json()["type"]) == (410, "urn:paidup:problem:link-ended")
            assert (await anybody.get(link)).content == pdf()

    async def test_is_for_those_who_see_the_event(self, desk: Help) -> None:
        acme, other = await desk.acme(), await desk.acme()
        bo = await desk.person_of(acme.id, "Bo")
        async with (
            desk.contact(acme) as ann, desk.contact(acme, bo) as colleague, desk.contact(other) as stranger,
            desk.visitor(acme) as visitor, desk.staff(acme.manager) as lee,
        ):  # fmt: skip
            file, ticket = (await sent(ann))["id"], (await opened(ann))["id"]
            for who in (colleague, stranger, visitor, lee):  # nobody but its sender, before it is attached
                await downloaded(who, file, 404)
            await replied(ann, ticket, file)
            for who in (ann, colleague, visitor, lee):
                answer = await downloaded(who, file)
                assert answer is not None
                assert answer.content == pdf()
            await downloaded(stranger, file, 404)

    async def test_of_a_note_is_the_companys_alone(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee, desk.visitor(acme) as visitor:
            ticket, file = (await opened(ann))["id"], (await sent(lee, "ours.png", png()))["id"]
            noted = await replied(lee, ticket, file, internal=True)
            assert [one["name"] for one in noted["events"][-1]["files"]] == ["ours.png"]
            await downloaded(lee, file)
            for who in (ann, visitor):
                await downloaded(who, file, 404)
                seen = (await who.get(f"/v1/tickets/{ticket}")).json()
                assert [one["files"] for one in seen["events"]] == [[]]


def desk_signer(desk: Help) -> Any:
    return desk.running.own.files.signer


class TestAttaching:
    async def test_shows_files_in_their_order(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            files = [await sent(ann, name) for name in ("b.pdf", "a.pdf", "c.pdf")]
            body = {"subject": "Two boxes", "details": "One came.", "file_ids": [one["id"] for one in files]}
            asked = await ann.post("/v1/tickets", json=body, headers={"Idempotency-Key": new_id()})
            assert asked.json()["events"][0]["files"] == files
            assert (await lee.get(f"/v1/tickets/{asked.json()['id']}")).json()["events"][0]["files"] == files

    async def test_company_sends_to_any_customer(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            content = office()  # once: it holds the time at which it was made
            ticket, file = (await opened(ann))["id"], await sent(lee, "plan.xlsx", content)
            await replied(lee, ticket, file["id"])
            assert (await ann.get(f"/v1/tickets/{ticket}")).json()["events"][-1]["files"] == [file]
            answer = await downloaded(ann, file["id"])
            assert answer is not None
            assert answer.content == content

    async def test_questions_and_disputes_have_files(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann:
            for what in ("questions", "disputes"):
                file = await sent(ann)
                body = {"text": "See the slip.", "file_ids": [file["id"]]}
                asked = await ann.post(f"/v1/invoices/{acme.invoice}/{what}", json=body)
                assert asked.json()["events"][0]["files"] == [file]

    async def test_each_file_is_attached_once(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann:
            ticket, file = (await opened(ann))["id"], (await sent(ann))["id"]
            twice = await replied(ann, ticket, file, file, expect=422)
            assert twice["errors"][0]["field"] == "file_ids.1"
            await replied(ann, ticket, file)
            again = await replied(ann, ticket, file, expect=422)
            assert (again["type"], again["errors"][0]["field"]) == ("urn:paidup:problem:unknown-file", "file_ids.0")
            assert len((await ann.get(f"/v1/tickets/{ticket}")).json()["events"]) == 2

    async def test_files_of_others_are_refused(self, desk: Help) -> None:
        acme, other = await desk.acme(), await desk.acme()
        bo = await desk.person_of(acme.id, "Bo")
        async with desk.contact(acme) as ann, desk.contact(other) as stranger, desk.contact(acme, bo) as colleague:
            ticket = (await opened(ann))["id"]
            async with desk.visitor(acme) as visitor, desk.staff(acme.manager) as lee:
                for who in (stranger, colleague, visitor, lee):  # a visit of the manager is not the manager's desk
                    await replied(ann, ticket, (await sent(who))["id"], expect=422)
                await replied(lee, ticket, (await sent(visitor))["id"], expect=422)
                await replied(visitor, ticket, (await sent(visitor))["id"])
            for wrong in (new_id(), "x"):
                await replied(ann, ticket, wrong, expect=422)

    async def test_of_a_late_reply_follow_it(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann:
            ticket = (await opened(ann))["id"]
            await ann.post(f"/v1/tickets/{ticket}/close")
            desk.move(timedelta(days=15))
            file = await sent(ann)
            later = await replied(ann, ticket, file["id"])
            assert later["id"] != ticket
            assert later["events"][0]["files"] == [file]

    async def test_the_same_request_again_attaches_once(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann:
            body = {"subject": "Two boxes", "details": "One came.", "file_ids": [(await sent(ann))["id"]]}
            key = {"Idempotency-Key": new_id()}
            first, again = [(await ann.post("/v1/tickets", json=body, headers=key)).json() for _ in range(2)]
            assert first == again
            assert len(again["events"][0]["files"]) == 1

    async def test_checks_find_nothing_amiss(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann:
            await replied(ann, (await opened(ann))["id"], (await sent(ann))["id"])
        checks = {name: sql for name, sql in CHECKS.items() if "file" in name}
        await look(desk.running.pool, checks, patience=0)
        assert [violations.labels(one)._value.get() for one in checks] == [0, 0, 0]


class TestOrphans:
    async def test_go_after_a_day_with_their_bytes(self, desk: Help) -> None:
        acme = await desk.acme()
        async with desk.contact(acme) as ann:
            ticket, used, unused = (await opened(ann))["id"], await sent(ann), await sent(ann)
            await replied(ann, ticket, used["id"])
            place = await desk.running.pool.fetchval("SELECT place FROM files WHERE id = $1", unused["id"])
            begun = Path(desk.running.settings.files) / f"{place}#1"
            begun.write_bytes(b"half")  # as a process leaves it that was killed
            await swept(desk)
            assert place in on_disk(desk)
            desk.move(timedelta(hours=25))
            await swept(desk)
            await downloaded(ann, unused["id"], 404)
            await downloaded(ann, used["id"])
            await replied(ann, ticket, unused["id"], expect=422)
        assert not [one for one in on_disk(desk) if one.startswith(place)]

    async def test_of_a_killed_process_go_too(self, desk: Help, monkeypatch: pytest.MonkeyPatch) -> None:
        acme = await desk.acme()

        async def killed(*_: Any, **__: Any) -> None:
            raise OSError

        async def nothing(*_: Any) -> None:
            return None

        monkeypatch.setattr(keeping.store, "arrived", killed)
        monkeypatch.setattr(keeping, "_undo", nothing)
        before = on_disk(desk)
        async with desk.contact(acme) as ann:
            await sent(ann, expect=503)
        assert len(on_disk(desk)) == len(before) + 1
        desk.move(timedelta(hours=25))
        await swept(desk)
        assert on_disk(desk).items() <= before.items()


async def swept(desk: Help) -> None:
    while await keeping.sweep(desk.running):
        pass


@pytest_asyncio.fixture(scope="module")
async def scanned(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Help, Clamd]]:
    async with clamd() as scanner, help_of(tmp_path_factory.mktemp("scanned"), scanner.address) as made:
        yield made, scanner


class TestScanning:
    async def test_clean_file_is_ready_at_once(self, scanned: tuple[Help, Clamd]) -> None:
        desk, scanner = scanned
        async with desk.contact(await desk.acme()) as ann:
            assert (await sent(ann))["state"] == "ready"
        assert scanner.seen[-1] == len(pdf())

    async def test_virus_is_refused_by_its_name(self, scanned: tuple[Help, Clamd]) -> None:
        desk, _ = scanned
        before = on_disk(desk)
        async with desk.contact(await desk.acme()) as ann:
            for name, content in (("eicar.txt", EICAR), ("slip.pdf", pdf(EICAR))):
                refused = await sent(ann, name, content, expect=422)
                assert refused["type"] == "urn:paidup:problem:file-infected"
                assert name in refused["detail"]
        assert on_disk(desk) == before

    @pytest.mark.parametrize(("content", "state"), [(pdf(), "ready"), (pdf(EICAR), "infected")])
    async def test_is_done_later_if_scanner_is_away(
        self, scanned: tuple[Help, Clamd], monkeypatch: pytest.MonkeyPatch, content: bytes, state: str
    ) -> None:
        desk, scanner = scanned
        acme = await desk.acme()
        monkeypatch.setattr(scanner, "away", True)
        async with desk.contact(acme) as ann, desk.staff(acme.manager) as lee:
            file = await sent(ann, content=content)
            ticket = (await opened(ann))["id"]
            await replied(ann, ticket, file["id"])
            await downloaded(ann, file["id"], 409)
            assert await states(ann, ticket) == ["scanning"]
            assert await states(lee, ticket) == []  # nobody else sees it
            task = await the_task(desk, file["id"])
            with pytest.raises(keeping.ScannerAwayError):
                await QUEUES.by_name[keeping.SCAN].handle(task, desk.running)
            monkeypatch.setattr(scanner, "away", False)
            for _ in range(2):  # it may run again
                await QUEUES.by_name[keeping.SCAN].handle(task, desk.running)
            for who in (ann, lee):
                await downloaded(who, file["id"], 302 if state == "ready" else 410)
                assert await states(who, ticket) == [state]
        place = await desk.running.pool.fetchval("SELECT place FROM files WHERE id = $1", file["id"])
        assert (place in on_disk(desk)) == (state == "ready")


async def states(client: httpx2.AsyncClient, ticket: str) -> list[str]:
    events = (await client.get(f"/v1/tickets/{ticket}")).json()["events"]
    return [one["state"] for one in events[-1]["files"]]


async def the_task(desk: Help, task_id: str) -> Task:
    sql = "SELECT queue FROM tasks WHERE queue = $1 AND id = $2"
    assert await desk.running.pool.fetchval(sql, keeping.SCAN, task_id) == keeping.SCAN
    return Task(keeping.SCAN, task_id, {}, 1, keeping.Cause(actor="system:support"))


class TestVisits:
    async def test_send_files_as_they_write(self, desk: Help) -> None:
        acme: Acme = await desk.acme()
        async with desk.visitor(acme) as visitor:
            file = await sent(visitor)
            asked = await visitor.post(
                "/v1/tickets", json={"subject": "For Acme", "details": "By phone.", "file_ids": [file["id"]]},
                headers={"Idempotency-Key": new_id()},
            )  # fmt: skip
            assert asked.json()["events"][0]["files"] == [file]
            await downloaded(visitor, file["id"])
