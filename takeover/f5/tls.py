"""TLS from the clients and to the nodes: certificates, versions, ciphers, HSTS, the verification of the nodes."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from ...generators.f5.view import DEVICE_CAS
from ...generators.headers import SET_BY_BALANCER
from ...readers.f5.model import Profile
from ...readers.f5.objects import Item, full_path, properties
from ...readers.tree import Statement
from ...spec.model import Tls
from .source import Source, all_of

_OWN_CERTIFICATE: Final = "/Common/default.crt"
"""The certificate that the device made for itself."""
_OLD: Final = {"no-sslv3": "SSL 3.0", "no-tlsv1": "TLS 1.0", "no-tlsv1.1": "TLS 1.1"}
_SET: Final = frozenset(name.lower() for name in SET_BY_BALANCER)
_VERIFY: Final = "frontend.tls.verify_nodes"
_HSTS: Final = "strict-transport-security"


def take(source: Source) -> None:
    """Take the profiles of TLS."""
    main = source.roles.main
    for number, profile in enumerate(main.of_kind("client-ssl")):
        if number:
            source.account.given_up_all(
                (profile.statement, *all_of(profile.item.statement if profile.item else None)),
                f"{profile.path}: a farm has one certificate",
            )
        else:
            source.account.taken(profile.statement, "frontend.tls.mode")
            _clients(source, profile)
    if main.of_kind("client-ssl"):
        source.values.take("frontend.tls.hsts", _hsts(source))
    _nodes(source)
    _headers(source)
    for profile in main.of_kind("ntlm"):
        source.values.take("frontend.windows_sign_in", True, profile.statement)


def _headers(source: Source) -> None:
    """Account for the header that the http profile inserts, if nlbgen sets the same one."""
    for profile in source.roles.main.of_kind("http"):
        item = profile.item
        if item and item.text("header-insert").partition(":")[0].lower() in _SET:
            source.implied(item, "header-insert", "X-Forwarded-For, -Host, -Port and -Proto are set")


class _Pair(NamedTuple):
    names: dict[str, str]
    statements: dict[str, Statement]


def _clients(source: Source, profile: Profile) -> None:
    item = profile.item
    if item is None:
        source.account.given_up(profile.statement, f"{profile.path} has the device's own certificate")
        return
    source.account.taken(item.statement, "frontend.tls")
    _certificate(source, item)
    _versions(source, item)
    _ciphers(source, item)
    for name in ("server-name", "sni-default", "sni-require"):
        source.implied(item, name, "a farm has one certificate, which contains all its names")


def _pairs(source: Source, item: Item) -> Iterator[_Pair]:
    """The pairs of certificate and key of a profile, or of the nearest parent that has any."""
    for one in source.model.parents(item):
        chains = [entry for entry in one.block("cert-key-chain") if entry.block is not None]
        for entry in chains:
            source.account.implied(entry, "a certificate with its key")
            written = {found.name: found for found in properties(entry)}
            yield _Pair(
                {name: found.values[0].text for name, found in written.items() if found.values},
                {name: found.statement for name, found in written.items()},
            )
        if chains:
            source.implied(one, "cert-key-chain", "a certificate with its key")
            for name in ("cert", "key", "chain"):
                source.implied(one, name, "the value is in cert-key-chain")
            return
        if one.text("cert") not in {"", "none"}:
            names = {name: one.text(name) for name in ("cert", "key", "chain") if one.text(name)}
            yield _Pair(names, {name: found for name in names if (found := source.property(one, name))})
            return


def _certificate(source: Source, item: Item) -> None:
    pairs = [*_pairs(source, item)]
    for other in pairs[1:]:
        source.account.given_up_all(other.statements.values(), "a farm has one certificate")
    if pairs:
        _pair(source, pairs[0].names, pairs[0].statements)
    else:
        source.account.given_up(item.statement, "it has the device's own certificate, which no client trusts")


def _pair(source: Source, names: Mapping[str, str], statements: Mapping[str, Statement]) -> None:
    certificate, key = full_path(names.get("cert", "")), full_path(names.get("key", ""))
    chain = names.get("chain", "none")
    uploaded = (
        source.farm
        and chain != "none"
        and certificate
        in {
            f"{source.folder}/{source.farm}.crt",
            f"/Common/{source.farm}.crt",  # AS3's own folder has no files of nlbgen
        }
    )
    if uploaded:
        for statement in statements.values():
            source.account.taken(statement, "frontend.tls.certificate")
        return
    if certificate == _OWN_CERTIFICATE:
        source.account.given_up_all(statements.values(), "the device's own certificate, which no client trusts")
        return
    if source.values.take("f5.certificate", certificate, *all_of(statements.get("cert"))):
        source.values.take("f5.key", key, *all_of(statements.get("key")))
    if chain != "none":
        source.account.given_up_all(
            all_of(statements.get("chain")), "chain: f5.certificate names one object: it must hold the chain, too"
        )
    source.account.given_up_all(
        all_of(statements.get("passphrase")),
        "use a key without a passphrase, or store the passphrase in the key's object on the device",
    )


def _versions(source: Source, item: Item) -> None:
    for one in source.model.parents(item):
        statement = source.property(one, "options")
        if statement is None:
            continue
        words = {word.text for word in one.listed("options")} | {word.text for word in one.words("options")}
        allowed = [name for word, name in _OLD.items() if word not in words and "no-tls" not in words]
        inner = (statement, *statement.inside)
        for line in inner:
            for name in allowed:
                source.account.given_up(line, f"{name} is insecure: nlbgen allows TLS 1.2 or later")
        profile = "modern" if "no-tlsv1.2" in words else "intermediate"
        source.values.take("frontend.tls.profile", profile, *inner)
        return


def _ciphers(source: Source, item: Item) -> None:
    what = "frontend.tls.profile sets the TLS versions and ciphers"
    group = source.find(item, "cipher-group")
    source.implied(item, "ciphers", what)
    if group is None or group.text in {"none", ""}:
        source.implied(item, "cipher-group", what)
        if source.farm and source.at_least("tls-1.3"):
            source.values.take("f5.api", "soap", *all_of(source.property(item, "ciphers")))
    elif source.farm and full_path(group.text) == f"{source.folder}/{source.farm}_cipher_group":
        source.implied(item, "cipher-group", what)
    else:
        source.values.take("f5.cipher_group", full_path(group.text), *all_of(group.statement))


def _hsts(source: Source) -> bool:
    """Whether responses have Strict-Transport-Security, by an iRule or the http profile."""
    found = False
    for profile in source.roles.main.of_kind("http"):
        for item in source.model.parents(profile.item) if profile.item else ():
            for statement in item.block("hsts"):
                found |= statement.name == "mode" and statement.arguments == ("enabled",)
                if statement.name == "mode":
                    source.account.taken(statement, "frontend.tls.hsts")
                else:
                    source.account.given_up(
                        statement, "nlbgen sets HSTS for two years and for this host only, without subdomains"
                    )
            source.taken(item, "hsts", "frontend.tls.hsts")
    for rule in source.roles.main.rules:
        for line in source.lines(rule):
            if any(_HSTS in word.text.lower() for word in line.words):
                source.account.taken(line, "frontend.tls.hsts")
                found = True
    return found


def _nodes(source: Source) -> None:
    """Take how the nodes' certificates are verified. Under passthrough, only the monitor can do that."""
    mode = source.values.get("frontend.tls.mode")
    for number, profile in enumerate(source.roles.main.of_kind("server-ssl")):
        if number or mode != "bridge":
            source.account.given_up(profile.statement, "nlbgen uses TLS to the nodes only if clients use TLS")
            continue
        source.account.taken(profile.statement, "frontend.tls.mode")
        if profile.item is None:
            source.values.take("frontend.tls.verify_nodes", False, profile.statement)
        else:
            source.account.taken(profile.item.statement, "frontend.tls")
            verification(source, profile.item)
            settle(source, profile.item)


