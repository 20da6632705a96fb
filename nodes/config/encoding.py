"""Bytes to text and back, the same bytes: by byte order mark and XML declaration, as .NET's XmlReader decides.

Sources: XML 1.0, appendix F; `XmlTextReaderImpl` in .NET's reference source, which refuses a declaration that
contradicts the byte order mark.
"""

import codecs
import re
from dataclasses import dataclass
from typing import Final

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
"""Encodings in which every character stands for itself; UTF-7 and others with shift states are none of them."""


class EncodingError(ValueError):
    """The bytes are not the text that they say they are; the message says why, never with a part of the text."""


@dataclass(frozen=True, slots=True)
class EncodedText:
    """A text and how its file writes it."""

    text: str
    codec: str
    mark: bytes
    """The byte order mark, or nothing."""

    def bytes_of(self, text: str) -> bytes:
        """Another text as this file would write it; raises UnicodeEncodeError for what its encoding lacks."""
        return self.mark + text.encode(self.codec)


def decode(raw: bytes) -> EncodedText:
    """The text of a file; raises EncodingError, also where the way back would give other bytes."""
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
        raise EncodingError(f"the bytes are not the usual way to write their text in {codec}")
    return result


def _marked(raw: bytes) -> tuple[bytes, str]:
    for mark, codec in _MARKS:
        if raw.startswith(mark):
            if not codec:
                raise EncodingError("it is UTF-32 text, which IIS does not read")
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
        raise EncodingError(f"its encoding, {found[1][:40]}, is not known") from None
    if found[1].lower() in _WIDE:
        raise EncodingError("it says that it is UTF-16, and its bytes are not")
    if not _CODECS.fullmatch(codec):
        raise EncodingError(f"its encoding, {found[1][:40]}, is none that can be edited byte by byte")
    return codec


def _check_declaration(text: str, codec: str, *, marked: bool) -> None:
    found = _DECLARATION.match(text)
    if found is None:
        return
    said = found[1].lower()
    wide = codec.startswith("utf-16")
    if wide and said not in _WIDE:
        raise EncodingError(f"its bytes are UTF-16, and it says that they are {said[:40]}")
    if marked and not wide and said not in {"utf-8", "utf8"}:
        raise EncodingError(f"its byte order mark is that of UTF-8, and it says that it is {said[:40]}")
