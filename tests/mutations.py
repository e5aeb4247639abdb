"""Files as strangers send them: valid ones with a few things wrong. Strategies for Hypothesis, shared by all doors."""

import copy
import json
import re

import hypothesis
import tomlkit
from hypothesis import strategies as st

NAME = re.compile(rb"[A-Za-z][A-Za-z0-9 ]{3}")  # of a chunk, or a piece of any word
TOKEN = re.compile(rb'"[^"\n]*"|[-+.\w]+|[^\s\w]')
EXTREME = (0, 1, -1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF, 1 << 40,
           1 << 62, (1 << 63) - 1, (1 << 64) - 1)
NUMBERS = (b"0", b"-1", b"-0.0", b"0.1", b"1e999", b"-1e308", b"5e-324", b"nan", b"NaN", b"-inf", b"Infinity", b"0x10",
           b"1_0", b"1,000", b"65536", b"4294967296", b"9223372036854775808", b"9" * 400, b"1" + b"0" * 5000)
WORDS = (b"true", b"false", b"null", b"{}", b"[]", b"[[]]", b'""', b"''", b'"\\ud800"', b'"\\u0000"', b'"\x1b[2J"',
         b'"a\\nb"', b'"\xe2\x80\xae"', b'"../../x"', b'"/dev/zero"', b'"recording.wav"', b'"' + b"a" * 5000 + b'"',
         b"\xff\xfe", b"\xed\xa0\x80", b"\0", b"1979-05-27", b"[", b"]", b"{", b"}", b'"', b",", b";", b".", b"=",
         b"\n", b"#")
QUOTED = tuple(word for word in WORDS if word.startswith(b'"')) + (b'"1"', b'"Gain"', b'"piano"', b'"standard"')
DEEP = (b"[" * 3000, b'{"a":' * 3000, b"a." * 3000, b"[" * 100 + b"]" * 100, b"[" * 100_000,
        b"{a=" * 500 + b"1" + b"}" * 500)

texts = (st.text(st.characters(codec=None), max_size=20)
         | st.sampled_from([word.decode("utf-8", "replace") for word in WORDS]))
ODD = (-1, 0, 1e308, -1e-9, 5e-324, float("nan"), float("inf"), 1 << 62, 10 ** 30, True, "", " ", "\0", "x" * 3000,
       [], {}, [[]], "recording.wav", "..", "/dev/zero", "GenerativeEQ", "\u202e")
# What a JSON document may hold; a name may be half a character, and a number may be no number.
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts | st.sampled_from([10 ** 30, -1, 1e308, 1 << 63]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=8)


def to_json(value) -> bytes:
    return json.dumps(value).encode()


def to_toml(value) -> bytes:
    return tomlkit.dumps(value).encode()


def mutated(originals: list[bytes]) -> st.SearchStrategy[bytes]:
    """One of these files of bytes, with a few things wrong, often one."""
    changes = (_flip, _flip, _size, _size, _size, _cut, _cut_out, _twice, _splice, _fill)
    return _changed(originals, changes)


def mutated_text(originals: list[bytes]) -> st.SearchStrategy[bytes]:
    """One of these texts, with a few things wrong, often one."""
    return _changed(originals, (_token, _token, _token, _token, _twice, _flip, _cut, _splice))


def with_changes(original, write=to_json) -> st.SearchStrategy[bytes]:
    """A document of lists and tables in which one to three values are others, are missing or come twice, as `write`
    writes it."""
    leaves = [container[key] for container, key in _within([original]) if not isinstance(container[key], (dict, list))]
    others = st.sampled_from(leaves) | st.sampled_from(ODD) | values

    @st.composite
    def file(draw) -> bytes:
        root = [copy.deepcopy(original)]
        for _ in range(draw(st.sampled_from((1, 1, 2, 3)))):
            container, key = draw(st.sampled_from(list(_within(root))))
            how = draw(st.sampled_from(("other", "other", "other", "gone", "twice")))
            if how == "other" or container is root:
                container[key] = copy.deepcopy(draw(others))  # which the next change may be within
            elif how == "gone":
                del container[key]
            elif isinstance(container, list):
                container.insert(key, copy.deepcopy(container[key]))
            else:
                container[draw(texts)] = copy.deepcopy(container[key])
        try:
            return write(root[0])
        except (TypeError, ValueError, AttributeError):  # what the format does not have
            hypothesis.reject()
    return file()


