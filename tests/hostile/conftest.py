"""What the hostile tests share: the example farm, and how many inputs of a kind are tried.

`make test` tries few inputs of each kind, `make hostile` many. The inputs come from seeds: a number in a failed test's
name is enough to try it again.
"""

import os
import shutil
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
COUNT = int(os.environ.get("NLBGEN_HOSTILE", "25"))
"""How many inputs of each kind are tried."""
PASSWORDS = {"NLBGEN_REDIS_PASSWORD": "xq1z-redis", "NLBGEN_F5_PASSWORD": "xq1z-f5", "NLBGEN_ZEN_KEY": "xq1z-zen"}


@pytest.fixture
def farm(tmp_path: Path) -> Path:
    """A copy of the example farm, with the files of its nodes."""
    return Path(shutil.copytree(CHECKOUT / "examples", tmp_path / "farm"))
