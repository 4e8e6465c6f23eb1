"""The text of a mail that has HTML alone: what a reader sees, with the marks of quotes."""

from __future__ import annotations

import re
from collections import Counter
from html import unescape

from selectolax.lexbor import LexborHTMLParser, LexborNode

MOST_OF_HTML = 1_000_000
UNSEEN = frozenset({"head", "style", "script", "title", "template", "noscript", "object", "-comment"})
BLOCKS = frozenset(
    "address article aside blockquote body center dd div dl dt fieldset figure footer form h1 h2 h3 h4 h5 h6"  # noqa: SIM905
    " header li main nav ol p pre section table tr ul".split()
)
APART = frozenset(["p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "blockquote", "table", "pre"])
DEEPEST_TREE = 200  # each level costs time for each tag
MOST_TAGS = 30_000  # it bounds the time if end tags in comments make the tree seem less deep than it is
DEEPEST = 5  # of quotes in quotes; beyond that all look alike
RULE = "_" * 32
HIDDEN = re.compile(r"display\s*:\s*none|mso-hide\s*:\s*all|visibility\s*:\s*hidden", re.IGNORECASE)
MARKUP = re.compile(
    r"<!--(?:-?>|.*?(?:--!?>|\Z))|<[!?][^>]*>?|<(?P<end>/?)(?P<name>[a-z][\w:.-]*)(?P<more>[^<>]*)>?|<",
    re.IGNORECASE | re.DOTALL | re.ASCII,
)
NEEDED = re.compile(r"""(?<![\w-])(href|style)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"']+))""", re.IGNORECASE)
TAG = re.compile(r"<(/?)([a-zA-Z][\w:.-]*)[^<>]*>?", re.ASCII)
LETTERING = frozenset(
    "b big code em font i nobr s small strike strong tt u".split()  # noqa: SIM905
)  # a parser repeats those that are open in each paragraph, which may cost gigabytes
SHALLOW = frozenset(
    "p li td tr th dt dd br hr img meta link input col area base wbr option".split()  # noqa: SIM905
)
BLANKS = re.compile(r"[ \t\r\n\f]+")


class Page:
    """Lines as they grow. `depth`: of the quotes that a line stands in."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.depth = 0
        self.line = ""

    def add(self, text: str) -> None:
        self.line += text if self.line and not self.line.endswith((" ", "\n")) else text.lstrip(" ")

    def end_line(self, *, apart: bool = False) -> None:
        """Begin a new line, if this one has anything; `apart`: with an empty one between."""
        if self.line.strip():
            self.break_line()
        if apart and self.lines and self.lines[-1].strip("> "):
            self.lines.append("> " * min(self.depth, DEEPEST))

    def break_line(self) -> None:
        mark = "> " * min(self.depth, DEEPEST)
        self.lines += [f"{mark}{line.rstrip()}" for line in self.line.rstrip(" ").split("\n")]
        self.line = ""


def text_of(html: str) -> str:
    """
    >>> text_of("<p>It <b>came</b>.</p><blockquote>Did it?<br>Really?</blockquote>")
    'It came.\\n\\n> Did it?\\n> Really?'
    """
    html = MARKUP.sub(_simple, html[:MOST_OF_HTML])
    if not _costs_little(html):
        return " ".join(unescape(TAG.sub(" ", html)).split())
    body = LexborHTMLParser(html).body
    if body is None:
        return ""
    page = Page()
    node: LexborNode | None = body
    while node is not None:  # no recursion: a hostile mail nests as deep as it likes
        inside = node.child if _enter(page, node) else None
        if inside is not None:
            node = inside
            continue
        while node is not None:
            _leave(page, node)
            if node.mem_id == body.mem_id or node.next is not None:
                break
            node = node.parent
        node = None if node is None or node.mem_id == body.mem_id else node.next
    page.end_line()
    return "\n".join(page.lines).strip("\n")


def _simple(markup: re.Match[str]) -> str:
    """A tag with what is needed of it. A parser takes minutes for a tag with many attributes."""
    name = (markup["name"] or "").lower()
    if not name:
        return "&lt;" if markup[0] == "<" else ""
    name = "span" if name in LETTERING else name
    if markup["end"]:
        return f"</{name}>"
    needed = {found[1].lower(): found[2] or found[3] or found[4] or "" for found in NEEDED.finditer(markup["more"])}
    kept = [f' {key}="{value.replace(chr(34), "&quot;")}"' for key, value in needed.items()]
    return f"<{name}{''.join(kept)}>"


def _costs_little(html: str) -> bool:
    """Whether its tags are not too many, and don't nest too deep. An end tag that closes nothing does not count."""
    if html.count("<") > MOST_TAGS:
        return False
    opened, depth = Counter[str](), 0
    for tag in TAG.finditer(html):
        if (name := tag[2].lower()) not in SHALLOW and (not tag[1] or opened[name]):
            step = -1 if tag[1] else 1
            opened[name] += step
            depth += step
        if depth > DEEPEST_TREE:
            return False
    return True


def _enter(page: Page, node: LexborNode) -> bool:
    """Whether what is inside is to be read, too."""
    tag = node.tag
    if tag == "-text":
        inside_pre = node.parent is not None and node.parent.tag == "pre"
        text = node.text_content or ""
        page.add((text if inside_pre else BLANKS.sub(" ", text)).replace("\xa0", " "))
        return False
    if tag in UNSEEN or HIDDEN.search(node.attributes.get("style") or ""):
        return False
    if tag == "br":
        page.break_line()
    elif tag == "hr":
        page.end_line()
        page.add(RULE)
        page.end_line()
    elif tag in ("td", "th"):
        page.add(" ")
    if tag in BLOCKS:
        page.end_line(apart=tag in APART)
    if tag == "li":
        page.add("- ")
    if tag == "blockquote":
        page.depth += 1
    return True


def _leave(page: Page, node: LexborNode) -> None:
    tag = node.tag
    if tag == "-text" or tag in UNSEEN or HIDDEN.search(node.attributes.get("style") or ""):
        return
    if tag == "a":
        target = node.attributes.get("href") or ""
        if target.startswith(("http://", "https://")) and target.partition("//")[2].strip("/") not in page.line:
            page.add(f" <{target}>")
    if tag in BLOCKS:
        page.end_line()
    if tag == "blockquote":
        page.depth -= 1
    if tag in APART:
        page.end_line(apart=True)
