"""The spec as frozen, typed data: one class per mapping of farm.yaml.

The descriptions here are the spec's reference (docs/spec.md) and the JSON Schema of `nlbgen schema`. Defaults that
depend on other keys are properties, so that `None` has no hidden meaning.
"""

from functools import cached_property
from typing import Annotated, Final, Literal, Self

from . import orchestrator as facts
from . import types as t
from .schema import Model, WordOr, entry, nearest
from .strings.endpoints import Endpoint
from .units import Duration, Size, Version


class Secret(Model):
    """A reference to a secret: `{env: NAME}` or `{file: PATH}`; the secret itself is never in the spec."""

    env: t.EnvName | None = entry("The environment variable with the secret.", default=None)
    file: t.SecretFile | None = entry("The file that contains only the secret.", default=None)

    @classmethod
    def refuses(cls, value: object) -> str | None:
        """Refuse anything but one reference (or one with a mistyped key); the message does not show the value."""
        if isinstance(value, dict) and len(value) == 1:
            ((key, target),) = value.items()
            if target is not None and (key in {"env", "file"} or nearest(key, ("env", "file"))):
                return None
        return "the spec must not contain a secret: write a reference, {env: NAME} or {file: PATH}"


class Orchestrator(Model):
    """The Orchestrator that the nodes run."""

    version: t.ProgramVersion | None = entry(
        "In quotes. Determines the health endpoint, the settings of the SignalR store and the config file's name.",
        default=None,
    )
    site: t.SiteName = entry("The name of the IIS site.", default="UiPath Orchestrator")
    directory: t.WindowsPath = entry(
        "The folder of the site on the nodes.", default=r"C:\Program Files (x86)\UiPath\Orchestrator"
    )
    robots: t.Robots | None = entry(
        "The number of robots. `nlbgen check` compares it with the limits of the balancer.", default=None
    )

    @property
    def is_core(self) -> bool:
        """Whether it runs on ASP.NET Core (2020.10 on)."""
        return facts.is_core(self.version)


class Tls(Model):
    """The TLS mode, profile and certificates."""

    mode: t.TlsMode = entry(
        "`bridge`: the balancer terminates TLS and opens TLS connections to the nodes. `terminate`: the balancer "
        "terminates TLS and sends HTTP to the nodes. `passthrough`: the nodes terminate TLS. `none`: only HTTP.",
        default="bridge",
    )
    profile: t.TlsProfile = entry("Mozilla's server side TLS profile, guideline 6.0.", default="intermediate")
    certificate: t.PosixPath = entry(
        "On the balancer: the certificate with its chain, PEM.", default="/etc/ssl/orchestrator/fullchain.pem"
    )
    key: t.PosixPath = entry("On the balancer: the private key, PEM.", default="/etc/ssl/orchestrator/privkey.pem")
    verify_nodes: t.CaPath = entry(
        "The CA that the nodes' certificates chain to; `false` disables the verification, "
        "with a warning. With `passthrough`, only the health checks use this CA, and only "
        "if the spec contains this key.",
        default="/etc/ssl/certs/ca-certificates.crt",
    )
    hsts: t.Flag = entry("Send Strict-Transport-Security (two years) if the balancer terminates TLS.", default=True)


class Vip(Model):
    """A virtual address that two or more balancers share by VRRP (keepalived)."""

    address: t.InterfaceAddress = entry("The shared address with its prefix length.")
    interface: t.InterfaceName = entry("The balancers' network interface for the shared address.")
    router_id: t.RouterId = entry(
        "The VRRP router id: the same on all balancers, different from all others in the network.", default=51
    )
    balancers: tuple[t.NodeAddress, ...] = entry("The balancers, the preferred one first.", least=2)
    secret: Secret = entry("The password that the balancers share; VRRP uses its first 8 characters.")
    preempt: t.Flag = entry(
        "When the preferred balancer recovers, it takes the address back; this closes every open connection.",
        default=False,
    )


