"""`nlbgen bundle`: one archive with all files of a change."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

from ..core.errors import DifferenceError, UsageError
from . import console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..bundle.checking import Bundle, Vouch
    from ..bundle.comparing import Comparison
    from ..bundle.exporting import Exported
    from ..bundle.sealing import Opener
    from .tables import Block


_BUNDLE = click.argument("bundle", type=console.FilePath(), metavar="FILE")
_IDENTITY = click.option(
    "-i",
    "--identity",
    type=console.FilePath(),
    metavar="FILE",
    help="Your private key (age or SSH), to decrypt files.",
)
_VARIABLE = "NLBGEN_SIGN_PASSWORD"
_KEY = click.option(
    "--key", metavar="KEY", help="Require a signature by this public key of minisign: its text, or its file."
)
_SIGNATURE = click.option(
    "--signature",
    type=console.FilePath(),
    metavar="FILE",
    help="The file of the signature  [default: the bundle's name and .minisig]",
)
_EXPECT = click.option("--expect", metavar="DIGEST", help="Require this SHA-256 of the bundle.")


@click.group()
def command() -> None:
    """Put all files of a change into one archive (a bundle); check, compare and unpack bundles."""


class _Signed(TypedDict):
    """The options that verify a signature."""

    key: str | None
    signature: Path | None


class _Secrets(TypedDict):
    """The options that are passed to `exporting.Options` unchanged."""

    balancers: tuple[str, ...]
    with_secrets: bool
    recipients: tuple[str, ...]
    plaintext: bool


@command.command("export", short_help="Make the farm's bundle.")
@console.ONE_SPEC
@click.option(
    "-o",
    "--output",
    type=console.FilePath(dir_okay=False, stream=True),
    metavar="FILE",
    help="The archive: .tar.gz, .tgz or .zip, or - for a .tar.gz on standard output  [default: outputs/FARM.tar.gz]",
)
@click.option(
    "--vendor",
    type=console.VendorName(),
    help="The balancer for the Ansible rollout, if the spec names several.",
)
@click.option(
    "--balancer",
    "balancers",
    multiple=True,
    metavar="HOST",
    help="The balancer's host for the rollout, if the spec does not name it. Repeatable.",
)
@click.option(
    "--no-validate",
    is_flag=True,
    help="Do not run installed programs, so that the bundle has the same bytes on every machine.",
)
@click.option("--with-secrets", is_flag=True, help="Add the files that contain secrets, encrypted.")
@click.option(
    "--recipient",
    "recipients",
    multiple=True,
    metavar="KEY",
    help="Public key (age or SSH) to encrypt for, instead of the keys in the spec. Repeatable.",
)
@click.option("--plaintext", is_flag=True, help="Do not encrypt secrets; the archive gets mode 0600.")
def _export(
    file: Path, output: Path | None, vendor: str | None, no_validate: bool, **options: "Unpack[_Secrets]"
) -> None:
    """Make the farm's bundle: spec, configurations, the nodes' files, runbook, and a manifest with checksums."""
    from ..bundle import archive, exporting

    if output is console.STDOUT and sys.stdout.isatty():
        raise UsageError("a bundle is not written to a terminal", "redirect standard output, or give a file with -o")
    path = None if output is console.STDOUT else output
    chosen = archive.FORMATS[".tar.gz"] if path is None else archive.format_of(path)
    spec, raw = exporting.read(file)
    console.show_warnings(spec)
    exported = exporting.export(
        spec, raw, chosen, exporting.Options(validate=not no_validate, vendor=vendor or "", **options)
    )
    path = output or exporting.default_path(spec)
    console.deliver(exported.data, path, mode=exported.mode, note=_written(exported, path))
    _report(exported, path)
    click.echo(f"{exported.digest}  {path}", err=path is console.STDOUT)


def _written(exported: "Exported", path: Path) -> str:
    from ..core.wording import plural

    manifest = exported.manifest
    secrets = {
        "none": "no secrets",
        "encrypted": f"secrets encrypted for {plural(len(manifest.recipients), 'recipient')}",
        "plain": "secrets not encrypted",
    }
    return f"wrote {path} ({len(manifest.files)} files and a manifest, {secrets[manifest.secrets]})"


def _report(exported: "Exported", path: Path) -> None:

    for note in exported.notes:
        console.info(note)
    if exported.manifest.secrets == "plain":
        console.notice(f"warning: {path} contains unencrypted secrets: do not share it, and delete it after the change")


@command.command("sign", short_help="Sign a bundle with a key of minisign.")
@_BUNDLE
@click.option(
    "--key",
    required=True,
    type=console.FilePath(),
    metavar="FILE",
    help="Your secret key, made by `minisign -G`. For an encrypted key, the command prompts for the password, or "
    f"takes it from the environment variable {_VARIABLE}.",
)
@click.option(
    "-o",
    "--output",
    type=console.FilePath(dir_okay=False, stream=True),
    metavar="FILE",
    help="The signature, or - for standard output  [default: FILE.minisig]",
)
def _sign(bundle: Path, key: Path, output: Path | None) -> None:
    """Check the bundle FILE, then sign it. `bundle verify --key` and minisign check the signature."""
    from ..bundle import signing
    from ..bundle.checking import opened

    kept: list[bytes] = []

    def keep(data: bytes) -> str:
        kept.append(data)
        return ""

    checked = opened(bundle, keep)
    secret = signing.secret_key(key, _ask_password)
    made = signing.sign(kept[0], f"file:{bundle.name}\tsha256:{checked.digest}", secret)
    console.deliver(made, output or bundle.with_name(bundle.name + signing.ENDING))


def _ask_password() -> str:
    import os

    if _VARIABLE in os.environ:
        return os.environ[_VARIABLE]
    if not sys.stdin.isatty():
        raise UsageError(
            "the key is encrypted, and there is no terminal to prompt for its password",
            f"set the environment variable {_VARIABLE} to the password",
        )
    return str(click.prompt("Password of the key", hide_input=True, err=True))


def _vouch(bundle: Path, key: str | None, signature: Path | None) -> "Vouch | None":
    """Return the check of the bundle's signature; None if no key was given."""
    from ..bundle import signing

    if key is None:
        if signature is not None:
            raise UsageError("--signature needs --key", "give the public key with --key")
        return None
    public = signing.public_key(key)
    found = signing.read_signature(signature or bundle.with_name(bundle.name + signing.ENDING))

    def vouch(data: bytes) -> str:
        signing.verify(data, found, public, str(bundle))
        return public.name

    return vouch


