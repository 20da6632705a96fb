"""What must hold between objects: references, addresses, destinations, profiles, keys."""

import ipaddress
from collections.abc import Iterator

from .answers import Json, Key, Refusal
from .kinds import FLAGS, KINDS
from .names import node_of, not_found

PROFILE_KINDS = tuple(kind for kind in KINDS if kind.startswith("ltm profile"))
PERSIST_KINDS = tuple(kind for kind in KINDS if kind.startswith("ltm persistence"))
MONITOR_KINDS = tuple(kind for kind in KINDS if kind.startswith("ltm monitor"))


def refuse_in_use(objects: dict[Key, Json], kind: str, path: str) -> None:
    for (other, name), own in objects.items():
        if (
            kind == "ltm node"
            and other == "ltm pool"
            and any(node_of(m["name"]) == path for m in own.get("members", []))
        ):
            raise Refusal(400, f"01070110:3: Node address '{path}' is referenced by a member of pool '{name}'.")
        if kind == "ltm pool" and other == "ltm virtual" and own.get("pool") == path:
            raise Refusal(
                400,
                f"01070265:3: The Pool ({path}) cannot be deleted because it is in use by a Virtual Server ({name}).",
            )
        if (other, name) != (kind, path) and (kind, path) in set(named(objects, other, own)):
            raise Refusal(
                400, f"01070320:3: {KINDS[kind].label} {path} is still referenced by {KINDS[other].label} {name}."
            )


def find(objects: dict[Key, Json], kinds: tuple[str, ...], path: str) -> Key:
    for kind in kinds:
        if (kind, path) in objects:
            return kind, path
    raise Refusal(
        404,
        not_found(kinds[0], path)
        if len(kinds) == 1
        else f"01020036:3: The requested {KINDS[kinds[0]].label.split(' ')[-1].lower()} ({path}) was not found.",
    )


def named(objects: dict[Key, Json], kind: str, own: Json) -> Iterator[Key]:
    """Every object that this one names. Raises Refusal for an absent one."""
    for name, kinds in (
        ("defaultsFrom", (kind,)),
        ("sslProfile", ("ltm profile server-ssl",)),
        ("caFile", ("sys file ssl-cert",)),
        ("cipherGroup", ("ltm cipher group",)),
    ):
        if own.get(name) not in (None, "none"):
            yield find(objects, kinds, own[name])
    if kind == "ltm pool" and own.get("monitor"):
        for monitor in own["monitor"].split(" and "):
            yield find(objects, MONITOR_KINDS, monitor.strip())
    if kind == "ltm cipher group":
        for rule in own.get("allow", []):
            yield find(objects, ("ltm cipher rule",), rule["name"])
    if kind == "ltm profile client-ssl":
        yield from chain_names(objects, own)
    if kind == "ltm virtual":
        yield from virtual_names(objects, own)
    if kind == "ltm policy":
        yield from policy_names(objects, own)


def chain_names(objects: dict[Key, Json], own: Json) -> Iterator[Key]:
    for entry in own.get("certKeyChain", []):
        for key, value in entry.items():
            if key == "name" or value in (None, "none"):
                continue
            kind = "sys file ssl-key" if key == "key" else "sys file ssl-cert"
            if (kind, value) not in objects:
                called = "key" if key == "key" else "certificate"
                raise Refusal(400, f"01070277:3: The requested {called} ({value}) was not found.")
            yield kind, value


def policy_names(objects: dict[Key, Json], own: Json) -> Iterator[Key]:
    for rule in own.get("rules", []):
        for action in rule.get("actions", []):
            if "pool" in action:
                yield find(objects, ("ltm pool",), action["pool"])


def virtual_names(objects: dict[Key, Json], own: Json) -> Iterator[Key]:
    if own.get("pool") not in (None, "none"):
        yield find(objects, ("ltm pool",), own["pool"])
    for profile in own.get("profiles", []):
        yield find(objects, PROFILE_KINDS, profile["name"])
    for rule in own.get("rules", []):
        yield find(objects, ("ltm rule",), rule)
    for policy in own.get("policies", []):
        yield find(objects, ("ltm policy",), policy["name"])
    for persist in own.get("persist", []):
        yield find(objects, PERSIST_KINDS, persist["name"])


def check_one(objects: dict[Key, Json], kind: str, path: str) -> None:
    """Check one object, as a device does at each command."""
    own = objects[kind, path]
    list(named(objects, kind, own))
    if kind == "ltm node":
        check_node(objects, path, own)
    if kind == "ltm virtual":
        check_virtual(objects, path, own)
    if kind == "ltm policy":
        check_policy(path, own)
    for entry in own.get("certKeyChain", []):
        check_pair(objects, path, entry)
    if kind.startswith("ltm monitor") and own.get("timeout", 16) <= own.get("interval", 5):
        raise Refusal(400, f"01070734:3: Configuration error: {path}: the timeout must be greater than the interval")


def domain_of(objects: dict[Key, Json], path: str) -> int:
    """The default route domain of an object's partition."""
    return (
        int(objects.get(("auth partition", path.split("/")[1]), {}).get("defaultRouteDomain", 0)) if "/" in path else 0
    )


