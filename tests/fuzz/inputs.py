# SPDX-License-Identifier: MIT
"""Makes inputs up: JSON as a program writes it and as none does, and what is in the corpus with pieces changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from hypothesis import strategies as st

# What parsers of JSON disagree about, or what takes them long.
ODD_VALUES = [
    *("0", "-0", "-1", "1E2", "1e400", "-1e400", "1e-400", "0.1", "NaN", "Infinity", "-Infinity"),
    *("9007199254740991", "9007199254740992", "9007199254740993", "9223372036854775808"),
    "9" * 5000,
    *("true", "false", "null", '""', "[]", "{}", "[[]]", '{"":null}', "01", "+1", "0x1", "'a'"),
    *(r'"\u0000"', r'"\ud800"', r'"\udc00\ud800"', r'"\ud83d\ude00"', r'"\u2028"', '"\u2028"'),
    *(r'"a\r\nb"', r'"a\u0085b"', '"\0"', r'"\/"', r'"\x41"', '"\\', '"\N{KELVIN SIGN}"'),
    *('"' + "a" * 70_000 + '"', "[" * 3_000, '{"a":' * 3_000),
]
ODD_NAMES = ["", "janus", "type", "token", "__proto__", "a\0", "\ud800", "\N{KELVIN SIGN}"]


@st.composite
def json_texts(draw: Callable, values: st.SearchStrategy) -> str:
    """A value as JSON; in one of three as hardly any program writes it."""
    value = draw(values)
    if draw(st.sampled_from(["plain", "plain", "odd"])) == "plain":
        return json.dumps(value)
    return _written(draw, value)


def _written(draw: Callable, value: object) -> str:
    if draw(st.integers(0, 11)) == 11:
        return draw(st.sampled_from(ODD_VALUES))
    match value:
        case dict():
            fields = [
                f"{_text(draw, name)}{_space(draw)}:{_space(draw)}{_written(draw, each)}"
                for name, each in value.items()
            ]
            match draw(st.integers(0, 7)):
                case 5 if fields:
                    fields.pop(draw(st.integers(0, len(fields) - 1)))
                case 6 if fields:
                    fields.append(draw(st.sampled_from(fields)))
                case 7:
                    name, odd = draw(st.sampled_from(ODD_NAMES)), draw(st.sampled_from(ODD_VALUES))
                    fields.append(f"{json.dumps(name)}:{odd}")
            return f"{{{','.join(fields)}{_space(draw)}}}"
        case list():
            return f"[{','.join(_written(draw, each) for each in value)}]"
        case str():
            return _text(draw, value)
    return json.dumps(value)


def _text(draw: Callable, text: str) -> str:
    if draw(st.integers(0, 5)) == 5:
        units = text.encode("utf-16-be", "surrogatepass").hex()
        return '"' + "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4)) + '"'
    return json.dumps(text, ensure_ascii=draw(st.booleans()))


def _space(draw: Callable) -> str:
    return draw(st.sampled_from(["", "", "", " ", "\n\t", "\f", "\N{NO-BREAK SPACE}"]))


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


def bytes_of(texts: st.SearchStrategy) -> st.SearchStrategy:
    return texts.map(lambda text: text.encode("utf-8", "surrogatepass"))


def lines_of(*lines: st.SearchStrategy, most: int = 24) -> st.SearchStrategy:
    """Several of them, one a line."""
    return st.lists(
        st.one_of(*lines).map(lambda line: line.replace(b"\n", b" ")), min_size=1, max_size=most
    ).map(b"\n".join)


@st.composite
def mutated(draw: Callable, corpus: Sequence[bytes]) -> bytes:
    """One of the corpus with up to four pieces cut out, put in, repeated or from another."""
    data = draw(st.sampled_from(corpus))
    for _ in range(draw(st.integers(0, 4))):
        begin = draw(st.integers(0, len(data)))
        end = min(len(data), begin + draw(st.sampled_from([0, 1, 2, 4, 8, 64])))
        match draw(st.integers(0, 4)):
            case 0:
                piece = b""
            case 1:
                piece = draw(st.binary(max_size=4))
            case 2:
                piece = 2 * data[begin:end]
            case 3:
                other = draw(st.sampled_from(corpus))
                start = draw(st.integers(0, len(other)))
                piece = other[start : start + 64]
            case _:
                piece = draw(st.sampled_from(ODD_VALUES[:50])).encode("utf-8", "surrogatepass")[:64]
        data = data[:begin] + piece + data[end:]
    return data
