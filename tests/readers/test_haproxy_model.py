"""The effective model of haproxy.cfg: defaults, default-server, listeners, ACLs, and the backends of a frontend."""

import pytest

from nlbgen.readers.haproxy.conditions import acls, condition
from nlbgen.readers.haproxy.model import Model, Proxy, milliseconds, model
from nlbgen.readers.haproxy.reader import read_text


def made(text: str) -> Model:
    return model(read_text(text, "f"))


def proxy(text: str, name: str) -> Proxy:
    return next(one for one in made(text).proxies if one.name == name)


DEFAULTS = """defaults base
  mode http
  timeout server 10s
  option redispatch
defaults more from base
  timeout server 20s
  no option redispatch
backend a from base
backend b
  option redispatch 1
defaults
backend c
backend d from nothing
"""


def test_section_inherits_from_its_defaults() -> None:
    found = {one.name: one for one in made(DEFAULTS).proxies}
    assert [found[name].mode for name in "abcd"] == ["http", "http", "tcp", "tcp"]
    lengths = [found[name].timeout("server") for name in "abc"]
    assert [one and one.milliseconds for one in lengths] == [10_000, 20_000, None]
    options = [found[name].option("redispatch") for name in "abc"]
    assert [one and one.arguments for one in options] == [("redispatch",), ("redispatch", "1"), None]


def test_option_is_off_after_no_option() -> None:
    assert proxy("defaults x\n option redispatch\nbackend a\n no option redispatch\n", "a").option("redispatch") is None


@pytest.mark.parametrize(
    "text, length",
    [("10", 10), ("10s", 10_000), ("2m", 120_000), ("1h", 3_600_000), ("1d", 86_400_000), ("5x", None), ("", None)],
)
def test_times_are_milliseconds_or_have_a_unit(text: str, length: float | None) -> None:
    assert milliseconds(text) == length


def test_timeout_without_a_value_is_none() -> None:
    assert proxy("backend a\n timeout server\n", "a").timeout("server") is None
    assert proxy("backend a\n timeout server x\n", "a").timeout("server") is None


SERVERS = """defaults
  default-server inter 3s check
backend a
  server one 10.0.0.1:80 cookie check
  default-server no-check fall 5 on-marked-down shutdown-sessions
  server two 10.0.0.2:80 inter 1s backup
  server-template t 1-3 farm.example:80 check resolvers dns
  server broken
"""


def test_servers_have_the_settings_of_default_server_before_them() -> None:
    one, two, template = proxy(SERVERS, "a").servers
    assert (one.value("cookie"), one.value("inter"), one.has("check"), one.value("fall")) == ("check", "3s", True, None)
    assert (two.value("inter"), two.has("check"), two.value("fall"), two.has("backup")) == ("1s", False, "5", True)
    assert (template.template, template.name, template.address) == (True, "t", "farm.example:80")
    assert (two.name, two.address, two.location.line) == ("two", "10.0.0.2:80", 6)


def test_addresses_are_those_of_bind_and_of_the_section_line() -> None:
    found = proxy("listen a :80\n bind :443 ssl crt x alpn h2\n bind\n", "a").binds
    assert [bind.address.text for bind in found] == [":80", ":443"]
    setting = found[1].get("alpn")
    assert setting
    assert (setting.text, found[1].get("ssl") is not None, found[1].get("name")) == ("h2", True, None)
    assert proxy("defaults d\nlisten a from d\n", "a").binds == ()
    assert found[0].location.line == 1


TARGETS = """frontend f
  use_backend a if { path /a }
  use_backend missing
  default_backend b
frontend g
  use_backend %[req.hdr(host)]
listen h
  server one 10.0.0.1:80
backend a
  server one 10.0.0.1:80
backend b
  server one 10.0.0.1:80
backend empty
"""


def test_targets_are_the_backends_of_a_frontend() -> None:
    found = made(TARGETS)
    names = {one.name: [target.backend.name for target in found.targets(one)] for one in found.frontends}
    assert names == {"f": ["a", "b"], "g": ["a", "b"], "h": ["h"]}
    backend = found.proxy("a")
    assert backend
    assert [one.name for one in found.sources(backend)] == ["f", "g"]
    assert (found.proxy("none"), proxy("backend\n", "").name) == (None, "")


ACLS = """frontend f
  acl ws req.hdr(Upgrade) -i websocket
  acl ws path_beg -i -m beg /signalr /hub
  acl list src -f /etc/a.lst -f /etc/b.lst
  acl dashes hdr(x) -- -i
  acl short
  use_backend a if ws !list or { path /x } || ! { path -i /y } !!ws
  use_backend b unless ws
  use_backend c
  use_backend d if { }
"""


def test_acls_of_one_name_are_alternatives() -> None:
    known = acls(proxy(ACLS, "f"))
    assert [(test.fetch, test.values, test.method, test.ignores_case) for test in known["ws"]] == [
        ("req.hdr(Upgrade)", ("websocket",), "", True),
        ("path_beg", ("/signalr", "/hub"), "beg", True),
    ]
    assert known["list"][0].files == ("/etc/a.lst", "/etc/b.lst")
    assert known["dashes"][0].values == ("-i",)
    assert "short" not in known


def test_conditions_are_alternatives_of_terms() -> None:
    found = proxy(ACLS, "f")
    first, second, third, fourth = (condition(one, acls(found)) for one in found.all("use_backend"))
    assert first
    shown = [
        [(term.name, term.negated, [test.values for test in term.tests]) for term in one] for one in first.alternatives
    ]
    ws = [("websocket",), ("/signalr", "/hub")]
    assert shown == [
        [("ws", False, ws), ("list", True, [()])],
        [("", False, [("/x",)])],
        [("", True, [("/y",)]), ("ws", False, ws)],
    ]
    assert second
    assert (second.unless, len(list(second.tests))) == (True, 2)
    assert third is None
    assert fourth
    assert list(fourth.tests) == []