class Frontend(Model):
    """The address, names and TLS of the balancer for robots and people."""

    host: t.HostName = entry("The name that robots and people use; certificates must contain it.")
    aliases: tuple[t.HostName, ...] = entry("Other names of the farm.", default=())
    address: t.ListenAddress = entry("The address that the balancer listens on; `*` for every address.", default="*")
    listen_port: t.Port | None = entry("Default: 443, or 80 if tls.mode is none.", default=None, name="port")
    redirect: t.Flag | None = entry(
        "Port 80 redirects to https. Default: true with TLS.", default=None, name="redirect_http"
    )
    tls: Tls = entry("The TLS mode, profile and certificates.", default=Tls)
    http2: t.Flag = entry("Offer HTTP/2 to clients where the balancer ends TLS.", default=True)
    windows_sign_in: t.Flag = entry(
        "Users sign in by NTLM or Negotiate, which authenticate a connection. HTTP/2 is then off, and HAProxy accepts "
        "the large headers of Kerberos tickets (80 kB instead of 23 kB).",
        default=False,
    )
    vip: Vip | None = entry("A shared address for two or more balancers.", default=None)

    @property
    def offers_http2(self) -> bool:
        """Whether the balancer offers HTTP/2."""
        return self.http2 and not self.windows_sign_in and self.tls.mode in {"bridge", "terminate"}

    @property
    def port(self) -> int:
        """Where the balancer listens."""
        return self.listen_port or (80 if self.tls.mode == "none" else 443)

    @property
    def redirect_http(self) -> bool:
        """Whether port 80 redirects to https."""
        return self.tls.mode != "none" if self.redirect is None else self.redirect


class Node(Model):
    """One Orchestrator node."""

    name: t.NodeName = entry("A short name, unique in the farm.")
    address: t.NodeAddress = entry("IPv4, IPv6 or a host name.")
    listen_port: t.Port | None = entry(
        "Default: 443, or 80 if the balancer sends HTTP to the nodes.", default=None, name="port"
    )
    primary: t.Flag = entry("The node whose keys are copied to the others. Default: the first node.", default=False)
    weight: t.Weight = entry("Its share of new requests, relative to the other nodes.", default=100)
    state: t.NodeState = entry(
        "`up`: gets requests; `drain`: gets no new sessions; `down`: gets no requests; `backup`: gets requests only if "
        "no other node can serve.",
        default="up",
    )
    config: t.FilePath | None = entry(
        "A copy of its config file or of its install folder, relative to the spec's folder.", default=None
    )


class Health(Model):
    """How the balancer checks the health of a node."""

    path: t.HealthPath = entry(
        "The endpoint that must answer. `auto` means the endpoints of the Orchestrator version: "
        "Orchestrator's own and, from 2020.10 on, also Identity's.",
        default="auto",
    )
    paths: tuple[t.ServicePath, ...] = entry(
        "Instead of `path`: the endpoints of several services, all of which must answer.", default=(), most=8
    )
    details_key: Secret | None = entry(
        "The value of `HealthCheck.DetailsKey`, by reference. The health checks of "
        "`/api/health` send it if the vendor can keep it out of the configuration files. "
        "`nlbgen probe` sends it too, and shows the details.",
        default=None,
    )
    expect: t.HttpStatus = entry("The status of a healthy node.", default=200)
    interval: t.ShortTime = entry("The time between two checks of a healthy node.", default=Duration.of("1s"))
    timeout: t.ShortTime = entry("The time limit of one check.", default=Duration.of("1900ms"))
    rise: t.Count = entry("Successful checks in a row that mark a node up.", default=2)
    fall: t.Count = entry("Failed checks in a row that mark a node down.", default=2)
    all_failed: t.AllFailed | None = entry(
        "What the balancer does while the checks of all nodes fail: `serve` sends requests "
        "to the nodes anyway, `refuse` answers 503. Default: `serve` if the vendor supports "
        "it, otherwise `refuse`.",
        default=None,
    )

    @property
    def serves_all_failed(self) -> bool:
        """Whether requests go to the nodes while the checks of all of them fail, where the vendor can do that."""
        return self.all_failed != "refuse"


class Signalr(Model):
    """The paths of the robots' and browsers' live connections."""

    paths: tuple[t.PathPrefix, ...] = entry(
        "The prefixes of the SignalR paths; upper and lower case do not matter.",
        default=("/signalr",),
        least=1,
        most=16,
    )
    idle_timeout: t.LongTime = entry(
        "A WebSocket without traffic is closed after this time. It must be more than 110s.", default=Duration.of("1h")
    )


