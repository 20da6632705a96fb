"""The keywords of HAProxy 2.0 to 3.4 that take a value, and the directives of proxies.

Source: `haproxy -dKall` of 2.6, 3.0 and 3.4, and section 4.1 of the configuration manual of each version.
"""

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
    acl appsession backlog balance be-unpublished bind bind-process block capture clitcpka-cnt clitcpka-idle
    clitcpka-intvl clitimeout compression contimeout cookie declare default-server default_backend description
    disabled dispatch email-alert enabled errorfile errorfiles errorloc errorloc302 errorloc303 external-check
    filter force-be-switch force-persist fullconn grace guid hash-balance-factor hash-preserve-affinity hash-type
    http-after-response http-check http-error http-request http-response http-reuse http-send-name-header id
    ignore-persist load-server-state-from-file log log-format log-format-sd log-steps log-tag max-keep-alive-queue
    max-session-srv-conns maxconn mode monitor monitor-net monitor-uri no option persist quic-initial rate-limit
    redirect redisp redispatch reqadd reqallow reqdel reqdeny reqiallow reqidel reqideny reqipass reqirep
    reqitarpit reqpass reqrep reqtarpit retries retry-on rspadd rspdel rspdeny rspidel rspideny rspirep rsprep
    server server-state-file-name server-template source srvtcpka-cnt srvtcpka-idle srvtcpka-intvl srvtimeout ssl-
    f-use stats stick stick-table tcp-check tcp-request tcp-response timeout transparent unique-id-format unique-
    id-header use-fcgi-app use-server use_backend
    """
)
"""The directives of `defaults`, `frontend`, `backend` and `listen`, also those that later versions removed."""
