"""The keywords of HAProxy 2.0 to 3.4 that take a value, and the directives of proxies.

Source: `haproxy -dKall` of 2.6, 3.0 and 3.4, and section 4.1 of the configuration manual of each version.
"""

from collections.abc import Mapping
from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SERVER_VALUES: Final = _words(
    """
    addr agent-addr agent-inter agent-port agent-send alpn ca-file cc check-alpn check-pool-conn-name check-proto
    check-sni ciphers ciphersuites client-sigalgs cookie crl-file crt curves downinter error-limit fall fastinter guid
    hash-key healthcheck id idle-ping init-addr init-state inter ktls log-bufsize log-proto max-reuse maxconn maxqueue
    minconn namespace npn observe on-error on-marked-down on-marked-up pool-conn-name pool-low-conn pool-max-conn
    pool-purge-delay port proto proxy-v2-options quic-cc-algo redir resolve-net resolve-opts resolve-prefer resolvers
    rise shard sigalgs slowstart sni socks4 source ssl-max-ver ssl-min-ver tcp-ut track usesrc
    verify verifyhost weight ws interface usesrc tcp-md5sig
    """
)
"""Keywords of `server` and `default-server` with one value: the next word, whatever it is."""

BIND_VALUES: Final = _words(
    """
    accept-netscaler-cip alpn backlog ca-file ca-ignore-err ca-sign-file ca-sign-pass ca-verify-file cc ciphers
    ciphersuites client-sigalgs crl-file crt crt-ignore-err crt-list curves default-crt ecdhe expose-fd gid group
    guid-prefix id idle-ping interface ktls label level maxconn mode mss name namespace nbconn nice npn process proto
    quic-cc-algo quic-socket severity-output shards sigalgs ssl-max-ver ssl-min-ver tcp-md5sig tcp-ss tcp-ut thread
    tls-ticket-keys uid user verify
    """
)
"""Keywords of `bind` with one value."""

PROXY_DIRECTIVES: Final = _words(
    """
    acl appsession backlog balance be-unpublished bind bind-process block capture cliexp clitcpka-cnt
    clitcpka-idle clitcpka-intvl clitimeout compression contimeout cookie declare default-server default_backend
    description disabled dispatch dynamic-cookie-key email-alert enabled error-log-format errorfile errorfiles
    errorloc errorloc302 errorloc303 external-check filter force-be-switch force-persist fullconn grace guid
    hash-balance-factor hash-preserve-affinity hash-type http-after-response http-check http-error http-request
    http-response http-reuse http-send-name-header id ignore-persist load-server-state-from-file log log-format
    log-format-sd log-steps log-tag max-keep-alive-queue max-session-srv-conns maxconn mode monitor monitor-net
    monitor-uri no option persist quic-initial rate-limit redirect redisp redispatch reqadd reqallow reqdel
    reqdeny reqiallow reqidel reqideny reqipass reqirep reqitarpit reqpass reqrep reqtarpit retries retry-on
    rspadd rspdel rspdeny rspidel rspideny rspirep rsprep server server-state-file-name server-template source
    srvexp srvtcpka-cnt srvtcpka-idle srvtcpka-intvl srvtimeout ssl-f-use stats stick stick-table tcp-check
    tcp-request tcp-response timeout transparent unique-id-format unique-id-header use-fcgi-app use-server
    use_backend usesrc
    """
)
"""The directives of `defaults`, `frontend`, `backend` and `listen`, also those that later versions removed."""

