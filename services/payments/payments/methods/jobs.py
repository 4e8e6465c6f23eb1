"""Tasks and jobs: follow setups, and let the provider forget removed methods."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from chassis.messaging.work import Units
from chassis.running import Running
from chassis.tasks.queue import Later, Task
from contracts.refusals import Refusal
from payments.methods import setting_up
from payments.methods.domain.methods import remove
from payments.methods.store.methods import detached, load_detaching, lock_methods_by_id, used_up
from payments.methods.store.setups import load_setup
from payments.own import Own
from payments.providers import ProviderUnknown
from payments.setbacks import in_turn

SOONEST, LATEST = timedelta(seconds=5), timedelta(minutes=5)
BEGINS_WITHIN = timedelta(hours=1)
IN_USE_PAUSE = timedelta(minutes=1)


async def look_at_setup(task: Task, running: Running[Own]) -> None:
    """Ask the provider for the outcome of a setup until it has ended, because webhooks may be lost."""
    provider = running.own.provider
    since = running.clock.now() - datetime.fromisoformat(task.body["since"])
    setup = await load_setup(running.pool, task.id, None)
    if setup is None or (setup.state == "begun" and since > BEGINS_WITHIN):  # the provider never made the page
        return
    if setup.state == "open":
        try:
            await setting_up.look(running.units, provider, setup)
        except ProviderUnknown:
            raise Later(_pause(since)) from None
        setup = await load_setup(running.pool, task.id, None)
    if setup is not None and setup.state in ("begun", "open"):
        raise Later(_pause(since))


def _pause(since: timedelta) -> timedelta:
    """The pause until the next request: as long as the setup has lasted so far, from 5 seconds to 5 minutes."""
    return min(max(since, SOONEST), LATEST)


async def detach_method(task: Task, running: Running[Own]) -> None:
    """Let the provider forget a removed method.

    It waits while a payment by it is under way: one may have been confirmed at the moment of the removal.
    """
    provider = running.own.provider
    found = await load_detaching(running.pool, task.id)
    if found is None:
        return
    if found.in_use:
        raise Later(IN_USE_PAUSE)
    try:
        await provider.detach_method(found.provider_id)
    except ProviderUnknown:
        raise Later(IN_USE_PAUSE) from None
    await detached(running.pool, task.id, running.clock.now())


async def remove_used_up(running: Running[Own]) -> bool:
    """Remove methods for one payment after that payment was made."""
    used = await used_up(running.pool, 100)
    await in_turn.together(running.units, "remove-used-up", used, partial(_remove, running.units))
    return False


async def _remove(units: Units, method_ids: Sequence[str]) -> None:
    async with units.begin() as work:
        for method in (await lock_methods_by_id(work, method_ids)).values():
            gone = remove(method, autopay_needs=False, under_way=False, now=work.now)
            assert not isinstance(gone, Refusal)
            if method.removed_at is None:
                await setting_up.take_away(gone, work)
