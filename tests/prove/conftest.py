"""Benches without traffic."""

from collections.abc import Callable
from pathlib import Path

import pytest

from nlbgen.spec.load import Spec

from .fake_bench import FakeBench, MakeBench


@pytest.fixture
def make_bench(make_spec: Callable[..., Spec], tmp_path: Path) -> MakeBench:
    """Makes the bench of a farm without problems, with the changes that are given."""

    def make(vendor: str = "haproxy", **changes: object) -> FakeBench:
        return FakeBench(make_spec(**changes), tmp_path, vendor)

    return make
