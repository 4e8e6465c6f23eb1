"""Net, tax and total of lines. Values in, values out."""

from __future__ import annotations

from collections.abc import Sequence
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
