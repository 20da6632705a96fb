"""The archives: one form only, readable by common programs, and every bit of it checked."""

import gzip
import io
import shutil
import stat
import struct
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlbgen.bundle import archive, members, names, tarball, zipball
from nlbgen.bundle.members import BundleError, Member
from nlbgen.core.errors import FileError, UsageError

SMALL = (
    Member("a.txt", b"one\n"),
    Member("b/empty", b""),
    Member("b/secret.age", bytes(range(256)), 0o600),
    Member("b/ü.txt", "ünï\n".encode()),
)
FORMATS: dict[str, ModuleType] = {"tar.gz": tarball, "zip": zipball}
BOTH = pytest.mark.parametrize("ending", FORMATS)


def encoded(ending: str, files: tuple[Member, ...] = SMALL) -> bytes:
    return archive.packed(files, archive.FORMATS[f".{ending}"])


def decoded(ending: str, data: bytes) -> list[Member]:
    return archive.unpacked(data, archive.FORMATS[f".{ending}"])


def refused(ending: str, data: bytes) -> str:
    with pytest.raises(BundleError) as error:
        decoded(ending, data)
    assert error.value.hint
    return error.value.message


# Other programs read it.


@BOTH
def test_archive_decoded_returns_the_encoded_files(ending: str) -> None:
    assert decoded(ending, encoded(ending)) == list(SMALL)


def test_tar_read_by_tarfile_has_the_same_files_modes_and_dates() -> None:
    with tarfile.open(fileobj=io.BytesIO(encoded("tar.gz"))) as tar:
        for info, member in zip(tar.getmembers(), SMALL, strict=True):
            assert (info.name, info.size, info.mode) == (member.path, len(member.content), member.mode)
            assert (info.uid, info.gid, info.uname, info.gname, info.mtime) == (0, 0, "", "", 315532800)
            assert info.isreg()
            file = tar.extractfile(info)
            assert file is not None
            assert file.read() == member.content


