"""Gives a file back: always as a download, never as a page."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

from fastapi.responses import StreamingResponse

POLICY = "sandbox; default-src 'none'; frame-ancestors 'none'"


def as_download(file: Mapping[str, Any], parts: AsyncIterator[bytes]) -> StreamingResponse:
    """That a browser takes the type as it is said (`nosniff`) stands on every answer."""
    return StreamingResponse(
        parts,
        media_type=file["type"],
        headers={
            "Content-Length": str(file["size"]),
            "Content-Disposition": disposition(file["name"]),
            "Content-Security-Policy": POLICY,
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cache-Control": "private, no-store",
            "Referrer-Policy": "no-referrer",
        },
    )


def disposition(name: str) -> str:
    """
    >>> disposition('Año 1.pdf')
    'attachment; filename="A_o 1.pdf"; filename*=UTF-8\\'\\'A%C3%B1o%201.pdf'
    """
    plain = re.sub(r'[^ -~]|["\\\\%;]', "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
