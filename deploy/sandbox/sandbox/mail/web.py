"""The inbox in a browser and as JSON. HTML of a mail is shown in a sandboxed frame, so that it can do nothing."""

from __future__ import annotations

from html import escape
from typing import Any

import orjson
from aiohttp import web

from sandbox.mail.inbox import Inbox
from sandbox.mail.smtp import Receiving

MOST_LISTED = 5_000
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-src 'self'; form-action 'self'"
# A mail may have styles and pictures of its own, and nothing that runs, loads or sends.
POLICY_OF_MAIL = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox allow-popups"
STYLE = """
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}body{max-width:60rem;margin:0 auto;padding:1rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.5rem;
border-bottom:1px solid #8886;vertical-align:top}
th{font-size:.8125rem}time,.to{font-size:.8125rem;opacity:.75}
iframe{width:100%;height:70vh;border:1px solid #8886;background:#fff}
pre{white-space:pre-wrap;overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:auto 1fr;gap:.25rem 1rem;font-size:.875rem}
dt{font-weight:600}dd{margin:0;overflow-wrap:anywhere}form{display:inline}input,button{font:inherit;padding:.4rem .6rem}
"""


def application(inbox: Inbox, receiving: Receiving) -> web.Application:
    app = web.Application()
    pages = Pages(inbox, receiving)
    app.add_routes(
        [
            web.get("/", pages.listed),
            web.get("/readyz", pages.ready),
            web.get("/api/messages", pages.messages),
            web.delete("/api/messages", pages.forget),
            web.put("/api/smtp", pages.set_smtp),
            web.get("/messages/{id}", pages.shown),
            web.get("/messages/{id}/html", pages.html),
        ]
    )
    return app


class Pages:
    def __init__(self, inbox: Inbox, receiving: Receiving) -> None:
        self._inbox, self._receiving = inbox, receiving

    async def ready(self, _: web.Request) -> web.Response:
        return _json({"ready": True})

    async def messages(self, request: web.Request) -> web.Response:
        """`?to=ADDRESS`, newest first, at most `limit`."""
        limit = request.query.get("limit", str(MOST_LISTED))
        if not limit.isdecimal():
            raise web.HTTPBadRequest(text="limit: write a whole number")
        found = self._inbox.newest(request.query.get("to"), int(limit))
        return _json({"items": [one.read() for one in found]})

    async def forget(self, _: web.Request) -> web.Response:
        self._inbox.clear()
        return web.Response(status=204)

    async def set_smtp(self, request: web.Request) -> web.Response:
        """`{"there": false}`: the mail server is away until it is told to come back."""
        wish = orjson.loads(await request.read())
        if not isinstance(wish, dict) or not isinstance(wish.get("there"), bool):
            raise web.HTTPBadRequest(text='there: write {"there": true} or {"there": false}')
        if wish["there"]:
            await self._receiving.come()
        else:
            self._receiving.go_away()
        return _json({"there": self._receiving.is_there})

    async def listed(self, request: web.Request) -> web.Response:
        to = request.query.get("to", "")
        rows = "".join(
            f'<tr><td><a href="/messages/{mail["id"]}">{escape(mail["subject"] or "(no subject)")}</a>'
            f'<div class="to">{escape(", ".join(mail["to"]))}</div></td>'
            f"<td><time>{escape(mail['received_at'][:19].replace('T', ' '))}</time></td></tr>"
            for mail in (one.read() for one in self._inbox.newest(to or None, 200))
        )
        body = (
            "<h1>Mail</h1><p>Every mail of this stack ends here; none leaves this machine.</p>"
            f'<form><input type="search" name="to" value="{escape(to)}" placeholder="Address" aria-label="Address"> '
            "<button>Show</button></form>"
            + (f"<table><tr><th>Subject</th><th>Received (UTC)</th></tr>{rows}</table>" if rows else "<p>No mail.</p>")
        )
        return _page("Mail", body)

    async def shown(self, request: web.Request) -> web.Response:
        mail = self._found(request)
        heads = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in mail["headers"].items())
        frame = f'<iframe sandbox="allow-popups" src="/messages/{mail["id"]}/html" title="The mail"></iframe>'
        body = (
            f'<p><a href="/">All mails</a></p><h1>{escape(mail["subject"])}</h1>'
            + (frame if mail["html"] else "")
            + (f"<h2>Text</h2><pre>{escape(mail['text'])}</pre>" if mail["text"] else "")
            + f"<h2>Headers</h2><dl>{heads}</dl>"
        )
        return _page(mail["subject"], body)

    async def html(self, request: web.Request) -> web.Response:
        mail = self._found(request)
        headers = {"Content-Security-Policy": POLICY_OF_MAIL}
        return web.Response(text=mail["html"] or "", content_type="text/html", headers=headers)

    def _found(self, request: web.Request) -> dict[str, Any]:
        mail = self._inbox.get(request.match_info["id"])
        if mail is None:
            raise web.HTTPNotFound(text="This mail is not here any more.")
        return mail.read()


def _json(body: object) -> web.Response:
    return web.Response(body=orjson.dumps(body), content_type="application/json")


def _page(title: str, body: str) -> web.Response:
    text = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}</style><body>{body}</body></html>"
    )
    return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": POLICY})
