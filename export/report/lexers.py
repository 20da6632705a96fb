"""Pygments lexers for HAProxy's configuration, the farm files of pound and zproxy, and F5's SCF."""

from typing import Any, ClassVar

from pygments.lexer import RegexLexer
from pygments.token import Comment, Keyword, Name, Number, String, Text, Whitespace

_ARGUMENTS = [
    (r"\n", Whitespace, "#pop"),
    (r"[^\S\n]+", Whitespace),
    (r"\\.", String.Escape),
    (r'"(?:\\.|[^"\\\n])*"', String.Double),
    (r"'[^'\n]*'", String.Single),
]


class HaproxyLexer(RegexLexer):
    """haproxy.cfg: section names, indented directives, and preprocessor conditions such as `.if`."""

    name = "HAProxy"
    aliases: ClassVar[list[str]] = ["haproxy"]
    tokens: ClassVar[dict[str, list[Any]]] = {
        "root": [
            (r"[^\S\n]*#.*", Comment.Single),
            (r"\n", Whitespace),
            (r"^\.\w+.*", Comment.Preproc),
            (r"^([a-z][\w-]*)", Keyword.Namespace, "arguments"),
            (r"[^\S\n]+", Whitespace),
            (r"[A-Za-z][\w.-]*", Keyword, "arguments"),
            (r"\S+", Text, "arguments"),
        ],
        "arguments": [
            (r"#.*", Comment.Single),
            *_ARGUMENTS,
            (r"%\[[^\]\n]*\]|\$\{[^}\n]*\}", Name.Variable),
            (r"\d+(?:us|ms|s|m|h|d|k|g)?(?=\s|$)", Number),
            (r"(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?(?=\s|$)", Number),
            (r"[^\s\"'\\#]+", Text),
            (r".", Text),
        ],
    }


class PoundLexer(RegexLexer):
    """A farm file of pound, its fork, or zproxy: one directive per line; blocks end with `End`."""

    name = "Pound"
    aliases: ClassVar[list[str]] = ["pound"]
    tokens: ClassVar[dict[str, list[Any]]] = {
        "root": [
            (r"[^\S\n]*#.*", Comment.Single),
            (r"\n", Whitespace),
            (r"[^\S\n]+", Whitespace),
            (r"(?:ListenHTTPS?|Service|BackEnd|Emergency|Session|End)\b", Keyword.Namespace, "arguments"),
            (r"\S+", Keyword, "arguments"),
        ],
        "arguments": [
            *_ARGUMENTS,
            (r"[\d.]+(?=\s|$)", Number),
            (r"[^\s\"'\\]+", Text),
            (r".", Text),
        ],
    }


class ScfLexer(RegexLexer):
    """A single configuration file (SCF) of F5: objects in braces, and Tcl in iRules."""

    name = "F5 SCF"
    aliases: ClassVar[list[str]] = ["scf"]
    tokens: ClassVar[dict[str, list[Any]]] = {
        "root": [
            (r"[^\S\n]*#.*", Comment.Single),
            (r"\n", Whitespace),
            (r"^(?:ltm|sys|net|security)\b[^\S\n]+[a-z-]+", Keyword.Namespace, "arguments"),
            (r"^when\b.*", Keyword.Namespace),
            (r"[^\S\n]+", Whitespace),
            (r"[{}\[\]]+", Text),
            (r"/[^\s{}]+", Name.Variable, "arguments"),
            (r"[^\s{}]+", Keyword, "arguments"),
        ],
        "arguments": [
            *_ARGUMENTS,
            (r"\$\w+|/[A-Za-z][^\s{}\[\]]*", Name.Variable),
            (r"\d+(?=[\s}\]]|$)", Number),
            (r"[{}\[\]]", Text),
            (r"[^\s\"'\\{}\[\]$]+", Text),
            (r".", Text),
        ],
    }
