"""One way to turn a frozen `Config` dataclass into a command line, used by every entry point.

A script's parameters are the fields of its `Config`: the comment behind a field (a long one: on the
lines directly above it) is its help text, a field without a default is a positional argument. The
same fields can come from `--config file.json` (flags override it), and `dump` writes the complete
result, which reruns the experiment.
Only the standard library is imported here, so `--help` answers at once.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import io
import json
import os
import sys
import textwrap
import tokenize
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

C = TypeVar("C")


def parse(config: type[C], argv: Sequence[str] | None = None) -> C:
    """Read the command line (default `sys.argv[1:]`) into an instance of `config`.

    Raises
    ------
    SystemExit
        With status 2 and one line on the standard error output for an unknown flag, a value of the
        wrong type, an unknown key in the `--config` file or a failed check of `__post_init__`.
    """
    parser = _parser(config)
    given = vars(parser.parse_args(_dashes(sys.argv[1:] if argv is None else argv)))
    file = given.pop("config")
    given = {name: tuple(v) if isinstance(v, list) else v for name, v in given.items()}
    given = {name: v for name, v in given.items() if v not in (None, ())}
    try:
        values = (_from_json(config, file) if file else {}) | given
        missing = [f.name for f in _required(config) if values.get(f.name, ()) == ()]
        if missing:
            parser.error(f"nothing given for: {', '.join(missing)}")
        return config(**values)
    except (ValueError, OSError) as error:
        parser.error(str(error))


def run(main: Callable[[C], int], config: type[C], argv: Sequence[str] | None = None) -> int:
    """Parse, call `main` and return its exit status; an error a person can mend is one line.

    Returns
    -------
    int
        What `main` returns; 2 after a ValueError, an OSError or an ImportError (of an optional
        package), whose message is written to the standard error output; 130 when stopped by hand.
    """
    parsed = parse(config, argv)
    try:
        return main(parsed)
    except (ValueError, OSError, ImportError) as error:
        sys.stderr.write(f"{Path(sys.argv[0]).name}: error: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("stopped; what was finished is kept, the same command goes on\n")
        return 130


Commands = Mapping[str, tuple[type, Callable[[Any], int]]]


def run_command(commands: Commands, doc: str | None, argv: Sequence[str] | None = None) -> int:
    """Run the command that the first word names: {word: (its `Config`, what it calls)}.

    Returns
    -------
    int
        The exit status; 2, and the list of commands, for a word that is none of them.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    word = words[0] if words else ""
    if word not in commands:
        asked = word in ("-h", "--help")
        told = f"{doc}\ncommands: {', '.join(commands)}   (each with --help)\n"
        (sys.stdout if asked else sys.stderr).write(told)
        return 0 if asked else 2
    config, main = commands[word]
    sys.argv[0] = f"{Path(sys.argv[0]).name} {word}"  # what --help and errors call it
    return run(main, config, words[1:])


def dump(config: Any, path: Path) -> None:
    """Write every field of `config` as JSON to `path`, whole or not at all; `--config` reads it."""
    text = json.dumps(dataclasses.asdict(config), indent=2, default=str)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.tmp.{os.getpid()}")
    temporary.write_text(text + "\n", encoding="utf-8")
    temporary.replace(path)


