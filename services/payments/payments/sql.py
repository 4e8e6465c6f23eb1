"""Pieces of SQL statements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any


def columns_of(table: str, columns: str) -> str:
    """The columns, each with its table's name, for a join."""
    return ", ".join(f"{table}.{name.strip()}" for name in columns.split(","))


class Rows:
    """Rows as parameters of a statement, one array for each column. Columns and parameters have the same order.

    >>> Rows("p", id="uuid", amount="bigint").at(3)
    'unnest($3::uuid[], $4::bigint[]) AS p (id, amount)'
    """

    def __init__(self, name: str, **types: str) -> None:
        self.name, self.types = name, types
        self.columns = ", ".join(types)

    def __len__(self) -> int:
        return len(self.types)

    def at(self, first: int, *only: str) -> str:
        """The rows as SQL, with parameters from `$first` on; `columns`: only these."""
        places = {name: f"${place}::{kind}[]" for place, (name, kind) in enumerate(self.types.items(), first)}
        wanted = only or tuple(places)
        return f"unnest({', '.join(places[name] for name in wanted)}) AS {self.name} ({', '.join(wanted)})"

    def arrays(self, rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
        """The parameters for these rows."""
        return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in self.types]


def firsts(*widths: int) -> list[int]:
    """The number of the first parameter of each part of a statement, and of the part after them.

    >>> firsts(3, 1)
    [1, 4, 5]
    """
    return list(accumulate(widths, initial=1))
