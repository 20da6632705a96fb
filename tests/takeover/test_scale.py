"""The work of `nlbgen init --from` grows with the size of a configuration, not with its square."""

from collections.abc import Callable
from pathlib import Path

import pytest

from nlbgen.readers.load import read
from nlbgen.takeover.importers import take

from ..lint.test_scale import calls, proxies, same_acl, selections, tracking


def taken(path: Path) -> None:
    draft = take(read(path), str(path))
    draft.finish({"frontend.host": "o.example", "farm": "o", "stores.signalr": "sqlserver"}, str(path), "farm.yaml")


@pytest.mark.no_cover
@pytest.mark.parametrize("shape", [proxies, selections, tracking, same_acl])
def test_work_grows_with_the_size_of_the_file(shape: Callable[[int], str], tmp_path: Path) -> None:
    path = tmp_path / "file.conf"
    calls(path, shape(1), taken)  # what is imported or compiled once
    small, large = calls(path, shape(150), taken), calls(path, shape(300), taken)
    assert large < 2.2 * small
