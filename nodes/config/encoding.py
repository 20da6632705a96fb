"""Decode the bytes of a file by byte order mark and XML declaration like .NET's XmlReader, and encode them again.

Sources: XML 1.0, appendix F; `XmlTextReaderImpl` in .NET's reference source, which refuses a declaration that
contradicts the byte order mark.
"""

import codecs
import re
from dataclasses import dataclass
from typing import Final, Literal

_MARKS: Final = (
    (codecs.BOM_UTF32_LE, ""),
    (codecs.BOM_UTF32_BE, ""),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARATION: Final = re.compile(r"<\?xml\s[^>]*?\bencoding\s*=\s*[\"']([A-Za-z][A-Za-z0-9._-]*)[\"']")
_WIDE: Final = {"utf-16", "utf-16le", "utf-16be", "unicode", "ucs-2", "iso-10646-ucs-2", "utf-16-le", "utf-16-be"}
_CODECS: Final = re.compile(
    r"utf-8|ascii|iso8859-\d+|cp125\d|cp(?:437|850|852|866|932|936|949|950)|koi8-[ru]"
    r"|shift_jis|gb2312|gbk|gb18030|big5|euc_(?:jp|kr)"
)
"""Encodings without shift states: UTF-7 and similar ones cannot be edited byte by byte."""


class EncodingError(ValueError):
    """The bytes do not match their declared encoding; the message gives the reason, never a part of the text."""


@dataclass(frozen=True, slots=True)
class EncodedText:
    """A text and the encoding of its file."""

    text: str
    codec: str
    mark: bytes
    """The byte order mark, or empty."""
    errors: Literal["strict", "surrogateescape"] = "strict"
    """With `surrogateescape`, a byte that the encoding lacks stays, as a lone surrogate."""

    def bytes_of(self, text: str) -> bytes:
        """Encode another text like this file; raises UnicodeEncodeError for a character that the encoding lacks."""
        return self.mark + text.encode(self.codec, self.errors)


def decode(raw: bytes) -> EncodedText:
    """Decode a file; raises EncodingError, also if encoding the text again would give other bytes."""
    mark, codec = _marked(raw)
    if not codec:
        codec = _declared_codec(raw)
    body = raw[len(mark) :]
    try:
        text = body.decode(codec)
    except UnicodeDecodeError as error:
        raise EncodingError(f"byte {len(mark) + error.start + 1} is not {codec} text") from None
    _check_declaration(text, codec, marked=bool(mark))
    result = EncodedText(text, codec, mark)
    if result.bytes_of(text) != raw:
        raise EncodingError(f"nlbgen cannot edit this {codec} text without changes to other bytes of the file")
    return result


def _marked(raw: bytes) -> tuple[bytes, str]:
    for mark, codec in _MARKS:
        if raw.startswith(mark):
            if not codec:
                raise EncodingError("the file is UTF-32 text: IIS does not read it")
            return mark, codec
    if raw.startswith(b"<\0"):
        return b"", "utf-16-le"
    return (b"", "utf-16-be") if raw.startswith(b"\0<") else (b"", "")


def _declared_codec(raw: bytes) -> str:
    found = _DECLARATION.match(raw[:400].decode("latin-1"))
    if found is None:
        return "utf-8"
    try:
        codec = codecs.lookup(found[1]).name
    except LookupError:
        raise EncodingError(f"the XML declaration names the unknown encoding {found[1][:40]}") from None
    if found[1].lower() in _WIDE:
        raise EncodingError("the XML declaration says UTF-16, but the bytes are not UTF-16")
    if not _CODECS.fullmatch(codec):
        raise EncodingError(f"nlbgen cannot edit a file with the encoding {found[1][:40]}")
    return codec


def _check_declaration(text: str, codec: str, *, marked: bool) -> None:
    found = _DECLARATION.match(text)
    if found is None:
        return
    declared = found[1].lower()
    wide = codec.startswith("utf-16")
    if wide and declared not in _WIDE:
        raise EncodingError(f"the bytes are UTF-16, but the XML declaration says {declared[:40]}")
    if marked and not wide and declared not in {"utf-8", "utf8"}:
        raise EncodingError(f"the byte order mark is UTF-8, but the XML declaration says {declared[:40]}")