def verification(source: Source, item: Item) -> None:
    """Take what a server-ssl profile does with the certificate of a node."""
    passthrough = source.values.get("frontend.tls.mode") == "passthrough"
    mode, ca = source.find(item, "peer-cert-mode"), source.find(item, "ca-file")
    path = full_path(ca.text) if ca and ca.text not in {"", "none"} else ""
    statements = all_of(mode.statement if mode else None) + all_of(ca.statement if ca else None)
    if mode is None or mode.text != "require" or not path:
        if not passthrough:
            source.values.take(_VERIFY, False, *statements)
        for statement in statements if passthrough else ():
            source.account.implied(statement, "the checks do not verify certificates")
        return
    own = bool(source.farm) and path in {f"{source.folder}/{source.farm}_ca.crt", f"/Common/{source.farm}_ca.crt"}
    if own or passthrough:
        source.values.take(_VERIFY, str(Tls().verify_nodes), *(statements if own else ()))
    if not own and (passthrough or path != DEVICE_CAS):
        source.values.take("f5.node_ca", path, *statements)
    for statement in statements:
        source.account.taken(statement, _VERIFY)


def settle(source: Source, item: Item) -> None:
    """Account for the other properties of a server-ssl profile."""
    host = source.values.get("frontend.host")
    for name in ("server-name", "authenticate-name"):
        text = item.text(name)
        if text in {"none", host}:
            source.implied(
                item, name, "the BIG-IP sends frontend.host as SNI, and the nodes have a certificate for this name"
            )
        elif text:
            source.given_up(
                item,
                name,
                f"{text}: the BIG-IP sends frontend.host as SNI, and the nodes have a certificate for this name",
            )
    if statement := source.property(item, "options"):
        for line in (statement, *statement.inside):
            source.account.implied(line, "TLS to the nodes is 1.2 or later")
    for name in ("ciphers", "cipher-group"):
        source.implied(item, name, "TLS to the nodes has the device's own ciphers")
    for name in ("cert", "key", "chain"):
        if item.text(name) not in {"", "none"}:
            source.given_up(item, name, "a certificate of the balancer for the nodes is not supported")
