"""Stripe's lists: the parameters that bound one, and its pages."""

from collections.abc import Iterator
from typing import Any

from sandbox import forms, render
from sandbox.errors import invalid
from sandbox.forms import Params
from sandbox.store import Created

Json = dict[str, Any]

LISTED = ("limit", "starting_after", "created")


def page(url: str, params: Params, items: Iterator[Json]) -> Json:
    """One page of a list; `starting_after` is skipped up to and including."""
    limit, after = limit_of(params), forms.text(params, "starting_after")
    if after is not None:
        for item in items:
            if item["id"] == after:
                break
    found = [item for _, item in zip(range(limit + 1), items, strict=False)]
    return render.page(url, found[:limit], len(found) > limit)


def limit_of(params: Params) -> int:
    limit = forms.integer(params, "limit")
    if limit is not None and not 1 <= limit <= 100:
        raise invalid("This value must be between 1 and 100.", "limit", "parameter_invalid_integer")
    return limit or 10


def created_of(params: Params) -> Created:
    """`created=…`, or `created[gte]=…` and its like."""
    wanted = params.get("created")
    if not isinstance(wanted, dict):
        exact = forms.integer(params, "created")
        return Created(exact, exact) if exact is not None else Created()
    forms.only(wanted, "gt", "gte", "lt", "lte")
    first, last = forms.integer(wanted, "gte"), forms.integer(wanted, "lte")
    above, below = forms.integer(wanted, "gt"), forms.integer(wanted, "lt")
    return Created(
        max(first or 0, above + 1 if above is not None else 0),
        min(2**53 if last is None else last, below - 1 if below is not None else 2**53),
    )


def expand_of(params: Params) -> list[str]:
    return forms.strings(params, "expand")