class Timeouts(Model):
    """The balancer's timeouts."""

    connect: t.ShortTime = entry(
        "The time in which a node must accept a connection (NGINX: at most 2s).", default=Duration.of("5s")
    )
    request: t.LongTime = entry(
        "The time in which a node must respond, except on the SignalR paths.", default=Duration.of("120s")
    )
    queue: t.ShortTime = entry(
        "The time that a request waits in the queue if all nodes are at their limit.", default=Duration.of("30s")
    )
    reload: t.LongTime = entry(
        "A WebSocket that is open during a reload is closed after this time; its robot then reconnects.",
        default=Duration.of("1h"),
    )


class Limits(Model):
    """Limits of connections, requests and open files."""

    connections: t.Connections = entry("The maximum number of client connections; each robot needs one.", default=8_000)
    connections_per_address: t.OptionalConnections = entry(
        "The maximum number of connections from one client address; 0 is no limit. An "
        "office behind NAT is one address: count its robots and browsers.",
        default=0,
    )
    requests_per_node: t.Connections = entry(
        "The maximum number of concurrent requests for each node, except on the SignalR "
        "paths; other requests wait in the queue.",
        default=1_000,
    )
    open_files: t.OpenFiles = entry(
        "The limit of open files (`LimitNOFILE`) of the balancer's service.", default=20_000
    )


class Maintenance(Model):
    """The answer of the balancer while Orchestrator is upgraded; `nlbgen render upgrade` sets the state."""

    state: t.MaintenanceState = entry(
        "`serving`: normal operation. `closed`: no request reaches a node, and clients get "
        "503. `releasing`: the farm serves requests, but limits the new connections of "
        "robots, so that not all robots connect at once.",
        default="serving",
    )
    retry_after: t.LongTime = entry(
        "The value of the header Retry-After while the farm is closed, in whole seconds.", default=Duration.of("5m")
    )
    message: t.Text = entry(
        "The text of the page while the farm is closed.",
        default="Orchestrator is being upgraded. Please try again later.",
    )
    robots_per_second: t.RobotRate = entry(
        "The maximum number of new robot connections in each second of `releasing`.", default=20
    )


class Balancer(Model):
    """How requests are distributed to the nodes."""

    algorithm: t.Algorithm = entry("How the node for a new request is selected.", default="least-connections")
    affinity: t.Affinity = entry(
        "How a client stays on its node: not at all (`none`), by `cookie`, by `source` "
        "address, or by cookie on the SignalR paths only (`signalr`). `auto` is `none` "
        "before Orchestrator 2020.10. From 2020.10 on, SignalR Core needs affinity: `auto` "
        "is then `signalr`, with passthrough `source`.",
        default="auto",
    )
    health: Health = entry("How the balancer checks the health of a node.", default=Health)
    signalr: Signalr = entry("Paths and timeout of the SignalR connections.", default=Signalr)
    timeouts: Timeouts = entry("The balancer's timeouts.", default=Timeouts)
    limits: Limits = entry("Limits of connections, requests and open files.", default=Limits)
    maintenance: Maintenance = entry("The answer of the balancer while Orchestrator is upgraded.", default=Maintenance)
    metrics_port: t.Port = entry("The port of the statistics, only on the balancer's loopback address.", default=8404)
    max_body: t.BodySize = entry("The maximum size of an upload, for example of a package.", default=Size.of("300MB"))
    slow_start: t.OptionalTime = entry(
        "After a node recovers, its share of requests increases to the full value over this time; 0s disables it.",
        default=Duration(0),
    )
    minimum: t.Count | None = entry(
        "The number of nodes that `nlbgen nodes drain`, `nodes down`, `roll` and the "
        "Ansible rollout leave in rotation. Default: the number of nodes with `state: up` "
        "or `backup`, minus one, and at least one.",
        default=None,
    )


class SqlLogin(Model):
    """SQL Server authentication."""

    user: t.Text | None = entry("The SQL Server login.", default=None)
    password: Secret | None = entry("Its password, by reference.", default=None)


