"""Makes methods of setups on the provider's page. Webhooks, polls and the payer's return all come through here."""

from __future__ import annotations

from dataclasses import replace

from chassis.messaging.work import Cause, Units, Work
from chassis.tasks import queue as tasks
from contracts.ids import is_id, new_id
from payments.methods.domain.methods import Method, Verification, changed, disable
from payments.methods.messages import method_added, method_changed, method_removed
from payments.methods.store.methods import add_method, lock_methods, lock_methods_by_id, method_of_provider, save_method
from payments.methods.store.setups import Setup, end_setup, load_setup, lock_setup
from payments.projections.store import lock_customer
from payments.providers import MethodDetails, Provider, ProviderRefused, SetupOutcome


def method_from(
    details: MethodDetails, customer_id: str, *, saved: bool = True, method_id: str | None = None
) -> Method:
    """Make a new method from the provider's details."""
    year, month = details.expires or (None, None)
    return Method(
        method_id or new_id(), customer_id, details.provider_id, details.kind, details.funding, details.brand,
        details.last4, year, month, _upper(details.country), _upper(details.state), details.postal_code, saved=saved,
    )  # fmt: skip


def _upper(text: str | None) -> str | None:
    return text.strip().upper() or None if text else None


async def add(method: Method, work: Work, setup_id: str | None = None) -> Method:
    """Add a method, under its customer's lock. The first saved one is the default. A known one is not changed."""
    known = await lock_methods(work, method.customer_id)
    there = next((one for one in known if one.provider_id == method.provider_id), None)
    if there is not None:
        return there
    method = replace(method, is_default=method.saved and not any(one.is_default for one in known))
    await add_method(work, method, setup_id)
    work.emit(method_added(method, work.now))
    return method


async def look(units: Units, provider: Provider, setup: Setup) -> None:
    """Ask the provider for the outcome of a setup, and save it."""
    if setup.provider_id is None:
        return
    try:
        outcome = await provider.setup_outcome(setup.provider_id)
    except ProviderRefused as refused:
        outcome = SetupOutcome("failed", reason=refused.code or "refused_by_provider")
    await save_outcome(units, setup, outcome)


async def take_event(units: Units, provider: Provider, setup_id: str) -> None:
    """Take an event about a setup. A setup of another system is ignored."""
    setup = await load_setup(units.pool, setup_id, None) if is_id(setup_id) else None
    if setup is not None:
        await look(units, provider, setup)


async def save_outcome(units: Units, setup: Setup, outcome: SetupOutcome, cause: Cause | None = None) -> None:
    """Save the outcome of a setup once, even if it arrives several times and in several ways."""
    if outcome.state == "open":
        return
    async with units.begin(cause) as work:
        await lock_customer(work, setup.customer_id)
        now = await lock_setup(work, setup.id)
        assert now is not None, "setups are never deleted"
        if now.method_id is not None:
            await _verified(now.method_id, outcome, work)
        elif outcome.method is not None and outcome.state in ("succeeded", "verifying"):
            await _complete(now, outcome, outcome.method, work)
        elif now.state == "open" and outcome.state in ("failed", "expired"):
            await end_setup(work, now.id, outcome.state, reason=outcome.reason)


async def _complete(setup: Setup, outcome: SetupOutcome, details: MethodDetails, work: Work) -> None:
    known = await method_of_provider(work.connection, details.provider_id)
    if known is None:
        method = method_from(details, setup.customer_id, saved=setup.saved)
        verification: Verification = "verified" if outcome.state == "succeeded" else "pending"
        method = replace(method, verification=verification, setup_reference=setup.provider_id)
        known = (await add(method, work, setup.id)).id
    await end_setup(work, setup.id, "complete", method_id=known)


async def _verified(method_id: str, outcome: SetupOutcome, work: Work) -> None:
    method = (await lock_methods_by_id(work, [method_id])).get(method_id)
    if method is None or method.verification != "pending" or outcome.state not in ("succeeded", "failed"):
        return
    verification: Verification = "verified" if outcome.state == "succeeded" else "failed"
    await save(changed(method, verification=verification), work)


async def save(method: Method, work: Work) -> None:
    """Save a changed method, and emit its event."""
    await save_method(work, method)
    work.emit(method_changed(method, work.now))


async def take_away(removed: Method, work: Work) -> None:
    """Save a removed method, emit its event, and add the task that lets the provider forget it."""
    await save_method(work, removed)
    work.emit(method_removed(removed, work.now))
    await tasks.enqueue(work, "detach-methods", removed.id)


async def disable_methods(reasons: dict[str, str], work: Work) -> None:
    """Disable methods that must not be charged again. `reasons`: by method id, in words."""
    for method_id, method in (await lock_methods_by_id(work, list(reasons))).items():
        disabled = disable(method, reasons[method_id], work.now)
        if disabled is not None:
            await save(disabled, work)
