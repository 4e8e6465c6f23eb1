"""What methods do by themselves: asking what became of setups, and having the provider forget methods."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from chassis.messaging.work import Units
from chassis.service import Running
from contracts.refusals import Refusal
from payments.methods import setting_up
from payments.methods.domain.methods import remove
from payments.methods.messages import method_removed
from payments.methods.store.methods import claim_detaches, detached, lock_methods_by_id, save_method, used_up
from payments.methods.store.setups import claim_setups
from payments.providers import Provider
from payments.setbacks import in_turn
from payments.setbacks.in_turn import side_by_side


async def look_at_setups(running: Running) -> bool:
    """Ask what became of open visits to the provider's page: webhooks may be lost."""
    provider: Provider = running.more["provider"]
    due = await claim_setups(running.pool, running.settings.charges_at_once)
    await side_by_side(setting_up.look(running.units, provider, setup) for setup in due)
    return False


async def detach_methods(running: Running) -> bool:
    """Have the provider forget methods that were removed, and remove those whose one payment was made."""
    used = await used_up(running.pool, 100)
    await in_turn.together(running.units, "detach-methods", used, partial(_remove, running.units))
    provider: Provider = running.more["provider"]
    due = await claim_detaches(running.pool, running.settings.charges_at_once)
    await side_by_side(_detach(running, provider, method_id, provider_id) for method_id, provider_id in due)
    return False


async def _remove(units: Units, method_ids: Sequence[str]) -> None:
    async with units.begin() as work:
        for method in (await lock_methods_by_id(work, method_ids)).values():
            gone = remove(method, autopay_needs=False, under_way=False, now=work.now)
            assert not isinstance(gone, Refusal)
            if method.removed_at is None:
                await save_method(work, gone)
                work.emit(method_removed(gone, work.now))


async def _detach(running: Running, provider: Provider, method_id: str, provider_id: str) -> None:
    await provider.detach_method(provider_id)
    await detached(running.pool, method_id, running.clock.now())
