"""Writes: each is checked as a device checks it."""

import copy
import re
from typing import Any

from .answers import Json, JsonValue, Key, Refusal
from .integrity import check, check_one, refuse_in_use
from .kinds import KINDS, MEMBER
from .names import full_path, node_of, not_found, spaced, split_path, typed
from .reading import Reading


class Writing(Reading):
    """A device that changes its objects."""

    def add(self, kind: str, path: str, **own: JsonValue) -> None:
        """Add an object, as an administrator does."""
        self.apply(self.objects, "POST", f"/mgmt/tm/{kind.replace(' ', '/')}", {"name": path, **own})

    def _write(self, method: str, path: str, data: JsonValue) -> tuple[int, Any]:
        if path == "/mgmt/tm/sys/config":
            if data != {"command": "save"}:
                raise Refusal(400, "unknown command", 1)
            self.saved = copy.deepcopy(self.objects)
            return 200, {"kind": "tm:sys:config:savestate", "command": "save"}
        if path == "/mgmt/tm/cm":
            return self._sync(data)
        if path == "/mgmt/tm/util/unix-rm":
            if data.get("command") != "run":
                raise Refusal(400, "unknown command", 1)
            self.uploads.pop(str(data["utilCmdArgs"]).rpartition("/")[2], None)
            return 200, {"kind": "tm:util:unix-rm:runstate", **data}
        trial = copy.deepcopy(self.objects)
        key = self.apply(trial, method, path, data)
        check(trial)
        self.objects = trial
        self.generation += 1
        return 200, self.shown(*key) if key and key in trial else None

    def _sync(self, data: Json) -> tuple[int, Any]:
        group = str(data.get("utilCmdArgs", "")).removeprefix("config-sync to-group ")
        if group not in self.groups:
            raise Refusal(
                400, f"01070734:3: Configuration error: Device group ({group}) not found in device group sync"
            )
        self.synced.append(group)
        return 200, {"kind": "tm:cm:runstate", **data}

    def apply(self, objects: dict[Key, Json], method: str, path: str, data: JsonValue) -> Key | None:
        """One write on a set of objects; raises Refusal."""
        kind, name, rest = split_path(path)
        if kind is None:
            raise Refusal(404, f"unknown path {path}", 1)
        if rest:
            self._apply_member(objects, method, kind, name, rest, data)
            return kind, name
        if method == "POST" and not name:
            return self._create(objects, kind, data)
        if method == "PATCH" and name:
            return self._change(objects, kind, name, data)
        if method == "DELETE" and name:
            if (kind, name) not in objects:
                raise Refusal(404, not_found(kind, name))
            refuse_in_use(objects, kind, name)
            del objects[kind, name]
            return None
        raise Refusal(400, f"{method} {path} is not possible", 1)

    def _create(self, objects: dict[Key, Json], kind: str, data: JsonValue) -> Key:
        if not isinstance(data, dict) or not isinstance(data.get("name"), str):
            raise Refusal(400, "one or more properties must be specified", 26214401)
        path = full_path(kind, data)
        folder = path.rpartition("/")[0]
        partition = folder.split("/")[1] if folder else ""
        if kind != "auth partition" and ("auth partition", partition) not in objects:
            raise Refusal(400, f"The requested folder (/{partition}) was not found.", 26214401)
        if (kind, path) in objects:
            raise Refusal(
                409, f"01020066:3: The requested {KINDS[kind].label} ({path}) already exists in partition {partition}."
            )
        own = {name: value for name, value in data.items() if name not in {"name", "partition", "subPath"}}
        self._typed(kind, own)
        if kind.startswith("sys file"):
            own = self._file(own)
        objects[kind, path] = {"name": path.rpartition("/")[2], **self._resolved(objects, kind, own)}
        check_one(objects, kind, path)
        return kind, path

    def _file(self, own: Json) -> Json:
        name = own.get("sourcePath", "").removeprefix("file:/var/config/rest/downloads/")
        if name not in self.uploads:
            raise Refusal(400, f"01070712:3: Failed! exit_code (1). file {name}")
        return {"content": self.uploads[name].decode()}

    def _change(self, objects: dict[Key, Json], kind: str, path: str, data: JsonValue) -> Key:
        if (kind, path) not in objects:
            raise Refusal(404, not_found(kind, path))
        if not data:
            raise Refusal(400, "one or more properties must be specified", 26214401)
        if set(data) & {"name", "partition", "subPath"}:
            raise Refusal(400, "the name cannot be changed", 26214401)
        if kind == "ltm node" and set(data) & {"address", "fqdn"}:
            raise Refusal(400, "the address of a node cannot be changed", 26214401)
        self._typed(kind, data)
        objects[kind, path] = {**objects[kind, path], **self._resolved(objects, kind, data)}
        check_one(objects, kind, path)
        return kind, path

    def _typed(self, kind: str, own: Json) -> None:
        spec = KINDS[kind].properties
        for name, value in own.items():
            if (
                name not in spec
                or (name == "sslProfile" and self.parts < (13, 1))
                or (name == "legacy" and self.parts < (12, 1))
            ):
                raise Refusal(400, f'unknown property "{name}" of {kind}', 26214401)
            typed(name, value, spec[name][0])
        for name in ("description", "send", "recv", "headerInsert"):
            if re.search(r"<\w+>", str(own.get(name, ""))):
                raise Refusal(400, "HTML Tag-like Content in the Request URL/Body", 26214401)

    def _resolved(self, objects: dict[Key, Json], kind: str, own: Json) -> Json:
        """Resolve lists as the device writes them, and create the nodes of new members."""
        made = dict(own)
        for name in ("members", "profiles", "policies", "persist", "allow"):
            if name in made:
                made[name] = [self._entry(name, entry) for entry in made[name]]
                names = [entry["name"] for entry in made[name]]
                if len(set(names)) != len(names):
                    raise Refusal(400, f"{name}: a name stands there twice", 26214401)
        for member in made.get("members", []):
            self._member_node(objects, member)
        return made

    def _entry(self, name: str, entry: JsonValue) -> Json:
        made = dict(entry) if isinstance(entry, dict) else {"name": entry}
        partition = made.pop("partition", "Common")
        if not made["name"].startswith("/"):
            made["name"] = f"/{partition}/{made['name']}"
        allowed = {"members": set(MEMBER), "profiles": {"context"}, "persist": {"tmDefault"}}.get(name, set())
        for key, value in made.items():
            if key != "name" and key not in allowed:
                raise Refusal(400, f'unknown property "{key}" of {name}', 26214401)
            if name == "members" and key != "name":
                typed(key, value, MEMBER[key][0])
        return made

    def _member_node(self, objects: dict[Key, Json], member: Json) -> None:
        """Find the node of a member, or create it from the member's address."""
        node = node_of(member["name"])
        if ("ltm node", node) in objects:
            there = objects["ltm node", node].get("address")
            if member.get("address", there) != there:
                raise Refusal(
                    400, f"01070734:3: Configuration error: the member's address is not that of the node {node}"
                )
            if there:
                member["address"] = there
            return
        if "address" not in member:
            raise Refusal(404, not_found("ltm node", node))
        objects["ltm node", node] = {"name": node.rpartition("/")[2], "address": member["address"]}
        check_one(objects, "ltm node", node)

    def _apply_member(
        self, objects: dict[Key, Json], method: str, kind: str, pool: str, rest: list[str], data: JsonValue
    ) -> None:
        if kind != "ltm pool" or rest[0] != "members" or (kind, pool) not in objects:
            raise Refusal(404, f"01020036:3: The requested pool ({pool}) was not found.")
        members = objects[kind, pool].setdefault("members", [])
        if method == "POST" and len(rest) == 1:
            made = self._entry("members", data)
            if any(member["name"] == made["name"] for member in members):
                raise Refusal(
                    409,
                    f"01020066:3: The requested Pool Member ({pool} {spaced(made['name'])}) already exists in partition {pool.split('/')[1]}.",  # noqa: E501  # as recorded
                )
            self._member_node(objects, made)
            members.append(made)
            return
        name = rest[1].replace("~", "/")
        found = next((member for member in members if member["name"] == name), None)
        if found is None:
            raise Refusal(404, f"01020036:3: The requested Pool Member ({pool} {spaced(name)}) was not found.")
        if method == "DELETE":
            members.remove(found)
        elif method == "PATCH" and data:
            changed = self._entry("members", {"name": name, **data})
            if set(data) & {"name", "address", "fqdn"}:
                raise Refusal(400, "the address of a member cannot be changed", 26214401)
            found.update(changed)
        else:
            raise Refusal(400, "one or more properties must be specified", 26214401)
