"""The list of keys, the fingerprints of secrets, and secrets as literals of scripts."""

from pathlib import Path

import pytest

from nlbgen.nodes import keys, powershell, values
from nlbgen.nodes.config import webconfig
from nlbgen.nodes.config.effective import Config
from nlbgen.nodes.fingerprints import UNREADABLE, Fingerprints
from nlbgen.nodes.values import SecretPart
from nlbgen.spec.references import MissingSecretError, SecretError, SecretValue

SECURE = '<secureAppSettings><add key="EncryptionKey" value="{}"/></secureAppSettings>'
MACHINE = f'<system.web><machineKey decryptionKey="{"AB" * 32}" validationKey="{"CD" * 64}"/></system.web>'


def config(inside: str) -> Config:
    return Config(webconfig.parse(Path("web.config"), f"<configuration>{inside}</configuration>".encode()))


def test_inventory_without_machine_key_lists_the_other_keys() -> None:
    assert [key.name for key in keys.inventory(config(SECURE.format("AAAA")), Fingerprints())] == ["EncryptionKey"]


def test_inventory_lists_only_the_given_attributes_of_machine_key() -> None:
    (key,) = keys.inventory(config('<system.web><machineKey validationKey="CDCD"/></system.web>'), Fingerprints())
    assert (key.name, key.kind, key.length) == ("validationKey", "default algorithm, 16 bits", 4)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("AutoGenerate,IsolateApps", "AES"),
        ("ABAB", "AES, 16 bits"),
        ("ABAB,IsolateApps", "AES, not hexadecimal, IsolateApps"),
        ("xyz", "AES, not hexadecimal"),
    ],
)
def test_describe_machine_key_reports_the_form(value: str, kind: str) -> None:
    assert keys.describe_machine_key(value, "AES") == kind


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("", "empty"),
        ("0f8fad5b-d9cb-469f-a165-70867728950e", "GUID"),
        ("AAAA", "base64, 24 bits"),
        ("not base64!", "text"),
    ],
)
def test_describe_reports_the_form(value: str, kind: str) -> None:
    assert keys.describe(value) == kind


def test_keys_to_clone_equal_encryption_keys_in_both_sections_is_accepted() -> None:
    both = '<appSettings><add key="EncryptionKey" value="AAAA"/></appSettings>' + SECURE.format("AAAA") + MACHINE
    cloned = keys.keys_to_clone(config(both))
    assert (cloned.encryption_section, cloned.pepper) == ("secureAppSettings", "AAAA")
    assert repr(cloned) == "Keys(from web.config)"


def test_notes_encryption_key_per_tenant_names_the_key_vault() -> None:
    settings = '<appSettings><add key="EncryptionKeyPerTenant.Enabled" value="True"/></appSettings>'
    cloned = keys.keys_to_clone(config(SECURE.format("AAAA") + MACHINE))
    (note,) = keys.notes(cloned, config(settings + SECURE.format("BBBB")))
    assert "the tenants' keys are in the key vault" in note


@pytest.mark.parametrize(
    ("inside", "pepper"),
    [
        (SECURE.format("AAAA") + MACHINE, "AAAA"),
        (SECURE.format("") + MACHINE, "CD" * 64),
        (MACHINE.replace("CD" * 64, "AutoGenerate"), ""),
        ("", ""),
    ],
)
def test_pepper_of_takes_the_first_readable_secret(inside: str, pepper: str) -> None:
    assert keys.pepper_of(config(inside)) == pepper


def test_shown_unusual_connection_string_is_not_shown() -> None:
    shown = Fingerprints("pepper").shown("no pairs, secret", "pairs")
    assert (shown.text, shown.secret) == (UNREADABLE, True)
    assert shown.identity != Fingerprints("pepper").shown("no pairs, other", "pairs").identity


def test_secret_literal_unknown_secret_raises() -> None:
    with pytest.raises(MissingSecretError, match="RedisPassword is not known"):
        powershell.secret_literal(SecretPart("RedisPassword", "redis", None))


def test_secret_literal_control_character_raises_without_the_secret() -> None:
    with pytest.raises(SecretError, match=r"RedisPassword: cannot be used: .* cannot hold U\+0007") as error:
        powershell.secret_literal(SecretPart("RedisPassword", "redis", SecretValue("hidden\x07")))
    assert "hidden" not in str(error.value)


def test_value_reveals_its_secrets() -> None:
    part = SecretPart("RedisPassword", "redis", SecretValue("secret"))
    assert values.Value(("redis-1:6379,password=", part)).reveal() == "redis-1:6379,password=secret"


def test_require_skips_absent_secrets() -> None:
    values.require([None, SecretPart("SqlPassword", "sql", SecretValue("x"))])
    with pytest.raises(MissingSecretError, match="SqlPassword is not known"):
        values.require([None, SecretPart("SqlPassword", "sql", None)])