SqlAuth = Annotated[
    Literal["windows"] | SqlLogin,
    WordOr("windows", "is neither windows nor {user: NAME, password: {env: NAME}}"),
]


class Database(Model):
    """The SQL Server database that all nodes share."""

    server: t.Text = entry(r"The SQL Server and its instance, for example `SQL01\PROD`.")
    name: t.Text = entry("The database.", default="UiPath")
    auth: SqlAuth = entry("`windows`, or the user and password of an SQL Server login.", default="windows")
    options: t.StringOptions | None = entry(
        "More keywords of SqlClient for the connection string of the sessions, as in `{MultiSubnetFailover: true}`. "
        "Keywords of the nodes' own string that are not named here stay.",
        default=None,
    )

    @property
    def settings(self) -> dict[str, str]:
        """The options, by their keywords as written."""
        return dict(self.options.pairs) if self.options is not None else {}


ADD_ON_PORTS: Final = range(10_000, 20_000)
"""The ports of the databases of Redis Enterprise, which UiPath's High Availability Add-on is."""
REDIS_FOR_WINDOWS: Final = Version("3.0.504")
"""The last Redis for Windows by Microsoft, which the guide installs."""
LEAST_ADD_ON_NODES: Final = 3
"""Its nodes that UiPath requires for production."""


class RedisHost(Model):
    """A host with Sentinel, and with Redis unless `redis` is false."""

    name: t.NodeName = entry("A short name, unique among the hosts.")
    address: t.NodeAddress = entry("IPv4 or IPv6: Sentinel announces the master by its address.")
    port: t.Port = entry("The TCP port of Redis.", default=6379)
    sentinel_port: t.Port = entry("The TCP port of Sentinel.", default=26379)
    redis: t.Flag = entry(
        "Whether the host runs Redis. A host with `false` runs only Sentinel, and votes on failures.", default=True
    )


class Sentinel(Model):
    """Redis servers with a master that Sentinel replaces if it fails. nlbgen renders redis.conf and sentinel.conf."""

    name: t.MasterName = entry("The name by which Sentinel knows the master.", default="mymaster")
    nodes: tuple[RedisHost, ...] = entry("The hosts; the first one with Redis is the first master.", least=1)
    own_quorum: t.Count | None = entry(
        "The number of Sentinels that must agree that the master is down. Default: more than half.",
        default=None,
        name="quorum",
    )
    down_after: t.ShortTime = entry(
        "A master that does not answer for this time counts as down.", default=Duration.of("5s")
    )
    version: t.ProgramVersion = entry(
        "The version of Redis on the hosts: 6.0 or later, or 3.0.504 for Redis for Windows (the guide's kit).",
        default=Version("7.0"),
    )
    certificate: t.PosixPath = entry(
        "On each host, with `tls`: its certificate with its chain, PEM.", default="/etc/redis/tls/fullchain.pem"
    )
    key: t.PosixPath = entry("On each host, with `tls`: the private key, PEM.", default="/etc/redis/tls/privkey.pem")
    ca: t.PosixPath = entry(
        "On each host and on the balancer, with `tls`: the CA that the hosts' certificates chain to.",
        default="/etc/ssl/certs/ca-certificates.crt",
    )

    @property
    def on_windows(self) -> bool:
        """Whether the hosts run Redis for Windows: it has no users and no TLS, and its Sentinel has no password."""
        return self.version == REDIS_FOR_WINDOWS

    @property
    def majority(self) -> int:
        """More than half of the Sentinels: without as many, none of them may start a failover."""
        return len(self.nodes) // 2 + 1

    @property
    def quorum(self) -> int:
        """The number of Sentinels that must agree that the master is down."""
        return self.own_quorum or self.majority

    @property
    def servers(self) -> tuple[RedisHost, ...]:
        """The hosts with Redis, the first master first."""
        return tuple(node for node in self.nodes if node.redis)


