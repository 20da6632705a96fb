"""NGINX, open source, 1.18 and later.

Sources: nginx.org's documentation and CHANGES, and tests with 1.18, 1.22, 1.26 and 1.30. The constants below are the
first versions that accept a directive. Features that only NGINX Plus has (active health checks, slow start, a queue)
are `No` in `support`; they are not imitated.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Final

from ...core.markdown import code
from ...spec.capacity import open_files
from ...spec.model import Farm
from ...spec.units import Duration, Size, Version
from .. import certificate, digest, keepalived, redis_hosts
from ..base import Draft, Generator, Job, UnquotableError
from ..design import ANY_PORT, HEADER_TIME, KEEPALIVE_TO_NODE, LARGEST_HEAD, LONG_POLL
from ..features import ELSEWHERE, FEATURES, No, Since, Support, Yes
from ..headers import FORGED_NAMES, KNOWN_FORGED
from ..hosting import Foreground, Hosting, RoleVariable, Syntax, TimeoutSyntax
from ..logs import CONNECTION_ID, MASK, TOKENS
from ..tls import HSTS_SECONDS, profile
from .upstreams import ZONE_KB, ZONE_KB_PER_NODE, affinity, upstreams

HTTP2_DIRECTIVE: Final = Version("1.25.1")
"""`http2 on`; older versions have a parameter of `listen`."""
HTTP2_HEADERS: Final = Version("1.19.7")
"""`large_client_header_buffers` is the limit of HTTP/2, too; older versions have limits of their own."""
REJECT_HANDSHAKE: Final = Version("1.19.4")
"""`ssl_reject_handshake`: refuses unknown names without a certificate."""
ERROR_LOG_OPTION: Final = Version("1.19.5")
"""`nginx -e`: the error log that is used until the configuration is read."""
KEEPALIVE_MIN: Final = Version("1.27.4")
"""`keepalive_min_timeout`: a reload does not close a connection on which a request may be in flight."""
STICKY: Final = Version("1.29.6")
"""`sticky cookie` and `drain` in the open source build."""
RETRY_WINDOW: Final = Duration.of("10s")
"""A request may be retried within this time after its arrival: enough for a refused connection, not for a long poll."""
PID_FILE: Final = "nginx.pid"
"""The name of the pid file below a folder of its own."""
SIGNALR_CALL: Final = Duration.of("5s")
"""Response timeout of SignalR's short requests (negotiate, start, send, abort, ping). A client waits 15 s for them."""
CHECK_PATH: Final = "/nlb-check"
"""The internal path of the check before a WebSocket; a client that requests it gets 404."""
SOCKET_CHECK: Final = Duration.of("2s")
"""Timeout of the check before a WebSocket."""
CONNECT: Final = Duration.of("2s")
"""The longest timeout of a connection to a node, and of its TLS handshake. NGINX has no health checks: on a node that
hangs, only the handshake fails. Clients with affinity go to this node until two handshakes have failed."""

DEFAULT_TIMEOUTS: Final[Mapping[str, float]] = {
    "client_header_timeout": 60,
    "client_body_timeout": 60,
    "send_timeout": 60,
    "keepalive_timeout": 75,
    "proxy_read_timeout": 60,
    "proxy_send_timeout": 60,
}
"""In seconds. Source: nginx.org, ngx_http_core_module and ngx_http_proxy_module."""

_LOG: Final = {
    "token": f"~*^(?<nlb_shown>.*?[?&](?:(?:{TOKENS})=|id=(?={CONNECTION_ID}(?:&|$))))",
    "mask": MASK,
}
"""The map that masks the first token in a URL, and all that follows it."""
_BARE: Final = re.compile(r"[A-Za-z0-9_./:@%+,=*-]+")

_NO_STICKY: Final = No(
    "the open source build has `sticky cookie` only from 1.29.6 on",
    "a `map` converts the cookie to a hash key, which selects the node",
)


