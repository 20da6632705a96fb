"""HAProxy 2.4 and later.

Sources: HAProxy's configuration manual of each version (configuration.txt), and tests with 2.2, 2.6, 3.0, 3.2 and 3.4.
The constants below are the first versions that accept a directive.
"""

import math
import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Final

from ...core.markdown import code
from ...spec.model import Farm
from ...spec.units import Duration, Version
from .. import certificate, digest, keepalived, redis_hosts
from ..base import Draft, Generator, Job
from ..design import ANY_PORT, COOKIE, ERRORS_TO_SUSPECT, HEADER_TIME, LARGEST_HEAD, LONG_POLL, Member, Pool
from ..features import FEATURES, Support, Yes
from ..headers import FORGED_NAMES, FORGED_PREFIXES
from ..hosting import Companion, Foreground, Hosting, RoleSetting, RoleVariable, StateFile, Syntax, TimeoutSyntax
from ..logs import CONNECTION_ID, LONGEST_LINE, MASK, TOKENS
from ..redis import RedisFront, front_of
from ..tls import HSTS_SECONDS, profile
from . import redis, runtime

CERTIFICATE_STORE: Final = Version("3.0")
"""`crt-store` has separate paths for certificate and key; older versions read the key from the certificate's file, or
from a file of that name with `.key` added."""
IDLE_CLOSE: Final = Version("2.6")
"""`option idle-close-on-response`: after a reload the old worker closes an idle client connection with the response to
its next request. 2.2 rejects it; 2.4 was not tested."""
RECEIVE_WINDOW_GROWS: Final = Version("3.2")
"""`tune.h2.fe.rxbuf`: the window of an upload over HTTP/2 grows by itself (tested with 3.0 and 3.2)."""
UPLOAD_WINDOW: Final = 1024**2
"""Bytes of an upload over HTTP/2 in flight: 50 MB/s from a client 20 ms away."""
STATE_FILE: Final = StateFile(
    "server-state",
    b"1\n",
    socket="admin.sock",
    master="master.sock",
    save="show servers state",
    info="show info",
    process=r"(?m)^Pid: (?P<id>.*)$",
)

BUFFER: Final = 24 * 1024
"""Bytes of a buffer without Windows sign-in; HAProxy reserves 1 kB of it (`tune.maxrewrite`). Six cookies of 3500 bytes
must pass in a request, five in a response. HAProxy copies the complete buffer of each GET for a retry (source:
`sc_conn_send` in src/stconn.c), so the size costs speed."""
SMALL_BUFFERS: Final = Version("3.4")
"""`option use-small-buffers`: the copy for a retry needs a complete buffer only if the request is large."""
SMALL_BUFFER: Final = 4096
"""Bytes: the headers of most requests."""
DETAILS_KEY: Final = "NLBGEN_HEALTH_DETAILS_KEY"
"""The environment variable of HAProxy's service with the value of HealthCheck.DetailsKey."""
HEALTH_ENVIRONMENT: Final = "/etc/haproxy/nlbgen-health.env"
"""The file of the balancer with that variable."""
TOOL: Final = "nlbgen-haproxy"
"""The rendered program for the workers that a reload replaced: they run no health checks."""

HANDSHAKE_TIMEOUT: Final = Version("3.0")
"""`timeout client-hs`: a time limit of its own for the TLS handshake. Before, `timeout client` limits it."""
HANDSHAKE: Final = Duration.of("5s")
CLIENT: Final = Duration.of("30s")
CLIENT_WITH_HANDSHAKE: Final = Duration.of("15s")
"""Where it limits the TLS handshake as well."""
SILENT_PLACES: Final = 320
"""Connections beyond `balancer.limits.connections`, for those that have sent no request yet. With a handshake timeout
of 5 s they are full only at 64 new silent connections per second. All places together need fewer open files than the
rule `open-files` counts beside the farm's own connections."""
REDIRECT_PLACES: Final = 64
"""Connections of port 80. A client holds one for 10 s at most."""
STATISTICS_PLACES: Final = 32
"""Connections of the statistics, which keepalived's check needs while the farm's own places are full."""

