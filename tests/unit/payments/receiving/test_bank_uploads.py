"""A bank's file on its way in: what it is known by, and what becomes of one that is cut off."""

import asyncio
import hashlib
import io
from typing import Any

import pytest
from fastapi import Request

from chassis.http.problems import Problem
from chassis.http.uploads import Room
from payments.bank_files.line import BadFile
from payments.receiving.api.bank_statements import spool
from payments.receiving.intake import digest_of


class TestUpload:
    def test_identity_is_content_and_given_parameters(self) -> None:
        file = io.BytesIO(b"a,b")
        assert digest_of(file) == hashlib.sha256(b"a,b").digest()
        said = [
            digest_of(file, *each)
            for each in ((None, None), ("DE1", None), ("DE2", None), (None, "USD"), ("DE1", "USD"))
        ]
        assert len(set(said)) == 5
        assert digest_of(file, "DE1", "USD") == said[-1]

    def test_truncated_body_is_a_client_error(self) -> None:
        messages: list[dict[str, Any]] = [
            {"type": "http.request", "body": b"x", "more_body": True},
            {"type": "http.disconnect"},
        ]

        async def receive() -> Any:
            return messages.pop(0)

        with pytest.raises(Problem) as caught:
            asyncio.run(spool(Request({"type": "http", "method": "POST", "headers": []}, receive), io.BytesIO()))
        assert (caught.value.status, caught.value.slug) == (400, "body-cut-off")


class TestRoom:
    def test_one_upload_too_many_is_refused(self) -> None:
        room = Room(2)
        with room.one(), room.one():
            with pytest.raises(Problem) as caught, room.one():
                pass
            assert (caught.value.status, caught.value.slug) == (503, "too-many-uploads")
            assert dict(caught.value.headers or {}) == {"Retry-After": "5"}
        with pytest.raises(BadFile), room.one(), room.one():
            raise BadFile(1, "not read")
        with room.one(), room.one():
            pass
