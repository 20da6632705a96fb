"""Answers of another form than any device was seen to send: each is an error with the device and the value."""

from typing import TYPE_CHECKING, Any

import pytest

from nlbgen.core.errors import DeviceError

if TYPE_CHECKING:
    from types import ModuleType

    from tests.f5.bigip import BigIp, Json, JsonValue
    from tests.f5.conftest import Console, Make, Pushed

pytestmark = pytest.mark.usefixtures("near")
POOL = "/mgmt/tm/ltm/pool"


def item(path: str = "/Common/orchestrator-test_web", **own: "JsonValue") -> "Json":
    return {"items": [{"fullPath": path, **own}]}


def answering(device: "BigIp", target: str, answer: "JsonValue", *, method: str = "GET") -> None:
    """Let the device give this answer to each request for a path."""

    def extension(_one: "BigIp", used: str, path: str, *_rest: object) -> tuple[int, Any] | None:
        return (200, answer) if used == method and path.partition("?")[0] == target else None

    device.extensions.append(extension)


@pytest.mark.parametrize(
    "answer, reason",
    [
        pytest.param([], "the response is a list, not an object", id="list"),
        pytest.param({"items": {}}, "items is a mapping, not a list", id="items-object"),
        pytest.param({"items": None}, "items is null, not a list", id="items-null"),
        pytest.param({"items": [1]}, r"items\[0\] is 1, not an object", id="item-number"),
        pytest.param({"items": [{}]}, "fullPath is null, not a text", id="no-path"),
        pytest.param(item(["x"]), "fullPath is a list, not a text", id="path-list"),  # type: ignore[arg-type]
        pytest.param(item("x"), 'fullPath is "x", not the path of an object', id="path-relative"),
        pytest.param(item("/x"), 'fullPath is "/x", not the path', id="path-short"),
        pytest.param(item("/Common//Common/x"), ".*not the path of an object", id="path-twice"),
        pytest.param(item(description={}), "description is a mapping, not a text or a number", id="word"),
        pytest.param(item(slowRampTime=[]), "slowRampTime is a list, not a text or a number", id="number"),
        pytest.param(item(membersReference="x"), 'membersReference is "x", not an object', id="reference"),
        pytest.param(item(membersReference={"items": 5}), "membersReference is 5, not a list", id="members"),
        pytest.param(item(members=[5]), r"members\[0\] is 5, not an object", id="member"),
        pytest.param(item(members=[{}]), r"members\[0\].name is null, not a text", id="member-name"),
        pytest.param(
            item(members=[{"name": "x", "partition": 5}]), r"members\[0\].partition is 5", id="member-partition"
        ),
        pytest.param(
            item(members=[{"name": "x", "partition": "P", "subPath": 5}]), r"members\[0\].subPath is 5", id="folder"
        ),
        pytest.param(
            item(members=[{"name": "/Common/x:80", "fqdn": 5}]), r"members\[0\].fqdn is 5, not an object", id="fqdn"
        ),
        pytest.param(
            item(members=[{"name": "/Common/x:80", "ratio": {}}]), r"members\[0\].ratio is a mapping", id="ratio"
        ),
    ],
)
def test_push_pools_of_another_form_are_an_error_that_names_the_value(
    make: "Make", pushed: "Pushed", device: "BigIp", answer: "JsonValue", reason: str
) -> None:
    answering(device, POOL, answer)
    with pytest.raises(DeviceError, match=f"127.0.0.1: ltm pool.*: the response cannot be read: {reason}"):
        pushed(make())
    assert not device.own()


@pytest.mark.parametrize(
    "kind, answer, reason",
    [
        ("ltm/rule", item("/Common/x", apiAnonymous=["when"]), "apiAnonymous is a list"),
        ("ltm/virtual", item("/Common/x", rules=5), "rules is 5, not a list"),
        ("ltm/virtual", item("/Common/x", rules=[{}]), r"rules\[0\] is a mapping"),
        ("ltm/node", item("x", address="10.0.0.1"), "fullPath"),
        ("ltm/node", item("/Common/x", address={}), "address is a mapping"),
        ("cm/device", {"items": 5}, "items is 5, not a list"),
    ],
)
def test_push_other_objects_of_another_form_are_an_error_that_names_the_value(
    make: "Make", pushed: "Pushed", device: "BigIp", kind: str, answer: "JsonValue", reason: str
) -> None:
    answering(device, f"/mgmt/tm/{kind}", answer)
    with pytest.raises(DeviceError, match=f"the response cannot be read: {reason}"):
        pushed(make())


@pytest.mark.parametrize(
    "partition, reason",
    [
        ({"defaultRouteDomain": 1}, "name is null"),
        ({"name": "Common", "defaultRouteDomain": "x"}, "defaultRouteDomain"),
    ],
)
def test_push_partitions_of_another_form_are_an_error_that_names_the_value(
    make: "Make", pushed: "Pushed", device: "BigIp", partition: "Json", reason: str
) -> None:
    answering(device, "/mgmt/tm/ltm/node", item("/Other/x", address="10.0.0.9%3"))
    answering(device, "/mgmt/tm/auth/partition", {"items": [partition]})
    with pytest.raises(DeviceError, match=f"auth partition: the response cannot be read: {reason}"):
        pushed(make())


