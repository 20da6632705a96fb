"""Texts of the spec in the documents that people copy commands from: code, quoted, or refused."""

import json
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from nlbgen.core.artifacts import Artifact
from nlbgen.core.errors import NlbgenError
from nlbgen.generators.base import VENDORS, generator, render
from nlbgen.nodes.prepare import rendering
from nlbgen.spec.load import Spec, load, loads
from tests.conftest import merged

HTML = "/etc/ssl/<img src=x onerror=alert(1)>.pem"
COMMAND = "/etc/ssl/a; touch $HOME/x && 'b' \"c\" | d.pem"
LINK = "/etc/ssl/[a](javascript:alert(1)) *b* _c_ ![d](//evil.example).pem"
BACKTICKS = "/etc/ssl/a`b` <img src=x> ``c.pem"
TEXTS = {"backticks": BACKTICKS, "html": HTML, "command": COMMAND, "link": LINK}


@pytest.fixture
def example(farm: Path) -> Callable[..., Spec]:
    """Makes the example's spec, with the changes that are given."""

    def make(**changes: object) -> Spec:
        path = farm / "farm.yaml"
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        if "stores" in changes:
            del data["stores"]["redis"]
        data = merged(data, changes)
        path.write_text(json.dumps(data), encoding="utf-8")
        return load(path)

    return make


def prepared(spec: Spec) -> tuple[Artifact, ...]:
    return rendering.render(spec, with_configs=False).files


def documents(spec: Spec) -> Iterator[tuple[str, str]]:
    for vendor in VENDORS:
        try:
            artifacts = render(generator(vendor), spec)
        except NlbgenError:  # refused, with its location: NGINX cannot quote a dollar sign, for example
            continue
        yield from ((f"{vendor}/{one.path}", one.content.decode()) for one in artifacts if one.path.suffix == ".md")
    yield from ((f"nodes/{one.path}", one.content.decode()) for one in prepared(spec) if one.path.suffix == ".md")


def tokens(text: str) -> Iterator[Token]:
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(text):
        yield token
        yield from token.children or ()


@pytest.mark.parametrize("name", TEXTS)
def test_path_is_code_in_every_document(name: str, example: Callable[..., Spec]) -> None:
    path = TEXTS[name]
    tls = {"certificate": path, "key": f"{path}.key", "verify_nodes": path}
    stores = {
        "signalr": "redis",
        "redis": {
            "tls": True,
            "password": {"file": path},
            "sentinel": {
                **dict.fromkeys(("certificate", "key", "ca"), path),
                "nodes": [{"name": f"r{one}", "address": f"10.0.0.{one}"} for one in (1, 2, 3)],
            },
        },
    }
    spec = example(frontend={"tls": tls}, stores=stores)
    found = 0
    for document, text in documents(spec):
        for token in tokens(text):
            seen = (document, token.type, token.content)
            if token.type in {"html_inline", "html_block"}:
                assert token.content.startswith("<!--"), seen  # the header that nlbgen writes itself
                assert "evil" not in token.content, seen
                assert "img" not in token.content, seen
            if token.type in {"link_open", "image", "text"}:
                assert "javascript" not in str(token.attrs) + token.content, seen
            if token.type in {"code_inline", "fence"} and path in token.content:
                found += 1
                for line in token.content.splitlines():
                    assert path not in line or line in {path, f"{path}.key"} or quoted_in(line, path), seen
    assert found


def quoted_in(line: str, path: str) -> bool:
    """Whether a shell that gets the line reads the path as a part of one word."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        return any(path in word for word in lexer)
    except ValueError:
        return False


@pytest.mark.parametrize("site", ['x" & calc & "', "a%PATH%", "a$(id)", "a`whoami`", "a|b", "a<b>", "a/b", "a\\b"])
def test_site_that_no_prompt_can_quote_is_refused(site: str, farm_data: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(NlbgenError, match="cannot be used as the name of an IIS site"):
        loads(json.dumps(farm_data(orchestrator={"site": site})))


def test_site_with_an_apostrophe_is_quoted_in_powershell(example: Callable[..., Spec]) -> None:
    spec = example(orchestrator={"site": "Bob's (UiPath) ünïcode #1"})
    text = "".join(one.content.decode("utf-8-sig") for one in prepared(spec))
    assert "'Bob''s (UiPath) ünïcode #1'" in text
    assert "'Bob's" not in text
