"""When the garbage of a long-running process is collected."""

import gc


def collect_seldom() -> None:
    """For a process that has all its modules: going through their objects again and again takes a tenth of its time.

    What requests leave behind is freed by its reference counts; only cycles wait for a collection.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
