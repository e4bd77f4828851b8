r"""Which bytes are the event, when it came through `sh -c 'echo $EVENT | supervisor'`.

The variable is not quoted there, so the shell splits it into words, takes words with `*`, `?` or `[…]` for file
names, and `echo` prints the result with single blanks: dash replaces escapes such as `\n`, bash and busybox take
`-n` and `-e` for options. The intact bytes are in the variable. So we ask whether a shell could have printed
standard input from the variable; if so, the variable is the event, else standard input is one of its own.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["repair"]

# Patterns beyond these are not compared with file names, so that the time stays linear. A name has 255 bytes at most.
_LONGEST_PATTERN: Final = 255
_PATTERNS_AT_ONCE: Final = 8

_ESCAPE: Final = rb"\\(?:(0[0-7]{0,3}|[1-7][0-7]{0,2})|([abcefnrtv\\]))"
_ESCAPES: Final = {
    b"a": b"\a",
    b"b": b"\b",
    b"e": b"\x1b",
    b"f": b"\f",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"v": b"\v",
    b"\\": b"\\",
}


def repair(stdin: bytes, variable: str | None) -> tuple[bytes, str | None]:
    """Return the bytes of the event, and a note for the log where they are not those of standard input.

    Args:
        stdin: What arrived on standard input.
        variable: The environment variable `EVENT`, as Python decodes it; None where it is not set.

    Where `EVENT` is in base64 and was decoded on the way (InterLink), standard input is intact, and stays.
    """
    if not variable:
        return stdin, None
    event = variable.encode("utf-8", "surrogateescape")
    if stdin in (event, event + b"\n"):
        return event, None
    if not stdin.strip():
        return event, "standard input is empty; the event is that of the variable EVENT"
    if any(_printed(stdin, words, escapes=escapes) for words, escapes in _commands(event)):
        return event, "the shell changed the event on its way to standard input; that of the variable EVENT is used"
    return stdin, None


def _commands(event: bytes) -> Iterator[tuple[list[bytes], bool]]:
    """Yield what `echo` prints, and whether it replaces escapes: in dash, in bash and busybox, and there with `-e`."""
    words = [word for word in event.replace(b"\t", b" ").replace(b"\n", b" ").split(b" ") if word]
    yield (words[1:] if words[:1] == [b"-n"] else words), True
    options = 0
    for word in words:
        if word == b"-" or word.rstrip(b"neE") != b"-":
            break
        options += 1
    yield words[options:], False
    if options:
        yield words[options:], True


def _printed(stdin: bytes, words: list[bytes], *, escapes: bool) -> bool:
    """Tell whether `echo` may have printed `stdin` for these words, where patterns may have become file names."""
    replaced = _replaced if escapes else bytes
    whole = replaced(b" ".join(words))
    if stdin in (whole, whole + b"\n"):
        return True
    line, at = b" " + stdin.removesuffix(b"\n") + b" ", 0
    for patterns, text, last in _pieces(words):
        unchanged, after = [replaced(word) for word in patterns], replaced(text) + b" "
        names = b"".join(unchanged)
        if not line.startswith(names + after, at):
            # Of all places where the text behind the patterns stands, the first is as good as any: what comes
            # between it and the next text is for the next patterns.
            end = line.rfind(after) if last and line.endswith(after) else line.find(after, at)
            names = line[at : max(end, at)]
            if not _names(names, patterns, unchanged):
                return False
        at += len(names) + len(after) - 1
    return at == len(line) - 1


def _pieces(words: list[bytes]) -> Iterator[tuple[list[bytes], bytes, bool]]:
    """Yield patterns, the text that follows them, and whether that is all; each word has a blank before it."""
    runs = [(patterns, [b" " + word for word in run]) for patterns, run in groupby(words, _is_pattern)]
    if not runs or not runs[0][0]:
        runs.insert(0, (True, []))
    if len(runs) % 2:
        runs.append((False, []))
    for i in range(0, len(runs), 2):
        yield runs[i][1], b"".join(runs[i + 1][1]), i + 2 == len(runs)


def _is_pattern(word: bytes) -> bool:
    return b"*" in word or b"?" in word or b"]" in word.partition(b"[")[2]


def _names(names: bytes, patterns: list[bytes], unchanged: list[bytes]) -> bool:
    """Tell whether each of these words is one of the patterns as it was, or a file name that fits one."""
    from fnmatch import fnmatchcase  # noqa: PLC0415  # hardly ever needed

    same = frozenset(unchanged)
    fitting = [pattern for pattern in set(patterns) if len(pattern) <= _LONGEST_PATTERN][:_PATTERNS_AT_ONCE]
    words = [b" " + word for word in names.split(b" ")[1:]]
    return bool(words) and all(word in same or any(fnmatchcase(word, fit) for fit in fitting) for word in words)


def _replaced(text: bytes) -> bytes:
    """Return what dash's `echo` makes of the escapes in `text`."""
    import re  # noqa: PLC0415  # only where an event has to be compared

    parts, at = [], 0
    for match in re.finditer(_ESCAPE, text):
        parts.append(text[at : match.start()])
        octal, letter = match.groups()
        if letter == b"c":  # prints nothing more
            return b"".join(parts)
        parts.append(_ESCAPES[letter] if letter else bytes([int(octal, 8) & 0xFF]))
        at = match.end()
    parts.append(text[at:])
    return b"".join(parts)
