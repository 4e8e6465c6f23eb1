"""Files as they are shown."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

FileState = Literal["scanning", "ready", "infected"]


class FileView(BaseModel):
    """A file. Only one that is `ready` can be downloaded; `scanning`: for viruses, so that nobody else sees it yet."""

    id: str
    name: Annotated[str, Field(description="The name that it was sent with, made harmless")]
    type: Annotated[str, Field(description="Its media type, found by its content")]
    size: Annotated[int, Field(description="In bytes")]
    state: Annotated[FileState, Field(description="`infected`: a virus was found, so it was deleted")]