def _parser(config: type) -> argparse.ArgumentParser:
    """Build the parser: one argument per field, defaults shown but left to the dataclass."""
    parser = argparse.ArgumentParser(
        prog=Path(sys.argv[0]).name,
        description=inspect.getdoc(config),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("--config", type=Path, default=None, help="JSON file with the same keys")
    hints, comments = typing.get_type_hints(config), _comments(config)
    positional = {field.name for field in _required(config)}
    for field in dataclasses.fields(config):
        text = comments.get(field.name, "")
        _add(parser, field, hints[field.name], text, positional=field.name in positional)
    return parser


def _add(
    parser: argparse.ArgumentParser,
    field: dataclasses.Field,
    hint: Any,
    text: str,
    *,
    positional: bool,
) -> None:
    """Add the argument of one field."""
    hint, many = _plain(hint)
    if positional:
        parser.add_argument(
            field.name,
            nargs="*" if many else "?",
            type=_reader(hint),
            default=None,
            help=text,
            metavar="PATH" if hint is Path else field.name.upper(),
        )
        return
    flag, shown = f"--{field.name.replace('_', '-')}", _shown(field)
    if hint is bool:
        action = argparse.BooleanOptionalAction
        parser.add_argument(flag, action=action, help=text + shown)
        return
    options: dict[str, Any] = {"help": text + shown, "type": _reader(hint)}
    if typing.get_origin(hint) is Literal:
        options |= {"choices": typing.get_args(hint), "type": type(typing.get_args(hint)[0])}
    else:
        options["metavar"] = getattr(hint, "__name__", "value").upper()
    if many:
        options |= {"nargs": "+", "action": "extend"}
    parser.add_argument(flag, **options)


def _required(config: type) -> list[dataclasses.Field]:
    """Return the fields without a default: the positional arguments."""
    none = dataclasses.MISSING
    fields = dataclasses.fields(config)
    return [f for f in fields if f.default is none and f.default_factory is none]


def _plain(hint: Any) -> tuple[Any, bool]:
    """Take `T | None` and `tuple[T, ...]` apart: (T, whether several values are taken)."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        hint = next(arg for arg in typing.get_args(hint) if arg is not type(None))
    if typing.get_origin(hint) is tuple:
        return typing.get_args(hint)[0], True
    return hint, False


def _reader(hint: Any) -> Callable[[str], Any]:
    """Return what turns the text of one value into `hint`."""
    return hint if hint in (int, float, Path, str) else str


def _shown(field: dataclasses.Field) -> str:
    """Return the default as it stands behind the help text."""
    value = field.default
    if value is dataclasses.MISSING or value is None or value == ():
        return ""
    shown = " ".join(map(str, value)) if isinstance(value, tuple) else value
    return f" [{shown}]".replace("%", "%%")


def _comments(config: type) -> dict[str, str]:
    """Return the comment of each field: behind it, else on the lines directly above it."""
    found: dict[str, str] = {}
    for part in reversed(config.__mro__):
        if dataclasses.is_dataclass(part):
            found |= _own_comments(part)
    return {name: text.replace("%", "%%") for name, text in found.items()}


def _own_comments(config: type) -> dict[str, str]:
    """Return the comments of the fields written in the body of this very class."""
    try:
        source = textwrap.dedent(inspect.getsource(config))
    except OSError:  # typed at a prompt: there is no file to read
        return {}
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {token.start[0]: token for token in tokens if token.type == tokenize.COMMENT}
    found = {}
    for node in ast.parse(source).body[0].body:  # type: ignore[attr-defined]
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            behind = range(node.lineno, (node.end_lineno or node.lineno) + 1)
            lines = [line for line in behind if line in comments] or _above(comments, node.lineno)
            texts = [comments[line].string.lstrip("# ").strip() for line in lines]
            found[node.target.id] = " ".join(texts)
    return found


def _above(comments: dict[int, tokenize.TokenInfo], line: int) -> list[int]:
    """Return the lines directly above `line` that hold nothing but a comment, in order."""
    above: list[int] = []
    while (comment := comments.get(line - 1)) and comment.line.strip() == comment.string:
        above.insert(0, line := line - 1)
    return above


def _from_json(config: type, path: Path) -> dict[str, Any]:
    """Read the fields given in a JSON file and check their names and types."""
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not JSON: {error}") from None
    if not isinstance(read, dict):
        raise ValueError(f"{path}: one JSON object with the fields of the script is wanted")
    hints = typing.get_type_hints(config)
    unknown = sorted(set(read) - set(hints))
    if unknown:
        raise ValueError(f"{path}: unknown {', '.join(unknown)}; known: {', '.join(hints)}")
    return {name: _typed(path, name, value, hints[name]) for name, value in read.items()}


def _typed(path: Path, name: str, value: Any, hint: Any) -> Any:
    """Give a JSON value the type of its field, or say what was wanted."""
    kind, many = _plain(hint)
    if value is None and type(None) in typing.get_args(hint):
        return None
    if many:
        if not isinstance(value, list):
            raise ValueError(f"{path}: {name} must be a list, found {value!r}")
        return tuple(_typed(path, name, item, kind) for item in value)
    if typing.get_origin(kind) is Literal:
        if value not in typing.get_args(kind):
            raise ValueError(f"{path}: {name} = {value!r} is none of {typing.get_args(kind)}")
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    wanted = str if kind is Path else kind
    if not isinstance(value, wanted) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{path}: {name} must be {kind.__name__}, found {value!r}")
    return kind(value)


def _dashes(argv: Sequence[str]) -> list[str]:
    """Accept published flag names with underscores (`--merge_NT1`) beside those with dashes."""
    end = list(argv).index("--") if "--" in argv else len(argv)  # behind it stand names of files
    spelled = []
    for word in argv[:end]:
        flag, equals, value = word.partition("=")
        if flag.startswith("--"):
            word = flag.replace("_", "-") + equals + value
        spelled.append(word)
    return spelled + list(argv[end:])
