"""Payer links over HTTP: made by staff and programs, opened by payers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, Field

from auth.edge import Strict
from auth.hashes import LINK_BYTES, new_token
from auth.links import messages, store
from auth.links.domain import PayerLink
from auth.own import Own
from auth.people import store as people
from auth.signin.api.codes import wish_for_code
from auth.signin.api.shapes import Address, Taken, link_ended
from chassis.http.bodies import StrictRoute
from chassis.http.idempotency import LONGEST_KEY, checked, reused
from chassis.http.identity import Identity, allow, whose
from chassis.http.problems import not_found, refused
from chassis.running import Running, cause_of, running_of
from contracts.ids import is_id, new_id

router = APIRouter(route_class=StrictRoute)
WriteLinks = Annotated[Identity, allow("links:write")]
SENT = (
    "If this address belongs to a contact of the customer whom the link is for, a code is on its way. "
    "It works once, for 10 minutes, in this browser."
)


class NewLink(Strict):
    customer_id: str
    invoice_id: str | None = None
    mail: Annotated[
        bool, Field(strict=True, description="Mail the invoice to the customer's contacts again, with this link.")
    ] = False


class MadeLink(BaseModel):
    id: str
    url: str


class OpenedLink(BaseModel):
    """What a link opens. Whose it is shows only after a code."""

    invoice_id: str | None


@router.post("/v1/payer-links", status_code=201)
async def make_payer_link(
    request: Request, body: NewLink, who: WriteLinks,
    idempotency_key: Annotated[str | None, Header(max_length=LONGEST_KEY)] = None,
) -> MadeLink:  # fmt: skip
    """Make a link that opens the portal at an invoice. To go on, a contact of the customer needs a code by e-mail.

    The link is not stored; the same Idempotency-Key shows it again. It ends 30 days after the invoice is paid.
    For an invoice that was just issued, send the `Paidup-Seen` of that answer: auth hears of it within a second.
    With `mail` the contacts of the customer get the mail of the invoice again, with this link.
    """
    here: Running[Own] = running_of(request)
    whose(body.customer_id, who)
    if body.invoice_id is not None and not is_id(body.invoice_id):
        raise refused("not the id of an invoice", field="invoice_id")
    if body.mail and body.invoice_id is None:
        raise refused("a link is mailed with its invoice: name one", field="invoice_id")
    if not await people.customer_known(here.pool, body.customer_id):
        raise not_found("customer", body.customer_id)
    text = new_token(LINK_BYTES)
    if idempotency_key is not None:
        text = here.own.signer.derive(f"payer link\0{who.subject}\0{checked(idempotency_key)}")[: len(text)]
    digest = here.own.pepper.token(text)
    async with here.units.begin(cause_of(request, who)) as work:
        if body.invoice_id and not await store.invoice_known(work, body.invoice_id, body.customer_id):
            raise not_found("invoice", body.invoice_id)
        link = PayerLink(new_id(), digest, body.customer_id, body.invoice_id, work.now, said=int(body.mail))
        if await store.insert_links(work, [link]) and body.mail:
            sealed = here.own.sealer.seal(link=here.own.link(f"/i/{text}"))
            work.emit(messages.made(link, sealed, "invoice_issued"))
    kept = await store.find_link(here.pool, digest)
    if kept is None or (kept.customer_id, kept.invoice_id, bool(kept.said)) != (
        body.customer_id,
        body.invoice_id,
        body.mail,
    ):
        raise reused()
    return MadeLink(id=kept.id, url=here.own.link(f"/i/{text}"))


@router.delete("/v1/payer-links", status_code=204, response_class=Response)
async def revoke_payer_links(request: Request, who: WriteLinks, invoice_id: Annotated[str, Query()]) -> Response:
    """Revoke all links of an invoice. Sessions that came by them go on until they end."""
    if not is_id(invoice_id):
        raise not_found("invoice", invoice_id)
    async with running_of(request).units.begin(cause_of(request, who)) as work:
        await store.revoke_links(work, who.customer_id, invoice_id)
    return Response(status_code=204)


@router.get("/v1/payer-links/{token}")
async def open_payer_link(request: Request, token: str) -> OpenedLink:
    """What a payer link opens; 410 when it has ended."""
    return OpenedLink(invoice_id=(await _living(running_of(request), token)).invoice_id)


@router.post("/v1/payer-links/{token}/codes", status_code=202)
async def ask_for_a_code_by_link(request: Request, token: str, body: Address, response: Response) -> Taken:
    """Ask for a code by e-mail. Only an enabled contact of the link's customer gets one; the answer is the same."""
    link = await _living(running_of(request), token)
    await wish_for_code(request, response, body.email, link_id=link.id)
    return Taken(detail=SENT)


async def _living(here: Running[Own], token: str) -> PayerLink:
    link = await store.find_link(here.pool, here.own.pepper.token(token[:200]))
    if link is None or not link.alive(here.clock.now()):
        raise link_ended()
    return link
