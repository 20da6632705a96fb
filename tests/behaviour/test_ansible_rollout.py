"""The exported playbooks, run by the real ansible-playbook against real balancers on hosts made of namespaces.

lan: the control host, clients and nodes 10.20.0.100, .11, .12 ---- bridge ---- lb-1 10.20.0.8, lb-2 10.20.0.9

A host has a network and the folders that the roles write to of its own; /tmp is shared, as Ansible copies through it.
There is no systemd: `nlbgen_service_commands` names scripts that do what the units do. There is no Windows either:
`nodes.yml` runs with simulated modules of ansible.windows. The tests prove the order of its steps, the settings that it
makes, and that no client notices; they do not run its PowerShell.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, Self

import pytest
import yaml

from nlbgen.export.ansible import rollout as ansible
from nlbgen.net.waiting import wait_until
from nlbgen.nodes import planning
from nlbgen.spec.load import load

CHECKOUT = Path(__file__).parents[2]
SHARED = "10.20.0.10"
BALANCERS = {"lb-1": "10.20.0.8", "lb-2": "10.20.0.9"}
NODES = {"orch-1": "10.20.0.11", "orch-2": "10.20.0.12"}
PASSWORD = "s3cretpw"
REDIS_PASSWORD = "redis-s3cret"
OWN = (
    "etc/haproxy",
    "etc/nginx",
    "etc/keepalived",
    "etc/systemd",
    "etc/sysctl.d",
    "run",
    "usr/local/sbin",
    "var/lib/haproxy",
)
"""Folders of which every host has its own."""
PATIENCE = 20.0
SBIN = f"{os.environ['PATH']}{os.pathsep}/usr/sbin{os.pathsep}/sbin"

NODE = """
import http.server, json, pathlib, sys, time
name, address, folder = sys.argv[1:]
state, log = pathlib.Path(folder, name, "stopped"), pathlib.Path(folder, f"{name}.log").open("a")
class Node(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        stopped = state.exists()
        print(json.dumps([time.monotonic(), self.path, stopped]), file=log, flush=True)
        self.send_response(503 if stopped else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        if self.path == "/held":
            time.sleep(60)
        self.wfile.write(b"ok")
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer((address, 80), Node).serve_forever()
"""

CLIENT = """
import http.client, sys, time
address, path = sys.argv[1:]
while True:
    try:
        client = http.client.HTTPConnection(address, 80, timeout=5)
        client.request("GET", path, headers={"Host": "orchestrator.corp.example"})
        said = client.getresponse().status
        client.close()
    except OSError as error:
        said = type(error).__name__
    print(f"{time.monotonic()} {said}", flush=True)
    time.sleep(0.05)
"""

CONNECTION = '''
import json, os, shlex
from ansible.plugins.connection import local
DOCUMENTATION = local.DOCUMENTATION.replace("name: local", "name: namespace")
class Connection(local.Connection):
    """Runs commands inside a host's namespaces; files pass through a folder that all hosts share."""
    transport = "namespace"
    def exec_command(self, cmd, in_data=None, sudoable=True):
        inside = json.loads(os.environ["TEST_HOSTS"])[self._play_context.remote_addr]
        return super().exec_command(shlex.join([*inside, "/bin/sh", "-c", cmd]), in_data=in_data, sudoable=sudoable)
'''

SERVICES = {
    "haproxy": """#!/bin/sh
# What the unit with nlbgen's drop-in does.
set -e
export NLBGEN_SERVER_STATE=kept
echo "$1" >> /run/haproxy-service.log
state=/var/lib/haproxy/server-state
if [ "$1" = reload ]; then
    echo "show servers state" | socat -t 5 - UNIX-CONNECT:/run/haproxy/admin.sock > $state.new && mv $state.new $state
    kill -USR2 "$(cat /run/haproxy.pid)"
else
    [ ! -e /run/haproxy.pid ] || kill -TERM "$(cat /run/haproxy.pid)"
    mkdir -p /run/haproxy
    echo 1 > $state
    setsid haproxy -W -f /etc/haproxy/haproxy.cfg -p /run/haproxy.pid -S /run/haproxy-master.sock \\
        > /run/haproxy.log 2>&1 < /dev/null &
    sleep 1
fi
""",
    "nginx": """#!/bin/sh
set -e
echo "$1" >> /run/nginx-service.log
# `nginx -t` leaves an empty file.
if [ -s /run/nginx.pid ]; then nginx -s reload; else setsid nginx < /dev/null > /run/nginx.log 2>&1; fi
""",
    "keepalived": """#!/bin/sh
set -e
if [ -e /run/keepalived.pid ]; then kill -HUP "$(cat /run/keepalived.pid)"; else
    setsid keepalived -l -n -P -p /run/keepalived.pid -r /run/vrrp.pid > /run/keepalived.log 2>&1 < /dev/null &
fi
""",
}

SIMULATED = """#!/usr/bin/python
import hashlib, os, pathlib, shutil, time, urllib.error, urllib.request
from ansible.module_utils.basic import AnsibleModule
FOLDER = pathlib.Path(os.environ["TEST_NODES"])
"""
WINDOWS = {
    "win_powershell": """
module = AnsibleModule({"script": {}, "parameters": {"type": "dict"}}, supports_check_mode=True)
script, given = module.params["script"], module.params["parameters"]
node = FOLDER / (given.get("SiteName") or given.get("Pool"))
changed, result = True, None
if "Stop-Website" in script:
    (node / "stopped").touch()
elif "Start-Website" in script:
    if not (node / "broken").exists():
        (node / "stopped").unlink()
elif "Set-ItemProperty" in script:
    (node / "ready").touch()
    if "serverAutoStart -Value $true" in script and " autoStart -Value $true" in script:
        (node / "new").unlink(missing_ok=True)
elif "New-WebBinding" in script:
    (node / "plain").touch()
elif "pool =" in script:
    changed, started = False, not (node / "stopped").exists()
    ready = (node / "ready").exists() and not ("autoStart" in script and (node / "new").exists())
    plain = (node / "plain").exists() or not given["PlainHttp"]
    result = {"id": 2, "pool": node.name, "ready": ready, "http": plain, "started": started}
else:
    changed, result = False, (node / "new").exists() if "serverAutoStart" in script else 2
with (FOLDER / "events").open("a") as events:
    what = next((word for word in ("Stop-Website", "Start-Website", "Set-ItemProperty") if word in script), "looked")
    events.write(f"{node.name} {what}\\n")
module.exit_json(changed=changed, result=result)
""",
    "win_stat": """
module = AnsibleModule({"path": {}, "checksum_algorithm": {}}, supports_check_mode=True)
content = pathlib.Path(module.params["path"]).read_bytes()
module.exit_json(changed=False, stat={"exists": True, "checksum": hashlib.sha256(content).hexdigest()})
""",
    "win_copy": """
module = AnsibleModule({"src": {}, "dest": {}, "backup": {"type": "bool"}}, supports_check_mode=True)
source, target = pathlib.Path(module.params["src"]), pathlib.Path(module.params["dest"])
work = next(one for one in source.parents if (one / "keys").exists() or not one.stat().st_mode & 0o077)
if work.stat().st_mode & 0o077 or (work / "secrets").exists():
    module.fail_json(msg="others can read the copies, or secrets are still there")
if source.read_bytes() == target.read_bytes():
    module.exit_json(changed=False)
backup = f"{target}.bak"
shutil.copy(target, backup)
shutil.copy(source, target)
with (FOLDER / "events").open("a") as events:
    events.write(f"{target.parent.name} copied\\n")
module.exit_json(changed=True, backup_file=backup)
""",
    "win_uri": """
module = AnsibleModule({name: {"type": "raw"} for name in (
    "url", "headers", "status_code", "follow_redirects", "use_proxy", "validate_certs", "url_timeout")})
try:
    status = urllib.request.urlopen(module.params["url"], timeout=5).status
except urllib.error.HTTPError as error:
    status = error.code
if status != int(module.params["status_code"]):
    module.fail_json(msg=f"Status code of request was {status}")
module.exit_json(changed=False, status_code=status)
""",
}
"""Simulated modules of ansible.windows, for nodes that are folders of this machine."""


class Ran(NamedTuple):
    """What one ansible-playbook has left."""

    code: int
    said: str
    hosts: dict[str, dict[str, int]]
    """For each host how many tasks were ok, changed, failed ..."""

    def changed(self, host: str) -> int:
        return self.hosts[host]["changed"]

    def says(self, text: str) -> bool:
        """Whether a text is in the output, wherever that breaks its lines."""
        return " ".join(text.split()) in " ".join(self.said.split())


def missing(what: str) -> None:
    if os.environ.get("NLBGEN_REQUIRE_PROGRAMS"):
        pytest.fail(f"{what}, and NLBGEN_REQUIRE_PROGRAMS is set")
    pytest.skip(what)


def ip(*args: str, check: bool = True) -> str:
    done = subprocess.run(["ip", *args], capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, f"ip {' '.join(args)}: {done.stderr}"
    return done.stdout


class Host:
    """A separate network and, with `folders`, separate files; all processes in it end with it."""

    def __init__(self, name: str, *, folders: bool = False) -> None:
        self.name = name
        self.namespace = f"nlbgen-{os.getpid()}-{name}"
        self._folders = folders
        self._started: list[subprocess.Popen[bytes]] = []
        self.inside: list[str] = []

    def __enter__(self) -> Self:
        ip("netns", "add", self.namespace)
        ip("-n", self.namespace, "link", "set", "lo", "up")
        self.inside = ["nsenter", f"--net=/run/netns/{self.namespace}"]
        if self._folders:
            own = "; ".join(
                f"t=$(mktemp -d); [ ! -d /{at} ] || [ {at} = run ] || cp -a /{at}/. $t; mkdir -p /{at}; "
                f"mount -t tmpfs none /{at}; cp -a $t/. /{at}; rm -r $t"
                for at in OWN
            )
            holder = self.start("unshare", "--mount", "/bin/sh", "-ec", f"{own}; mkdir /run/lock; exec sleep 600")
            self.inside += [f"--mount=/proc/{holder.pid}/ns/mnt"]
            comm = Path(f"/proc/{holder.pid}/comm")
            assert wait_until(lambda: comm.read_text(encoding="ascii").strip() == "sleep", PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        for pid in ip("netns", "pids", self.namespace, check=False).split():
            os.kill(int(pid), signal.SIGKILL)
        for process in self._started:
            process.wait(10)
        ip("netns", "del", self.namespace, check=False)

    def start(self, *command: str, output: Path | None = None) -> subprocess.Popen[bytes]:
        with (output or Path(os.devnull)).open("ab") as log:
            process = subprocess.Popen(
                [*self.inside, *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._started.append(process)
        return process

    def run(self, command: str) -> str:
        done = subprocess.run(
            [*self.inside, "/bin/sh", "-c", command], capture_output=True, text=True, check=False, timeout=60
        )
        return done.stdout

    def read(self, path: str) -> str:
        return self.run(f"cat {path}")


class Lan:
    """The control host, the balancers, the nodes, and the tree of the export."""

    def __init__(self, folder: Path, balancers: dict[str, Host], lan: Host, farm: dict[str, Any], vendor: str) -> None:
        self.folder = folder
        self.balancers = balancers
        self.lan = lan
        self.farm = farm
        self.vendor = vendor
        self.tree = folder / "outputs" / "ansible"
        self.export()

    def export(self) -> None:
        """Write the tree of the farm as it is now."""
        file = self.folder / "farm.yaml"
        file.write_text(yaml.safe_dump(self.farm), encoding="utf-8")
        for made in ansible.files(load(file), vendor=self.vendor, homes=["../.."]):
            path = self.tree / made.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(made.content)

    def cut_off(self, playbook: str, *options: str, until: Callable[[], bool]) -> None:
        """Run a playbook, and kill it as soon as something has happened."""
        command, environment = self._command(playbook, *options)
        with subprocess.Popen(
            command,
            cwd=self.tree,
            env=environment,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            happened = wait_until(until, 60)
            os.killpg(process.pid, signal.SIGKILL)
        assert happened

    def _command(self, playbook: str, *options: str, **environment: str) -> tuple[list[str], dict[str, str]]:
        scripts = Path(sys.executable).parent
        own = {
            "PATH": f"{scripts}{os.pathsep}{SBIN}",
            "TEST_HOSTS": json.dumps({BALANCERS[name]: host.inside for name, host in self.balancers.items()}),
            "TEST_NODES": str(self.folder / "nodes"),
            "ANSIBLE_CONNECTION_PLUGINS": str(self.folder / "plugins"),
            "ANSIBLE_COLLECTIONS_PATH": str(self.folder / "collections"),
            "ANSIBLE_REMOTE_TEMP": str(self.folder / "tmp"),
            "ANSIBLE_HOME": str(self.folder / "home"),
            "ANSIBLE_NOCOLOR": "1",
            "NLBGEN_VRRP": PASSWORD,
            "NLBGEN_REDIS_PASSWORD": REDIS_PASSWORD,
            **environment,
        }
        inventories = ("-i", "inventory.yml", "-i", str(self.folder / "here.yml"))
        return [*self.lan.inside, "ansible-playbook", *inventories, playbook, *options], {**os.environ, **own}

    def play(self, playbook: str, *options: str, **environment: str) -> Ran:
        """Run a playbook on the control host."""
        command, settings = self._command(playbook, *options, **environment)
        done = subprocess.run(
            command,
            cwd=self.tree,
            env=settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
            check=False,
        )
        said = done.stdout
        for secret in (PASSWORD, REDIS_PASSWORD):
            assert secret not in said, "a secret was shown"
        assert "[WARNING]" not in said and "[DEPRECATION" not in said, said
        assert not (self.tree / "work").exists() or not list((self.tree / "work").rglob("*.config")), "copies are left"
        assert done.returncode or "[ERROR]" not in said, said
        recap = re.findall(r"^(\S+) +: (ok=.*)$", said.partition("PLAY RECAP")[2], re.MULTILINE)
        hosts = {name: {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", counts)} for name, counts in recap}
        return Ran(done.returncode, said, hosts)

    def good(self, playbook: str, *options: str) -> Ran:
        ran = self.play(playbook, *options)
        assert ran.code == 0, ran.said
        return ran


BuildLan = Callable[..., Lan]


@pytest.fixture
def lan(tmp_path: Path) -> Iterator[BuildLan]:
    """Build the network: `lan("haproxy", farm, "lb-1", "lb-2")`."""
    scripts = f"{Path(sys.executable).parent}{os.pathsep}{SBIN}"
    for program in ("ansible-playbook", "ip", "nsenter", "socat", "haproxy", "nginx", "keepalived"):
        if shutil.which(program, path=scripts) is None:
            missing(f"{program} is not installed")
    if os.geteuid() != 0:
        missing("namespaces need root")
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    with ExitStack() as stack:
        yield lambda vendor, farm, *names: build(stack, tmp_path, vendor, farm, names)


def build(stack: ExitStack, folder: Path, vendor: str, farm: dict[str, Any], names: tuple[str, ...]) -> Lan:
    network = stack.enter_context(Host("lan"))
    for command in (
        ["link", "add", "eth0", "type", "bridge"],
        ["link", "set", "eth0", "up"],
        *(["address", "add", f"{address}/24", "dev", "eth0"] for address in ("10.20.0.100", *NODES.values())),
    ):
        ip("-n", network.namespace, *command)
    balancers = {}
    for name in names:
        host = balancers[name] = stack.enter_context(Host(name, folders=True))
        ip(*f"-n {network.namespace} link add {name} type veth peer name eth0 netns {host.namespace}".split())
        ip("-n", network.namespace, "link", "set", name, "master", "eth0", "up")
        ip("-n", host.namespace, "link", "set", "eth0", "up")
        ip("-n", host.namespace, "address", "add", f"{BALANCERS[name]}/24", "dev", "eth0")
    prepare(folder)
    for name, address in NODES.items():
        network.start(sys.executable, "-c", NODE, name, address, str(folder / "nodes"))
    return Lan(folder, balancers, network, farm, vendor)


def prepare(folder: Path) -> None:
    """The replacements for SSH, systemd and Windows, and the nodes' folders."""
    (folder / "plugins").mkdir()
    (folder / "plugins" / "namespace.py").write_text(CONNECTION, encoding="utf-8")
    commands = {}
    for name, text in SERVICES.items():
        script = folder / f"{name}-service"
        script.write_text(text, encoding="utf-8")
        script.chmod(0o755)
        commands[name] = {action: [str(script), action] for action in ("start", "reload", "restart")}
    modules = folder / "collections" / "ansible_collections" / "ansible" / "windows" / "plugins" / "modules"
    modules.mkdir(parents=True)
    for name, text in WINDOWS.items():
        (modules / f"{name}.py").write_text(SIMULATED + text, encoding="utf-8")
    for name in NODES:
        (folder / "nodes" / name).mkdir(parents=True)
        source = CHECKOUT / "examples" / "inputs" / name / "web.config"
        # Here a backslash is a letter like any other.
        shutil.copy(source, folder / "nodes" / name / "site\\web.config")
    on_hosts = {
        "ansible_connection": "namespace",
        "ansible_become": False,
        "ansible_python_interpreter": "/usr/bin/python3",
        "haproxy_wait_seconds": 3,
        "nginx_wait_seconds": 3,
        **{f"{name}_packages": [] for name in SERVICES},
    }
    on_nodes = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "node_health_seconds": 5}
    per_node = {
        f"orch.node.{name}": {
            "node_site": name,
            "node_directory": str(folder / "nodes" / name / "site"),
            "node_health_urls": [f"http://{address}/api/Status/Get"],
        }
        for name, address in NODES.items()
    }
    here = {
        "all": {
            "vars": {"nlbgen_service_commands": commands, "drain_seconds": 2, "keepalived_settle": 5},
            "children": {
                "balancers_of_orch": {"vars": on_hosts},
                "nodes": {"vars": on_nodes, "hosts": per_node},
            },
        }
    }
    (folder / "here.yml").write_text(yaml.safe_dump(here), encoding="utf-8")


def farm_of(**changes: Mapping[str, Any]) -> dict[str, Any]:
    farm: dict[str, Any] = {
        "farm": "orch",
        "orchestrator": {"version": "2019.4"},
        "frontend": {
            "host": "orchestrator.corp.example",
            "tls": {
                "mode": "terminate",
                "certificate": "/run/certificates/full chain.pem",
                "key": "/run/certificates/key.pem",
            },
        },
        "nodes": [{"name": name, "address": address} for name, address in NODES.items()],
        "balancer": {"timeouts": {"reload": "1m"}},
        "stores": {
            "database": {"server": "SQL01"},
            "signalr": "redis",
            "redis": {"host": "redis-1", "port": 6379, "password": {"env": "NLBGEN_REDIS_PASSWORD"}},
        },
        "haproxy": {"version": "2.6"},
        "accept": ["tls-terminate-redirect", "nginx-active-health", "nginx-queue"],
    }
    for key, value in changes.items():
        farm[key] = {**farm[key], **value} if isinstance(farm.get(key), dict) else value
    return farm


def certify(host: Host) -> None:
    """A certificate as the user would have put it there."""
    host.run(
        "mkdir -m 700 /run/certificates && cd /run/certificates && openssl req -x509 -newkey rsa:2048 -nodes -days 2 "
        "-subj /CN=orchestrator.corp.example -keyout key.pem -out 'full chain.pem' && chmod 600 key.pem"
    )


def answers(farm: Lan, address: str, port: int = 443) -> bool:
    """Whether the farm answers to a client, over TLS."""
    said = farm.lan.run(
        f"curl -sk -m 3 -o /dev/null -w '%{{http_code}}' --resolve orchestrator.corp.example:{port}:{address} "
        f"https://orchestrator.corp.example:{port}/odata"
    )
    return said == "200"


def test_two_haproxy_balancers_from_nothing_to_a_change_and_back(lan: BuildLan) -> None:
    vip = {
        "address": f"{SHARED}/24",
        "interface": "eth0",
        "balancers": list(BALANCERS.values()),
        "secret": {"env": "NLBGEN_VRRP"},
    }
    frontend = {**farm_of()["frontend"], "address": SHARED, "vip": vip}
    farm = lan("haproxy", farm_of(frontend=frontend), "lb-1", "lb-2")
    first, second = farm.balancers.values()
    hosts = ("orch.balancer.1", "orch.balancer.2")

    ran = farm.play("balancers.yml")
    assert ran.code and ran.says(
        "Missing on orch.balancer.1: /run/certificates/full chain.pem, /run/certificates/key.pem. Copy"
    ), ran.said
    assert "nlbgen" not in first.read("/etc/haproxy/haproxy.cfg")
    for host in (first, second):
        certify(host)

    ran = farm.play("balancers.yml", NLBGEN_VRRP=f"{PASSWORD}-too-long")
    assert ran.code and ran.says("must be 1 to 8 letters and digits"), ran.said
    assert "nlbgen" not in first.read("/etc/haproxy/haproxy.cfg"), "what is missing is missed before anything is done"
    ran = farm.good("balancers.yml")
    assert all(ran.changed(host) > 0 for host in hosts), ran.said
    assert answers(farm, SHARED)
    assert first.read("/etc/haproxy/haproxy.cfg.before-nlbgen"), "the previous configuration is kept"
    assert first.run("stat -c %a /etc/keepalived/nlbgen-secret.conf") == "600\n"
    assert first.read("/etc/keepalived/nlbgen-secret.conf") == f"auth_pass {PASSWORD}\n"
    started = [host.read("/run/haproxy-service.log") for host in (first, second)]

    ran = farm.good("balancers.yml")
    assert [ran.changed(host) for host in hosts] == [0, 0], ran.said
    assert [host.read("/run/haproxy-service.log") for host in (first, second)] == started

    before, master = first.read("/etc/haproxy/haproxy.cfg"), first.read("/run/haproxy.pid")
    farm.farm["balancer"]["max_body"] = "200MB"
    farm.export()
    ran = farm.good("balancers.yml", "--check", "--diff", "--limit", hosts[0])
    assert ran.changed(hosts[0]) and ran.says("+    # Limit for uploads: 200MB"), ran.said
    assert first.read("/etc/haproxy/haproxy.cfg") == before

    farm.good("balancers.yml", "--limit", hosts[0])
    assert "200MB" in first.read("/etc/haproxy/haproxy.cfg")
    assert first.read("/run/haproxy-service.log").endswith("restart\nreload\n"), "restarted once, then reloaded"
    assert first.read("/run/haproxy.pid") == master, "the master process stays"
    assert answers(farm, SHARED)

    config = farm.tree / "files" / "orch" / "haproxy" / "haproxy.cfg"
    good, serving = config.read_bytes(), [host.read("/etc/haproxy/haproxy.cfg") for host in (first, second)]
    config.write_bytes(good.replace(b"balance leastconn", b"balance leastcon"))
    ran = farm.play("balancers.yml")
    assert ran.code and ran.says("leastcon") and hosts[1] not in ran.hosts, ran.said
    assert [host.read("/etc/haproxy/haproxy.cfg") for host in (first, second)] == serving
    assert answers(farm, SHARED)
    config.write_bytes(good)

    # What the program's own check takes and what does not come up: a port that is taken.
    for host in (first, second):
        host.start(sys.executable, "-m", "http.server", "--bind", "0.0.0.0", "8443", "--directory", "/run/lock")
    farm.farm["frontend"]["port"] = 8443
    farm.export()
    ran = farm.play("balancers.yml")
    assert ran.code and ran.says("The old configuration is in place") and hosts[1] not in ran.hosts, ran.said
    assert [host.read("/etc/haproxy/haproxy.cfg") for host in (first, second)] == serving
    assert answers(farm, SHARED)


PLAIN = {"address": BALANCERS["lb-1"], "tls": {"mode": "none"}}


@pytest.mark.no_cover  # other tests reach the same lines
def test_haproxy_loads_weights_and_states_of_nodes_without_a_reload(lan: BuildLan) -> None:
    farm = lan("haproxy", farm_of(frontend=PLAIN), "lb-1")
    host = farm.balancers["lb-1"]
    farm.good("balancers.yml")
    services, config = host.read("/run/haproxy-service.log"), host.read("/etc/haproxy/haproxy.cfg")

    def states() -> list[list[str]]:
        rows = host.run("echo show stat | socat - UNIX-CONNECT:/run/haproxy/admin.sock | grep _web,orch-").splitlines()
        return [row.split(",")[17:19] for row in rows]

    def changed(first: Mapping[str, Any], second: Mapping[str, Any]) -> None:
        nodes = zip(NODES.items(), (first, second), strict=True)
        farm.farm["nodes"] = [{"name": name, "address": at, **keys} for (name, at), keys in nodes]
        farm.export()

    changed({"weight": 50}, {"state": "down"})
    assert farm.good("balancers.yml").changed("orch.balancer.1")
    assert [weight for _, weight in states()] == ["50", "100"]
    assert states()[1][0] == "MAINT"
    assert host.read("/etc/haproxy/haproxy.cfg") == (farm.tree / "files/orch/haproxy/haproxy.cfg").read_text("utf-8")
    assert host.run("ls /etc/haproxy").split().count("haproxy.cfg.pending-nlbgen") == 0
    assert farm.good("balancers.yml").changed("orch.balancer.1") == 0
    assert host.read("/run/haproxy-service.log") == services, "neither a restart nor a reload"

    # The configuration may be a link to a file elsewhere.
    host.run("cd /etc/haproxy && mv haproxy.cfg kept.cfg && ln -s kept.cfg haproxy.cfg")
    changed({}, {})
    farm.good("balancers.yml")
    assert host.read("/etc/haproxy/haproxy.cfg") == host.read("/etc/haproxy/kept.cfg") == config
    assert host.run("readlink /etc/haproxy/haproxy.cfg") == "kept.cfg\n"
    assert [weight for _, weight in states()] == ["100", "100"]
    assert host.read("/run/haproxy-service.log") == services

    # What HAProxy serves is not this farm: everything goes back, in the running process too.
    changed({"weight": 50}, {"state": "down"})
    ran = farm.play("balancers.yml", "-e", "haproxy_farm=other")
    assert ran.code and ran.says("The old configuration is in place"), ran.said
    assert host.read("/etc/haproxy/haproxy.cfg") == config
    assert wait_until(lambda: "MAINT" not in {state for state, _ in states()}, PATIENCE)
    assert [weight for _, weight in states()] == ["100", "100"]
    services = host.read("/run/haproxy-service.log")

    farm.farm["balancer"]["max_body"] = "200MB"
    farm.export()
    farm.good("balancers.yml")
    assert host.read("/run/haproxy-service.log") == f"{services}reload\n"


class Client:
    """A client that sends requests to the farm continuously."""

    def __init__(self, farm: Lan) -> None:
        self._log = farm.folder / "client.log"
        farm.lan.start(sys.executable, "-c", CLIENT, BALANCERS["lb-1"], "/odata", output=self._log)
        assert wait_until(lambda: self.said().count("200") > 3, PATIENCE), self.said()

    def said(self) -> list[str]:
        lines = self._log.read_text(encoding="ascii").rpartition("\n")[0].splitlines()
        return [line.split()[1] for line in lines]

    def noticed_nothing(self) -> bool:
        return set(self.said()) == {"200"}


def events(farm: Lan) -> list[str]:
    """What was done to the nodes, but for looking at them."""
    log = farm.folder / "nodes" / "events"
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return [line for line in lines if "looked" not in line]


def settings(farm: Lan) -> dict[str, bytes]:
    return {name: (farm.folder / "nodes" / name / "site\\web.config").read_bytes() for name in NODES}


def planned(farm: Lan, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What nlbgen itself makes of the nodes' files."""
    monkeypatch.setenv("NLBGEN_REDIS_PASSWORD", REDIS_PASSWORD)
    spec = dict(farm.farm)
    spec["nodes"] = [{**node, "config": str(farm.folder / node["name"] / "web.config")} for node in spec["nodes"]]
    for name, content in settings(farm).items():
        (farm.folder / name).mkdir()
        (farm.folder / name / "web.config").write_bytes(content)
    file = farm.folder / "planned.yaml"
    file.write_text(yaml.safe_dump(spec), encoding="utf-8")
    return {plan.node.name: plan.files[0][1] for plan in planning.plan_farm(load(file)).nodes}


def asked_while_stopped(farm: Lan, name: str) -> list[str]:
    """The requests of clients that met a node while its site stood still."""
    lines = (farm.folder / "nodes" / f"{name}.log").read_text(encoding="ascii").splitlines()
    return [path for _when, path, stopped in map(json.loads, lines) if stopped and path == "/odata"]


STOPPED_AND_CHANGED = ("Stop-Website", "copied", "Set-ItemProperty", "Start-Website")


@pytest.mark.long
def test_nodes_change_one_after_the_other_and_no_client_notices(lan: BuildLan, monkeypatch: pytest.MonkeyPatch) -> None:
    farm = lan("haproxy", farm_of(frontend=PLAIN), "lb-1")
    balancer = farm.balancers["lb-1"]
    farm.good("balancers.yml")
    client = Client(farm)
    before, after = settings(farm), planned(farm, monkeypatch)
    assert before != after

    ran = farm.play("nodes.yml", "--check", NLBGEN_REDIS_PASSWORD="")
    assert ran.code and ran.says("The secret redis is missing: set the environment variable NLBGEN_REDIS"), ran.said
    ran = farm.good("nodes.yml", "--check", "--diff", "--limit", "orch.node.orch-2")
    assert ran.says("secureAppSettings/EncryptionKey") and (events(farm), settings(farm)) == ([], before), ran.said

    # The secret is not in the environment but in a vault.
    vault = farm.tree / "group_vars" / "farm_orch" / "vault.yml"
    vault.parent.mkdir(parents=True)
    vault.write_text(f"nlbgen_secret_redis: {REDIS_PASSWORD}\n", encoding="ascii")
    key = farm.folder / "vault-password"
    key.write_text("of the vault\n", encoding="ascii")
    program = Path(sys.executable).with_name("ansible-vault")
    command = [str(word) for word in (program, "encrypt", "--vault-password-file", key, vault)]
    subprocess.run(command, check=True, capture_output=True)
    ran = farm.play("nodes.yml", "--vault-password-file", str(key), NLBGEN_REDIS_PASSWORD="")
    assert ran.code == 0, ran.said
    assert events(farm) == [f"{name} {what}" for name in NODES for what in STOPPED_AND_CHANGED]
    assert settings(farm) == after, "nothing but what is planned changes, to the byte"
    for name in NODES:
        assert (farm.folder / "nodes" / name / "site\\web.config.bak").read_bytes() == before[name]
        assert asked_while_stopped(farm, name) == []
    assert client.noticed_nothing(), client.said()

    done = len(events(farm))
    ran = farm.good("nodes.yml", "--vault-password-file", str(key), "--limit", "orch.node.orch-2")
    assert all(counts["changed"] == 0 for counts in ran.hosts.values()) and len(events(farm)) == done, ran.said

    # The first node does not come up again: it stays out, and the second one is not touched.
    for name in NODES:
        (farm.folder / "nodes" / name / "ready").unlink()
    (farm.folder / "nodes" / "orch-1" / "broken").touch()
    ran = farm.play("nodes.yml", "--vault-password-file", str(key))
    assert ran.code and ran.says("Status code of request was 503") and "orch.node.orch-2" not in ran.hosts, ran.said
    assert states(balancer) == "orch-1,MAINT\norch-2,UP\n"

    # The node was repaired by hand: the next run enables it, and continues with the second one.
    (farm.folder / "nodes" / "orch-1" / "broken").unlink()
    (farm.folder / "nodes" / "orch-1" / "stopped").unlink()
    done = len(events(farm))
    ran = farm.play("nodes.yml", "--vault-password-file", str(key))
    assert ran.code == 0 and states(balancer) == "orch-1,UP\norch-2,UP\n", ran.said
    assert events(farm)[done:] == [f"orch-2 {what}" for what in STOPPED_AND_CHANGED if what != "copied"]
    assert client.noticed_nothing(), client.said()


@pytest.mark.long
def test_files_of_the_services_change_with_those_of_orchestrator(lan: BuildLan) -> None:
    farm = lan("haproxy", farm_of(frontend=PLAIN, orchestrator={"version": "2020.4"}), "lb-1")
    farm.good("balancers.yml")
    files = {name: farm.folder / "nodes" / name / "site\\Identity" / "appsettings.Production.json" for name in NODES}
    for name, path in files.items():
        path.parent.mkdir()
        path.write_text(f'{{"EncryptionSettings": {{"EncryptionKey": "of {name}"}} /* kept */}}', encoding="utf-8")
    before = {name: path.read_bytes() for name, path in files.items()}
    farm.good("nodes.yml")
    assert files["orch-1"].read_bytes() == files["orch-2"].read_bytes() == before["orch-1"]
    assert files["orch-2"].with_name("appsettings.Production.json.bak").read_bytes() == before["orch-2"]
    assert not files["orch-1"].with_name("appsettings.Production.json.bak").exists()
    assert sorted(path.name for path in files["orch-2"].parent.iterdir()) == [
        "appsettings.Production.json",
        "appsettings.Production.json.bak",
    ]
    ran = farm.good("nodes.yml")
    assert all(counts["changed"] == 0 for counts in ran.hosts.values()), ran.said


@pytest.mark.long
def test_a_first_rollout_prepares_the_node_that_serves_and_then_the_new_one(lan: BuildLan) -> None:
    farm = lan("haproxy", farm_of(frontend=PLAIN), "lb-1")
    new = farm.folder / "nodes" / "orch-2"
    for mark in ("new", "stopped"):
        (new / mark).touch()
    farm.good("site.yml")
    assert events(farm) == [f"{name} {what}" for name in NODES for what in STOPPED_AND_CHANGED]
    assert not (new / "new").exists(), "it starts with Windows again"
    assert states(farm.balancers["lb-1"]) == "orch-1,UP\norch-2,UP\n"
    assert asked_while_stopped(farm, "orch-2") == []

    # A person has switched that off since, and the settings are as they should be.
    (new / "new").touch()
    done = len(events(farm))
    farm.good("nodes.yml", "--limit", "orch.node.orch-2")
    assert events(farm)[done:] == ["orch-2 Stop-Website", "orch-2 Set-ItemProperty", "orch-2 Start-Website"]
    assert not (new / "new").exists()


@pytest.mark.long
@pytest.mark.parametrize("vendor", ["haproxy", "nginx"])
def test_last_serving_node_is_not_drained(vendor: str, lan: BuildLan) -> None:
    farm = lan(vendor, farm_of(frontend=PLAIN), "lb-1")
    farm.good("balancers.yml")
    stopped = farm.folder / "nodes" / "orch-2" / "stopped"
    stopped.touch()
    if vendor == "haproxy":
        assert wait_until(lambda: "orch-2,DOWN" in states(farm.balancers["lb-1"]), PATIENCE)
    ran = farm.play("nodes.yml", "--limit", "orch.node.orch-1")
    assert ran.code and ran.says("Without orch-1, 0 of orch.node.orch-2 would serve"), ran.said
    assert ran.says("-e node_alone=true") and events(farm) == []

    ran = farm.good("nodes.yml", "--limit", "orch.node.orch-1", "-e", "node_alone=true")
    assert events(farm) == [f"orch-1 {what}" for what in STOPPED_AND_CHANGED]
    farm.good("nodes.yml")
    assert not stopped.exists(), "a node that stands still is started"


def without_reload(name: str) -> tuple[str, str]:
    """Options for a playbook that is cut off before it has loaded anything."""
    wait = {action: ["sleep", "5"] for action in ("start", "reload", "restart")}
    return "-e", json.dumps({f"{name}_service_commands": wait})


@pytest.mark.long
@pytest.mark.parametrize("vendor", ["haproxy", "nginx"])
def test_run_after_an_interruption_before_the_reload_reloads(vendor: str, lan: BuildLan) -> None:
    farm = lan(vendor, farm_of(frontend=PLAIN), "lb-1")
    balancer, host = farm.balancers["lb-1"], "orch.balancer.1"
    config, log = f"/etc/{vendor}/{vendor}.{'cfg' if vendor == 'haproxy' else 'conf'}", f"/run/{vendor}-service.log"
    if vendor == "haproxy":
        drop_in = "/etc/systemd/system/haproxy.service.d/nlbgen.conf"
        farm.cut_off(
            "balancers.yml", *without_reload(vendor), until=lambda: "NLBGEN_SERVER_STATE" in balancer.read(drop_in)
        )
        assert farm.good("balancers.yml").changed(host) > 0
        assert balancer.read(log) == "restart\n", "the drop-in needs it, although it was there already"
    else:
        farm.good("balancers.yml")
    loaded, serving = balancer.read(log), balancer.read(config)

    farm.farm["balancer"]["max_body"] = "200MB"
    farm.export()
    farm.cut_off("balancers.yml", *without_reload(vendor), until=lambda: balancer.read(config) != serving)
    assert balancer.read(log) == loaded
    farm.good("balancers.yml", "--check")
    assert balancer.read(log) == loaded
    assert farm.good("balancers.yml").changed(host) > 0
    assert balancer.read(log) == f"{loaded}reload\n"
    ran = farm.good("balancers.yml")
    assert ran.changed(host) == 0 and balancer.read(log) == f"{loaded}reload\n", ran.said


LINKED = "/etc/nginx/linked.conf"


@pytest.mark.long
def test_nginx_rollout_writes_through_a_link_and_refuses_a_second_disabled_node(lan: BuildLan) -> None:
    farm = lan("nginx", farm_of(frontend=PLAIN), "lb-1")
    balancer, config, log = farm.balancers["lb-1"], "/etc/nginx/nginx.conf", "/run/nginx-service.log"
    balancer.run(f"mv {config} {LINKED} && ln -s {LINKED} {config}")
    farm.good("balancers.yml")
    serving = balancer.read(LINKED)
    assert "nlbgen" in serving and balancer.run(f"readlink {config}") == f"{LINKED}\n"

    # An earlier run left orch-1 down: a switch of orch-2 would enable it.
    down = farm.tree / "files" / "orch" / "variants" / "orch-1" / "down" / "nginx.conf"
    balancer.run(f"cp {down} {LINKED} && nginx -s reload")
    left, loaded = balancer.read(LINKED), balancer.read(log)
    assert left == down.read_text(encoding="utf-8") != serving
    ran = farm.play("nodes.yml", "--limit", "orch.node.orch-2")
    assert ran.code and ran.says("orch.balancer.1: another node than orch-2 is disabled"), ran.said
    assert ran.says("Run nodes.yml without --limit") and events(farm) == []
    assert (balancer.read(LINKED), balancer.read(log)) == (left, loaded)

    # Without --limit the run enables orch-1 before it drains orch-2.
    ran = farm.good("nodes.yml")
    assert [line for line in events(farm) if line.endswith("Stop-Website")] == [
        f"{name} Stop-Website" for name in NODES
    ]
    assert all(asked_while_stopped(farm, name) == [] for name in NODES)
    assert balancer.read(LINKED) == serving and balancer.run(f"readlink {config}") == f"{LINKED}\n", ran.said


@pytest.mark.long
def test_nodes_are_switched_in_nginx_only_in_a_configuration_of_this_export(lan: BuildLan) -> None:
    farm = lan("nginx", farm_of(frontend=PLAIN), "lb-1")
    balancer, config, log = farm.balancers["lb-1"], "/etc/nginx/nginx.conf", "/run/nginx-service.log"
    farm.good("balancers.yml")
    serving, loaded = balancer.read(config), balancer.read(log)
    farm.farm["balancer"]["max_body"] = "200MB"
    farm.export()
    ran = farm.play("nodes.yml", "--limit", "orch.node.orch-2")
    assert ran.code and ran.says("orch.balancer.1: /etc/nginx/nginx.conf is not from this export"), ran.said
    assert ran.says("run balancers.yml first") and events(farm) == []
    assert (balancer.read(config), balancer.read(log)) == (serving, loaded)

    # NGINX keeps its configuration: the message reports this, and the old file is restored.
    farm.good("balancers.yml")
    serving = balancer.read(config)
    ran = farm.play("nodes.yml", "--limit", "orch.node.orch-2", *deaf("drain_nginx"))
    assert ran.code and ran.says("Wait for new workers") and events(farm) == [], ran.said
    assert balancer.read(config) == serving

    loaded = balancer.read(log)
    farm.good("nodes.yml", "--limit", "orch.node.orch-2")
    assert balancer.read(log) == loaded + "reload\n" * 2, "out, and in again"

    # What a run leaves that is cut off between letting the node in again and loading that.
    balancer.run(f"touch {config}.pending-nlbgen")
    loaded = balancer.read(log)
    for _ in range(2):
        farm.good("nodes.yml", "--limit", "orch.node.orch-2")
        assert balancer.read(log) == f"{loaded}reload\n", "it is loaded once"


def deaf(prefix: str) -> tuple[str, str]:
    """Options for a service that ignores its commands."""
    return "-e", json.dumps({f"{prefix}_service_commands": {"reload": ["true"]}, f"{prefix}_wait_seconds": 2})


@pytest.mark.long
def test_connection_that_stays_open_is_not_reported_as_a_failure(lan: BuildLan) -> None:
    """`good` sees that no error is printed."""
    farm = lan("haproxy", farm_of(frontend=PLAIN), "lb-1")
    farm.good("balancers.yml")
    for _ in range(8):
        farm.lan.start("curl", "-s", "-H", "Host: orchestrator.corp.example", f"http://{BALANCERS['lb-1']}/held")
    assert wait_until(
        lambda: all("/held" in (farm.folder / "nodes" / f"{name}.log").read_text() for name in NODES), PATIENCE
    )
    farm.good("nodes.yml", "--limit", "orch.node.orch-2")
    assert events(farm) == [f"orch-2 {what}" for what in STOPPED_AND_CHANGED]


def states(balancer: Host) -> str:
    """How HAProxy has the nodes."""
    ask = "echo 'show stat' | socat - UNIX-CONNECT:/run/haproxy/admin.sock"
    return balancer.run(f"{ask} | grep ^orch_web,orch | cut -d, -f2,18")


def test_nginx_first_rollout_then_a_node_is_drained_and_enabled(lan: BuildLan) -> None:
    farm = lan("nginx", farm_of(frontend=PLAIN), "lb-1")
    balancer, host = farm.balancers["lb-1"], "orch.balancer.1"
    ran = farm.good("balancers.yml", "--check", "--diff")
    assert ran.changed(host) and "nlbgen" not in balancer.read("/etc/nginx/nginx.conf"), ran.said
    assert farm.good("balancers.yml").changed(host) > 0
    master, serving = balancer.read("/run/nginx.pid"), balancer.read("/etc/nginx/nginx.conf")
    client = Client(farm)
    ran = farm.good("balancers.yml")
    assert ran.changed(host) == 0, ran.said

    config = farm.tree / "files" / "orch" / "nginx" / "nginx.conf"
    good = config.read_bytes()
    config.write_bytes(good.replace(b"least_conn;", b"least_con;"))
    ran = farm.play("balancers.yml")
    assert ran.code and ran.says('unknown directive "least_con"'), ran.said
    assert balancer.read("/etc/nginx/nginx.conf") == serving
    config.write_bytes(good)

    farm.good("nodes.yml", "--limit", "orch.node.orch-2")
    assert events(farm) == [f"orch-2 {what}" for what in STOPPED_AND_CHANGED]
    assert asked_while_stopped(farm, "orch-2") == []
    assert balancer.read("/etc/nginx/nginx.conf") == serving
    assert balancer.read("/run/nginx.pid") == master, "reloaded, not restarted"
    assert client.noticed_nothing(), client.said()
