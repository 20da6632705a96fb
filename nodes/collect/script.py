"""Render `collect-node.ps1`, and make the key of a run."""

import secrets
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Final

from ...core import activity, templating
from ...core.artifacts import Artifact, made_by
from ...core.errors import FileError
from ...spec.load import Spec
from .. import powershell
from ..config import collected
from . import protecting
from .protecting import Protector

NAME: Final = "collect-node.ps1"
VARIABLE: Final = "NLBGEN_COLLECT_KEY"
"""The environment variable from which the script reads the key."""
LEAST_KEY: Final = 32
"""Characters of the shortest key."""
_VECTOR_KEY: Final = "the key of the test vector of nlbgen nodes collect"  # public: it protects only the lines below

XML_VECTOR: Final = (
    '<?xml version="1.0" encoding="utf-8"?>',
    "<configuration><!-- old: p4ss",
    "w0rd --><![CDATA[p4ss]]>p4ss<?x p4ss?>",
    '<connectionStrings><add name="Default" providerName="x"',
    '  connectionString=\'Server=SQL01;Database=UiPath;User ID=sa;Password="p4;""ss" ; Encrypt = true;;\' />',
    "</connectionStrings>",
    '<appSettings file="more.config">',
    '  <add key="LoadBalancer.Redis.ConnectionString" value="redis-1:6379, redis-2, password=p4=ss, p4ss,ssl=True" />',
    '  <add key="quartz.jobStore.clustered" value="TRUE"/><add key="Unknown" value="p4 &amp; &lt;&#252;&gt;"/>',
    '  <add key="Storage.Location" value="RootPath=\\\\files\\share;AccountKey=p4ss"/>',
    '  <add key="NuGet.Packages.Path" value="D:\\packages"/><add key="NuGet.Packages.ApiKey"',
    '     value="{0f8fad5b-d9cb-469f-a165-70867728950e}"/><add key="apiKey" value=""/>',
    '  <add key="IdentityServer.Integration.Authority" value="https://orch.corp.example/identity"/>',
    '  <add key="ResourceCatalogService.ServiceURL" value="https://user:p4ss@orch.corp.example/"/>',
    "</appSettings>",
    '<secureAppSettings><add key="EncryptionKey" value="AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="/>',
    "</secureAppSettings>",
    '<system.web><machineKey decryptionKey="0123456789abcdef0123456789ABCDEF01" validation="SHA1"',
    '  validationKey="AutoGenerate,IsolateApps" />',
    '<sessionState mode="Custom" sqlConnectionString="p4ss" stateConnectionString="tcpip=state:42424">',
    '<providers><add type="x" name="y" connectionString="redis,p4=ss" host="h" accessKey="p4ss"/></providers>',
    '</sessionState></system.web><environmentVariable name="SQLCONNSTR_X" value="Server=a;Unknown=p4ss" />',
    "</configuration>",
)
"""A config file with each form that the script replaces or keeps."""
JSON_VECTOR: Final = (
    "{ // p4ss",
    '  "ConnectionStrings": { "Default": "Server=SQL01;Pwd=\'p4\'\'ss\'", "RedisCache": "r:6379,password=p4ss" },',
    '  "AppSettings": { "SigningCredentialSettings": { "StoreLocation": { "Name": "0A1B", "Password": "p4ss" },',
    '    "ValidationKeys": [ { "Name": "CN=\\u00fc" }, { "Name": "2", "More": 12345 } ] }, /* p4ss */',
    '    "OrchestratorUrl": "https:\\/\\/orch.corp.example" },',
    '  "EncryptionSettings:EncryptionKey": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",',
    '  "Storage": { "Location": "RootPath=\\\\\\\\files\\\\share;Key=\\"p4\\\\ss\\"" },',
    '  "List": [true, null, "p4ss", [1]],',
    "}",
)
"""A file of JSON with each form that the script replaces or keeps."""


def render(spec: Spec) -> Artifact:
    """The script for all nodes of a farm."""
    protector = Protector(_VECTOR_KEY)
    xml, json = "\n".join(XML_VECTOR), "\n".join(JSON_VECTOR)
    view = {
        "header": [
            f"Collects what nlbgen nodes audit compares, for the farm {spec.farm.farm}",
            *made_by("nodes collect", spec.digest),
        ],
        "folder": powershell.literal(spec.farm.orchestrator.directory),
        "site": powershell.literal(spec.farm.orchestrator.site),
        "variable": VARIABLE,
        "least": LEAST_KEY,
        "format": collected.FORMAT,
        "check_text": powershell.literal(protecting.CHECK),
        "kinds": [
            {"form": powershell.literal(form), "kind": powershell.literal(kind)} for form, kind in protecting.KINDS
        ],
        "plain_attributes": _list(protecting.PLAIN_ATTRIBUTES),
        "sql_plain": _list(protecting.SQL_PLAIN),
        "redis_plain": _list(protecting.REDIS_PLAIN),
        "storage_plain": _list(protecting.STORAGE_PLAIN),
        "secret_words": _list(protecting.SECRET_WORDS),
        "forms": {name: powershell.literal(form) for name, form in protecting.FORMS.items()},
        "vector": {
            "key": powershell.literal(_VECTOR_KEY),
            "check": powershell.literal(protector.check),
            "xml": _lines(xml),
            "safe_xml": _lines(protector.xml(xml)),
            "json": _lines(json),
            "safe_json": _lines(protector.json(json)),
        },
    }
    content = templating.render("nodes/collect-node.ps1.j2", view)
    return Artifact(PurePosixPath(NAME), powershell.script(content))


def write_key(path: Path) -> None:
    """Write a key for one run, of 256 bits from the random source of the system, into a new file of mode 0600.

    Raises FileError if the file exists or cannot be written.
    """
    try:
        path.touch(0o600, exist_ok=False)
        path.write_text(secrets.token_hex(32), encoding="ascii")
    except OSError as error:
        exists = isinstance(error, FileExistsError)
        hint = "give another file: a key is for one run" if exists else "give another folder"
        raise FileError(f"{path}: cannot be written: {error.strerror}", hint) from None
    activity.note(f"file written: {path}")


def _list(words: Iterable[str]) -> str:
    return ", ".join(powershell.literal(word) for word in sorted(words))


def _lines(text: str) -> list[str]:
    """The lines of a text as PowerShell's literals, with commas between them."""
    lines = [powershell.literal(line) for line in text.split("\n")]
    return [f"{line}," for line in lines[:-1]] + lines[-1:]
