"""Files through the gateway: they pass as a stream both ways, and come back as a download."""

import asyncio
import io
import pathlib
from urllib.parse import urlsplit

import aiohttp
import asyncpg

from contracts.ids import new_id
from paidup_local import check_money
from tests.kit.client import Client
from tests.kit.files import form, pdf
from tests.kit.stack import LocalStack
from tests.kit.two_customers import things

LARGE = pdf(bytes(range(128, 256)) * 80_000)  # 10 MB


def on_disk(stack: LocalStack) -> dict[pathlib.Path, int]:
    return {one: one.stat().st_size for one in (stack.home / "files").rglob("*") if one.is_file()}


class TestFiles:
    async def test_come_back_byte_for_byte(self, client: Client, stack: LocalStack) -> None:
        customer, files = await client.customer(), []
        for name, content in (("large.pdf", LARGE), ("Año.csv", b"a,b\r\n1,2\r\n")):
            files.append(await client.send_file(name, content))
        body = {"customer_id": customer, "subject": "Two files", "details": "See them.", "file_ids": files}
        ticket = await client.make("/v1/tickets", body, key=new_id())
        assert [one["name"] for one in ticket["events"][0]["files"]] == ["large.pdf", "Año.csv"]
        bearer = {"Authorization": f"Bearer {stack.api_key}"}
        async with aiohttp.ClientSession() as session:
            for file, content in zip(files, (LARGE, b"a,b\r\n1,2\r\n"), strict=True):
                async with session.get(f"{stack.url}/v1/files/{file}", headers=bearer, allow_redirects=False) as found:
                    assert found.status == 302
                async with session.head(stack.url + found.headers["location"]) as head:
                    assert (head.status, head.headers["content-length"]) == (200, str(len(content)))
                async with session.get(stack.url + found.headers["location"]) as answer:
                    assert await answer.read() == content
                    assert answer.headers["content-disposition"].startswith("attachment; ")
                    assert answer.headers["x-content-type-options"] == "nosniff"
                    assert answer.headers["content-security-policy"].startswith("sandbox")

    async def test_lost_and_strange_bytes_are_found(self, client: Client, stack: LocalStack) -> None:
        file = await client.send_file("slip.pdf", pdf())
        connection = await asyncpg.connect(stack.database_url("support"))
        place = stack.home / "files/support" / await connection.fetchval("SELECT place FROM files WHERE id = $1", file)
        assert await check_money._files(stack.settings, "support", connection) == []
        place.rename(place.parent / "strange")
        wrong = await check_money._files(stack.settings, "support", connection)
        assert wrong == [
            f"support: a file has no bytes: {file}", f"support: bytes are of no file: {place.parent.name}/strange",
        ]  # fmt: skip
        (place.parent / "strange").rename(place)
        await connection.close()

    async def test_of_visits_come_as_tickets_do(self, client: Client, stack: LocalStack) -> None:
        async with aiohttp.ClientSession() as session:
            own, people = await things(client, stack, session)
            for browser in (people.contact, people.visitor):
                status, words = await browser.ask("GET", f"/v1/files/{own.file_id}")
                assert (status, words in own.texts) == (200, True)
            stranger = (await things(client, stack, session))[1].contact
            assert (await stranger.ask("GET", f"/v1/files/{own.file_id}"))[0] == 404

    async def test_of_eleven_megabytes_are_refused(self, stack: LocalStack) -> None:
        before = on_disk(stack)
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {stack.api_key}"}) as session:
            for size, slug in ((11 << 20, "file-too-large"), (17 << 20, "body-too-large")):
                body, headers = form("large.pdf", b"x" * size)
                async with session.post(f"{stack.url}/v1/files", data=io.BytesIO(body), headers=headers) as answer:
                    problem = await answer.json()
                assert (answer.status, problem["type"].rpartition(":")[2]) == (413, slug)
                assert slug != "file-too-large" or problem["detail"] == "“large.pdf” is larger than 10 MB."
        assert on_disk(stack) == before

    async def test_that_are_cut_off_leave_nothing(self, client: Client, stack: LocalStack) -> None:
        before, place = on_disk(stack), urlsplit(stack.url)
        body, headers = form("large.pdf", LARGE)
        head = f"POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {stack.api_key}\r\n"
        head += f"Content-Length: {len(body)}\r\nContent-Type: {headers['Content-Type']}\r\n\r\n"
        for sent in (100, 200_000, len(body) - 10):
            _, writer = await asyncio.open_connection(place.hostname, place.port)
            writer.write(head.encode() + body[:sent])
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        kept = await client.send_file("large.pdf", LARGE)
        assert kept
        assert len(on_disk(stack)) == len(before) + 1