def _within(value):
    """Each value within lists and tables, as what it is in and where."""
    for key in value if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], (dict, list)):
            yield from _within(value[key])


def documents(*names: str) -> st.SearchStrategy[bytes]:
    """JSON of an object with some of these names, and with any values."""
    some = st.dictionaries((st.sampled_from(names) if names else texts) | texts, values, max_size=6)
    return (some | values).map(to_json)


def _changed(originals: list[bytes], changes: tuple) -> st.SearchStrategy[bytes]:
    @st.composite
    def file(draw) -> bytes:
        data = draw(st.sampled_from(originals))
        for _ in range(draw(st.sampled_from((1, 1, 1, 2, 3, 4)))):
            data = draw(st.sampled_from(changes))(draw, data, originals)
        return data
    return file()


def _place(draw, data: bytes) -> int:
    """Somewhere in a file: often at its beginning, or right after a name, where sizes stand."""
    names = [match.end() for match in NAME.finditer(data[:4096])]
    return draw(st.integers(0, min(64, len(data))) | st.integers(0, len(data)) |
                (st.sampled_from(names) if names else st.just(0)))


def _length(draw, data: bytes) -> int:
    return draw(st.integers(1, 16) | st.integers(1, max(1, len(data))))


def _flip(draw, data, originals):
    at = _place(draw, data)
    return data[:at] + bytes([data[at] ^ 1 << draw(st.integers(0, 7))]) + data[at + 1:] if at < len(data) else data


def _size(draw, data, originals):
    """A number of two to eight bytes is one of the first or last that fit, or one near the file's own size."""
    at, length = _place(draw, data), draw(st.sampled_from((2, 4, 4, 4, 8)))
    value = draw(st.sampled_from(EXTREME) | st.integers(0, 2 * len(data)))
    packed = (value % (1 << 8 * length)).to_bytes(length, draw(st.sampled_from(("little", "big"))))
    return data[:at] + packed + data[at + length:]


def _cut(draw, data, originals):
    return data[:_place(draw, data)]


def _cut_out(draw, data, originals):
    at = _place(draw, data)
    return data[:at] + data[at + _length(draw, data):]


def _twice(draw, data, originals):
    """A piece comes once more, or many times."""
    at = _place(draw, data)
    end = at + _length(draw, data)
    times = draw(st.sampled_from((1, 1, 1, 2, 100)))
    return data[:end] + data[at:end][:20_000 // times] * times + data[end:]


def _splice(draw, data, originals):
    """The beginning of one file and the end of another."""
    other = draw(st.sampled_from(originals))
    return data[:_place(draw, data)] + other[_place(draw, other):]


def _fill(draw, data, originals):
    at, length = _place(draw, data), _length(draw, data)
    return data[:at] + draw(st.sampled_from((b"\0", b"\xff", b"\x80"))) * length + data[at + length:]


def _token(draw, data, originals):
    """A word, a number or a sign is another one, or none."""
    tokens = list(TOKEN.finditer(data))
    if not tokens:
        return data
    at = draw(st.sampled_from(tokens))
    alike = QUOTED if at[0].startswith(b'"') else NUMBERS if at[0][-1:].isdigit() else WORDS
    own = [token[0] for token in tokens]
    others = draw(st.sampled_from((alike, alike, alike, NUMBERS, WORDS, DEEP, own, (b"",))))
    return data[:at.start()] + draw(st.sampled_from(others)) + data[at.end():]