_GLOBAL: Final = _words(
    """
    51degrees-cache-size 51degrees-data-file 51degrees-property-name-list 51degrees-property-separator
    acme.scheduler anonkey busy-polling ca-base chroot close-spread-time cluster-secret cpu-affinity cpu-map
    cpu-policy cpu-set crt-base daemon debug default default-path description deviceatlas-json-file
    deviceatlas-log-level deviceatlas-properties-cookie deviceatlas-separator dns-accept-family
    expose-deprecated-directives expose-experimental-directives external-check fd-hard-limit
    force-cfg-parser-pause gid grace group h1-accept-payload-with-any-method h1-case-adjust h1-case-adjust-file
    h1-do-not-close-on-insecure-transfer-encoding h2-workaround-bogus-websocket-clients hard-stop-after
    harden.reject-privileged-ports.quic harden.reject-privileged-ports.tcp http-err-codes http-fail-codes
    httpclient.resolvers.disabled httpclient.resolvers.id httpclient.resolvers.prefer httpclient.retries
    httpclient.ssl.ca-file httpclient.ssl.verify httpclient.timeout.connect insecure-fork-wanted insecure-setuid-wanted
    issuers-chain-path jwt.allow_none_alg jwt.decrypt_alg_list jwt.decrypt_enc_list
    key-base limited-quic localpeer log log-send-hostname log-tag lua-load lua-load-per-thread lua-prepend-path
    master-worker max-spread-checks max-threads-per-group maxcompcpuusage maxcomprate maxconn maxconnrate maxpipes
    maxsessrate maxsslconn maxsslrate maxzlibmem mworker-max-reloads nbproc nbthread no no-memory-trimming no-quic
    node noepoll noevports nogetaddrinfo nokqueue noktls nopoll noreuseport nosplice numa-cpu-mapping
    ocsp-update.disable ocsp-update.httpproxy ocsp-update.maxdelay ocsp-update.mindelay ocsp-update.mode pidfile
    pp2-never-send-local prealloc-fd presetenv profiling.tasks quick-exit quiet resetenv server-state-base
    server-state-file set-dumpable set-var set-var-fmt setcap setenv shm-stats-file shm-stats-file-max-objects
    spread-checks ssl-default-bind-ciphers ssl-default-bind-ciphersuites ssl-default-bind-client-sigalgs
    ssl-default-bind-curves ssl-default-bind-options ssl-default-bind-sigalgs ssl-default-server-ciphers
    ssl-default-server-ciphersuites ssl-default-server-client-sigalgs ssl-default-server-curves
    ssl-default-server-options ssl-default-server-sigalgs ssl-dh-param-file ssl-engine ssl-load-extra-del-ext
    ssl-load-extra-files ssl-mode-async ssl-passphrase-cmd ssl-propquery ssl-provider ssl-provider-path
    ssl-security-level ssl-server-verify ssl-skip-self-issued-ca stats stats-file stress-level strict-limits
    thread-group thread-groups thread-hard-limit trace tune.applet.zero-copy-forwarding tune.buffers.limit
    tune.buffers.reserve tune.bufsize tune.bufsize.large tune.bufsize.small tune.chksize tune.cli.max-payload-size
    tune.comp.maxlevel tune.defaults.purge tune.disable-fast-forward tune.disable-zero-copy-forwarding
    tune.epoll.mask-events tune.events.max-events-at-once tune.fail-alloc tune.fd.edge-triggered
    tune.glitches.kill.cpu-usage tune.h1.be.glitches-threshold tune.h1.fe.glitches-threshold
    tune.h1.zero-copy-fwd-recv tune.h1.zero-copy-fwd-send tune.h2.be.glitches-threshold
    tune.h2.be.initial-window-size tune.h2.be.max-concurrent-streams tune.h2.be.max-frames-at-once
    tune.h2.be.rxbuf tune.h2.fe.glitches-threshold tune.h2.fe.initial-window-size
    tune.h2.fe.max-concurrent-streams tune.h2.fe.max-frames-at-once tune.h2.fe.max-rst-at-once
    tune.h2.fe.max-total-streams tune.h2.fe.rxbuf tune.h2.header-table-size tune.h2.initial-window-size
    tune.h2.log-errors tune.h2.max-concurrent-streams tune.h2.max-frame-size tune.h2.zero-copy-fwd-send
    tune.http.cookielen tune.http.logurilen tune.http.maxhdr tune.idle-pool.shared tune.idletimer
    tune.listener.default-shards tune.listener.multi-queue tune.lua.bool-sample-conversion tune.lua.burst-timeout
    tune.lua.forced-yield tune.lua.log.loggers tune.lua.log.stderr tune.lua.maxmem tune.lua.openlibs
    tune.lua.service-timeout tune.lua.session-timeout tune.lua.task-timeout tune.max-checks-per-thread
    tune.max-rules-at-once tune.maxaccept tune.maxpollevents tune.maxrewrite tune.memory.hot-size
    tune.notsent-lowat.client tune.notsent-lowat.server tune.pattern.cache-size tune.peers.max-updates-at-once
    tune.pipesize tune.pool-high-fd-ratio tune.pool-low-fd-ratio tune.pt.zero-copy-forwarding
    tune.quic.backend.max-idle-timeou tune.quic.be.cc.cubic-min-losses tune.quic.be.cc.hystart
    tune.quic.be.cc.max-frame-loss tune.quic.be.cc.max-win-size tune.quic.be.cc.reorder-ratio
    tune.quic.be.max-idle-timeout tune.quic.be.sec.glitches-threshold tune.quic.be.stream.data-ratio
    tune.quic.be.stream.max-concurrent tune.quic.be.stream.rxbuf tune.quic.be.tx.pacing tune.quic.be.tx.udp-gso
    tune.quic.cc-hystart tune.quic.cc.cubic.min-losses tune.quic.disable-tx-pacing tune.quic.disable-udp-gso
    tune.quic.fe.cc.cubic-min-losses tune.quic.fe.cc.hystart tune.quic.fe.cc.max-frame-loss
    tune.quic.fe.cc.max-win-size tune.quic.fe.cc.reorder-ratio tune.quic.fe.max-idle-timeout
    tune.quic.fe.sec.glitches-threshold tune.quic.fe.sec.retry-threshold tune.quic.fe.sock-per-conn
    tune.quic.fe.stream.data-ratio tune.quic.fe.stream.max-concurrent tune.quic.fe.stream.max-total
    tune.quic.fe.stream.rxbuf tune.quic.fe.tx.pacing tune.quic.fe.tx.udp-gso
    tune.quic.frontend.conn-tx-buffers.limit tune.quic.frontend.default-max-window-size
    tune.quic.frontend.glitches-threshold tune.quic.frontend.max-data-size tune.quic.frontend.max-idle-timeout
    tune.quic.frontend.max-streams-bidi tune.quic.frontend.max-tx-mem tune.quic.frontend.stream-data-ratio
    tune.quic.listen tune.quic.max-frame-loss tune.quic.mem.tx-max tune.quic.reorder-ratio
    tune.quic.retry-threshold tune.quic.socket-owner tune.quic.zero-copy-fwd-send tune.rcvbuf.backend
    tune.rcvbuf.client tune.rcvbuf.frontend tune.rcvbuf.server tune.recv_enough tune.renice.runtime
    tune.renice.startup tune.ring.queues tune.runqueue-depth tune.sched.low-latency tune.sndbuf.backend
    tune.sndbuf.client tune.sndbuf.frontend tune.sndbuf.server tune.ssl.cachesize tune.ssl.capture-buffer-size
    tune.ssl.capture-cipherlist-size tune.ssl.certificate-compression tune.ssl.default-dh-param
    tune.ssl.force-private-cache tune.ssl.hard-maxrecord tune.ssl.keylog tune.ssl.keyupdate-rate-limit
    tune.ssl.lifetime tune.ssl.maxrecord tune.ssl.ocsp-update.maxdelay tune.ssl.ocsp-update.mindelay
    tune.ssl.ssl-ctx-cache-size tune.stick-counters tune.streams-elasticity tune.takeover-other-tg-connections
    tune.vars.check-max-size tune.vars.global-max-size tune.vars.proc-max-size tune.vars.reqres-max-size
    tune.vars.sess-max-size tune.vars.txn-max-size tune.zlib.memlevel tune.zlib.windowsize uid ulimit-n unix-bind
    unsetenv user warn-blocked-traffic-after wurfl-cache-size wurfl-data-file wurfl-engine-mode
    wurfl-information-list wurfl-information-list-separator wurfl-patch-file wurfl-useragent-priority zero-warning
    """
)

