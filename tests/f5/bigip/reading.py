"""Answers to GET: defaults, inherited values, references and subcollections."""

import re
from typing import Any

from .answers import Json, JsonValue, Refusal, framework, icrd
from .integrity import domain_of
from .kinds import KINDS, MEMBER
from .names import not_found, split_path
from .state import State


class Reading(State):
    """A device that answers to GET."""

    def _get(self, path: str, query: str) -> tuple[int, Any]:
        if path == "/mgmt/tm/cm/device":
            item = {"name": "bigip-1", "version": self.version, "failoverState": self.failover, "selfDevice": "true"}
            other = {
                "name": "bigip-2",
                "version": self.version,
                "failoverState": "standby" if self.failover == "active" else "active",
                "selfDevice": "false",
            }
            return 200, {"kind": "tm:cm:device:devicecollectionstate", "items": [other, item]}
        if path == "/mgmt/tm/sys/db/bigd.tmm":
            return 200, {
                "kind": "tm:sys:db:dbstate",
                "name": "bigd.tmm",
                "fullPath": "bigd.tmm",
                "value": self.bigd_tmm,
            }
        if path == "/mgmt/tm/sys/version":
            return 200, {"kind": "tm:sys:version:versionstats"}
        options = dict(part.partition("=")[::2] for part in query.split("&") if part)
        if set(options) - {"$filter", "expandSubcollections"}:
            raise Refusal(400, f"unknown query {query}", 1)
        kind, name, rest = split_path(path)
        if kind is None:
            return 404, framework(404, f"Public URI path not registered: {path}") | {"unknown": True}
        expand = options.get("expandSubcollections") == "true"
        if not name:
            return 200, self._collection(kind, options.get("$filter", ""), expand=expand)
        if (kind, name) not in self.objects:
            raise Refusal(404, not_found(kind, name))
        if rest:
            return self._subcollection(kind, name, rest)
        return 200, self.shown(kind, name, expand=expand)

    def _subcollection(self, kind: str, name: str, rest: list[str]) -> tuple[int, Any]:
        shown = self.shown(kind, name, expand=True)
        if kind == "ltm policy" and len(rest) == 3:
            rule = next(item for item in shown["rulesReference"]["items"] if item["name"] == rest[1])
            return 200, {"kind": "tm:ltm:policy:rules:collectionstate", "items": self._parts(rule, rest[2])}
        if rest == ["members", "stats"]:
            return self._member_statistics(name)
        found = shown[f"{rest[0]}Reference"]
        if len(rest) == 1:
            return 200, found
        path = rest[1].replace("~", "/")
        for item in found.get("items", []):
            if item["fullPath"] == path:
                return 200, item
        raise Refusal(404, f"Object not found - {path}", 1)

    def _member_statistics(self, pool: str) -> tuple[int, Any]:
        """The statistics of a pool's members, in the shape that monitoring agents of F5 read."""
        if not self.readable_statistics:
            return 403, icrd(403, "Operation is not supported", 1)
        entries = {}
        for member in self.objects["ltm pool", pool].get("members", []):
            path = member["name"]
            where = f"{pool.replace('/', '~')}/members/{path.replace('/', '~')}"
            count = self.connections.get(f"{pool} {path}", 0)
            values = {"serverside.curConns": {"value": count}, "port": {"value": int(path.rpartition(":")[2])}}
            entries[f"https://localhost/mgmt/tm/ltm/pool/{where}/stats"] = {"nestedStats": {"entries": values}}
        return 200, {"kind": "tm:ltm:pool:members:membersstatscollectionstats", "entries": entries}

    def _parts(self, rule: Json, part: str) -> list[Json]:
        found = self._find_rule(rule)
        return [dict(item) for item in found.get(part, [])]

    def _find_rule(self, shown: Json) -> Json:
        return next(
            rule
            for one in self.objects.values()
            for rule in one.get("rules", [])
            if isinstance(rule, dict) and rule["name"] == shown["name"]
        )

    def _collection(self, kind: str, wanted: str, *, expand: bool) -> Json:
        match = re.fullmatch(r"partition[ +]eq[ +]([\w.-]+)", wanted)
        if wanted and not match:
            raise Refusal(400, f"invalid filter {wanted}", 1)
        partition = match[1] if match else None
        items = [
            self.shown(kind, path, expand=expand)
            for found, path in sorted(self.objects)
            if found == kind and (partition is None or path.startswith(f"/{partition}/"))
        ]
        shown: Json = {
            "kind": f"tm:{kind.replace(' ', ':')}:collectionstate",
            "selfLink": f"https://localhost/mgmt/tm/{kind.replace(' ', '/')}?ver={self.version}",
        }
        return shown | ({"items": items} if items else {})

    def effective(self, kind: str, path: str) -> Json:
        """An object's properties with those of its parents and the defaults of its class."""
        own = self.objects[kind, path]
        parent = own.get("defaultsFrom")
        spec = KINDS[kind]
        if parent is None and spec.base and path != spec.base:
            parent = spec.base
        base = (
            self.effective(kind, parent)
            if parent
            else {name: default for name, (_, default) in spec.properties.items()}
        )
        shown = {**base, **{name: value for name, value in own.items() if value is not None}}
        if parent:
            shown["defaultsFrom"] = parent
        return shown

    def shown(self, kind: str, path: str, *, expand: bool = False) -> Json:
        """An object as a GET answers it."""
        full = {name: value for name, value in self.effective(kind, path).items() if value is not None}
        if domain := domain_of(self.objects, path):
            full = self._spelled(full, domain)
        folder = path.rpartition("/")[0]
        link = f"https://localhost/mgmt/tm/{kind.replace(' ', '/')}/{path.replace('/', '~')}"
        shown: Json = {
            "kind": f"tm:{kind.replace(' ', ':')}:state",
            "name": path.rpartition("/")[2],
            "fullPath": path,
            "generation": self.generation,
            "selfLink": f"{link}?ver={self.version}",
        }
        if kind != "auth partition":
            shown["partition"] = folder.split("/")[1]
        if folder.count("/") > 1:
            shown["subPath"] = folder.split("/", 2)[2]
        for name, value in full.items():
            if name not in {"name", "partition", "subPath", "sourcePath"}:
                self._show(shown, kind, name, value, link, expand=expand)
        return shown

    def _spelled(self, full: Json, domain: int) -> Json:
        """Addresses as a device shows them in a partition whose default route domain is not 0."""
        made = dict(full)
        if "source" in made:
            made["source"] = made["source"].replace("/", f"%{domain}/")
        if not self.spells_domains:
            return made
        if "address" in made and "%" not in made["address"]:
            made["address"] += f"%{domain}"
        if "destination" in made:
            last = made["destination"].rpartition("/")[2]
            host, separator, port = made["destination"].rpartition("." if last.count(":") > 1 else ":")
            made["destination"] = f"{host}%{domain}{separator}{port}"
        if made.get("members"):
            made["members"] = [self._spelled(one, domain) for one in made["members"]]
        return made

    def _show(self, shown: Json, kind: str, name: str, value: JsonValue, link: str, *, expand: bool) -> None:
        if name in {"members", "profiles", "policies"} or (kind == "ltm policy" and name == "rules"):
            shown[f"{name}Reference"] = self._reference(kind, name, value, link, expand=expand)
        elif name == "legacy":
            shown["status"] = "legacy" if self.parts >= (12, 1) else shown.get("status", "published")
        elif value not in ("none", []):
            shown[name] = self._as_written(kind, name, value)

    def _as_written(self, kind: str, name: str, value: JsonValue) -> JsonValue:
        """A value as this version writes it."""
        if name == "monitor" and self.parts < (14,):
            return f"{value} "
        if name == "tmOptions" and self.parts >= (16,):
            return f"{{ {' '.join(sorted(value))} }}"
        if name == "persist":
            return [self._persist(entry) for entry in value]
        if kind == "ltm node" and name in {"session", "state"}:
            return {"user-enabled": "monitor-enabled", "user-up": "up"}.get(value, value)
        return value

    def _persist(self, entry: Json) -> Json:
        folder, _, name = entry["name"].rpartition("/")
        return {
            "name": name,
            "partition": folder[1:].split("/")[0],
            "tmDefault": entry.get("tmDefault", "no"),
            "nameReference": {"link": "https://localhost/x"},
        } | ({"subPath": folder.split("/", 2)[2]} if folder.count("/") > 1 else {})

    def _reference(self, kind: str, name: str, value: list[Json], link: str, *, expand: bool) -> Json:
        reference: Json = {"link": f"{link}/{name}?ver={self.version}", "isSubcollection": True}
        if expand and value:
            reference["items"] = [self._item(kind, name, entry) for entry in sorted(value, key=lambda one: one["name"])]
        return reference

    def _item(self, kind: str, name: str, entry: Json) -> Json:
        full = entry["name"]
        if kind == "ltm policy":
            return self._policy_rule(entry)
        folder, _, last = full.rpartition("/")
        shown: Json = {
            "kind": f"tm:ltm:{name}state",
            "name": last,
            "partition": folder.split("/")[1],
            "fullPath": full,
            "generation": self.generation,
        }
        if name == "members":
            shown |= {key: value for key, (_, value) in MEMBER.items() if value is not None}
            shown |= {key: value for key, value in entry.items() if key != "name"}
            if shown["session"] == "user-enabled":
                shown["session"] = "monitor-enabled"
            if shown["state"] == "user-up":
                shown["state"] = "up" if hash(full) % 2 else "checking"
            return shown
        return shown | {"context": "all"} | {key: value for key, value in entry.items() if key != "name"}

    def _policy_rule(self, entry: Json) -> Json:
        shown: Json = {
            "kind": "tm:ltm:policy:rules:rulesstate",
            "name": entry["name"],
            "fullPath": entry["name"],
            "ordinal": entry.get("ordinal", 0),
        }
        for part in ("actions", "conditions"):
            shown[f"{part}Reference"] = {"link": "https://localhost/x", "isSubcollection": True}
            if self.deep_policies and entry.get(part):
                shown[f"{part}Reference"]["items"] = [dict(item) for item in entry[part]]
        return shown
