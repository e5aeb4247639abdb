"""JSON and TOML from strangers: what is read, what is refused in a sentence, and that neither takes long."""

import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from babe2_fx.documents import DEEPEST, parse_json, parse_toml, read_json, read_toml
from babe2_fx.errors import UserError
from babe2_fx.files import FileError


class OwnError(UserError):
    """The kind of error that a caller asks for."""


@pytest.mark.parametrize("text, reason", {
    "deep": ("[" * 100000, "nested more than 64 deep"),
    "deep and closed": ("[" * 66 + "]" * 66, "nested more than 64 deep"),
    "deep tables": ('{"a":' * 2000 + "1" + "}" * 2000, "nested more than 64 deep"),
    "many lists": ("[" + "[]," * (3 * 10 ** 6) + "[]]", "more than 3000000 lists and tables"),
    "many digits": ("9" * 5000, "a whole number of more than 18 digits"),
    "more than 64 bits": (f"[{2 ** 63}]", "a whole number of more than 18 digits"),
    "nan": ('{"a": NaN}', "the number nan, where only finite ones"),
    "infinite": ("[1e999]", "the number inf, where only finite ones"),
    "twice": ('{"a": 1, "b": {"c": 1, "c": 2}}', "the name 'c' twice in one object"),
    "cut": ('{"a": ', "Expecting value: line 1 column 7"),
    "empty": ("", "Expecting value"),
    "no text": (b"\xff\xfe\x00\xd8x", "it is not text"),
    "not utf-8": (b'"\xff"', "'utf-8' codec can't decode byte 0xff"),
}.values())
def test_json_that_cannot_be_used_is_refused_with_its_reason(text, reason):
    with pytest.raises(ValueError, match="(?s)" + reason):
        parse_json(text)


@pytest.mark.parametrize("text, reason", {
    "deep": ("x = " + "[" * 6000, "nested more than 64 deep"),
    "deep tables": ("x = " + "{a=" * 3000 + "1" + "}" * 3000, "nested more than 64 deep"),
    "a key of many parts": ("a." * 100000 + "a = 1", "line 1 has too many dots"),
    "a header of many parts": ("[" + "a." * 300 + "a]\n" + "b = 1\n" * 2, "line 1 has too many dots"),
    "many keys of many parts": ("".join(f"b{i}." + "a." * 900 + "a = 1\n" for i in range(500)), "too many dots"),
    "many digits": ("x = " + "9" * 5000, "a whole number of more than 18 digits"),
    "many hexadecimal digits": ("x = 0x" + "f" * 100000, "a whole number of more than 18 digits"),
    "twice": ("a = 1\na = 2", "Cannot overwrite a value"),
    "cut": ("a = [", "Invalid value"),
}.values())
def test_toml_that_cannot_be_used_is_refused_with_its_reason(text, reason):
    with pytest.raises(ValueError, match="(?s)" + reason):
        parse_toml(text)


def test_what_is_sensible_is_read_as_it_is():
    value = {"name": "Wagner", "gain": -3.5, "taps": [1, 2 ** 63 - 1], "on": True, "none": None}
    assert parse_json(json.dumps(value)) == value
    assert parse_json("[" * DEEPEST + "]" * DEEPEST)
    assert parse_toml("a.b.c = 1.5\n[x]\ny = inf") == {"a": {"b": {"c": 1.5}}, "x": {"y": float("inf")}}
    assert parse_json("[NaN]", finite=False)[0] != parse_json("[NaN]", finite=False)[0]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files_are_read_in_the_encodings_that_editors_write(tmp_path, encoding):
    (tmp_path / "a.json").write_text('{"title": "Klavier, ä"}', encoding=encoding)
    (tmp_path / "a.toml").write_text('title = "Klavier, ä"', encoding=encoding)
    assert read_json(tmp_path / "a.json") == read_toml(tmp_path / "a.toml") == {"title": "Klavier, ä"}


def test_files_that_cannot_be_used_are_named(tmp_path):
    large = tmp_path / "large.toml"
    large.write_bytes(b"#" * (1 << 20) + b"\n")
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "deep.toml").write_text("x = " + "[" * 6000)
    for name, sentence in (("gone.toml", "There is no file"), ("", "is a folder."), ("pipe.toml", "is not a regular"),
                           ("large.toml", "as no such file is"), ("deep.toml", "is not a TOML file: its")):
        with pytest.raises(OwnError) as error:
            read_toml(tmp_path / name, OwnError)
        assert str(tmp_path / name) in str(error.value) and sentence in str(error.value) and error.value.fields["why"]
    with pytest.raises(FileError, match="is not a JSON file: Expecting value"):
        read_json(tmp_path / "deep.toml")


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from('[]{}",:.=\n\\ae019- #\'N'), max_size=200))
def test_no_text_at_all_breaks_the_readers(text):
    for parse in (parse_json, parse_toml):
        try:
            parse(text)
        except ValueError as error:
            assert str(error)
