"""Settings of the sandbox, from the environment."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Settings:
    host: str
    port: int
    home: Path
    key: str
    webhook_url: str | None
    webhook_secret: str
    webhook_events: frozenset[str]
    clock_file: Path | None
    time_zone: str
    bank_clear_seconds: float
    public_url: str


# The types that a webhook endpoint of Paidup's subscribes to; all types stand in the list of events.
_WANTED = (
    "payment_intent.succeeded,payment_intent.processing,payment_intent.payment_failed,payment_intent.requires_action,"
    "payment_intent.canceled,charge.dispute.created,charge.dispute.updated,charge.dispute.closed,"
    "refund.created,refund.updated,refund.failed,payout.created,payout.updated,payout.paid,payout.failed,"
    "payout.reconciliation_completed,checkout.session.completed,checkout.session.expired,setup_intent.succeeded,"
    "setup_intent.setup_failed"
)


def from_environment() -> Settings:
    """Settings; `SystemExit` with the name of what is missing."""
    env = os.environ
    for name in ("SANDBOX_PORT", "SANDBOX_HOME", "SANDBOX_KEY"):
        if not env.get(name):
            raise SystemExit(f"set {name}")
    if env.get("SANDBOX_WEBHOOK_URL") and not env.get("SANDBOX_WEBHOOK_SECRET"):
        raise SystemExit("set SANDBOX_WEBHOOK_SECRET, or unset SANDBOX_WEBHOOK_URL")
    return Settings(
        host=env.get("SANDBOX_HOST", "127.0.0.1"),
        port=int(env["SANDBOX_PORT"]),
        home=Path(env["SANDBOX_HOME"]),
        key=env["SANDBOX_KEY"],
        webhook_url=env.get("SANDBOX_WEBHOOK_URL") or None,
        webhook_secret=env.get("SANDBOX_WEBHOOK_SECRET", ""),
        webhook_events=frozenset(env.get("SANDBOX_WEBHOOK_EVENTS", _WANTED).split(",")),
        clock_file=Path(env["PAIDUP_CLOCK_FILE"]) if env.get("PAIDUP_CLOCK_FILE") else None,
        time_zone=env.get("PAIDUP_TIME_ZONE", "UTC"),
        public_url=env.get("SANDBOX_PUBLIC_URL", f"http://127.0.0.1:{env['SANDBOX_PORT']}").rstrip("/"),
        bank_clear_seconds=float(env.get("SANDBOX_BANK_CLEAR_SECONDS", "1")),
    )