@pytest.mark.parametrize("rules", [5, {"items": [{"actionsReference": {"isSubcollection": True}}]}])
def test_push_policies_of_another_form_are_an_error(
    make: "Make", pushed: "Pushed", device: "BigIp", rules: "JsonValue"
) -> None:
    answering(device, "/mgmt/tm/ltm/policy", item("/Common/x", rulesReference=rules))
    with pytest.raises(DeviceError, match=r"the response cannot be read: .* is (5|null), not"):
        pushed(make(balancer={"affinity": "signalr"}))


def test_push_that_prunes_files_without_a_path_is_an_error(make: "Make", pushed: "Pushed", device: "BigIp") -> None:
    pushed(make())
    answering(device, "/mgmt/tm/sys/file/ssl-cert", {"items": [{}]})
    with pytest.raises(DeviceError, match="sys file ssl-cert: the response cannot be read: fullPath"):
        pushed(make(), prune=True)


@pytest.mark.parametrize("number", [None, {"a": 1}, "../x", "", 1.5])
def test_push_transaction_without_a_number_is_an_error(
    make: "Make", pushed: "Pushed", device: "BigIp", number: "JsonValue"
) -> None:
    answering(device, "/mgmt/tm/transaction", {"transId": number}, method="POST")
    with pytest.raises(DeviceError, match="did not return a transaction"):
        pushed(make())
    assert not device.own()


@pytest.mark.parametrize("token", [None, 5, {}, "", "a b", "a\r\nX: y", "\u0142"])
def test_push_login_with_another_token_is_an_error(
    make: "Make", pushed: "Pushed", device: "BigIp", monkeypatch: pytest.MonkeyPatch, token: "JsonValue"
) -> None:
    monkeypatch.setattr(device, "_login", lambda _data: (200, {"token": {"token": token}}))
    with pytest.raises(DeviceError, match="the response to the login has no token"):
        pushed(make())


@pytest.mark.parametrize("depth", [60, 100_000])
def test_push_answer_that_is_nested_too_deep_is_an_error(
    make: "Make", pushed: "Pushed", device: "BigIp", depth: int
) -> None:
    answering(device, POOL, '{"items": ' + "[" * depth + "]" * depth + "}")
    with pytest.raises(DeviceError, match="ltm pool: the response cannot be read"):
        pushed(make())


def test_push_names_and_texts_of_a_device_are_printed_without_control_characters(
    make: "Make", pushed: "Pushed", device: "BigIp", console: "Console"
) -> None:
    """Half a surrogate pair cannot be printed, and an escape sequence would change the terminal."""
    mark = "nlbgen:orchestrator-test"
    answering(device, POOL, '{"items": [{"fullPath": "/Common/x\\u001b[2J\\ud800", "description": "' + mark + '"}]}')
    pushed(make(), dry_run=True)
    (note,) = [text for text in console.said if "no longer part of the farm" in text]
    assert r"/Common/x\x1b[2J" in note
    assert note.isprintable() and note.encode()


@pytest.mark.parametrize("code", ["x", None, [], {}])
def test_push_by_as3_result_without_a_code_is_a_refusal(
    make: "Make", pushed: "Pushed", device: "BigIp", as3_module: "ModuleType", code: "JsonValue"
) -> None:
    answering(device, "/mgmt/shared/appsvcs/declare", {"results": [{"code": code, "message": "m"}]}, method="POST")
    device.extensions.append(as3_module.As3().answer)
    with pytest.raises(DeviceError, match="AS3 refused the tenant"):
        pushed(make(f5={"api": "as3"}))


@pytest.mark.usefixtures("kept_descriptions")
@pytest.mark.parametrize(
    "method, answer",
    [
        ("get_session_identifier", "x"),
        ("get_version", "BIG-IP_vX"),
        ("get_partition_list", [5]),
        ("get_slow_ramp_time", ["x"]),
        ("get_slow_ramp_time", []),
        ("get_address", None),
    ],
)
def test_push_by_soap_answer_of_another_form_is_an_error(
    make: "Make",
    pushed: "Pushed",
    device: "BigIp",
    soap_module: "ModuleType",
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    answer: "JsonValue",
) -> None:
    pytest.importorskip("bigsuds")
    from nlbgen.push.f5.soap.portal import Portal

    device.renew(version="11.6.0", portal=soap_module.Portal())
    spec = make(f5={"api": "soap", "partition": "UiPath"}, frontend={"tls": {"mode": "none"}})
    pushed(spec)
    real = Portal.call
    monkeypatch.setattr(
        Portal, "call", lambda one, name, used, *args: answer if used == method else real(one, name, used, *args)
    )
    with pytest.raises(DeviceError, match="the response cannot be read"):
        pushed(spec)