@command.command("verify", short_help="Check a bundle without unpacking it.")
@_BUNDLE
@console.STYLE
@_EXPECT
@_KEY
@_SIGNATURE
def _verify(bundle: Path, style: str, expect: str | None, key: str | None, signature: Path | None) -> None:
    """Check the structure, names and checksums of the bundle FILE without unpacking it; with --key its signature."""
    from ..bundle.checking import opened

    checked = opened(bundle, _vouch(bundle, key, signature))
    if expect is not None:
        checked.expect(expect)
    console.show(checked.data() if style == "json" else checked.text(), lambda: _verified(checked))


def _verified(checked: "Bundle") -> "Iterator[Block]":
    """Yield the first lines of the bundle's text, then a table of the missing parts with all reasons."""
    from .tables import Cell, Line, Style, Table

    secrets: Style = "red" if checked.manifest.secrets == "plain" else ""
    signed: tuple[Style, ...] = ("green",) if checked.signer else ()
    styles: tuple[Style, ...] = ("green", "", secrets, "cyan", *signed)
    for text, style in zip(checked.text().splitlines(), styles, strict=False):
        yield Line(text, style)
    rows = [
        [Cell(left.part, "yellow"), Cell(left.what), Cell(reason.message)]
        for left in checked.manifest.left_out
        for reason in left.reasons
    ]
    if rows:
        yield Line("")
        yield Table([Cell("missing"), Cell("content"), Cell("reason")], rows)


@command.command("diff", short_help="Show the differences between two bundles.")
@click.argument("old", type=console.FilePath(), metavar="A")
@click.argument("new", type=console.FilePath(), metavar="B")
@console.STYLE
@_IDENTITY
def _diff(old: Path, new: Path, style: str, identity: Path | None) -> None:
    """Show the changes from bundle A to bundle B, without secrets; exit with 1 if there are any."""
    from ..bundle.checking import opened
    from ..bundle.comparing import compare

    opener = None if identity is None else _opener(identity)
    found = compare(opened(old), opened(new), opener)
    console.show(found.data() if style == "json" else found.text(), lambda: _changes(found))
    if found:
        raise console.Exit(DifferenceError.exit_code)


def _changes(found: "Comparison") -> "Iterator[Block]":
    """Yield the lines of the text: additions green, removals red, changes yellow."""
    from ..bundle.members import named
    from .tables import Line, Style

    kinds: dict[str, Style] = {"added": "green", "removed": "red", "changed": "yellow"}
    signs: dict[str, Style] = {"+": "green", "-": "red", "@": "cyan"}
    for fact in found.facts:
        yield Line(f"{fact.what}: {fact.old} -> {fact.new}", "yellow")
    for fact in found.spec:
        yield Line(f"spec {fact.what}: {fact.old} -> {fact.new}", "yellow")
    for change in found.files:
        yield Line(f"{change.kind} {named(change.path)}", kinds[change.kind])
        for line in change.lines:
            yield Line(line, signs.get(line[:1], ""), None)
    for line in found._replace(facts=(), spec=(), files=()).text().splitlines():
        yield Line(line)


@command.command("extract", short_help="Check a bundle, then write its files.")
@_BUNDLE
@click.argument("folder", type=console.FilePath(), metavar="DIR")
@_IDENTITY
@_EXPECT
@_KEY
@_SIGNATURE
@click.option("--force", is_flag=True, help="Rename a folder that is not empty to DIR.old.")
def _extract(
    bundle: Path, folder: Path, identity: Path | None, expect: str | None, force: bool, **signed: "Unpack[_Signed]"
) -> None:
    """Check the bundle FILE, then write its files below DIR. After a failure, DIR has none of the files."""
    from ..bundle.checking import opened
    from ..bundle.unpacking import extract

    checked = opened(bundle, _vouch(bundle, **signed))
    if expect is not None:
        checked.expect(expect)
    written = extract(checked, folder, None if identity is None else _opener(identity), force=force)
    if written.kept is not None:
        console.info(f"renamed the old {folder} to {written.kept}")
    for path in sorted(written.files):
        what = " (contains secrets)" if path in written.secret else " (encrypted)" if path in written.sealed else ""
        console.info(f"wrote {folder / path}{what}")
    if written.sealed:
        console.info("the encrypted files stay encrypted; to decrypt them, use --identity FILE or `age --decrypt`")


def _opener(path: Path) -> "Opener":
    from ..bundle.sealing import Opener

    return Opener(path)