class Nginx(Generator):
    """NGINX, open source."""

    name = "nginx"
    title = "NGINX"
    oldest = Version("1.18")
    newest = Version("1.31")
    program = "nginx"
    version_pattern = r"nginx/([0-9]+(?:\.[0-9]+){1,2})"
    hosting = Hosting(
        main="nginx.conf",
        statistics="/status",
        timeouts=TimeoutSyntax(
            r"(?m)(?P<before>(?:^|[;{])\s*(?:client_header|client_body|send|keepalive|proxy_read|proxy_send|proxy_connect|"
            r"proxy_next_upstream|proxy)_timeout\s+)(?P<time>[0-9a-z]+)(?=;)",
            unit="s",
            defaults=DEFAULT_TIMEOUTS,
            section=r"(?m)^http \{$",
        ),
        role_tasks=("candidate", "service", "workers"),
        drain_tasks=("out", "back", "switch", "balancer", "reload"),
        drains_by="files",
        load_commands=("cp FILE /etc/nginx/nginx.conf", "nginx -t && systemctl reload nginx"),
        stop_note="NGINX keeps the WebSockets of its old workers until the nodes stop: this closes them.",
    )
    syntaxes = (Syntax(r"nginx\.conf", "nginx", "comments"),)
    support: ClassVar[Mapping[str, Support]] = {
        **{feature.id: Yes() for feature in FEATURES},
        "active-health": No(
            "the open source build has no active health checks; it detects failures only from requests",
            "after failed requests (also 502, 503 and 504) a node gets no requests for 10s",
        ),
        "health-paths": No(
            "the open source build has no active health checks",
            "only failed requests mark a node down, and a failed request to any of the services does so",
        ),
        "health-details-key": No("the open source build has no active health checks", "no request sends the key"),
        "passthrough-health": No(
            "the open source build has no active health checks, and with passthrough it sees no HTTP status",
            "only a node that does not accept connections is marked down; requests to a stopped app pool fail",
        ),
        "serve-all-failed": Yes("while every node is marked down, NGINX tries all nodes"),
        "refuse-all-failed": No(
            "the open source build has no active health checks",
            "NGINX first tries the nodes, and refuses a request only if these attempts fail",
        ),
        "app-pool-stop": Yes(
            "NGINX detects the status 503: it retries a GET on another node, and sends no requests to the failed node "
            "for 10s"
        ),
        "free-hung-websockets": No(
            "the open source build cannot close the connections of one node",
            "only SignalR's own timeouts close the WebSockets of a node that hangs",
        ),
        "no-replayed-post": Yes("NGINX may retry PUT and DELETE, because HTTP defines them as idempotent"),
        "affinity-cookie": Since(
            STICKY,
            _NO_STICKY,
        ),
        "affinity-signalr": Since(
            STICKY,
            _NO_STICKY,
        ),
        "drain": Yes("clients without an affinity cookie move to other nodes; open connections continue"),
        "backup-source": No("NGINX does not allow backup nodes with hashing by address"),
        "slow-start": No(
            "the open source build has no `slow_start`", "a node that recovers gets its full share at once"
        ),
        "queue": No("the open source build has no request queue", "requests wait in IIS's own queue"),
        "address-limit": No(
            "`limit_conn` counts a connection only after its request headers are complete",
            "a client that sends nothing is disconnected after 10s",
        ),
        "state-over-reload": No(
            "a reload discards the states of failed nodes", "after a reload, requests detect the failed nodes again"
        ),
        "vip": Yes("keepalived moves the address to another balancer"),
        "metrics": Yes("counters of connections and requests (`stub_status`)"),
        "ntlm": No("NTLM and Negotiate authenticate a connection to a node, and clients share these connections"),
        "redis-front": No("open source NGINX cannot check whether a server is the master", ELSEWHERE),
    }

    def version(self, farm: Farm) -> Version:
        """The version in the spec's `nginx` section."""
        return farm.nginx.version

    def version_command(self) -> list[str]:
        """Print the version, and that of the TLS library."""
        return ["-V"]

    def check_command(self, file: Path, version: Version) -> list[str]:
        """Check the configuration, with every file that it names beside it."""
        return ["-t", "-q", *_early_log(file, version), "-c", str(file)]

    def foreground(self, file: Path, version: Version) -> Foreground:
        """Run master and workers, with the error log beside the configuration from the start."""
        return Foreground(
            ("-g", "daemon off;", *_early_log(file, version), "-c", str(file)), reload="SIGHUP", pid_file=PID_FILE
        )

    def role_variables(self, farm: Farm) -> Iterable[RoleVariable]:
        """The status page, and the stream module's package under passthrough."""
        yield RoleVariable("status_url", f"http://127.0.0.1:{farm.balancer.metrics_port}/status")
        if farm.frontend.tls.mode == "passthrough":
            yield RoleVariable("packages", ("nginx", "libnginx-mod-stream"))

    def missing_module(self, said: str) -> str | None:
        """The stream module, which is a separate package on Debian."""
        if 'unknown directive "stream"' in said:
            return "NGINX's stream module is not installed here (Debian: libnginx-mod-stream)"
        return None

    def quoted(self, text: str) -> str:
        """The text without quotes if that is safe, else in double quotes; raises UnquotableError for a dollar sign."""
        if "$" in text:
            raise UnquotableError("$ begins a variable and cannot be escaped")
        if text and _BARE.fullmatch(text):
            return text
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    def files(self, job: Job) -> list[Draft]:
        """The complete nginx.conf, and INSTALL.md."""
        view = self._view(job)
        return [
            Draft(
                PurePosixPath("nginx.conf"),
                "nginx/nginx.conf.j2",
                {**view, "digest": digest.PLACEHOLDER},
                digest.unchanged,
            ),
            Draft(PurePosixPath("INSTALL.md"), "nginx/INSTALL.md.j2", view),
            *certificate.files(job, "nginx -t -q && systemctl reload nginx"),
            *keepalived.files(job),
            *(() if job.farm.redis_front else redis_hosts.files(job)),
        ]

    def _view(self, job: Job) -> dict[str, Any]:
        design, balancer = job.design, job.design.balancer
        http2 = design.frontend.offers_http2 and job.version < HTTP2_DIRECTIVE
        options = " ssl" * job.farm.balancer_tls + " http2" * http2
        standard_port = design.frontend.port == (443 if job.farm.balancer_tls else 80)
        return {
            "farm": job.farm.farm,
            "limitations": job.limitations,
            "site": _site(job),
            "open_files": balancer.limits.open_files,
            "worker_connections": open_files(balancer.limits.connections),
            "shutdown": balancer.timeouts.reload,
            "passthrough": design.passthrough,
            "keepalive_min": job.version >= KEEPALIVE_MIN,
            "zone": f"{ZONE_KB + ZONE_KB_PER_NODE * len(design.members)}k",
            "names_nodes": any(member.is_name for member in design.members),
            "tls": self._tls(job) if job.farm.balancer_tls else None,
            "node_tls": self._node_tls(job) if design.tls_mode == "bridge" else None,
            "listens": _listens(job, design.frontend.port, options),
            "default_listens": _listens(job, design.frontend.port, f"{options} default_server"),
            "host_header": "$host" if standard_port else f"$host:{design.frontend.port}",
            "log": _LOG,
            "redirect": self._redirect(job),
            "hosts": " ".join(design.hosts),
            "host": design.frontend.host,
            "host_form": f'"^[^:]*[^:.]({ANY_PORT})?$"',
            "largest_head": f"{LARGEST_HEAD // 1024}k",
            "largest_heads": f"{2 * LARGEST_HEAD // 1024}k",
            "old_http2": job.farm.balancer_tls and job.version < HTTP2_HEADERS,
            "forged": sorted((*FORGED_NAMES, *KNOWN_FORGED)),
            "scheme": design.scheme,
            "port": design.frontend.port,
            "hsts": HSTS_SECONDS if design.frontend.tls.hsts and job.farm.balancer_tls else None,
            "max_body": _size(balancer.max_body),
            "max_body_shown": balancer.max_body,
            "signalr_paths": "|".join(re.escape(path).replace("\\-", "-") for path in balancer.signalr.paths),
            "timeouts": _timeouts(job),
            "node_scheme": "https" if job.farm.node_tls else "http",
            "pools": (pools := upstreams(serving := _serving(job))),
            "pool": {pool["kind"]: pool for pool in pools},
            "rescued": any(pool["rescued"] for pool in pools),
            "affinity": affinity(serving),
            "maintenance": {
                "page": design.maintenance_page if design.closed else "",
                "retry_after": design.balancer.maintenance.retry_after.seconds,
                "rate": design.robots_per_second,
                "burst": max(1, design.robots_per_second // 4),
            },
            "check": CHECK_PATH,
            "check_url": self.quote(
                job,
                design.health_location(0),
                f"{'https' if job.farm.node_tls else 'http'}://{job.farm.farm}_websocket{design.health_path}",
            ),
            "metrics_port": balancer.metrics_port,
            "shared": design.frontend.vip is not None,
            "alive": keepalived.alive_path(job.farm),
            "nonlocal": keepalived.needs_nonlocal(job.farm),
        }

    def _tls(self, job: Job) -> dict[str, Any]:
        tls = job.design.frontend.tls
        chosen = profile(tls.profile, job.farm.nginx.openssl)
        return {
            "profile": tls.profile,
            "versions": " ".join(chosen.versions),
            "ciphers": ":".join(chosen.ciphers),
            "groups": ":".join(chosen.groups),
            "certificate": self.quote(job, ("frontend", "tls", "certificate"), tls.certificate),
            "key": self.quote(job, ("frontend", "tls", "key"), tls.key),
            "certificate_path": code(tls.certificate),
            "key_path": code(tls.key),
            "http2_directive": job.design.frontend.offers_http2 and job.version >= HTTP2_DIRECTIVE,
            "reject": job.version >= REJECT_HANDSHAKE,
        }

    def _node_tls(self, job: Job) -> dict[str, Any]:
        verify = job.design.frontend.tls.verify_nodes
        ca = self.quote(job, ("frontend", "tls", "verify_nodes"), verify) if isinstance(verify, str) else None
        return {"ca": ca}

    def _redirect(self, job: Job) -> dict[str, Any] | None:
        if not job.design.frontend.redirect_http:
            return None
        return {
            "listens": _listens(job, job.site.http_port, " default_server"),
            "to": job.design.public_url,
        }


def _serving(job: Job) -> Job:
    """The job with the nodes' own states: while the farm is closed, no location uses its upstreams."""
    if not job.design.closed or job.design.passthrough:
        return job
    balancer = job.farm.balancer
    farm = job.farm.replace(balancer=balancer.replace(maintenance=balancer.maintenance.replace(state="serving")))
    return Job(job.spec._replace(farm=farm), job.site, job.version, job.limitations, job.lost)


def _early_log(file: Path, version: Version) -> tuple[str, ...]:
    """The arguments that send errors to a log beside the configuration before the program has read it."""
    return ("-e", str(file.parent / "error.log")) if version >= ERROR_LOG_OPTION else ()


def _listens(job: Job, port: int, options: str) -> list[str]:
    prefixes = ["" if address == "*" else f"{address}:" for address in job.design.listens]
    return [f"listen {prefix}{port}{options}" for prefix in prefixes]


def _size(size: Size) -> str:
    """A size in NGINX's syntax, exact to the byte."""
    return f"{int(size) // 1024}k" if size % 1024 == 0 else str(int(size))


def _timeouts(job: Job) -> dict[str, str]:
    timeouts, design = job.design.balancer.timeouts, job.design
    return {
        "header": str(HEADER_TIME),
        "connect": str(Duration(min(CONNECT, timeouts.connect))),
        "request": str(timeouts.request),
        "idle": str(design.balancer.signalr.idle_timeout),
        "keepalive": str(KEEPALIVE_TO_NODE),
        "retry": str(RETRY_WINDOW),
        "poll": str(LONG_POLL),
        "call": str(SIGNALR_CALL),
        "check": str(SOCKET_CHECK),
    }


def _site(job: Job) -> dict[str, Any]:
    folder = job.site.directory
    return {
        "packaged": not folder,
        "user": job.farm.nginx.user,
        "pid": f"{folder}/{PID_FILE}" if folder else "/run/nginx.pid",
        "error_log": f"{folder}/error.log" if folder else "/var/log/nginx/error.log",
        "access_log": f"{folder}/access.log" if folder else "/var/log/nginx/access.log",
        "temp": folder,
    }


GENERATOR: Final = Nginx()