class Redis(Model):
    """The Redis that carries SignalR's messages between the nodes."""

    single_host: t.NodeAddress | None = entry(
        "The host name or address of Redis, if it is one server.", default=None, name="host"
    )
    single_port: t.Port | None = entry("The TCP port of this server, usually 6379.", default=None, name="port")
    endpoints: tuple[t.RedisEndpoint, ...] = entry(
        "The servers of Redis, instead of `host` and `port`: several replicas, or the sentinels of a `serviceName`. "
        "The default port is 6379; with `tls`, 6380; with a `serviceName`, 26379.",
        default=(),
    )
    user: t.RedisUser | None = entry("The user of Redis's access control list. Needs Redis 6.2 or later.", default=None)
    password: Secret | None = entry("Its password, by reference.", default=None)
    tls: t.Flag = entry(
        "Whether the nodes connect to it over TLS (`ssl=True` in the connection string). "
        "Default: the setting in each node's own connection string.",
        default=False,
    )
    options: t.StringOptions | None = entry(
        "More keywords of StackExchange.Redis for the connection string, as in `{connectTimeout: 15000}`. Keywords of "
        "the nodes' own string that are not named here stay.",
        default=None,
    )
    install_on: t.NodeName | None = entry("The node on which it is installed, if any.", default=None)
    sentinel: Sentinel | None = entry(
        "Several Redis servers under Sentinel, instead of `host` and `port`.", default=None
    )
    balancer_front: t.Flag | None = entry(
        "The balancer listens on `front_port` and forwards connections to the master (the "
        "Redis frontend). Default: true with `sentinel`, otherwise false. With `sentinel` "
        "and `false`, the nodes ask the Sentinels for the master.",
        default=None,
        name="front",
    )
    balancer_host: t.NodeAddress | None = entry(
        "The host name or address at which the nodes connect to the Redis frontend. Default: the "
        "address of `frontend.vip`, or `frontend.host`.",
        default=None,
        name="front_host",
    )
    front_port: t.Port = entry("The TCP port of the Redis frontend on the balancer.", default=6379)

    @property
    def front(self) -> bool:
        """Whether the balancer forwards the nodes' connections to the master."""
        return self.sentinel is not None if self.balancer_front is None else self.balancer_front

    @property
    def asked(self) -> Sentinel | None:
        """The Sentinels that the nodes ask for the master; None if the nodes connect to a server or to the front."""
        return None if self.front else self.sentinel

    @property
    def settings(self) -> dict[str, str]:
        """The options of the connection string, by their keywords as written."""
        written = dict(self.options.pairs) if self.options is not None else {}
        return written if self.asked is None else {"serviceName": self.asked.name, **written}

    @property
    def named(self) -> tuple[Endpoint, ...]:
        """The servers as the spec names them: `endpoints`, `host` and `port`, or the Sentinels that the nodes ask."""
        if self.asked is not None:
            return tuple(Endpoint(host.address, host.sentinel_port) for host in self.asked.nodes)
        if self.endpoints or self.single_host is None:
            return self.endpoints
        return (Endpoint(self.single_host, self.single_port or 0),)

    @property
    def servers(self) -> tuple[Endpoint, ...]:
        """The servers with their ports, those included that StackExchange.Redis takes by default."""
        sentinel = any(key.lower() == "servicename" for key in self.settings)
        port = 26379 if sentinel else 6380 if self.tls else 6379
        return tuple(one if one.port else one._replace(port=port) for one in self.named)

    @property
    def add_on(self) -> bool:
        """Whether its ports are those of Redis Enterprise, which UiPath's High Availability Add-on is."""
        return self.sentinel is None and {server.port for server in self.servers} <= set(ADD_ON_PORTS)

    @property
    def host(self) -> str | None:
        """The host of the first server."""
        return self.named[0].host if self.named else None

    @property
    def port(self) -> int | None:
        """The port of the first server."""
        return self.servers[0].port if self.named else self.single_port