def placed(objects: dict[Key, Json], path: str, address: str) -> tuple[str, int]:
    """An address and its route domain."""
    plain, _, domain = address.partition("%")
    return plain, int(domain) if domain else domain_of(objects, path)


def check_node(objects: dict[Key, Json], path: str, own: Json) -> None:
    if "address" not in own and "tmName" not in own.get("fqdn", {}):
        raise Refusal(400, f"01070734:3: Configuration error: {path}: a node needs an address", 26214401)
    if "address" not in own:
        return
    wanted = placed(objects, path, own["address"])
    ipaddress.ip_address(wanted[0])
    for (kind, other), there in objects.items():
        if kind == "ltm node" and other != path and placed(objects, other, there.get("address", "")) == wanted:
            raise Refusal(400, f"0107176c:3: Invalid Node, the IP address {own['address']} already exists.")


def check_pair(objects: dict[Key, Json], path: str, entry: Json) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    certificate = objects["sys file ssl-cert", entry["cert"]]["content"]
    key = objects["sys file ssl-key", entry["key"]]["content"]
    public = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    if public != load_pem_private_key(key.encode(), None).public_key():
        raise Refusal(400, f"01070317:3: profile {path}'s key and certificate do not match")


def check_policy(path: str, own: Json) -> None:
    for rule in own.get("rules", []):
        if set(rule) - {"name", "actions", "conditions", "ordinal"}:
            raise Refusal(400, f"unknown property of the rule {rule['name']}", 26214401)
        for part in (*rule.get("actions", []), *rule.get("conditions", [])):
            unknown = {key for key, value in part.items() if value is True} - FLAGS
            unknown |= {key for key, value in part.items() if value is not True} - {
                "name",
                "pool",
                "values",
                "tmName",
                "expiry",
            }
            if unknown:
                raise Refusal(400, f"unknown property {unknown} of the rule {rule['name']}", 26214401)


def check_virtual(objects: dict[Key, Json], path: str, own: Json) -> None:
    destination = own.get("destination")
    if not destination:
        raise Refusal(400, f"01070734:3: Configuration error: {path} needs a destination", 26214401)
    last = destination.rpartition("/")[2]
    address, _, port = last.rpartition("." if last.count(":") > 1 else ":")
    if not port.isdecimal() or (address not in {"any", "any6"} and not ipaddress.ip_address(address)):
        raise Refusal(400, f'invalid property value "destination":"{destination}"', 26214401)
    for (kind, other), there in objects.items():
        if kind != "ltm virtual" or other == path:
            continue
        if there["destination"].split("/")[1] != destination.split("/")[1]:
            host = there["destination"].rpartition("/")[2].rpartition("." if ":" in address else ":")[0]
            if placed(objects, other, host) == placed(objects, path, address):
                raise Refusal(400, f"0107176c:3: Invalid Virtual Address, the IP address {address} already exists.")
        if there.get("destination") == destination:
            raise Refusal(
                400,
                f"01070333:3: Virtual Server {path} illegally shares destination address, source address, service port, ip-protocol, and vlan with Virtual Server {other}.",  # noqa: E501  # as recorded
            )
    kinds = [find(objects, PROFILE_KINDS, profile["name"])[0] for profile in own.get("profiles", [])]
    check_profiles(objects, path, own, kinds)


def check_profiles(objects: dict[Key, Json], path: str, own: Json, kinds: list[str]) -> None:
    if len([kind for kind in kinds if kind == "ltm profile tcp"]) > 1 and not any(
        "context" in p and p["context"] != "all" for p in own["profiles"]
    ):
        raise Refusal(400, f"01070734:3: Configuration error: {path}: two tcp profiles")
    web = "ltm profile http" in kinds
    for rule in own.get("rules", []):
        text = objects["ltm rule", rule].get("apiAnonymous", "")
        if "HTTP_REQUEST" in text and not web:
            raise Refusal(
                400,
                f"01071912:3: HTTP_REQUEST event in rule ({rule}) requires an associated HTTP or FASTHTTP profile on the virtual-server ({path}).",  # noqa: E501  # as recorded
            )
    if not web:
        cookies = [one for one in own.get("persist", []) if ("ltm persistence cookie", one["name"]) in objects]
        if cookies or own.get("policies") or "ltm profile websocket" in kinds:
            raise Refusal(
                400, f"01070394:3: {path}: an HTTP profile is required by its persistence, policy or websocket profile"
            )
    for side, kind in (("clientside", "ltm profile client-ssl"), ("serverside", "ltm profile server-ssl")):
        for profile in own.get("profiles", []):
            if (kind, profile["name"]) in objects and profile.get("context") != side:
                raise Refusal(400, f"01070734:3: Configuration error: {profile['name']} has the wrong context")


def check(objects: dict[Key, Json]) -> None:
    """Check all objects, as a device does after the last command."""
    for kind, path in list(objects):
        list(named(objects, kind, objects[kind, path]))
        if kind == "ltm virtual":
            check_virtual(objects, path, objects[kind, path])
