"""What the tests of commands share."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def farm(tmp_path: Path, farm_data: Callable[..., dict[str, Any]]) -> Callable[..., Path]:
    """Writes a farm without problems, with the changes that are given; its path."""

    def write(file: str = "farm.yaml", **changes: object) -> Path:
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(farm_data(**changes), indent=2), encoding="utf-8")
        return path

    return write