SECTION_DIRECTIVES: Final[Mapping[str, frozenset[str]]] = {
    "global": _GLOBAL,
    **dict.fromkeys(("defaults", "frontend", "backend", "listen"), PROXY_DIRECTIVES),
    "acme": _words(
        """
        account-key acme-vars bits challenge challenge-ready contact curves directory dns-delay dns-timeout
        eab-key-id eab-mac-alg eab-mac-key keytype map profile provider-name reuse-key
        """
    ),
    "cache": _words("max-age max-object-size max-secondary-entries process-vary total-max-size"),
    "crt-store": _words("crt-base key-base load"),
    "fcgi-app": _words("acl docroot index log-stderr no option pass-header path-info set-param"),
    "healthcheck": _words("http-check tcp-check type"),
    "http-errors": _words("errorfile"),
    "log-forward": _words("backlog bind dgram-bind log maxconn no option timeout"),
    "log-profile": _words("log-tag on"),
    "mailers": _words("mailer no timeout"),
    "peers": _words("bind default-bind default-server disabled enabled log no peer server shards table"),
    "program": _words("command group option user"),
    "resolvers": _words(
        """
        accepted_payload_size hold nameserver no parse-resolv-conf resolution_pool_size resolve_retries
        timeout
        """
    ),
    "ring": _words("backing-file description format maxlen server size timeout"),
    "traces": _words("trace"),
    "userlist": _words("group user"),
}
"""The directives of each section, also those that later versions removed.

Source: `haproxy -dKcfg` of 2.6, 3.0, 3.2 and 3.4, and the words in those programs and in 2.2 that no version calls an
unknown keyword. The words for 51Degrees, DeviceAtlas and WURFL are from section 3 of the configuration manual, because
these libraries are not in Debian's programs. `tune.quic.backend.max-idle-timeou` is spelled so in 3.0.
"""
