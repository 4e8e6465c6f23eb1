"""What goes wrong for a reason the reader can do something about."""


class StackError(Exception):
    """A failure with its remedy, shown without a traceback."""

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(f"{what}\n  Remedy: {remedy}" if remedy else what)
