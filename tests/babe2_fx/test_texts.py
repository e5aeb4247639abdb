"""Text in whatever encoding it comes, what files are mistaken for, and names that can be seen."""

import pytest

from babe2_fx.texts import decoded, listed, mistaken_for, printable, quoted, read_text

WORDS = "Höhe; 1,5\n絆\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_unicode_is_read_in_every_form_with_and_without_a_mark(encoding):
    words = WORDS if encoding.startswith("utf-8") or encoding in ("utf-16", "utf-32") else "Höhe; 1,5\n"
    assert decoded(words.encode(encoding)) == words


def test_what_is_not_unicode_is_read_as_windows_writes_it_unless_it_must_be():
    assert decoded("Höhe €".encode("cp1252")) == "Höhe €"
    with pytest.raises(UnicodeDecodeError):
        decoded("Höhe".encode("cp1252"), unicode=True)
    for binary in (bytes(range(256)), b"RIFF\0\0\0\0WAVE"):
        with pytest.raises(ValueError, match="it is not text"):
            decoded(binary)


def test_a_file_of_text_has_one_kind_of_line_ends_and_a_size(tmp_path):
    (tmp_path / "x").write_bytes(b"a\r\nb\rc\n")
    assert read_text(tmp_path / "x") == "a\nb\nc\n"
    with pytest.raises(ValueError, match="larger than 1 KB"):
        (tmp_path / "x").write_bytes(b"x" * 1025)
        read_text(tmp_path / "x", 1024)


@pytest.mark.parametrize("content, says", [
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "a Git LFS pointer"),
    (b"/annex/objects/SHA256E-s9--00.pt\n", "a git-annex pointer"),
    (b"\n<!DOCTYPE html>\n<html>", "a web page"), ("\ufeff<HTML>".encode("utf-16"), "a web page"),
    (b"<?xml version='1.0'?><!DOCTYPE html PUBLIC ''><html>", "a web page"),
    (b"<?xml version='1.0'?>\n<Error><Code>AccessDenied</Code>", "a server's message"),
    (b'{"message":"Not Found"}', "a server's message"), (b"404: Not Found", "a server's message"),
    (b"\x1f\x8b\x08\0", "compressed with gzip"), (b"", "empty"), (bytes(99), "nothing but zeros"),
    (b"\0\x05\x16\x07\0\x02\0\0Mac OS X", "what macOS keeps")])
def test_what_stands_in_the_place_of_a_file_is_known(content, says):
    assert says in mistaken_for(content)


@pytest.mark.parametrize("content", [b"404 -3\n1000 0\n", b"RIFF", b"PK\3\4", b'{"freqs_hz": []}',
                                     b"\x90\0\0\0\0\0\0\0{", b"<equalizationeffect>",
                                     b"<?xml version='1.0'?><equalizationeffect>"])
def test_what_is_nothing_of_the_kind_is_left_alone(content):
    assert mistaken_for(content) is None


def test_every_character_of_a_name_can_be_seen():
    assert printable("Ça 絆 عربي 👨\u200d👩.wav") == "Ça 絆 عربي 👨\u200d👩.wav"
    assert printable("a\x1b[31m\n\r\t\x85\x9b\x7f") == r"a\x1b[31m\n\r\t\u0085\u009b\u007f"
    assert printable("\u202egpj.exe\u2066\u2028") == r"\u202egpj.exe\u2066\u2028"
    assert printable(b"caf\xe9 \xff".decode("utf-8", "surrogateescape")) == r"caf\xe9 \xff"
    assert printable("\ud800") == r"\ud800"
    assert quoted("  x\x07" + 99 * "y") == r'"x\x07' + 58 * "y" + '…"'


def test_names_are_listed_once_each():
    assert listed("abca") == "a, b and c" and listed("ab") == "a and b" and listed("a") == "a"