_ALGORITHMS: Final = {"least-connections": "leastconn", "round-robin": "roundrobin", "source": "source"}
_LOG: Final = {
    "length": LONGEST_LINE,
    "format": (
        "'%[var(sess.client)]:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq "
        """%hr %hs \"%HM %{+E}[var(txn.url)] %HV\"'"""
    ),
    "client": "src,lower",
    "masked": (
        f"""url,'regsub("([?&]({TOKENS})=)[^&#]*","\\1{MASK}",gi)',"""
        f"""'regsub("([?&]id=){CONNECTION_ID}(&|$)","\\1{MASK}\\2",gi)'"""
    ),
}
"""The log of requests; `client` and `masked` compute the variables of `format`. Groups of the regular expressions are
numbered. `lower` turns the address into text: HAProxy would do that for each use of an address."""
_REMOVED_NAMES: Final = sorted((*FORGED_NAMES, "HTTP2-Settings"))
_SERVER: Final = re.compile(r"^ *server .*$", re.MULTILINE)
_RUNTIME: Final = re.compile(r" weight [0-9]+| disabled$")
_BARE: Final = re.compile(r"[A-Za-z0-9_./:@%+,=~*-]+")


class Haproxy(Generator):
    """HAProxy."""

    name = "haproxy"
    title = "HAProxy"
    oldest = Version("2.4")
    newest = Version("3.4")
    program = "haproxy"
    hosting = Hosting(
        main="haproxy.cfg",
        statistics="/",
        timeouts=TimeoutSyntax(
            r"(?m)^(?P<before>\s*timeout\s+[a-z-]+\s+)(?P<time>[0-9a-z]+)(?=\s*(?:#.*)?$)", unit="ms"
        ),
        role_tasks=("candidate", "service"),
        drain_tasks=("others", "out", "back"),
        drains_by="runtime",
        load_commands=("nlbgen-haproxy load FILE",),
        enable_command="nlbgen-haproxy state NODE ready",
        first_rollout=(
            "The first run restarts HAProxy once, for its systemd drop-in; later runs only reload, which keeps every "
            "WebSocket."
        ),
        role_settings=(
            RoleSetting(
                "haproxy_restart",
                "false",
                "restart also if the drop-in changed; a higher limit of open files needs it",
            ),
        ),
    )
    syntaxes = (Syntax(r"haproxy\.cfg", "haproxy", "comments"),)
    support: ClassVar[Mapping[str, Support]] = {
        **{feature.id: Yes() for feature in FEATURES},
        "health-paths": Yes("one check requests each service, and all services must answer"),
        "health-details-key": Yes("the key is in an environment variable of the service, not in the configuration"),
        "drain": Yes("the node has weight 0: clients with an affinity cookie stay on the node"),
        "max-body": Yes(
            "HAProxy compares the Content-Length with the limit; only IIS limits chunked uploads. Before 3.0, a client "
            "that sends its complete upload before it reads the response gets a closed connection instead of the 413"
        ),
        "state-over-reload": Yes("this needs the systemd drop-in that nlbgen renders"),
        "vip": Yes("keepalived moves the address to another balancer"),
        "ntlm": Yes(
            "over HTTP/1.1, HAProxy reserves a connection to a node for the client that signed in on it. A Kerberos "
            "ticket may have 48,000 bytes"
        ),
        "redis-front": Yes(
            "the Sentinels and the server's own role decide which server is the master. HAProxy closes the connections "
            "to a replaced master"
        ),
    }

    def version(self, farm: Farm) -> Version:
        """The version in the spec's `haproxy` section."""
        return farm.haproxy.version

    def version_command(self) -> list[str]:
        """Print the version, and that of the TLS library."""
        return ["-vv"]

    def check_command(self, file: Path, version: Version) -> list[str]:  # noqa: ARG002  # the same for every version
        """Check the configuration."""
        return ["-c", "-f", str(file)]

    def foreground(self, file: Path, version: Version) -> Foreground:
        """Run master and worker, with the states of nodes as the systemd drop-in keeps them."""
        del version  # the same for every version
        return Foreground(
            ("-W", "-db", "-S", str(file.with_name(STATE_FILE.master)), "-f", str(file)),
            reload="SIGUSR2",
            environment={"NLBGEN_SERVER_STATE": "kept"},
            states=STATE_FILE,
            companion=Companion(TOOL, ("watch",), needs="socat"),
        )

    def role_variables(self, farm: Farm) -> Iterable[RoleVariable]:
        """The farm's name, the URL of the metrics, and the path at which HAProxy looks for the key."""
        tls = farm.frontend.tls
        beside = farm.balancer_tls and tls.key != tls.certificate and farm.haproxy.version < CERTIFICATE_STORE
        yield RoleVariable("farm", farm.farm)
        yield RoleVariable("metrics_url", f"http://127.0.0.1:{farm.balancer.metrics_port}/metrics")
        yield RoleVariable("key_link", f"{tls.certificate}.key" if beside else "", from_spec=beside)

    def quoted(self, text: str) -> str:
        """The text without quotes if that is safe, else in single quotes."""
        if _BARE.fullmatch(text):
            return text
        return "'" + text.replace("'", "'\\''") + "'"

    def files(self, job: Job) -> list[Draft]:
        """The configuration, the drop-in for its systemd service, the tool for its workers, and INSTALL.md."""
        view = self._view(job)
        return [
            Draft(
                PurePosixPath("haproxy.cfg"),
                "haproxy/haproxy.cfg.j2",
                {**view, "digest": digest.PLACEHOLDER},
                structure,
            ),
            Draft(PurePosixPath("haproxy.service.d/nlbgen.conf"), "haproxy/nlbgen.conf.j2", view),
            Draft(PurePosixPath(TOOL), "haproxy/nlbgen-haproxy.j2", view),
            Draft(PurePosixPath("nlbgen-haproxy.service"), "haproxy/nlbgen-haproxy.service.j2", view),
            Draft(PurePosixPath("INSTALL.md"), "haproxy/INSTALL.md.j2", view),
            *certificate.files(job, "nlbgen-haproxy renew"),
            *keepalived.files(job),
            *redis_hosts.files(job),
        ]

    def _view(self, job: Job) -> dict[str, Any]:
        design, balancer = job.design, job.design.balancer
        tls = design.frontend.tls
        window = design.frontend.offers_http2 and job.version < RECEIVE_WINDOW_GROWS
        front = front_of(job.farm)
        names = runtime.Pools.of(design)
        places = SILENT_PLACES + REDIRECT_PLACES + STATISTICS_PLACES + (redis.PLACES if front else 0)
        return {
            "farm": job.farm.farm,
            "limitations": job.limitations,
            "site": _site(job),
            "config": shlex.quote(f"{job.site.directory or '/etc/haproxy'}/haproxy.cfg"),
            "certificate": _certificate(job) if job.farm.balancer_tls else None,
            "maxconn": balancer.limits.connections + places,
            "farm_maxconn": balancer.limits.connections + SILENT_PLACES,
            "silent": SILENT_PLACES,
            "redirect_maxconn": REDIRECT_PLACES,
            "statistics_maxconn": STATISTICS_PLACES,
            "per_address": balancer.limits.connections_per_address,
            "open_files": balancer.limits.open_files,
            "buffer": _buffer(job),
            "small_buffers": SMALL_BUFFER if job.version >= SMALL_BUFFERS and not design.passthrough else None,
            "hard_stop": balancer.timeouts.reload,
            "idle_close": job.version >= IDLE_CLOSE and not design.passthrough,
            "tls": self._tls(job) if job.farm.balancer_tls else None,
            "upload_window": UPLOAD_WINDOW if window else None,
            "passthrough": design.passthrough,
            "verify": tls.verify_nodes is not False or design.passthrough,
            "timeouts": _timeouts(job),
            "health": self._health(job),
            "maintenance": _maintenance(job),
            "resolve": any(member.is_name for member in design.members),
            "binds": self._binds(job),
            "redirect": self._redirect(job),
            "log": _LOG,
            "hosts": [f"'^{re.escape(host)}({ANY_PORT})?$'" for host in design.hosts],
            "forged": f"^({'|'.join(FORGED_PREFIXES)}|({'|'.join(_REMOVED_NAMES)})$)|_".lower(),
            "scheme": design.scheme,
            "port": design.frontend.port,
            "hsts": HSTS_SECONDS if tls.hsts and job.farm.balancer_tls else None,
            "max_body": int(balancer.max_body),
            "max_body_shown": balancer.max_body,
            "signalr_paths": design.balancer.signalr.paths,
            "pools": self._pools(job),
            "web_pool": names.web,
            "live_pool": names.live,
            "unchecked_pool": names.unchecked,
            "recovery": math.ceil((balancer.health.interval + balancer.health.timeout) / 1000),
            "metrics_port": balancer.metrics_port,
            "shared": design.frontend.vip is not None,
            "alive": keepalived.alive_path(job.farm),
            "nonlocal": keepalived.needs_nonlocal(job.farm),
            "detection": f"{design.longest_detection / 1000:g}s",
            "service_detection": f"{design.longest_service_detection / 1000:g}s",
            "cookie": COOKIE,
            "redis": self._redis(job, front) if front else None,
        }

    def _redis(self, job: Job, front: RedisFront) -> dict[str, Any]:
        binds = [_bind(address, front.port) for address in job.design.listens]
        return redis.view(job, front, binds, self.quoted(front.ca))

    def _tls(self, job: Job) -> dict[str, Any]:
        tls = job.design.frontend.tls
        chosen = profile(tls.profile, job.farm.haproxy.openssl)
        store = _in_store(job)
        return {
            "profile": tls.profile,
            "oldest": chosen.versions[0],
            "ciphers": ":".join(chosen.ciphers),
            "suites": ":".join(chosen.suites),
            "groups": ":".join(chosen.groups),
            "certificate": self.quoted(tls.certificate),
            "key": self.quoted(tls.key),
            "store": store,
            "certificate_path": code(tls.certificate),
            "key_path": code(tls.key),
            "link": shlex.join(("ln", "-sfn", tls.key, f"{tls.certificate}.key")),
            "key_beside": not store and tls.key != tls.certificate,
        }

    def _binds(self, job: Job) -> list[str]:
        design = job.design
        options = ""
        if job.farm.balancer_tls:
            tls = self._tls(job)
            name = "@/site" if tls["store"] else tls["certificate"]
            options = f" ssl crt {name} alpn {'h2,' * design.frontend.offers_http2}http/1.1"
        return [_bind(address, design.frontend.port) + options for address in design.listens]

    def _redirect(self, job: Job) -> dict[str, Any] | None:
        design = job.design
        if not design.frontend.redirect_http:
            return None
        binds = [_bind(address, job.site.http_port) for address in design.listens]
        return {"binds": binds, "to": design.public_url}

    def _health(self, job: Job) -> dict[str, Any]:
        design, health = job.design, job.design.balancer.health
        return {
            "rounds": [self._round(job, path) for path in design.health_paths],
            "variable": DETAILS_KEY if any(map(design.sends_details_key, design.health_paths)) else "",
            "environment": HEALTH_ENVIRONMENT,
            "host": design.frontend.host,
            "expect": health.expect,
            "timeout": health.timeout,
            "server": (
                f"inter {health.interval} fastinter {design.fast_check} downinter {health.interval} "
                f"rise {health.rise} fall {health.fall}"
            ),
            "errors": ERRORS_TO_SUSPECT,
        }

    def _round(self, job: Job, path: str) -> str:
        """The URI of one request of a check; the key is in the environment of HAProxy's service."""
        if not job.design.sends_details_key(path):
            return f"uri {self.quoted(path)}"
        separator = "&" if "?" in path else "?"
        return f'uri-lf "{path.replace("%", "%%")}{separator}detailsKey=%[env({DETAILS_KEY}),url_enc]"'

    def _pools(self, job: Job) -> list[dict[str, Any]]:
        design = job.design
        pools = [self._pool(job, design.web, checked_by=None)]
        if not design.passthrough:
            pools.append(self._pool(job, design.signalr, checked_by=design.web))
        if design.balancer.health.serves_all_failed:
            pools.append(self._pool(job, design.unchecked, checked_by=None))
        return pools

    def _pool(self, job: Job, pool: Pool, checked_by: Pool | None) -> dict[str, Any]:
        design = job.design
        algorithm = "source" if pool.affinity == "source" else pool.algorithm
        unchecked = pool == design.unchecked
        return {
            "name": pool.name,
            "balance": _ALGORITHMS[algorithm],
            "cookie": pool.affinity == "cookie",
            "secure": job.farm.balancer_tls,
            "unchecked": unchecked,
            "checked_here": checked_by is None and not unchecked,
            "live": pool == design.live,
            "backups": any(member.state == "backup" for member in design.members),
            "node_tls": " ".join(self._node_tls(job)),
            "servers": [self._server(job, pool, member, checked_by) for member in design.members],
        }

    def _server(self, job: Job, pool: Pool, member: Member, checked_by: Pool | None) -> str:
        words = ["server", member.name, member.endpoint]
        words += ["weight", "0" if member.state == "drain" else str(member.weight)]
        if checked_by is not None:
            words += ["track", f"{checked_by.name}/{member.name}"]
        elif pool != job.design.unchecked:
            words.append("check")
        if pool == job.design.web and not job.design.passthrough:
            words += ["maxconn", str(job.design.balancer.limits.requests_per_node)]
        if pool.affinity == "cookie":
            words += ["cookie", member.tag]
        if member.is_name:
            words += ["resolvers", "system", "init-addr", "last,libc,none"]
        words += {"down": ["disabled"], "backup": ["backup"]}.get(member.state, [])
        return " ".join(words)

    def _node_tls(self, job: Job) -> list[str]:
        if not job.farm.node_tls:
            return []
        design = job.design
        words = ["check-ssl"] if design.passthrough else ["ssl", "sni", f"str({design.frontend.host})"]
        words += ["check-sni", design.frontend.host]
        tls = design.frontend.tls
        # Under passthrough only health checks verify certificates, and they carry no secrets. A default CA would mark
        # every node down whose certificate chains to a private CA.
        verify = tls.verify_nodes if not design.passthrough or "verify_nodes" in tls.written else False
        if not isinstance(verify, str):
            return [*words, "verify", "none"]
        return [*words, "verify", "required", "ca-file", self.quoted(verify), "verifyhost", design.frontend.host]


