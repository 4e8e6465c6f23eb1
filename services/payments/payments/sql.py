"""How SQL is put together."""

from __future__ import annotations


def columns_of(table: str, columns: str) -> str:
    """The columns, each with its table's name, for a join."""
    return ", ".join(f"{table}.{name.strip()}" for name in columns.split(","))
