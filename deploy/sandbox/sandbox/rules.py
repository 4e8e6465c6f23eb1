"""Trouble on demand: how the sandbox misbehaves, kept over restarts."""

import random
import time
from dataclasses import asdict, dataclass
from typing import Any

from sandbox.store import Store

_NUMBERS = (
    *("delay_ms", "reply_delay_ms", "bank_clear_seconds", "refund_clear_seconds"),
    *("payout_clear_seconds", "payout_every_seconds"),
)
_RATES = ("drop_replies",)


@dataclass(slots=True)
class Values:
    """`decline` a whole number: so many next cards; a fraction, or 1.0: that share. Times are real time."""

    decline: float = 0
    delay_ms: float = 0
    reply_delay_ms: float = 0
    drop_replies: float = 0
    webhook_delay_ms: float = 0
    webhook_copies: int = 1
    webhook_shuffle: bool = False
    webhooks_off: bool = False
    dark_until: float = 0
    bank_clear_seconds: float = 1
    refund_clear_seconds: float = 1
    payout_clear_seconds: float = 1
    payout_every_seconds: float = 0


class Rules:
    def __init__(self, store: Store, bank_clear_seconds: float) -> None:
        self._store = store
        usual = bank_clear_seconds
        self._usual = Values(bank_clear_seconds=usual, refund_clear_seconds=usual, payout_clear_seconds=usual)
        self.now = Values(**{**asdict(self._usual), **store.rules()})

    def dark(self) -> bool:
        return self.now.dark_until > time.time()

    def declines(self) -> bool:
        """Whether the next card is declined; a counted decline is used up by asking."""
        rule = self.now.decline
        if isinstance(rule, float):
            return random.random() < rule  # noqa: S311
        if rule <= 0:
            return False
        self.now.decline = rule - 1
        self._store.save_rules(self.now)
        return True

    def drops_reply(self) -> bool:
        return self.now.drop_replies > 0 and random.random() < self.now.drop_replies  # noqa: S311

    def webhook_delays(self) -> list[float]:
        """Seconds until each copy of an event is sent."""
        rules = self.now
        if rules.webhooks_off:
            return []
        delay = rules.webhook_delay_ms / 1000
        spread = max(1.0, delay) if rules.webhook_shuffle else 0.0
        return [delay + random.random() * spread for _ in range(rules.webhook_copies)]  # noqa: S311

    def clear_after(self) -> float | None:
        """Seconds until a bank debit clears; None: when a call asks for it."""
        return self.now.bank_clear_seconds or None

    def refund_after(self) -> float | None:
        """Seconds until a refund that is under way ends; None: when a call asks for it."""
        return self.now.refund_clear_seconds or None

    def payout_after(self) -> float | None:
        """Seconds until a payout goes a step on; None: when a call asks for it."""
        return self.now.payout_clear_seconds or None

    def reset(self) -> None:
        self.now = Values(**asdict(self._usual))
        self._save()

    def change(self, wanted: dict[str, Any]) -> None:
        """Take over what is named and leave the rest; `ValueError` for what it doesn't know."""
        values = asdict(self.now)
        for name, value in wanted.items():
            values |= _webhook_values(value) if name == "webhooks" else _value(name, value)
        self.now = Values(**values)
        self._save()

    def _save(self) -> None:
        with self._store.change():
            self._store.save_rules(self.now)


def _value(name: str, value: Any) -> dict[str, Any]:
    if name == "dark_seconds":
        return {"dark_until": time.time() + _number(name, value) if value else 0}
    if name == "decline":
        _number(name, value)
        if isinstance(value, float) and value > 1:
            raise ValueError("decline is a count (a whole number) or a share (at most 1.0)")
        return {name: value}
    if name in _NUMBERS or name in _RATES:
        if _number(name, value) > 1 and name in _RATES:
            raise ValueError(f"{name} is a share between 0 and 1")
        return {name: value}
    raise ValueError(f"unknown rule: {name}")


def _webhook_values(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("webhooks is an object")
    found: dict[str, Any] = {}
    for name, part in value.items():
        if name == "off" or name == "shuffle":
            if not isinstance(part, bool):
                raise ValueError(f"webhooks.{name} is true or false")
            found["webhooks_off" if name == "off" else "webhook_shuffle"] = part
        elif name == "duplicate":
            if not isinstance(part, int) or not 1 <= part <= 100:
                raise ValueError("webhooks.duplicate is how often each event is sent: 1 to 100")
            found["webhook_copies"] = part
        elif name == "delay_ms":
            found["webhook_delay_ms"] = _number(name, part)
        else:
            raise ValueError(f"unknown rule: webhooks.{name}")
    return found


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise ValueError(f"{name} is a number, not below 0")
    return value