class Stores(Model):
    """The stores that all nodes share."""

    database: Database | None = entry("The SQL Server database that all nodes share.", default=None)
    session: t.SessionStore = entry(
        "The store of ASP.NET's sessions: `sqlserver` is SQL Server; `custom` is a provider "
        "that the nodes' files name, which nlbgen keeps; `inproc` is the memory of one "
        "node.",
        default="sqlserver",
    )
    signalr: t.SignalrStore = entry("The store of SignalR's messages; Redis is recommended.", default="sqlserver")
    redis: Redis | None = entry("The Redis server, if it is the store of SignalR's messages.", default=None)
    signalr_keys: t.SignalrKeys = entry(
        "The nodes' settings for the SignalR store: `server-port` (`LoadBalancer.Redis.Server` and related settings, "
        "in the oldest versions), `connection-string` (`LoadBalancer.Redis.ConnectionString`), or `auto`: those that "
        "the node's file already has.",
        default="auto",
    )
    load_balancer_enabled: t.Flag | None = entry(
        "The value for `LoadBalancer.Enabled`. Default: true before 2020.10, where it is documented; unchanged in "
        "later versions, which do not document it.",
        default=None,
    )

    @property
    def backplane(self) -> Redis | None:
        """The Redis that carries SignalR's messages; None if another store does."""
        return self.redis if self.signalr == "redis" else None


class Keys(Model):
    """The source of the nodes' keys."""

    source: t.FilePath = entry("`primary`, or the path of a config file with the keys.", default="primary", name="from")


class BalancerProgram(Model):
    """The program and the TLS library that the configuration is for."""

    openssl: t.ProgramVersion = entry(
        "Its OpenSSL version: 3.5 adds post-quantum key exchange.", default=Version("3.0")
    )


class Haproxy(BalancerProgram):
    """The HAProxy that will load the configuration."""

    version: t.ProgramVersion = entry("2.4 or later.", default=Version("2.6"))


class Nginx(BalancerProgram):
    """The NGINX (open source) that will load the configuration."""

    version: t.ProgramVersion = entry("1.18 or later.", default=Version("1.22"))
    user: t.UserName = entry(
        "The user that NGINX's workers run as: www-data on Debian, nginx elsewhere.", default="www-data"
    )


class Zen(Model):
    """The Zen Load Balancer, or a product derived from it, that gets the farm."""

    product: t.ZenProduct = entry("The product.", default="relianoid")
    version: t.ProgramVersion = entry("Its version.", default=Version("7"))
    api: t.DeviceUrl | None = entry("The URL of its API.", default=None)
    key: Secret | None = entry("The API key, by reference.", default=None)
    ca: t.FilePath | None = entry(
        "The CA of the API's certificate, or that certificate itself: a PEM file, relative to the spec's folder. "
        "Default: the CAs that Python's requests trusts.",
        default=None,
    )
    certificate: t.FilePath | None = entry(
        "Key, certificate and chain in one PEM file, relative to the spec's folder: `push` uploads it. Without it, "
        "the appliance must already have the farm's certificate as FARM.pem.",
        default=None,
    )


class F5(Model):
    """The F5 BIG-IP that gets the objects."""

    version: t.ProgramVersion = entry("Its TMOS: 11.6 or later.", default=Version("16.1"))
    host: t.NodeAddress | None = entry("Its management address.", default=None)
    port: t.Port = entry("The port of its management interface.", default=443)
    ca: t.FilePath | None = entry(
        "The CA of the management interface's certificate: a PEM file, relative to the spec's folder. Default: the CAs "
        "that Python's requests trusts.",
        default=None,
    )
    partition: t.PartitionName = entry("The partition of the farm's objects.", default="Common")
    user: t.Text = entry("The user of a push.", default="admin")
    password: Secret | None = entry("The password, by reference.", default=None)
    api: t.F5Api = entry("iControl REST, an AS3 declaration, or iControl SOAP.", default="rest")
    provider: t.Text = entry("The login provider of the user: `tmos` for users of the device itself.", default="tmos")
    timeout: t.ShortTime = entry(
        "The time in which the device must respond to one request.", default=Duration.of("60s")
    )
    certificate: t.BigipPath | None = entry(
        "An existing certificate object of the device; without it `push` uploads `frontend.tls.certificate`.",
        default=None,
    )
    key: t.BigipPath | None = entry("The key object that belongs to `certificate`.", default=None)
    node_ca: t.BigipPath | None = entry(
        "An existing CA object of the device that the nodes' certificates chain to; without it `push` uploads "
        "`frontend.tls.verify_nodes`.",
        default=None,
    )
    cipher_group: t.BigipPath | None = entry(
        "A cipher group of the device for the clients' TLS (TMOS 14.0 or later). Default: the farm's own group with "
        "the suites of `tls.profile`; with `api: soap` and before 14.0, Mozilla's TLS 1.2 suites.",
        default=None,
    )


