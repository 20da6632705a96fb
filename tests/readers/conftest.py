"""The real programs beside which the readers are tested."""

import pytest

from tests.conftest import find_binary


@pytest.fixture(scope="session")
def find_nginx() -> str:
    """The path of NGINX."""
    found = find_binary("nginx")
    if found is None:
        pytest.skip("nginx is not installed")
    return found
