"""Net, tax and total of lines. Values in, values out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from contracts.money import LARGEST_MINOR, half_up
from contracts.refusals import Refusal


class LineLike(Protocol):
    @property
    def quantity(self) -> Decimal: ...
    @property
    def unit_price_minor(self) -> int: ...
    @property
    def tax_rate(self) -> Decimal: ...


@dataclass(frozen=True, slots=True)
class Priced:
    """Net of each line, tax of each rate, and their sum, in minor units."""

    nets: tuple[int, ...]
    taxes: tuple[tuple[Decimal, int, int], ...]  # rate, net, tax
    total: int


def price(lines: Sequence[LineLike]) -> Priced:
    """A line's net rounds half up; tax is computed per rate on the sum of nets and rounded once."""
    nets = tuple(half_up(line.quantity * line.unit_price_minor) for line in lines)
    for place, net in enumerate(nets):
        if abs(net) > LARGEST_MINOR:
            raise Refusal(
                "line-out-of-range", f"line {place} comes to {net}, more than any amount here", f"lines.{place}"
            )
    by_rate: dict[Decimal, int] = {}
    for line, net in zip(lines, nets, strict=True):
        rate = line.tax_rate.normalize()
        by_rate[rate] = by_rate.get(rate, 0) + net
    taxes = tuple((rate, net, half_up(net * rate)) for rate, net in sorted(by_rate.items()))
    total = sum(nets) + sum(tax for _, _, tax in taxes)
    if not 0 < total <= LARGEST_MINOR:
        raise Refusal(
            "total-out-of-range",
            f"the lines sum to {total}; an invoice's total lies above zero",
            "lines",
            values={"total": total},
        )
    return Priced(nets, taxes, total)


def line_totals(lines: Sequence[tuple[Decimal, int]], taxes: Mapping[Decimal, int]) -> tuple[int, ...]:
    """What each line comes to with tax. `lines`: rate and net; `taxes`: the tax of each rate, which the lines share.

    A tax that does not divide goes to the lines by the largest remainder, so that the lines sum to the total.
    """
    totals = [net for _, net in lines]
    for rate, tax in taxes.items():
        places = [place for place, (of, _) in enumerate(lines) if of == rate]
        exact = {place: lines[place][1] * rate for place in places}
        shares = {place: math.floor(exact[place]) for place in places}
        left = tax - sum(shares.values())
        for place in sorted(places, key=lambda one: (shares[one] - exact[one], one))[:left]:
            shares[place] += 1
        for place in places:
            totals[place] += shares[place]
    return tuple(totals)
