"""The directives of NGINX that hold no value of a spec: what nlbgen writes instead, or why it does not."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from ...generators.headers import SET_BY_BALANCER
from ...readers.tree import Configuration, Statement
from ..account import Account, Fate


class _Known(NamedTuple):
    fate: Fate
    detail: str


def _table(fate: Fate, rows: Iterable[tuple[str, ...]]) -> dict[str, _Known]:
    """By the name of a directive: its fate. A row is the detail, and texts with names."""
    return {name: _Known(fate, detail) for detail, *texts in rows for text in texts for name in text.split()}


_IMPLIED: Final = (
    (
        "a block of the configuration",
        "http stream events",
    ),
    (
        "nlbgen writes the paths and the user of the Linux package",
        "user pid lock_file daemon master_process",
    ),
    (
        "one worker process for each processor",
        "worker_processes worker_cpu_affinity worker_priority",
    ),
    (
        "NGINX chooses the method itself",
        "use multi_accept accept_mutex accept_mutex_delay",
    ),
    (
        "logs have the status, the node and the times of each request, without tokens",
        "access_log log_format error_log open_log_file_cache log_not_found",
    ),
    (
        "the statements of the included files follow",
        "include",
    ),
    (
        "requests and responses pass to the nodes and back as they are",
        "sendfile tcp_nopush tcp_nodelay aio directio",
    ),
    (
        "no files are served; the nodes send the types",
        "types default_type types_hash_max_size types_hash_bucket_size charset",
    ),
    (
        "responses do not contain the version of NGINX",
        "server_tokens",
    ),
    (
        "nlbgen sets the limits for clients itself",
        "client_header_timeout client_body_timeout send_timeout keepalive_timeout keepalive_requests",
        "reset_timedout_connection lingering_close lingering_time lingering_timeout keepalive_time",
        "keepalive_min_timeout http2_idle_timeout http2_recv_timeout",
    ),
    (
        "nlbgen sizes the buffers",
        "client_header_buffer_size large_client_header_buffers client_body_buffer_size proxy_buffer_size",
        "proxy_buffers proxy_busy_buffers_size proxy_max_temp_file_size proxy_temp_file_write_size",
        "proxy_temp_path client_body_temp_path preread_buffer_size connection_pool_size request_pool_size",
        "output_buffers postpone_output variables_hash_max_size variables_hash_bucket_size map_hash_max_size",
        "map_hash_bucket_size server_names_hash_max_size server_names_hash_bucket_size",
        "proxy_headers_hash_max_size proxy_headers_hash_bucket_size proxy_buffering http2_max_field_size",
        "http2_max_header_size http2_max_requests http2_chunk_size",
    ),
    (
        "requests to the nodes use HTTP/1.1 and keep-alive connections",
        "proxy_http_version keepalive proxy_socket_keepalive",
    ),
    (
        "nlbgen retries on another node, within 10s; a POST is not repeated",
        "proxy_next_upstream_tries proxy_next_upstream_timeout",
    ),
    (
        "redirects of the nodes are right already: they get the client's Host",
        "proxy_redirect server_name_in_redirect port_in_redirect absolute_redirect",
    ),
    (
        "frontend.tls.profile decides the versions and ciphers",
        "ssl_protocols ssl_ciphers ssl_ecdh_curve ssl_dhparam ssl_prefer_server_ciphers ssl_conf_command",
        "ssl_session_cache ssl_session_timeout ssl_session_tickets ssl_buffer_size ssl ssl_early_data",
        "ssl_reject_handshake ssl_session_ticket_key",
    ),
    (
        "TLS to the nodes is 1.2 or later, with the farm's name as SNI",
        "proxy_ssl_protocols proxy_ssl_ciphers proxy_ssl_server_name proxy_ssl_name proxy_ssl_session_reuse",
        "proxy_ssl_verify_depth proxy_ssl",
    ),
    (
        "the nodes' names are resolved when NGINX starts or reloads",
        "resolver resolver_timeout",
    ),
    (
        "the statistics have a server of their own",
        "stub_status status_zone api status dashboard",
    ),
    (
        "headers with an underscore are dropped",
        "underscores_in_headers ignore_invalid_headers",
    ),
    (
        "the names are in farm.yaml",
        "ssl_preread preread_timeout",
    ),
    (
        "all worker processes share the states of the nodes",
        "zone",
    ),
    (
        "SignalR's WebSockets have one timeout in both directions",
        "proxy_send_timeout",
    ),
)
_GIVEN_UP: Final = (
    (
        "an upload is received completely before a node gets it",
        "proxy_request_buffering",
    ),
    (
        "another statement has this value for the farm",
        "proxy_read_timeout proxy_connect_timeout client_max_body_size least_conn ip_hash hash random least_time",
        "sticky proxy_pass ssl_certificate ssl_certificate_key proxy_timeout http2 max_conns",
        "worker_shutdown_timeout worker_rlimit_nofile",
    ),
    (
        "the nodes compress their responses themselves",
        "gzip gzip_vary gzip_proxied gzip_comp_level gzip_types gzip_min_length gzip_http_version gzip_disable",
        "gzip_buffers gunzip gzip_static brotli brotli_types brotli_comp_level",
    ),
    (
        "responses are passed as the nodes send them",
        "add_header proxy_hide_header proxy_pass_header sub_filter sub_filter_once sub_filter_types",
        "proxy_cookie_path more_set_headers proxy_cookie_domain proxy_cookie_flags more_clear_headers expires",
        "add_trailer proxy_ignore_headers proxy_set_body proxy_method etag",
    ),
    (
        "nothing is cached",
        "proxy_cache proxy_cache_path proxy_cache_valid proxy_cache_key proxy_cache_bypass proxy_no_cache",
        "proxy_cache_use_stale proxy_cache_lock proxy_cache_methods proxy_store proxy_cache_min_uses",
        "proxy_cache_revalidate proxy_cache_background_update",
    ),
    (
        "the nodes' and NGINX's own error pages are sent",
        "error_page proxy_intercept_errors recursive_error_pages",
    ),
    (
        "requests reach the nodes as the clients send them",
        "rewrite rewrite_log set merge_slashes return break proxy_pass_request_headers",
        "proxy_pass_request_body proxy_set_header proxy_bind mirror",
    ),
    (
        "requests are not limited by rate, except while releasing (balancer.maintenance)",
        "limit_req limit_req_zone limit_req_status limit_rate limit_req_log_level limit_rate_after",
        "limit_req_dry_run",
    ),
    (
        "the only limit of connections is balancer.limits.connections_per_address",
        "limit_conn limit_conn_zone limit_conn_status limit_conn_log_level",
    ),
    (
        "nlbgen restricts no addresses and asks for no password: keep this rule elsewhere",
        "allow deny satisfy internal auth_basic auth_request auth_basic_user_file auth_request_set auth_jwt",
        "limit_except valid_referers auth_delay secure_link",
    ),
    (
        "certificates of clients are not supported",
        "ssl_client_certificate ssl_verify_client ssl_verify_depth ssl_crl ssl_trusted_certificate ssl_ocsp",
    ),
    (
        "the balancer sends no certificate of its own to the nodes",
        "proxy_ssl_certificate proxy_ssl_certificate_key",
    ),
    (
        "revoked certificates of nodes are not looked up",
        "proxy_ssl_crl proxy_ssl_trusted_certificate proxy_ssl_verify",
    ),
    (
        "no OCSP response is stapled",
        "ssl_stapling ssl_stapling_verify ssl_stapling_file ssl_stapling_responder",
    ),
    (
        "a certificate's key has no password",
        "ssl_password_file proxy_ssl_password_file",
    ),
    (
        "clients connect directly: their address is that of the connection",
        "set_real_ip_from real_ip_header real_ip_recursive proxy_protocol proxy_protocol_timeout",
    ),
    (
        "another statement has the health checks",
        "health_check check check_http_send check_http_expect_alive check_keepalive_requests check_status",
    ),
    (
        "a check expects one status: balancer.health.expect",
        "match",
    ),
    (
        "the queue of a node is in IIS",
        "queue max_conns_queue",
    ),
    (
        "NGINX closes a request to a node when its client disconnects",
        "proxy_ignore_client_abort",
    ),
    (
        "nlbgen loads only the module that it needs",
        "load_module",
    ),
    (
        "NGINX's own default is used",
        "thread_pool pcre_jit timer_resolution env working_directory debug_connection worker_rlimit_core",
        "worker_aio_requests ssl_engine http3 http3_hq quic_retry keepalive_disable chunked_transfer_encoding",
        "proxy_send_lowat variables_hash proxy_headers_hash client_body_in_file_only client_body_in_single_buffer",
        "tcp_nodelay_off msie_padding server_name resolver_zone upstream_conf",
    ),
    (
        "no files are served",
        "root index autoindex try_files open_file_cache alias location autoindex_exact_size disable_symlinks",
        "if_modified_since",
    ),
    (
        "requests go to the nodes by HTTP",
        "fastcgi_pass uwsgi_pass scgi_pass grpc_pass memcached_pass",
    ),
    (
        "no mail is proxied",
        "mail",
    ),
)
_BY_NAME: Final = {**_table("implied", _IMPLIED), **_table("given up", _GIVEN_UP)}
_WHOLE: Final = frozenset({"types", "mail", "limit_except", "match"})
"""Blocks whose lines have no meaning of their own."""
_UPGRADE: Final = frozenset({"upgrade", "connection"})
_REFUSED: Final = frozenset({"$host", "$http_host", "$server_name", "$ssl_server_name"})
_CODES: Final = frozenset({"400", "403", "404", "421", "444"})


def account_for(account: Account, configuration: Configuration) -> None:
    """Give every open statement that the catalogue knows its fate."""
    for statement in configuration.statements:
        _statement(account, statement)


def _statement(account: Account, statement: Statement) -> None:
    known = _found(statement)
    whole = statement.name in _WHOLE or (statement.name == "if" and known is not None)
    for one in (statement, *(statement.walk() if whole else ())):
        if known is not None and not account.has(one):
            note = account.implied if known.fate == "implied" else account.given_up
            note(one, known.detail)
    for one in () if whole else statement.inside:
        _statement(account, one)


def _found(statement: Statement) -> _Known | None:
    words = statement.arguments
    if statement.name == "proxy_set_header":
        return _header(words)
    if statement.name == "if":
        return _condition(statement)
    if statement.name == "proxy_next_upstream" and "non_idempotent" in words:
        return _Known("given up", "non_idempotent: a POST that was sent is never repeated")
    if statement.name == "proxy_next_upstream" and words == ("off",):
        return _Known("given up", "nlbgen retries a request on another node, but no POST that was sent")
    if statement.name == "underscores_in_headers" and words == ("on",):
        return _Known(
            "given up", "headers with an underscore are dropped: IIS reads X_Forwarded_For as X-Forwarded-For"
        )
    if statement.name == "proxy_next_upstream":
        return _Known("implied", "nlbgen retries on another node after 502, 503 and 504; a POST is not repeated")
    return _BY_NAME.get(statement.name)


def _header(words: tuple[str, ...]) -> _Known:
    """The fate of a header for the nodes."""
    name, value = (*words, "", "")[:2]
    if name.lower() == "host":
        if value in {"$host", "$http_host", "$host:$server_port"}:
            return _Known("implied", "the nodes get the client's Host")
        return _Known("given up", f"Host {value}: the nodes get the client's Host")
    if name.lower() in _UPGRADE:
        return _Known("implied", "WebSocket is the only upgrade that is allowed, on any path")
    if name.lower() in {one.lower() for one in SET_BY_BALANCER}:
        return _Known("implied", "X-Forwarded-For, -Host, -Port and -Proto are set, and forged ones removed")
    if not value:
        return _Known("given up", f"{name}: nlbgen removes the headers that ASP.NET trusts, and no others")
    return _Known("given up", f"{name}: the nodes get only the headers X-Forwarded-*")


def _condition(statement: Statement) -> _Known | None:
    """The fate of an `if`: those that refuse other names are implied."""
    codes = {one.arguments[0] for one in statement.inside if one.name == "return" and one.arguments}
    first = "".join(statement.arguments[:1]).lstrip("(")
    if first in _REFUSED and codes & _CODES:
        return _Known("implied", "requests for other names are refused")
    if first == "$request_method" and codes:
        return _Known("given up", "requests of every method reach the nodes")
    return None