class Bundle(Model):
    """Settings of `nlbgen bundle export`."""

    recipients: tuple[t.AgeRecipient, ...] = entry(
        "The public keys for which `--with-secrets` encrypts the files with secrets in a bundle.",
        default=(),
    )


class Farm(Model):
    """One highly available Orchestrator farm."""

    version: t.SchemaVersion = entry("The version of this syntax.", default=1)
    farm: t.FarmName = entry("The farm's name; objects and files are named after it.")
    orchestrator: Orchestrator = entry("The Orchestrator on the nodes.", default=Orchestrator)
    frontend: Frontend = entry("The address, names and TLS of the balancer for robots and people.")
    nodes: tuple[Node, ...] = entry("The Orchestrator nodes.", least=1)
    balancer: Balancer = entry("How requests are distributed to the nodes.", default=Balancer)
    stores: Stores = entry("The stores that all nodes share.", default=Stores)
    keys: Keys = entry("The source of the nodes' keys.", default=Keys)
    haproxy: Haproxy = entry("The HAProxy on the balancer.", default=Haproxy)
    nginx: Nginx = entry("The NGINX on the balancer.", default=Nginx)
    zen: Zen = entry("The product of the Zen family, and its API.", default=Zen)
    f5: F5 = entry("The F5 BIG-IP, and its API.", default=F5)
    bundle: Bundle = entry("The archive of `nlbgen bundle export`.", default=Bundle)
    accept: tuple[t.ProblemId, ...] = entry(
        "The ids of warnings and of unsupported features that this farm accepts.", default=()
    )

    @property
    def primary(self) -> Node:
        """The node whose keys the others get."""
        return next((node for node in self.nodes if node.primary), self.nodes[0])

    @property
    def affinity(self) -> str:
        """How clients stay on their node: `none`, `cookie`, `source` or `signalr`; never `auto`."""
        if self.balancer.affinity != "auto":
            return self.balancer.affinity
        if not self.orchestrator.is_core:
            return "none"
        return "source" if self.frontend.tls.mode == "passthrough" else "signalr"

    @property
    def node_tls(self) -> bool:
        """Whether the balancer connects to the nodes over TLS."""
        return self.frontend.tls.mode in {"bridge", "passthrough"}

    @property
    def balancer_tls(self) -> bool:
        """Whether the balancer itself ends the clients' TLS."""
        return self.frontend.tls.mode in {"bridge", "terminate"}

    @property
    def redis_front(self) -> bool:
        """Whether the balancer forwards the nodes' connections to the master of Redis."""
        redis = self.stores.backplane
        return redis is not None and redis.sentinel is not None and redis.front

    def resolved(self) -> Self:
        """The farm with the address of the front as the host of Redis, if the nodes connect to the front."""
        redis = self.stores.redis
        if redis is None or not self.redis_front:
            return self
        vip = self.frontend.vip
        host = redis.balancer_host or (vip.address.partition("/")[0] if vip else self.frontend.host)
        return self.replace(
            stores=self.stores.replace(redis=redis.replace(single_host=host, single_port=redis.front_port))
        )

    @property
    def least_nodes(self) -> int:
        """The number of nodes that must stay in rotation."""
        return self.balancer.minimum or max(1, sum(node.state in {"up", "backup"} for node in self.nodes) - 1)

    def port_of(self, node: Node) -> int:
        """The port on which a node is reached."""
        return node.listen_port or (443 if self.node_tls else 80)

    @cached_property
    def accepted(self) -> frozenset[str]:
        """The ids that this farm accepts."""
        return frozenset(self.accept)

    @property
    def health_paths(self) -> tuple[str, ...]:
        """The paths of the health checks, all of which must answer; empty where `auto` has none for the version."""
        health = self.balancer.health
        if health.paths:
            return health.paths
        return facts.health_paths(self.orchestrator.version) if health.path == "auto" else (health.path,)

    @property
    def health_path(self) -> str | None:
        """The first path of the health checks: Orchestrator's own by default; None without one."""
        return next(iter(self.health_paths), None)
