"""Strict reading of the data files that the service is shipped with."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError


class DataFileError(ValueError):
    """A data file can't be used: its path, and what is wrong with it."""


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def read_file(model: type[Any], path: Path) -> Any:
    try:
        return model.model_validate(tomllib.loads(path.read_text()))
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as fault:
        raise DataFileError(f"{path}: {fault}") from fault
