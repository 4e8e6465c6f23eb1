"""The portal's pages as the gateway serves them."""

import gzip
import pathlib

import pytest

from gateway import pages
from gateway.pages import File, find_page, send_page

BROWSER = b"text/html,application/xhtml+xml,*/*;q=0.8"


@pytest.fixture(autouse=True)
def built(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("index.html", "assets/app-1234.js"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
        for end in (".br", ".gz"):
            pathlib.Path(f"{path}{end}").write_bytes(gzip.compress(name.encode()))
    monkeypatch.setattr(pages, "BUILT", tmp_path)
    pages.files.cache_clear()


async def answer(path: str, headers: list[tuple[bytes, bytes]] | None = None) -> tuple[int, dict[bytes, bytes], bytes]:
    sent = []
    page = find_page(path, BROWSER)
    assert page is not None

    async def send(message):  # type: ignore[no-untyped-def]
        sent.append(message)

    await send_page(page, {"type": "http", "method": "GET", "headers": headers or []}, send)
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


class TestFinding:
    @pytest.mark.parametrize("path", ["/", "/invoices/7", "/as/018f0000-0000-7000-8000-000000000001/invoices", "/desk"])
    def test_a_page_is_the_portal(self, path: str) -> None:
        assert find_page(path, BROWSER) is pages.files()["/index.html"]

    @pytest.mark.parametrize("path", ["/v1/nothing", "/assets/old-9999.js", "/assets/../index.html"])
    def test_what_is_no_page_is_missing(self, path: str) -> None:
        assert find_page(path, BROWSER) is None

    def test_a_program_gets_no_page(self) -> None:
        assert find_page("/invoices", b"application/json") is None

    def test_nothing_built_says_what_to_do(self, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
        monkeypatch.setattr(pages, "BUILT", tmp_path / "empty")
        pages.files.cache_clear()
        with pytest.raises(Exception, match="make up"):
            find_page("/", BROWSER)


class TestAnswering:
    async def test_hashed_names_are_kept_for_ever(self) -> None:
        status, headers, body = await answer("/assets/app-1234.js")
        assert (status, body) == (200, b"assets/app-1234.js")
        assert b"immutable" in headers[b"cache-control"]

    async def test_pages_are_asked_for_anew(self) -> None:
        _, headers, _ = await answer("/")
        assert headers[b"cache-control"] == b"no-cache"
        status, _, body = await answer("/", [(b"if-none-match", headers[b"etag"])])
        assert (status, body) == (304, b"")

    async def test_bodies_are_compressed_ahead(self) -> None:
        _, headers, body = await answer("/", [(b"accept-encoding", b"gzip")])
        assert headers[b"content-encoding"] == b"gzip"
        assert gzip.decompress(body) == b"index.html"

    async def test_scripts_come_from_us_alone(self) -> None:
        _, headers, _ = await answer("/")
        assert b"script-src 'self';" in headers[b"content-security-policy"]


def test_the_type_of_each_file_is_known() -> None:
    assert {File.read(path).media_type for path in pages.BUILT.rglob("*.html")} == {b"text/html; charset=utf-8"}
