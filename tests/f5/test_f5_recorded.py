"""The simulated device answers what devices were recorded to answer: each recorded error, in the same situation."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.f5.bigip import BigIp, JsonValue

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "recorded" / "f5-errors"
CASES = sorted(path.stem for path in RECORDED.glob("*.json"))
Ask = Callable[..., tuple[int, Any]]
OTHER_KINDS = {
    "get_404_dns_profile": "no farm has a DNS profile",
    "get_404_virtual_address": "virtual addresses come with their virtual servers",
    "post_400_virtual_address_exists": "virtual addresses come with their virtual servers",
    "post_400_vs_bad_vlan": "no farm names a VLAN",
    "post_400_two_sni_defaults": "no farm has a default for SNI",
    "post_400_clientssl_keychain": "cut in the source",
    "post_400_html_tag": "no text of a farm holds a tag",
    "post_400_member_folder": "a member's folder is the pool's",
    "delete_400_partition_not_empty": "a push removes no partition",
    "put_404_missing": "a push sends no PUT",
    "tx_command_queued_12.1.2": "a push sends no PUT",
    "tx_failed_snatpool_in_use": "no farm has a pool of translated addresses",
    "as3_200_dry_run": "a push never asks for AS3's dry run",
    "as3_200_no_change": "a push does not declare what is there",
}
"""Recorded situations that no push causes: the simulator does not support them."""


@pytest.fixture
def ask(device: "BigIp") -> Ask:
    """Return a function that sends a request with a valid token; a text is sent unchanged."""
    device.tokens["T"] = 1e12

    def asked(method: str, path: str, body: "JsonValue" = None, **headers: str) -> tuple[int, Any]:
        raw = body.encode() if isinstance(body, str) else b"" if body is None else json.dumps(body).encode()
        given = {"X-F5-Auth-Token": "T", **{name.replace("_", "-"): value for name, value in headers.items()}}
        found: tuple[int, Any] = device.answer(method, path, given, raw)
        return found

    return asked


def get(path: str) -> Callable[..., tuple[int, Any]]:
    return lambda ask, _: ask("GET", f"/mgmt/tm/ltm/{path}")


def login(ask: Ask, **changes: str) -> tuple[int, Any]:
    body = {"username": "admin", "password": "correct horse", "loginProviderName": "tmos", **changes}
    return ask("POST", "/mgmt/shared/authn/login", body)


def unsigned(_ask: Ask, device: "BigIp") -> tuple[int, Any]:
    found: tuple[int, Any] = device.answer("GET", "/mgmt/tm/ltm/virtual", {}, b"")
    return found


def max_tokens(ask: Ask, device: "BigIp") -> tuple[int, Any]:
    device.user = "bfd47ab5-b430-323c-83ea-0d7b87b6e244"
    device.tokens |= {str(number): 1e12 for number in range(100)}
    return login(ask, username=device.user)


def expired(ask: Ask, device: "BigIp") -> tuple[int, Any]:
    device.tokens["T"] = 0.0
    return ask("GET", "/mgmt/tm/ltm/pool")


def node_in_use(ask: Ask, device: "BigIp") -> tuple[int, Any]:
    device.add("ltm node", "/Common/intra2", address="10.9.9.9")
    device.add("ltm pool", "/Common/intraPool", members=[{"name": "/Common/intra2:80"}])
    return ask("DELETE", "/mgmt/tm/ltm/node/~Common~intra2")


def pool_in_use(ask: Ask, device: "BigIp") -> tuple[int, Any]:
    device.add("ltm pool", "/Common/p")
    device.add("ltm virtual", "/Common/v", destination="/Common/10.0.0.1:80", pool="/Common/p")
    return ask("DELETE", "/mgmt/tm/ltm/pool/~Common~p")


def same_destination(ask: Ask, device: "BigIp") -> tuple[int, Any]:
    device.add("ltm virtual", "/Common/b", destination="/Common/10.0.0.1:80")
    return ask("POST", "/mgmt/tm/ltm/virtual", {"name": "/Common/a", "destination": "/Common/10.0.0.1:80"})


def same_address(ask: Ask, device: "BigIp") -> tuple[int, Any]:
    device.add("ltm node", "/Common/one", address="192.0.1.12")
    return ask("POST", "/mgmt/tm/ltm/node", {"name": "/Common/two", "address": "192.0.1.12"})


def rule_without_http(ask: Ask, device: "BigIp") -> tuple[int, Any]:
    device.add("auth partition", "Enterprise")
    device.add("ltm rule", "/Enterprise/my-irule", apiAnonymous="when HTTP_REQUEST { }")
    body = {"name": "/Enterprise/my-vip", "destination": "/Enterprise/10.0.0.1:80", "rules": ["/Enterprise/my-irule"]}
    return ask("POST", "/mgmt/tm/ltm/virtual", body)


def certificates(device: "BigIp", bigip: ModuleType) -> None:
    """A certificate, and the key of another one."""
    (certificate, _), (_, key) = bigip.pair("a"), bigip.pair("b")
    device.uploads |= {"a.crt": bigip.pem(certificate), "b.key": bigip.key_pem(key)}
    for kind, name in (("cert", "a.crt"), ("key", "b.key")):
        device.add(f"sys file ssl-{kind}", f"/Common/{name}", sourcePath=f"file:/var/config/rest/downloads/{name}")


def client_ssl(ask: Ask, device: "BigIp", name: str, key: str) -> tuple[int, Any]:
    import sys

    certificates(device, sys.modules["f5_bigip"])
    chain = [{"name": "site", "cert": "/Common/a.crt", "key": key}]
    return ask("POST", "/mgmt/tm/ltm/profile/client-ssl", {"name": name, "certKeyChain": chain})


def exists(ask: Ask, device: "BigIp", kind: str, path: str) -> tuple[int, Any]:
    device.add(kind, path)
    return ask("POST", f"/mgmt/tm/{kind.replace(' ', '/')}", {"name": path})


def member(ask: Ask, device: "BigIp", *, twice: bool) -> tuple[int, Any]:
    pool = "/Common/POOL" if twice else "/Common/test_5679"
    members = [{"name": "/Common/1.1.1.1:80", "address": "1.1.1.1"}]
    device.add("ltm pool", pool, members=members)
    path = f"/mgmt/tm/ltm/pool/{pool.replace('/', '~')}/members"
    if twice:
        return ask("POST", path, members[0])
    return ask("PATCH", f"{path}/~Common~wrong:80", {"ratio": 2})


def transaction(ask: Ask, *commands: tuple[str, str, Any]) -> tuple[int, Any]:
    number = str(ask("POST", "/mgmt/tm/transaction", {})[1]["transId"])
    for method, path, body in commands:
        ask(method, path, body, X_F5_REST_Coordination_Id=number)
    return ask("PATCH", f"/mgmt/tm/transaction/{number}", {"state": "VALIDATING"})


def new_transaction(ask: Ask, device: "BigIp", version: str) -> tuple[int, Any]:
    device.version = version
    return ask("POST", "/mgmt/tm/transaction", {})


def fault(name: str) -> Callable[..., tuple[int, Any]]:
    import sys

    return lambda *_: sys.modules["f5_bigip"].STATUSES[name]


def as3(ask: Ask, device: "BigIp", body: "JsonValue", **state: "JsonValue") -> tuple[int, Any]:
    import sys

    extension = sys.modules["f5_as3"].As3(**state.pop("made", {}))
    vars(extension).update(state)
    device.extensions.append(extension.answer)
    return ask("POST", "/mgmt/shared/appsvcs/declare?async=true", body)


EMPTY = {"class": "ADC", "updateMode": "selective", "tenant1": {"class": "Tenant"}}
SITUATIONS: dict[str, Callable[[Ask, Any], tuple[int, Any]]] = {
    "as3_202_accepted": lambda ask, device: as3(ask, device, EMPTY),
    "as3_404_not_installed": lambda ask, device: as3(ask, device, EMPTY, made={"version": ""}),
    "as3_422_invalid": lambda ask, device: as3(ask, device, {**EMPTY, "tenant1": {}}),
    "as3_500_asynccontext_html": fault("async"),
    "as3_503_busy": lambda ask, device: as3(ask, device, EMPTY, busy=1),
    "auth_400_max_tokens": max_tokens,
    "auth_401_bad_password": lambda ask, _: login(ask, password="wrong"),
    "auth_401_bad_provider": lambda ask, _: login(ask, loginProviderName="ldap"),
    "auth_401_no_header": unsigned,
    "auth_401_token_expired": expired,
    "auth_401_token_unknown": lambda _, device: device.answer("GET", "/mgmt/tm/x", {"X-F5-Auth-Token": "other"}, b""),
    "busy_503_async_task": fault("busy"),
    "delete_400_node_in_use": node_in_use,
    "delete_400_pool_in_use": pool_in_use,
    "get_404_clientssl": get("profile/client-ssl/~T~A~x"),
    "get_404_irule": get("rule/~T~A~x"),
    "get_404_member_of_missing_pool": lambda ask, _: ask(
        "POST", "/mgmt/tm/ltm/pool/~Common~wrong/members", {"name": "/Common/a:80"}
    ),
    "get_404_monitor": get("monitor/http/~T~A~x"),
    "get_404_node": get("node/~T~A~x"),
    "get_404_object_not_found": lambda ask, device: (
        device.add("ltm pool", "/Common/p"),
        ask("GET", "/mgmt/tm/ltm/pool/~Common~p/members/~Common~10.200.1.137:80"),
    )[1],
    "get_404_pool": get("pool/~PART~POOL"),
    "get_404_pool_member": lambda ask, device: member(ask, device, twice=False),
    "get_404_virtual": get("virtual/~T~A~x"),
    "post_400_folder_not_found": lambda ask, _: ask("POST", "/mgmt/tm/ltm/pool", {"name": "/PART/x"}),
    "post_400_key_cert_mismatch": lambda ask, device: client_ssl(ask, device, "/Common/HOSTNAMEHERE", "/Common/b.key"),
    "post_400_key_not_found": lambda ask, device: client_ssl(ask, device, "/Common/x", "/Common/lbeform_2020_INT.key"),
    "post_400_node_ip_exists": same_address,
    "post_400_rule_needs_http": rule_without_http,
    "post_400_vs_shares_destination": same_destination,
    "post_409_exists": lambda ask, device: exists(ask, device, "ltm pool", "/Common/x"),
    "post_409_member_exists": lambda ask, device: member(ask, device, twice=True),
    "put_400_bad_json": lambda ask, _: ask("PATCH", "/mgmt/tm/ltm/pool/~Common~x", "{not json"),
    "put_400_no_properties": lambda ask, device: (
        device.add("ltm pool", "/Common/x"),
        ask("PATCH", "/mgmt/tm/ltm/pool/~Common~x", {}),
    )[1],
    "restart_404_public_uri": fault("public-uri"),
    "restart_404_uri_not_registered": fault("not-registered"),
    "restart_500_mcpd_lost": fault("mcpd"),
    "restart_503_html": fault("restarting"),
    "save_200": lambda ask, _: ask("POST", "/mgmt/tm/sys/config", {"command": "save"}),
    "sync_200": lambda ask, device: (
        device.groups.add("GROUP"),
        ask("POST", "/mgmt/tm/cm", {"command": "run", "utilCmdArgs": "config-sync to-group GROUP"}),
    )[1],
    "sync_400_no_group": lambda ask, _: ask(
        "POST", "/mgmt/tm/cm", {"command": "run", "utilCmdArgs": "config-sync to-group GROUP"}
    ),
    "tx_commit_empty": lambda ask, _: transaction(ask),
    "tx_create_11.5.0": lambda ask, device: new_transaction(ask, device, "11.6.0"),
    "tx_create_12.1.2": lambda ask, device: new_transaction(ask, device, "12.1.2"),
    "tx_failed_no_properties": lambda ask, device: (
        device.add("ltm pool", "/Common/x"),
        transaction(ask, ("PATCH", "/mgmt/tm/ltm/pool/~Common~x", {})),
    )[1],
    "tx_failed_not_found": lambda ask, _: transaction(
        ask,
        (
            "POST",
            "/mgmt/tm/ltm/virtual",
            {
                "name": "/Common/v",
                "destination": "/Common/10.0.0.1:80",
                "profiles": [{"name": "/Common/ssloT_fake_ssl.app/ssloT_fake_ssl-cssl-vht"}],
            },
        ),
    ),
    "tx_list_empty_11.6.0": lambda ask, _: ask("GET", "/mgmt/tm/transaction"),
}
VARYING = {
    *("transId", "selfLink", "id", "referer", "restOperationId", "timeoutSeconds", "declaration", "errors"),
    "declarationFullId",
}
"""What differs from answer to answer."""
CALLED = {
    "auth_401_no_header": " Uri:",
    "post_409_exists": "The requested",
    "restart_404_public_uri": ": /",
    "restart_404_uri_not_registered": "/mgmt",
}
"""The text from which on a message holds names of the recorded device."""


def test_recorded_answers_are_all_replayed_or_listed_as_other_kinds() -> None:
    if not RECORDED.exists():
        pytest.skip("the recorded answers are not at hand")
    assert set(CASES) == SITUATIONS.keys() | OTHER_KINDS.keys()


@pytest.mark.parametrize("case", sorted(SITUATIONS))
def test_simulator_in_a_recorded_situation_answers_as_recorded(
    case: str, ask: Ask, device: "BigIp", bigip: ModuleType, as3_module: ModuleType
) -> None:
    if not RECORDED.exists():
        pytest.skip("the recorded answers are not at hand")
    recorded = json.loads((RECORDED / f"{case}.json").read_text(encoding="utf-8"))
    status, body = SITUATIONS[case](ask, device)
    if recorded["status"] is not None:
        assert status == recorded["status"]
    wanted = recorded["body"]
    if isinstance(wanted, str):
        # Only the text was recorded, or a page of which only the sign is known.
        said = body if isinstance(body, str) else body["message"]
        assert wanted.partition(" ... ")[0] in said or said in wanted
        return
    for key in wanted.keys() - VARYING:
        if key == "message" and case in CALLED:
            assert body[key].partition(CALLED[case])[0] == wanted[key].partition(CALLED[case])[0]
        else:
            assert body[key] == wanted[key], key
