"""Files over HTTP: sent before the ticket or reply that names them, and downloaded by a link of minutes."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from chassis.files import keeping
from chassis.files.serving import as_download
from chassis.files.store import load_file
from chassis.http.bodies import StrictRoute
from chassis.http.problems import not_found
from chassis.running import cause_of, running_of
from contracts.ids import is_id
from support.edge import OpenTickets, ReadTickets, answer
from support.files.views import FileView

router = APIRouter(route_class=StrictRoute)
FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}
DOWNLOAD: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file, as an attachment",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
TO_THE_LINK: dict[int | str, dict[str, Any]] = {
    302: {
        "description": "`Location` leads to the file for five minutes, without a key",
        "headers": {"Location": {"required": True, "schema": {"type": "string"}}},
    }
}


def content_of(file_id: str) -> str:
    return f"/v1/files/{file_id}/content"


@router.post("/v1/files", status_code=201, response_model=FileView, openapi_extra=FORM, tags=["tickets"])
async def send_file(request: Request, who: OpenTickets) -> Response:
    """Send a file of at most 10 MB, in the field `file` of a form. Then name its id in a ticket or a reply.

    Taken are PDF, PNG, JPEG, WebP, text, CSV, Word, Excel, PowerPoint and OpenDocument files. A file that is not
    attached to anything within a day is deleted.
    """
    running = running_of(request)
    return answer(await keeping.take(request, running, running.own.files, who, cause_of(request, who)), 201)


@router.get("/v1/files/{file_id}", status_code=302, responses=TO_THE_LINK, response_class=Response, tags=["tickets"])
async def get_file(file_id: str, request: Request, who: ReadTickets) -> Response:
    """Get a link to download a file. Its sender may do so, and whoever sees the event that it came with."""
    running = running_of(request)
    reads = running.reads(who)
    file = await load_file(reads, file_id, who.customer_id, who.key_owner) if is_id(file_id) else None
    if file is None:
        raise not_found("file", file_id)
    keeping.need_ready(file)
    return Response(status_code=302, headers={"Location": running.own.files.signer.link(content_of(file_id))})


@router.get("/v1/files/{file_id}/content", responses=DOWNLOAD, response_class=Response, tags=["tickets"])
async def download_file(
    file_id: str,
    request: Request,
    until: Annotated[str, Query(max_length=20, description="When the link ends, in seconds since 1970")],
    signature: Annotated[str, Query(max_length=100, description="Of the link")],
) -> Response:
    """Download a file by the link that `GET /v1/files/{file_id}` gave."""
    running = running_of(request)
    link = (content_of(file_id), until, signature)
    return as_download(*await keeping.download(running.pool, running.own.files, file_id, *link))
