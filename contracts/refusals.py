"""Why a request can't be met: one shape for all services. The slugs are in `contracts.problems`."""

from __future__ import annotations

from collections.abc import Mapping


class Refusal(Exception):
    """An expected refusal: nothing has changed. Returned where the caller goes on, raised where it does not.

    `code` is the slug, `detail` says what happened and what to do, `field` is the one at fault. `conflict`: the request
    is sound, the state of things is in its way; `forbidden`: whoever asks may not. `values`: what stands in `detail`,
    by name, so that it can be said in another language.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        field: str | None = None,
        *,
        conflict: bool = False,
        forbidden: bool = False,
        values: Mapping[str, str | int] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code, self.detail, self.field = code, detail, field
        self.conflict, self.forbidden, self.values = conflict, forbidden, dict(values or {})

    @property
    def status(self) -> int:
        """Over HTTP."""
        return 403 if self.forbidden else 409 if self.conflict else 422

    def at(self, field: str | None) -> Refusal:
        """The same of another field, as the request calls it."""
        return self._again(self.detail, field)

    def adding(self, hint: str) -> Refusal:
        """The same, and what else can be done."""
        return self._again(self.detail + hint, self.field)

    def _again(self, detail: str, field: str | None) -> Refusal:
        return Refusal(self.code, detail, field, conflict=self.conflict, forbidden=self.forbidden, values=self.values)