def structure(text: str) -> str:
    """Return a configuration without the weights and states of nodes, which the running process can change.

    The rendered program nlbgen-haproxy does the same: it changes weights and states without a reload.
    """
    return _SERVER.sub(lambda line: _RUNTIME.sub("", line[0]), text)


def _bind(address: str, port: int) -> str:
    return f"bind {address}:{port}" + (" v6only" if address == "[::]" else "")


def _client_timeout(job: Job) -> Duration:
    """Return the time after which a client that should send or receive, and does not, is disconnected.

    A WebSocket has the tunnel timeout instead. A client that waits for an answer, as in a long poll, has none: a poll
    of 25 s passes with a timeout of 10 s, on HTTP/1.1 and HTTP/2.
    """
    if job.design.passthrough:
        return job.design.balancer.signalr.idle_timeout
    return CLIENT if job.version >= HANDSHAKE_TIMEOUT or not job.farm.balancer_tls else CLIENT_WITH_HANDSHAKE


def _buffer(job: Job) -> dict[str, Any]:
    """Return the size of a buffer, which is the limit of request headers, and the memory for every client's headers."""
    tickets = job.design.frontend.windows_sign_in
    size = LARGEST_HEAD if tickets else BUFFER
    clients = job.design.balancer.limits.connections
    return {
        "bytes": size,
        "tickets": tickets,
        "clients": clients,
        "megabytes": clients * size // 1024**2,
    }


