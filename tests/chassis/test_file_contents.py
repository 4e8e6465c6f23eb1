"""Where the bytes of files lie: a directory, or a store that speaks S3."""

import io
import os
import pathlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs

import pytest
import pytest_asyncio

from chassis.files.contents import Contents
from tests.kit.serving import serving

SMALL, LARGE = b"a slip", os.urandom(9_000_000)  # a large one goes in parts


@dataclass
class Buckets:
    """A stand-in for S3: objects by their paths, also those that come in parts."""

    objects: dict[str, bytes] = field(default_factory=dict)
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)

    async def __call__(self, scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        query = parse_qs(scope["query_string"].decode(), keep_blank_values=True)
        status, answer, headers = self.answer(scope["method"], scope["path"], query, body)
        head = [(b"content-length", str(len(answer)).encode()), (b"etag", b'"1"'), *headers]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": answer})

    def answer(
        self, method: str, path: str, query: dict[str, list[str]], body: bytes
    ) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
        if method == "POST" and "uploads" in query:
            self.parts[path] = {}
            return 200, b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>", []
        if method == "PUT" and "partNumber" in query:
            self.parts[path][int(query["partNumber"][0])] = body
        elif method == "POST" and "delete" in query:
            key = re.findall(b"<Key>(.*?)</Key>", body)[0].decode()
            self.objects.pop(f"{path}/{key}", None)
            return 200, f"<DeleteResult><Deleted><Key>{key}</Key></Deleted></DeleteResult>".encode(), []
        elif method == "POST":
            self.objects[path] = b"".join(part for _, part in sorted(self.parts.pop(path).items()))
            done = b'<CompleteMultipartUploadResult><ETag>"1"</ETag></CompleteMultipartUploadResult>'
            return 200, done, []
        elif method == "PUT":
            self.objects[path] = body
        elif path not in self.objects:
            return 404, b"<Error><Code>NoSuchKey</Code></Error>", []
        else:
            return 200, self.objects[path], [(b"last-modified", b"Sun, 29 Nov 2026 10:00:00 GMT")]
        return 200, b"", []


@pytest_asyncio.fixture(params=["directory", "s3"])
async def contents(
    request: pytest.FixtureRequest, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Contents]:
    if request.param == "directory":
        yield Contents(str(tmp_path / "files"))
        return
    async with serving(Buckets()) as url:
        for name, value in (
            ("AWS_ENDPOINT_URL", url), ("AWS_ALLOW_HTTP", "true"), ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "b"), ("AWS_REGION", "us-east-1"),
        ):  # fmt: skip
            monkeypatch.setenv(name, value)
        yield Contents("s3://slips/support")


class TestContents:
    @pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
    async def test_come_back_the_same(self, contents: Contents, content: bytes) -> None:
        place = contents.new_place()
        await contents.put(place, io.BytesIO(content))
        assert b"".join([part async for part in contents.parts(place)]) == content

    async def test_leave_nothing_once_deleted(self, contents: Contents) -> None:
        place = contents.new_place()
        await contents.put(place, io.BytesIO(SMALL))
        for _ in range(2):
            await contents.delete(place)
        with pytest.raises(FileNotFoundError):
            await anext(contents.parts(place))

    async def test_directory_is_its_owners_alone(self, tmp_path: pathlib.Path) -> None:
        contents = Contents(str(tmp_path / "files"))
        await contents.put("ab/cd", io.BytesIO(SMALL))
        assert (tmp_path / "files").stat().st_mode & 0o777 == 0o700
        assert [place async for place in contents.places()] == ["ab/cd"]
