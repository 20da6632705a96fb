"""The built page, once for all tests."""

import tempfile
from functools import cache
from pathlib import Path

import pytest

from ..tools import page
from ..tools.npm import NpmError


@cache
def site_or_skip() -> Path:
    """The folder of the built page; without npm's packages the test is skipped."""
    folder = Path(tempfile.mkdtemp(prefix="nlbgen-page-"))
    try:
        page.build(folder / "app")
    except NpmError as error:
        pytest.skip(str(error))
    return folder / "app"


@pytest.fixture(scope="session")
def site() -> Path:
    """The folder of the built page."""
    return site_or_skip()
