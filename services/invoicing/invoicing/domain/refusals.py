"""Why a request can't be met."""


class Refused(Exception):
    """An expected refusal: the request is at fault, nothing has changed. `code` is a stable slug.

    `values`: what a sentence in another language needs beside the code.
    """

    def __init__(
        self, code: str, detail: str, field: str | None = None, *, conflict: bool = False, **values: str | int
    ) -> None:
        super().__init__(detail)
        self.code, self.detail, self.field, self.conflict, self.values = code, detail, field, conflict, values
