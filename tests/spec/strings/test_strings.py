"""Connection strings: read, compared, merged and shown, with every mistake that loses or shows something."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlbgen.spec.strings import endpoints, masking, redis, redis_clients, servers, sql, sql_clients
from nlbgen.spec.strings.endpoints import Endpoint
from nlbgen.spec.strings.kinds import Client, UnsupportedValueError
from nlbgen.spec.strings.merging import Piece
from nlbgen.spec.strings.redis_clients import V1, V2, V3
from nlbgen.spec.strings.sql_clients import CORE, FRAMEWORK, MICROSOFT
from nlbgen.spec.strings.sql_syntax import SyntaxProblemError, pairs, quoted


def hidden(_secret: str) -> str:
    return "***"


def text_of(pieces: list[Piece], secret: str = "new") -> str:
    """The merged string; a slot whose old secret is the new one keeps its spelling, any other gets the new one."""
    return "".join(
        piece if isinstance(piece, str) else piece.written if piece.value == secret else secret for piece in pieces
    )


# Syntax of SqlClient.


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A = 1 ; b=2", [("a", "1"), ("b", "2")]),
        ("a==b=1", [("a=b", "1")]),
        ("a===1", [("a=", "1")]),
        ("==a=1", [("=a", "1")]),
        ("a='x''y'", [("a", "x'y")]),
        ('a="x;""y" ; b=', [("a", 'x;"y'), ("b", None)]),
        ("a= ;b=''", [("a", None), ("b", "")]),
        (" ; ", []),
        ("", []),
    ],
)
def test_pairs_are_those_of_the_library(text: str, found: list[tuple[str, str | None]]) -> None:
    assert [(pair.key, pair.value) for pair in pairs(text)] == found


@pytest.mark.parametrize(
    "text",
    ["a", "=1", " =", "a='x", 'a="x', "a='x'y", "a=x'", "a=1;b", "a\x01=1", "a=x\x01", "a=\x01", "a='x\0y'", "a='x'\0"],
)
def test_pairs_of_anything_else_raise(text: str) -> None:
    with pytest.raises(SyntaxProblemError, match="key=value"):
        pairs(text)


@pytest.mark.parametrize(
    ("value", "written"),
    [("", '""'), ("plain", "plain"), ('a"b', "'a\"b'"), ("a'b;", '"a\'b;"'), ("a\"b'", '"a""b\'"')],
)
def test_quoted_value_reads_back(value: str, written: str) -> None:
    assert quoted(value) == written
    assert pairs(f"Password={written};Server=x")[0].value == value


def test_quoted_nul_raises() -> None:
    with pytest.raises(UnsupportedValueError, match=r"U\+0000"):
        quoted("a\0b")


# Verdicts.


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Integrated Security=1", '"Integrated Security"'),
        ("Server=a;Port=1433", '"port"'),
        ("Server=a;UserId=app", '"userid"'),
        ("Server=a;Encrypt=disable", '"Encrypt"'),
        ("Server=a;Connect Timeout=-1", '"Connect Timeout"'),
        ("Server=a;Packet Size=99999999999999999999", '"Packet Size"'),
        ("Server=a;Packet Size=1", '"Packet Size"'),
        ("Server=a;Type System Version=x", '"Type System Version"'),
        ("Server=a;Network Library=x", '"Network Library"'),
        ("Context Connection=true", '"Context Connection"'),
        (f"Server={'a' * 129}", '"Data Source"'),
        ("Server=a;Failover Partner=b", '"Failover Partner"'),
        ("Server=a;Database=d;Failover Partner=b;MultiSubnetFailover=yes", '"Failover Partner"'),
        ("Min Pool Size=5;Max Pool Size=4", '"Min Pool Size"'),
        ("Authentication=Sql Password;Integrated Security=SSPI", '"Authentication"'),
        ("Password='open", "the text from character 1 on"),
        ("Server=a;Password=x;yy=z", "its entry 3"),
        ("aGVsbG8=", "the text"),
        ("x" * 1_000_001, "this string"),
    ],
)
def test_sql_string_with_which_the_library_does_not_start_is_refused(text: str, word: str) -> None:
    refusal = sql.refusal(text, (FRAMEWORK,))
    if text == "aGVsbG8=":  # a key without a value is removed
        assert refusal is None
        return
    assert refusal is not None
    assert refusal.message.startswith(f"System.Data.SqlClient (.NET Framework) does not accept {word}")
    assert refusal.hint


@pytest.mark.parametrize(
    ("text", "clients", "refused"),
    [
        ("Server=a;Async=true;Net=dbmssocn", (FRAMEWORK,), False),
        ("Server=a;Async=true", (CORE,), True),
        ("Server=a;Async=true", (MICROSOFT,), True),
        ("Server=a;Command Timeout=3", (FRAMEWORK,), True),
        ("Server=a;Command Timeout=3", (MICROSOFT,), False),
        ("Server=a;Command Timeout=3", (CORE, MICROSOFT), False),
        ("Server=a;Encrypt=strict", (CORE,), True),
        ("Server=a;Authentication=ActiveDirectoryDefault", (MICROSOFT,), False),
        ("Server=a;Authentication=Active Directory Integrated", (FRAMEWORK,), False),
        ("Server=a;Authentication=ActiveDirectoryIntegrated", (FRAMEWORK,), True),
    ],
)
def test_sql_verdict_depends_on_the_library(text: str, clients: tuple[Client, ...], refused: bool) -> None:
    assert (sql.refusal(text, clients) is not None) == refused


def test_sql_hint_names_the_spelling_or_the_library_that_knows_the_keyword() -> None:
    hints = {
        "IntegratedSecurity=true": "write Integrated Security",
        "Command Timeout=3": "it is a keyword of Microsoft.Data.SqlClient",
        "Port=3": "Server=HOST,1433",
        "zz=3": "must be in quotes",
    }
    for text, hint in hints.items():
        refusal = sql.refusal(text, (FRAMEWORK,))
        assert refusal is not None
        assert hint in refusal.hint


@pytest.mark.parametrize(
    ("core", "provider", "clients"),
    [
        (False, "System.Data.SqlClient", (FRAMEWORK,)),
        (True, "System.Data.SqlClient", (CORE,)),
        (True, "Microsoft.Data.SqlClient ", (MICROSOFT,)),
        (True, "", (CORE, MICROSOFT)),
    ],
)
def test_sql_candidates_follow_from_the_era(core: bool, provider: str, clients: tuple[Client, ...]) -> None:
    assert sql_clients.candidates(core=core, provider=provider) == clients


@pytest.mark.parametrize(
    ("core", "newest", "clients"), [(False, False, (V1,)), (True, False, (V2,)), (True, True, (V2, V3))]
)
def test_redis_candidates_follow_from_the_era(core: bool, newest: bool, clients: tuple[Client, ...]) -> None:
    assert redis_clients.candidates(core=core, newest=newest) == clients


@pytest.mark.parametrize(
    ("text", "client", "word"),
    [
        ("a:1,ssl=", V1, '"ssl"'),
        ("a:1,SyncTimeout=ten", V1, '"syncTimeout"'),
        ("a:1,user=x", V1, '"user"'),
        ("a:1,sslProtocols=tls12", V1, '"sslProtocols"'),
        ("a:1,sslProtocols=tls12|tls99", V2, '"sslProtocols"'),
        ("a:1,sentinelUser=x", V2, '"sentinelUser"'),
        ("a:1,ResponseTimeout=5", V2, '"ResponseTimeout"'),
        ("a:1,proxy=x", V2, '"proxy"'),
        ("a:1,version=1.2.3.4.5", V2, '"version"'),
        ("a:1,version=x", V2, '"version"'),
        ("a:1,protocol=4", V2, '"protocol"'),
        ("a:1,tunnel=http:", V2, '"tunnel"'),
        ("a:1,tunnel=http://x:y", V2, '"tunnel"'),
        ("a:-1", V2, "its entry 1"),
        ("a:1,password=x,y=z", V2, "its entry 3"),
        (" \t", V2, "this string"),
        ("x" * 1_000_001, V2, "this string"),
    ],
)
def test_redis_string_with_which_the_library_does_not_start_is_refused(text: str, client: Client, word: str) -> None:
    refusal = redis.refusal(text, (client,))
    assert refusal is not None
    assert f"{client.name} does not accept {word}" in refusal.message
    assert refusal.hint


@pytest.mark.parametrize("text", ["a:1,tunnel=", "a:1,tunnel=http://x:80/", "a:1,sslProtocols=3072", "a:1,proxy=2"])
def test_redis_string_of_the_newer_line_is_accepted(text: str) -> None:
    assert redis.refusal(text, (V2,)) is None
    assert redis.refusal(text, (V1, V2)) is None


def test_redis_endpoint_that_the_library_drops_is_named_by_its_position() -> None:
    assert redis.read("a:1,[::1]:2,redis://x:3", V1).lost == ("its entry 2", "its entry 3")
    assert redis.read("a:1,[::1]:2", V2).lost == ()
    assert redis.read("a:b,!", V2).lost == ("its entry 1", "its entry 2")


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("a,b:1", [6379, 1]),
        ("a,ssl=true", [6380]),
        ("a,serviceName=m", [26379]),
        ("a,ssl=true,serviceName=m", [26379]),
    ],
)
def test_redis_servers_have_the_ports_of_the_library(text: str, ports: list[int]) -> None:
    assert [one.port for one in redis.read(text, V2).servers] == ports


@pytest.mark.parametrize(
    ("token", "host"),
    [
        ("1234", "0.0.4.210"),
        ("0x7f.1", "127.0.0.1"),
        ("010.1.2.3", "8.1.2.3"),
        ("1.2.3.4.5", "1.2.3.4.5"),
        ("256.1", "256.1"),
    ],
)
def test_endpoint_of_numbers_is_an_address_as_net_reads_it(token: str, host: str) -> None:
    found = endpoints.second(token)
    assert found is not None
    assert found.host == host


def test_endpoint_with_bad_octal_is_a_name() -> None:
    assert endpoints.second("09.1.2.3") == Endpoint("09.1.2.3")


def test_endpoint_knows_loopback_and_azure() -> None:
    assert [
        Endpoint(host).is_loopback for host in ("localhost", "LOCALHOST.", ".", "127.9.9.9", "::1", "a", "1.2.3.4")
    ] == [
        True,
        True,
        True,
        True,
        True,
        False,
        False,
    ]
    assert [Endpoint(host).is_azure for host in ("x.redis.cache.windows.net", "x.eu.redis.azure.net", "x.net")] == [
        True,
        True,
        False,
    ]
    assert str(Endpoint("::1", 6379)) == "[::1]:6379"


# Meaning.


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Server=a;ENCRYPT=NO", "Data Source=A;Encrypt=False"),
        ("app=x", "Application Name=x"),
        ("timeout=5", "Connect Timeout=5;"),
        ("MultipleActiveResultSets=true", "multipleactiveresultsets=True"),
        ("Server=x;Server=y", "Server=y"),
        ("Server=y;Timeout=", "Server=y"),
        ("Server=y;Timeout=15;Pooling=yes", "Server=y"),
        ("Timeout=3;Timeout=", ""),
        ("Server=tcp:a,1433", "Server=a"),
        ("Trusted_Connection=SSPI", "Integrated Security=yes"),
        ("Packet Size= +8000 ", ""),
    ],
)
def test_sql_strings_of_one_meaning_are_equal(one: str, other: str) -> None:
    assert sql.meaning(one, FRAMEWORK) == sql.meaning(other, FRAMEWORK)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Server=a", "Server=b"), ("Password=x", "Password=X"), ("Encrypt=true", ""), ("x=1", "y=1"), ("a", "b")],
)
def test_sql_strings_of_other_meaning_differ(one: str, other: str) -> None:
    assert sql.meaning(one, FRAMEWORK) != sql.meaning(other, FRAMEWORK)


def test_sql_default_of_encrypt_depends_on_the_library() -> None:
    assert sql.meaning("Encrypt=Mandatory", MICROSOFT) == sql.meaning("", MICROSOFT)
    assert sql.meaning("Encrypt=True", FRAMEWORK) != sql.meaning("", FRAMEWORK)
    assert sql.meaning("Server=a;Password=x", FRAMEWORK, {"Password"}) == sql.meaning("Server=a", FRAMEWORK)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a:6379", "A"),
        ("a,b", "b,a"),
        ("a,ssl=yes", "a:6380,SSL=1"),
        ("a,abortConnect=True", "a"),
        ("a,password=", "a"),
        ("a,syncTimeout=3000", "a,syncTimeout=3000,asyncTimeout=3000"),
        ("a,syncTimeout=9000", "a,syncTimeout=9000,connectTimeout=9000"),
        ("a,highPriorityThreads=true", "a"),
        ("a,responseTimeout=7", "a"),
        ("x.redis.cache.windows.net,abortConnect=false", "x.redis.cache.windows.net"),
        ("a,$config=cfg", "a,$CONFIG=CFG"),
        ("a,defaultDatabase=1,defaultDatabase=2", "a,defaultDatabase=2"),
    ],
)
def test_redis_strings_of_one_meaning_are_equal(one: str, other: str) -> None:
    assert redis.meaning(one, V2) == redis.meaning(other, V2)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a", "b"),
        ("a,abortConnect=false", "a"),
        ("a,password=x", "a,password=y"),
        ("a,configChannel=", "a"),
        ("a,asyncTimeout=5000,syncTimeout=9000", "a,syncTimeout=9000"),
        ("a,x=1", "a,y=1"),
        ("a,$config=", "a"),
    ],
)
def test_redis_strings_of_other_meaning_differ(one: str, other: str) -> None:
    assert redis.meaning(one, V2) != redis.meaning(other, V2)


def test_redis_response_timeout_follows_the_sync_timeout_in_the_first_line() -> None:
    assert redis.meaning("a,syncTimeout=7,responseTimeout=7", V1) == redis.meaning("a,syncTimeout=7", V1)
    assert redis.meaning("a,password=x", V1, {"password"}) == redis.meaning("a", V1)


# Merging.


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "Server=S;Database=D;user id=u;password=new"),
        ("Server=s;Database=D;User ID=u;Password=new", "Server=s;Database=D;User ID=u;Password=new"),
        (
            " data source = X ;; Encrypt=True;Foo Bar=1; UID='u' ;pwd='new';Database=D;Failover Partner=B ; ",
            " data source = S ;; Encrypt=True;Foo Bar=1; UID='u' ;pwd='new';Database=D;Failover Partner=B ; ",
        ),
        ("Server=a;Server=b;Database=D;uid=u;pwd=x;pwd=y", "Server=a;Server=S;Database=D;uid=u;pwd=new"),
        ("Integrated Security=SSPI;Server=S;Database=D", "Server=S;Database=D;user id=u;password=new"),
        ("Server=S;Database=D;Trusted_Connection=yes", "Server=S;Database=D;user id=u;password=new"),
        ("Integrated Security=SSPI", "Server=S;Database=D;user id=u;password=new"),
        ("Server=S;Database=;uid=u;pwd=", "Server=S;Database=D;uid=u;pwd=new"),
        ("pwd=old;Server=S;Database=D;uid=u", "pwd=new;Server=S;Database=D;uid=u"),
        ("Server=tcp:S,1433;Database=D;uid=u;pwd=new;", "Server=tcp:S,1433;Database=D;uid=u;pwd=new;"),
    ],
)
def test_sql_merge_changes_only_what_is_named(before: str, after: str) -> None:
    settings = {"Server": "S", "Database": "D", "Trusted_Connection": None, "user id": "u"}
    assert text_of(sql.merged(before, FRAMEWORK, settings, ("password",))) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Server=S;uid=u;pwd=x", "Server=S;Trusted_Connection=true"),
        ("Server=S;Integrated Security=SSPI;Pooling=False", "Server=S;Integrated Security=SSPI;Pooling=False"),
        ("pwd=a;pwd=b;Server=S", "Server=S;Trusted_Connection=true"),
        ("zz=1;Server=S;Integrated Security=false", "zz=1;Server=S;Integrated Security=true"),
    ],
)
def test_sql_merge_of_windows_authentication_removes_the_login(before: str, after: str) -> None:
    settings = {"Server": "S", "Trusted_Connection": "true", "user id": None, "password": None}
    assert text_of(sql.merged(before, FRAMEWORK, settings)) == after


def test_sql_merge_of_a_value_that_the_library_refuses_writes_it() -> None:
    assert text_of(sql.merged("Encrypt=True", FRAMEWORK, {"Encrypt": "x y", "Zz": "1"})) == 'Encrypt="x y";Zz=1'


SERVERS = (Endpoint("r-1", 6379), Endpoint("r-2", 6379))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "r-1:6379,r-2:6379,password=new,ssl=True"),
        ("r-2:6379, r-1,password=new,ssl=1,connectTimeout=15000", None),
        (
            "old:1, old:2 , old:3, password = x , ssl = False ,,Foo=1",
            "r-1:6379,r-2:6379, password = new , ssl = True ,,Foo=1",
        ),
        ("password=x,old:1,ssl=true", "password=new,r-1:6379,r-2:6379,ssl=true"),
        ("ssl=true,password=a,password=b", "ssl=true,password=new,r-1:6379,r-2:6379"),
        (
            "sentinelPassword=keep,r-1:6379,r-2:6379,ssl=true",
            "sentinelPassword=keep,r-1:6379,r-2:6379,ssl=true,password=new",
        ),
        ("r-1,r-2", "r-1:6379,r-2:6379,password=new,ssl=True"),
    ],
)
def test_redis_merge_changes_only_what_is_named(before: str, after: str | None) -> None:
    if after is None:
        before = before.replace("r-1,", "r-1:6379,")
    pieces = redis.merged(before, V3, SERVERS, {"ssl": "True"}, ("password",))
    text = "".join(
        piece if isinstance(piece, str) else piece.written if piece.keyword == "sentinelpassword" else "new"
        for piece in pieces
    )
    assert text == (before if after is None else after)


def test_redis_merge_removes_an_option_without_a_value() -> None:
    def merged(text: str, **options: str | None) -> str:
        return text_of(redis.merged(text, V2, [Endpoint("a", 1)], options))

    assert merged("a:1,serviceName=m,name=x", serviceName=None) == "a:1,name=x"
    assert merged("name=x,a:1", name=None, zz="1") == "a:1,zz=1"
    assert merged("a:1,keepAlive=x", keepAlive="y") == "a:1,keepAlive=y"
    assert merged("name=x", name=None) == "a:1"


# Servers of SQL Server.


@pytest.mark.parametrize(
    ("text", "local"),
    [
        (".", True), (r".\SQLEXPRESS", True), ("(local)", True), (r"(LOCALDB)\x", True), ("localhost,1433", True),
        ("tcp:127.0.0.1", True), ("lpc:SQL01", True), (r"np:\\.\pipe\sql\query", True), ("[::1]", True), ("", True),
        (r"SQL01\PROD", False), ("tcp:sql.corp.example,1433", False), (r"np:\\sql1\pipe", False), ("localhost1", False),
    ],
)  # fmt: skip
def test_local_server_is_the_machine_that_reads_the_string(text: str, local: bool) -> None:
    assert servers.is_local(text) is local


# Secrets.


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://:hunter2@host/4", "***"),
        ("hunter2", "***"),
        ("hunter2.part.9", "***"),
        ("redis-1.corp.example", "redis-1.corp.example"),
        ("h:1,=hunter2", "h:1,***"),
        ("h:1,password=a,hunter2", "h:1,password=***,***"),
        ("h:1,password=a,hunter2:6379", "h:1,password=***,***"),
        ("h:1,password=a,hun=ter2", "h:1,password=***,***"),
        ("h:1,password=a,$hunter=x", "h:1,password=***,***"),
        ("h:1,$config=hun-ter2", "h:1,$config=***"),
        ("aHVudGVyMg==", "***"),
        ("h:1,syncTimeout=hunter2", "h:1,syncTimeout=***"),
        ("h:1,name=x//hunter2", "h:1,name=***"),
        ("h:99999", "***"),
        ("!/hunter2", "***"),
        ("h:1,foo=hunter2", "h:1,foo=***"),
    ],
)
def test_redis_string_of_any_form_shows_no_secret(text: str, shown: str) -> None:
    assert masking.redis(text, hidden) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Server=mssql://u:hunter2@h", "Server=***"),
        ("Server=u:hunter2@h", "Server=***"),
        ("Server=a,Password=hunter2", "Server=***"),
        ("Timeout=3Password=hunter2", "Timeout=***"),
        ("Password=a;hunter2=b", "Password=***;***"),
        ("Password='hun;ter2';App=x", "Password=***;App=x"),
        ("hunter2=;Server=a", "***;Server=a"),
        ("Port=1433;Server=a", "Port=***;Server=a"),
        ("User ID=a@b.c;Password=", "User ID=a@b.c;Password="),
    ],
)
def test_sql_string_of_any_form_shows_no_secret(text: str, shown: str) -> None:
    assert masking.sql(text, hidden) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (r"RootPath=\\srv\share", r"RootPath=\\srv\share"),
        ("AccountName=a;AccountKey=hunter2==;EndpointSuffix=x", "AccountName=a;AccountKey=***;EndpointSuffix=x"),
        ("SharedAccess=sv=1&sig=hunter2", "SharedAccess=***"),
        ("Uri=u:hunter2@h", "Uri=***"),
        ("hunter2;/=x", "***"),
        ("Bucket=;A=b", "Bucket=;A=b"),
    ],
)
def test_storage_of_any_form_shows_no_secret(text: str, shown: str) -> None:
    assert masking.storage(text, hidden) == shown


def test_mask_gets_the_password_without_its_quotes() -> None:
    assert masking.sql("Password='it''s'", lambda secret: f"<{secret}>") == "Password=<it's>"


ALPHABET = st.text(st.sampled_from("ab=;,'\" :/@.$[]!-0123456789\t\0é"), max_size=40)


@given(ALPHABET)
def test_any_text_is_read_compared_and_shown(text: str) -> None:
    for client in (V1, V2, V3):
        assert redis.meaning(text, client) == redis.meaning(text, client)
    for client in sql_clients.CLIENTS:
        assert sql.meaning(text, client) == sql.meaning(text, client)
    masking.redis(text, hidden)
    for mask in (masking.sql, masking.storage):
        try:
            mask(text, hidden)
        except ValueError:
            assert sql.refusal(text, (FRAMEWORK,)) is not None


@given(ALPHABET)
def test_merge_of_what_is_there_already_changes_nothing(text: str) -> None:
    for client in (V1, V2):
        if redis.refusal(text, (client,)) is None:
            pieces = redis.merged(text, client, redis.read(text, client).endpoints, {})
            assert "".join(one if isinstance(one, str) else one.written for one in pieces) == text
    if sql.refusal(text, (FRAMEWORK,)) is None:
        pieces = sql.merged(text, FRAMEWORK, {})
        assert "".join(one if isinstance(one, str) else one.written for one in pieces) == text


@given(st.text(max_size=20), st.text(max_size=20))
def test_quoted_values_of_any_text_read_back(user: str, password: str) -> None:
    if "\0" in user + password:
        return
    text = f"Server=x;user id={quoted(user)};password={quoted(password)};"
    assert [(pair.key, pair.value) for pair in pairs(text)] == [
        ("server", "x"),
        ("user id", user),
        ("password", password),
    ]
    shown = masking.sql(text, hidden)
    if len(password) > 3 and password not in user:
        assert password not in shown


def characters_read(text: str) -> int:
    """How many characters the readers visit, counted by the parts that they make: no part overlaps another."""
    return sum(part.end - part.start for part in redis.parts(text))


@pytest.mark.no_cover  # other tests reach the same lines
def test_long_strings_are_split_into_parts_that_do_not_overlap() -> None:
    for text in (" " * 200_000, "," * 200_000, "=" * 200_000, "a=b," * 50_000, ":" * 200_000):
        assert characters_read(text) <= len(text)
        redis.read(text, V2)
    for text in (" " * 200_000, ";" * 200_000, "a=b;" * 50_000, "a=" + "'" * 200_000, "=" * 200_000):
        sql.read(text, FRAMEWORK)