def _timeouts(job: Job) -> dict[str, Duration | None]:
    timeouts, design = job.design.balancer.timeouts, job.design
    return {
        "header": HEADER_TIME,
        "connect": timeouts.connect,
        "client": _client_timeout(job),
        "handshake": HANDSHAKE if job.version >= HANDSHAKE_TIMEOUT and job.farm.balancer_tls else None,
        "hello": HANDSHAKE,
        "request": timeouts.request,
        "long_poll": LONG_POLL,
        "queue": timeouts.queue,
        "tunnel": design.balancer.signalr.idle_timeout,
        "slow_start": design.balancer.slow_start,
    }


def _maintenance(job: Job) -> dict[str, Any]:
    """Return the answer while the farm is closed, and the limit of new robots while it is released."""
    design = job.design
    return {
        "page": design.maintenance_page if design.closed else "",
        "retry_after": design.balancer.maintenance.retry_after.seconds,
        "rate": design.robots_per_second,
        "table": f"{job.farm.farm}_robots",
    }


def _site(job: Job) -> dict[str, Any]:
    folder = job.site.directory
    return {
        "packaged": not folder,
        "socket": f"{folder}/admin.sock" if folder else runtime.SOCKET,
        "master": f"{folder}/{STATE_FILE.master}" if folder else runtime.MASTER,
        "state": f"{folder}/server-state" if folder else "/var/lib/haproxy/server-state",
    }


def _in_store(job: Job) -> bool:
    """Whether `crt-store` names the certificate and its key."""
    tls = job.design.frontend.tls
    return job.version >= CERTIFICATE_STORE and tls.key != tls.certificate


def _certificate(job: Job) -> dict[str, str]:
    """Return HAProxy's name of the certificate, and its files as words for a POSIX shell."""
    tls = job.design.frontend.tls
    name = "@/site" if _in_store(job) else tls.certificate.replace(" ", "\\ ")
    files = dict.fromkeys((tls.certificate, tls.key))
    return {"name": shlex.quote(name), "files": " ".join(map(shlex.quote, files))}


GENERATOR: Final = Haproxy()
