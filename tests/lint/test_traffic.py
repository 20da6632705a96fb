"""Each rule about HAProxy and NGINX is tested by requests through the real program, or docs/lint.md says why not."""

import ast
import re
from pathlib import Path
from typing import Final

import pytest

from nlbgen.lint.registry import rules
from nlbgen.readers.tree import Vendor

ROOT: Final = Path(__file__).parents[2]
FILES: Final[dict[Vendor, str]] = {"haproxy": "test_lint_rules.py", "nginx": "test_lint_nginx_rules.py"}
_ROW: Final = re.compile(r"^\| `([a-z0-9-]+)` \| (.+) \|$", re.MULTILINE)


def texts_of(vendor: Vendor) -> set[str]:
    """The texts in the tests of a vendor: the ids of rules are among them."""
    tree = ast.parse((ROOT / "tests" / "behaviour" / FILES[vendor]).read_text(encoding="utf-8"))
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def excepted() -> dict[str, str]:
    """The rules of the table with their reasons."""
    text = (ROOT / "docs" / "lint.md").read_text(encoding="utf-8")
    return dict(_ROW.findall(text.partition("<!-- generated")[0]))


@pytest.mark.parametrize("vendor", FILES)
def test_each_rule_is_tested_by_requests_or_has_a_reason_why_not(vendor: Vendor) -> None:
    found, reasons = texts_of(vendor), excepted()
    unclear = [rule.id for rule in rules(vendor) if (rule.id in found) is (rule.id in reasons)]
    assert unclear == [], "write a test in tests/behaviour, or a row in docs/lint.md; not both"


def test_the_exceptions_are_rules() -> None:
    known = {rule.id for vendor in FILES for rule in rules(vendor)}
    assert set(excepted()) <= known
    assert excepted(), "the table is found"
