"""When the garbage of a long-running process is collected."""

import gc


def collect_seldom() -> None:
    """Call it once all modules are loaded. Else the collector reads their objects again and again: a tenth of all time.

    What requests leave behind is freed by its reference counts; only cycles wait for a collection.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