def test_tar_headers_equal_those_of_tarfile_except_device_numbers() -> None:
    """Versions of Python differ only in the device fields of plain files."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for member in SMALL:
            info = tarfile.TarInfo(member.path)
            info.size, info.mode, info.mtime = len(member.content), member.mode, 315532800
            tar.addfile(info, io.BytesIO(member.content))
    own = gzip.decompress(encoded("tar.gz"))
    theirs = plain.getvalue()[: len(own)]
    place = 0
    for member in SMALL:
        for start, end in ((0, 148), (156, 329), (345, 512)):
            assert own[place + start : place + end] == theirs[place + start : place + end]
        place += 512 + -(-len(member.content) // 512) * 512
    assert own[place:] == theirs[place:] == bytes(1024)


def test_zip_read_by_zipfile_has_the_same_files_modes_and_dates() -> None:
    with zipfile.ZipFile(io.BytesIO(encoded("zip"))) as whole:
        assert whole.testzip() is None
        for info, member in zip(whole.infolist(), SMALL, strict=True):
            assert (info.filename, whole.read(info)) == (member.path, member.content)
            assert info.external_attr >> 16 == stat.S_IFREG | member.mode
            assert (info.create_system, info.compress_type, info.date_time) == (3, 0, (1980, 1, 1, 0, 0, 0))
            assert (info.extra, info.comment) == (b"", b"")


PROGRAMS = {
    "tar": ("tar.gz", ["tar", "-xzf", "FILE"]),
    "bsdtar": ("tar.gz", ["bsdtar", "-xf", "FILE"]),
    "unzip": ("zip", ["unzip", "-q", "FILE"]),
    "bsdtar-zip": ("zip", ["bsdtar", "-xf", "FILE"]),
    "7z": ("zip", ["7z", "x", "FILE"]),
}


INSTALLED = [name for name, (_ending, command) in PROGRAMS.items() if shutil.which(command[0])]


@pytest.mark.parametrize("name", INSTALLED)
def test_archive_unpacks_with_common_programs(name: str, tmp_path: Path) -> None:
    ending, command = PROGRAMS[name]
    (tmp_path / "FILE").write_bytes(encoded(ending))
    out = tmp_path / "out"
    out.mkdir()
    words = [word.replace("FILE", "../FILE") for word in command]
    done = subprocess.run(words, cwd=out, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()} == {
        member.path: member.content for member in SMALL
    }


# Damage.


@BOTH
def test_archive_with_any_flipped_bit_is_refused(ending: str) -> None:
    data = encoded(ending, (Member("a", b"1"), Member("b/c", b"23", 0o600)))
    for place in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[place] ^= 1 << bit
            with pytest.raises(BundleError):
                decoded(ending, bytes(flipped))


@BOTH
def test_archive_truncated_anywhere_is_refused(ending: str) -> None:
    data = encoded(ending)
    for length in range(len(data)):
        with pytest.raises(BundleError):
            decoded(ending, data[:length])


@BOTH
@pytest.mark.parametrize("tail", [b"\0", b"x", bytes(512), bytes(10240)], ids=["nul", "x", "block", "record"])
def test_archive_with_trailing_bytes_is_refused(ending: str, tail: bytes) -> None:
    refused(ending, encoded(ending) + tail)


@BOTH
def test_archive_followed_by_another_archive_is_refused(ending: str) -> None:
    said = refused(ending, encoded(ending) * 2)
    assert (
        "data after the end" in said or "followed by other data" in said or "is not where its end record says" in said
    )


def test_damaged_archive_message_names_the_kind_of_damage() -> None:
    """The gzip checksums are valid; each kind of damage has a check of its own."""
    plain = gzip.decompress(encoded("tar.gz"))
    padding = bytearray(plain)
    padding[600] = 1
    assert "padding after" in refused("tar.gz", tarball._stored(bytes(padding)))
    assert "tar archive ends at byte" in refused("tar.gz", tarball._stored(plain + bytes(512)))
    assert "checksum" in refused("tar.gz", tarball._stored(b"A" + plain[1:]))
    assert "truncated" in refused("tar.gz", tarball._stored(plain[:700]))
    short = tarball._GZIP_HEADER + b"".join(
        struct.pack("<BHH", last, len(part), len(part) ^ 0xFFFF) + part
        for last, part in ((0, plain[:9]), (1, plain[9:]))
    )
    assert gzip.decompress(short + struct.pack("<II", zlib.crc32(plain), len(plain))) == plain
    assert "too short" in refused("tar.gz", short + struct.pack("<II", zlib.crc32(plain), len(plain)))
    assert "data after the end" in refused("tar.gz", encoded("tar.gz") + b"\0")
    data = encoded("zip", (Member("a", b"content"),))
    assert "damaged" in refused("zip", data.replace(b"content", b"c0ntent"))


@BOTH
def test_unpacked_compares_bytes_when_the_decoder_misses_a_change(ending: str) -> None:
    """The decoded files are packed again and compared."""
    own = archive.FORMATS[f".{ending}"]
    blind = archive.Format(own.encode, lambda data: list(SMALL))
    assert archive.unpacked(encoded(ending), blind) == list(SMALL)
    with pytest.raises(BundleError, match="bytes that belong to no file"):
        archive.unpacked(encoded(ending) + b"x", blind)


@BOTH
@settings(max_examples=200)
@given(st.data())
def test_archive_with_any_edit_is_refused(ending: str, data: st.DataObject) -> None:
    """An archive with bytes cut out, doubled, swapped or overwritten is refused."""
    whole = encoded(ending)
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))
    put = data.draw(
        st.one_of(st.binary(max_size=40), st.sampled_from([whole[:start], whole[end:], whole[start:end] * 2]))
    )
    changed = whole[:start] + put + whole[end:]
    if changed == whole:
        assert decoded(ending, changed) == list(SMALL)
    else:
        refused(ending, changed)


@settings(max_examples=300)
@given(st.binary(max_size=600), st.sampled_from(["tar.gz", "zip"]), st.booleans())
def test_random_bytes_are_refused_with_a_printable_message(noise: bytes, ending: str, headed: bool) -> None:
    head = {"tar.gz": tarball._GZIP_HEADER, "zip": b"PK\5\6"}[ending]
    try:
        decoded(ending, head + noise if headed else noise)
    except BundleError as error:
        assert error.message.isprintable()


@settings(max_examples=200)
@given(st.binary(max_size=1500))
def test_random_bytes_in_gzip_are_refused_with_a_printable_message(noise: bytes) -> None:
    """The gzip checksums are valid."""
    try:
        decoded("tar.gz", tarball._stored(noise))
    except BundleError as error:
        assert error.message.isprintable()


# Round trips.

CHARS = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))
PATHS = st.lists(st.text(CHARS, min_size=1, max_size=12), min_size=1, max_size=4).map("/".join)
FILES = st.dictionaries(
    PATHS.filter(lambda path: not names.objection(path)),
    st.tuples(st.binary(max_size=2000), st.sampled_from(members.MODES)),
    max_size=6,
).filter(lambda files: not list(names.collisions(files)))


@BOTH
@given(FILES, st.randoms(use_true_random=False))
def test_archive_round_trip_is_independent_of_the_files_order(
    ending: str, files: dict[str, tuple[bytes, int]], shuffler: Random
) -> None:
    listed = [Member(path, content, mode) for path, (content, mode) in files.items()]
    data = encoded(ending, tuple(listed))
    assert decoded(ending, data) == sorted(listed, key=lambda member: member.path.encode())
    shuffler.shuffle(listed)
    assert encoded(ending, tuple(listed)) == data


@given(st.binary(max_size=300_000))
@settings(max_examples=20)
def test_stored_gzip_is_read_by_the_standard_library(content: bytes) -> None:
    assert gzip.decompress(tarball._stored(content)) == content
    assert tarball._unstored(tarball._stored(content)) == content


@pytest.mark.parametrize("size", [0, 1, 65534, 65535, 65536, 131070, 131071])
def test_stored_gzip_at_block_limits_round_trips(size: int) -> None:
    content = bytes(index % 251 for index in range(size))
    assert gzip.decompress(tarball._stored(content)) == content
    assert tarball._unstored(tarball._stored(content)) == content


# Hostile archives, made by hand.


def tar_of(*infos: tuple[tarfile.TarInfo, bytes], kind: int = tarfile.USTAR_FORMAT) -> bytes:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=kind) as tar:
        for info, content in infos:
            info.size = len(content)
            info.mtime = 315532800
            tar.addfile(info, io.BytesIO(content))
    whole = plain.getvalue().rstrip(b"\0")
    whole += bytes(-len(whole) % 512)
    return tarball._stored(whole + bytes(1024))


def info(name: str, **changes: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    for key, value in changes.items():
        setattr(made, key, value)
    return made


KINDS: dict[str, dict[str, object]] = {
    "symbolic link": {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
    "hard link": {"type": tarfile.LNKTYPE, "linkname": "a"},
    "device": {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3},
    "pipe": {"type": tarfile.FIFOTYPE},
    "folder": {"type": tarfile.DIRTYPE},
}


@pytest.mark.parametrize("kind", KINDS)
def test_tar_entry_that_is_not_a_plain_file_is_refused(kind: str) -> None:
    assert kind in refused("tar.gz", tar_of((info("a", **KINDS[kind]), b"")))


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["gnu", "pax"])
def test_tar_with_extended_header_is_refused(kind: int) -> None:
    refused("tar.gz", tar_of((info("a" * 120), b"x"), kind=kind))


def test_tar_with_name_in_pax_header_is_refused() -> None:
    hidden = info("a", pax_headers={"path": "../../etc/passwd"})
    assert "extended header" in refused("tar.gz", tar_of((hidden, b"x"), kind=tarfile.PAX_FORMAT))


FIELDS = {
    "mode 0755": (100, b"0000755\0", "mode"),
    "setuid": (100, b"0004644\0", "mode"),
    "mode 0666": (100, b"0000666\0", "mode"),
    "uid": (108, b"0001750\0", "owner"),
    "gid": (116, b"0000005\0", "owner"),
    "time": (136, b"14000000000\0", "time"),
    "magic": (257, b"ustar  \0", "header field"),
    "user": (265, b"root", "owner"),
    "group": (297, b"root", "owner"),
    "device": (329, b"0000001\0", "header field"),
    "link": (157, b"/etc/passwd", "header field"),
    "end": (500, b"x", "header field"),
    "number": (100, b"0000 44\0", "invalid number"),
    "no number": (124, b"\x80" + bytes(11), "header field"),
}


@pytest.mark.parametrize("name", FIELDS)
def test_tar_header_with_unexpected_field_is_refused(name: str) -> None:
    place, value, said = FIELDS[name]
    plain = bytearray(gzip.decompress(encoded("tar.gz", (Member("a", b"x"),))))
    plain[place : place + len(value)] = value
    plain[148:156] = b" " * 8
    plain[148:156] = b"%06o\0 " % sum(plain[:512])
    assert said in refused("tar.gz", tarball._stored(bytes(plain)))


BAD_NAMES = {
    "../a": "leaves the folder",
    "a/../../b": "leaves the folder",
    "/etc/passwd": "absolute",
    "a//b": "empty",
    "./a": "dot",
    "a/.": "dot",
    "C:/a": "Windows",
    "C:a": "Windows",
    "a\\b": "Windows",
    "..\\a": "Windows",
    "a:stream": "Windows",
    "a?": "Windows",
    "NUL": "device",
    "b/con.txt": "device",
    "COM1.x": "device",
    "lpt9": "device",
    "COM¹": "device",
    "CONIN$": "device",
    "Aux .txt": "device",
    "a.": "removes",
    "a /b": "removes",
    "e\u0301": "NFC",
    "a\x00b": "U+0000",
    "a\nb": "U+000A",
    "a\x1b[2J": "U+001B",
    "a\u202etxt": "U+202E",
    "a\u200bb": "U+200B",
    "a" * 241: "longer",
    f"{'a' * 60}/{'b' * 120}": "tar",
    "": "empty",
}


@pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
def test_invalid_name_is_refused_on_write_and_on_read(name: str) -> None:
    assert BAD_NAMES[name] in names.objection(name)
    for ending in FORMATS:
        with pytest.raises(BundleError, match="is not a valid file name"):
            encoded(ending, (Member(name, b"x"),))
    made = zipball.encode([Member(name, b"x")])
    assert "is not a valid file name" in refused("zip", made)
    if len(name.encode()) <= 100 and "\0" not in name and name:
        assert "is not a valid file name" in refused("tar.gz", tarball.encode([Member(name, b"x")]))


GOOD_NAMES = [
    "a",
    "a.b",
    ".hidden",
    "nodes/orch-1/web.config",
    "ü/é.txt",
    "conx",
    "com10",
    "nul0",
    f"{'a' * 99}/{'b' * 100}",
]


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_valid_name_round_trips(name: str) -> None:
    assert names.objection(name) == ""
    for ending in FORMATS:
        assert [member.path for member in decoded(ending, encoded(ending, (Member(name, b"x"),)))] == [name]


COLLISIONS = [
    ("a", "a"),
    ("a", "A"),
    ("ß", "ss"),
    ("b/x", "B/y"),
    ("a", "a/b"),
    ("\u00e9", "\u00c9"),
    ("\ufb01", "fi"),
    ("\u212b", "\u00e5"),
]


@pytest.mark.parametrize("pair", COLLISIONS, ids=ascii)
def test_colliding_names_are_refused_on_write_and_on_read(pair: tuple[str, str]) -> None:
    assert len(list(names.collisions(pair))) == 1
    if any(names.objection(name) for name in pair):
        return
    for ending, module in FORMATS.items():
        with pytest.raises(BundleError):
            encoded(ending, tuple(Member(name, b"x") for name in pair))
        ordered = sorted(pair, key=str.encode)
        refused(ending, module.encode([Member(name, b"x") for name in ordered]))


def test_archive_in_another_order_is_refused() -> None:
    for ending, module in FORMATS.items():
        assert "not sorted" in refused(ending, module.encode([Member("b", b""), Member("a", b"")]))


def zip_of(change: Callable[[zipfile.ZipInfo], None], comment: bytes = b"") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as whole:
        made = zipfile.ZipInfo("a", (1980, 1, 1, 0, 0, 0))
        made.create_system = 3
        made.external_attr = (stat.S_IFREG | 0o644) << 16
        change(made)
        whole.writestr(made, b"x" * 100)
        whole.comment = comment
    return out.getvalue()


ZIPS: dict[str, Callable[[zipfile.ZipInfo], None]] = {
    "link": lambda made: setattr(made, "external_attr", (stat.S_IFLNK | 0o644) << 16),
    "device": lambda made: setattr(made, "external_attr", (stat.S_IFCHR | 0o644) << 16),
    "folder": lambda made: setattr(made, "external_attr", (stat.S_IFDIR | 0o644) << 16),
    "no mode": lambda made: setattr(made, "external_attr", 0),
    "setuid": lambda made: setattr(made, "external_attr", (stat.S_IFREG | 0o4644) << 16),
    "compressed": lambda made: setattr(made, "compress_type", zipfile.ZIP_DEFLATED),
    "time": lambda made: setattr(made, "date_time", (2026, 1, 1, 0, 0, 0)),
    "extra field": lambda made: setattr(made, "extra", struct.pack("<HH4s", 0x7075, 4, b"abcd")),
    "comment": lambda made: setattr(made, "comment", b"hello"),
    "made on DOS": lambda made: setattr(made, "create_system", 0),
}


@pytest.mark.parametrize("name", ZIPS)
def test_zip_entry_with_unexpected_field_is_refused(name: str) -> None:
    refused("zip", zip_of(ZIPS[name]))


def test_zip_with_comment_is_refused() -> None:
    assert "comment" in refused("zip", zip_of(lambda made: None, b"hello"))


def test_zip_with_bytes_between_files_is_refused() -> None:
    first, second = (zipball.encode([Member(name, b"x")]) for name in "ab")
    hidden = b"PK\3\4 not listed"
    body = first[: first.index(b"PK\1\2")]
    listed = first[first.index(b"PK\1\2") : first.index(b"PK\5\6")]
    end = zipball._END.pack(b"PK\5\6", 0, 0, 1, 1, len(listed), len(body) + len(hidden), 0)
    assert "belongs to no file" in refused("zip", body + hidden + listed + end)
    assert second != first


def test_zip_with_other_name_in_local_header_is_refused() -> None:
    data = zipball.encode([Member("good.txt", b"x")])
    assert "central directory differs" in refused("zip", data.replace(b"good.txt", b"evil.txt", 1))


# Bombs.


@pytest.mark.parametrize("level", [1, 6, 9])
def test_compressed_gzip_is_refused_without_inflating_it(level: int) -> None:
    bomb = tarball._GZIP_HEADER + zlib.compress(bytes(50_000_000), level, -15) + bytes(8)
    assert "compressed" in refused("tar.gz", bomb)


def test_archive_with_size_above_the_limit_in_header_is_refused() -> None:
    plain = bytearray(gzip.decompress(encoded("tar.gz")))
    plain[124:136] = b"77777777777\0"
    plain[148:156] = b" " * 8
    plain[148:156] = b"%06o\0 " % sum(plain[:512])
    assert "by its header" in refused("tar.gz", tarball._stored(bytes(plain)))
    zipped = bytearray(zipball.encode([Member("a", b"x")]))
    listed = zipped.index(b"PK\1\2")
    zipped[listed + 20 : listed + 28] = struct.pack("<2I", 0xFFFFFFF0, 0xFFFFFFF0)
    assert "by its header" in refused("zip", bytes(zipped))


def test_zip_list_that_is_too_long_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    data = zipball.encode([Member("a", b"x"), Member("b", b"x")])
    end = len(data) - zipball._END.size
    lying = data[:end] + data[end:].replace(struct.pack("<2H", 2, 2), struct.pack("<2H", 1, 1), 1)
    assert lying != data
    monkeypatch.setattr(zipball, "MAX_FILES", 1)
    monkeypatch.setattr(names, "LONGEST", 0)
    monkeypatch.setattr(zipfile, "ZipFile", None)
    assert "more than 1 files" in refused("zip", lying)


def test_zip64_is_refused() -> None:
    data = encoded("zip")
    end = len(data) - zipball._END.size
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, 0, 1)
    assert "other parts" in refused("zip", data[:end] + locator + data[end:])


def test_archive_above_the_limits_is_refused_on_write_and_on_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = encoded("zip")
    monkeypatch.setattr(archive, "MAX_FILE", 10)
    with pytest.raises(BundleError, match="larger than 10 bytes"):
        encoded("zip", (Member("a", bytes(11)),))
    monkeypatch.setattr(archive, "MAX_FILES", 3)
    monkeypatch.setattr(zipball, "MAX_FILES", 3)
    monkeypatch.setattr(tarball, "MAX_FILES", 3)
    many = tuple(Member(name, b"") for name in "abcd")
    for ending, module in FORMATS.items():
        with pytest.raises(BundleError, match="at most 3 files"):
            encoded(ending, many)
        assert "more than 3 files" in refused(ending, module.encode(many))
    monkeypatch.setattr(archive, "MAX_ARCHIVE", len(data) - 1)
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(BundleError, match="larger than"):
        archive.read(tmp_path / "a.zip")


# Names of archives.


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tgz", "A.ZIP", "a.b.zip"])
def test_format_of_known_ending_is_returned(name: str) -> None:
    assert archive.format_of(Path(name)) in archive.FORMATS.values()


@pytest.mark.parametrize("name", ["a", "a.tar", "a.gz", "a.7z", "zip", "a.zip.asc"])
def test_format_of_unknown_ending_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is not the name of a bundle"):
        archive.format_of(Path(name))


def test_archive_with_wrong_ending_is_refused() -> None:
    assert "not a zip file" in refused("zip", encoded("tar.gz"))
    assert "not a gzip file" in refused("tar.gz", encoded("zip"))


def test_read_of_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be read"):
        archive.read(tmp_path / "no.zip")
    with pytest.raises(FileError):
        archive.read(tmp_path)


def test_member_repr_hides_the_content() -> None:
    assert "hunter2" not in repr(Member("a", b"hunter2"))
