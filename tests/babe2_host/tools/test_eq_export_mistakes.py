"""What cannot be exported is refused by a sentence; outputs appear whole or not at all."""

import pytest

from babe2_fx.files import FileError
from babe2_host.tools import eq_export
from babe2_host.tools.correction import EqExportError, read_correction
from babe2_host.tools.eq_export import export_eq, graphic_points
from responses import write_eq


def names(folder):
    return sorted(path.name for path in folder.iterdir())


NAN = float("nan")
BAD_CONTENT = [
    (b"", "is not a JSON file"), (b"{", "is not a JSON file"), (b"\xff\xfe\x00", "is not a JSON file"),
    (b"[" * 100000, "nested more than 64 deep"), (b"9" * 5000, "a whole number of more than 18 digits"),
    (b"[1, 2]", "is not an equalizer: it holds no keys"), (b'"freqs_hz"', "is not an equalizer"),
    (b"{}", "has no freqs_hz"), (b'{"freqs_hz": [20, 40]}', "has no response_db"),
]
BAD_VALUES = [
    ({"freqs_hz": None}, "freqs_hz must be a list of numbers"),
    ({"response_db": "loud"}, "response_db must be a list of numbers"),
    ({"freqs_hz": {"0": 20}}, "freqs_hz must be a list"),
    ({"freqs_hz": []}, "has 0 values in freqs_hz and 400 in response_db"),
    ({"freqs_hz": [], "response_db": []}, "has fewer than two values in freqs_hz"),
    ({"freqs_hz": [20], "response_db": [0]}, "has fewer than two"),
    ({"freqs_hz": [20, 40], "response_db": [0, 1, 2]}, "has 2 values in freqs_hz and 3 in response_db"),
    ({"freqs_hz": [20, 40, 40], "response_db": [0, 1, 2]}, "must be above 0 and rise, but number 3 is 40 Hz after 40"),
    ({"freqs_hz": [20, 40, 30], "response_db": [0, 1, 2]}, "but number 3 is 30 Hz after 40 Hz"),
    ({"freqs_hz": [0, 40], "response_db": [0, 1]}, "but number 1 is 0 Hz."),
    ({"freqs_hz": [-20, 40], "response_db": [0, 1]}, "but number 1 is -20 Hz"),
    ({"freqs_hz": [20, NAN], "response_db": [0, 1]}, "number 2 in freqs_hz is 'nan', not a finite number"),
    ({"freqs_hz": [20, 40], "response_db": [0, NAN]}, "number 2 in response_db is 'nan', not a finite number"),
    ({"freqs_hz": [20, 40], "response_db": [float("-inf"), 1]}, "number 1 in response_db is '-inf'"),
    ({"freqs_hz": [20, 40], "response_db": [0, 10 ** 400]}, "a whole number of more than 18 digits"),
    ({"freqs_hz": [20, 40], "response_db": [0, 1e5]}, "response_db holds 100000 dB"),
    ({"freqs_hz": [20, "40"], "response_db": [0, 1]}, "number 2 in freqs_hz is '40'"),
    ({"freqs_hz": [20, True], "response_db": [0, 1]}, "number 2 in freqs_hz is 'True'"),
    ({"freqs_hz": [20, None], "response_db": [0, 1]}, "number 2 in freqs_hz is 'None'"),
    ({"freqs_hz": [20, 20000], "response_db": [-30, -40]}, "lies below -20 dB everywhere"),
    ({"freqs_hz": [1, 2], "response_db": [0, 0]}, "from 1 to 2 Hz alone, where nothing is heard"),
    ({"freqs_hz": [40000, 90000], "response_db": [0, 0]}, "where nothing is heard"),
]


@pytest.mark.parametrize("kind", eq_export.ENDINGS)
@pytest.mark.parametrize("content, sentence", BAD_CONTENT, ids=[str(i) for i in range(len(BAD_CONTENT))])
def test_what_is_no_equalizer_is_refused_by_a_sentence_with_its_name(tmp_path, content, sentence, kind):
    (tmp_path / "EQ.json").write_bytes(content)
    refused(tmp_path, kind, sentence)


@pytest.mark.parametrize("kind", eq_export.ENDINGS)
@pytest.mark.parametrize("changes, sentence", BAD_VALUES, ids=[str(i) for i in range(len(BAD_VALUES))])
def test_values_that_make_no_equalizer_are_named(tmp_path, changes, sentence, kind):
    write_eq(tmp_path, **changes)
    refused(tmp_path, kind, sentence)


def refused(folder, kind, sentence):
    before = (folder / "EQ.json").read_bytes()
    with pytest.raises(EqExportError) as error:
        export_eq(folder / "EQ.json", kind)
    said = str(error.value)
    assert str(folder / "EQ.json") in said and sentence in said and said.endswith(".") and "\n" not in said
    assert names(folder) == ["EQ.json"] and (folder / "EQ.json").read_bytes() == before


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(EqExportError, match="There is no file .*nowhere.json"):
        export_eq(tmp_path / "nowhere.json", "csv")
    for folder in (tmp_path, ""):
        with pytest.raises(EqExportError, match="is a folder"):
            export_eq(folder, "csv")


@pytest.mark.parametrize("arguments, sentence", [
    ({"kind": "vinyl"}, "exported as one of csv, fir, graphic-eq, parametric, not 'vinyl'"),
    ({"limit_db": 0}, "limit_db must be a number from 1 to 60 dB, not 0"),
    ({"limit_db": NAN}, "limit_db must be"), ({"limit_db": "loud"}, "limit_db must be"),
    ({"limit_db": True}, "limit_db must be"),
    ({"sample_rate": 100}, "sample_rate must be a whole number from 8000 to 192000 Hz, not 100"),
    ({"sample_rate": 44100.5}, "sample_rate must be a whole number"),
    ({"length": 10}, "length must be a whole number from 64 to 1048576 samples, not 10"),
    ({"length": 1 << 40}, "length must be"), ({"phase": "zero"}, "phase must be one of minimum, linear, not 'zero'"),
    ({"bands": 0}, "bands must be a whole number from 1 to 20, not 0"), ({"bands": 2.5}, "bands must be"),
    ({"output": "fir.mp3"}, "an impulse response is a WAV file; end its name in .wav")])
def test_arguments_are_checked(eq, tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EqExportError, match=sentence):
        export_eq(eq, **{"kind": "fir", **arguments})
    assert names(tmp_path) == ["EQ.json"]


@pytest.mark.parametrize("kind", eq_export.ENDINGS)
def test_the_source_is_never_written_over(tmp_path, kind):
    source = write_eq(tmp_path).rename(tmp_path / f"EQ{eq_export.ENDINGS[kind]}")
    before = source.read_bytes()
    with pytest.raises(FileError, match="is an input and is not written over"):
        export_eq(source, kind, source)
    assert source.read_bytes() == before and names(tmp_path) == [source.name]


@pytest.mark.parametrize("kind", eq_export.ENDINGS)
def test_outputs_appear_whole_or_not_at_all(eq, tmp_path, kind, monkeypatch):
    with pytest.raises(FileError, match="there is no folder"):
        export_eq(eq, kind, tmp_path / "nowhere" / f"out{eq_export.ENDINGS[kind]}")
    out = tmp_path / f"out{eq_export.ENDINGS[kind]}"
    out.write_text("an earlier result")

    def full(*args):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(FileError, match="no space left"):
        export_eq(eq, kind, out)
    assert out.read_text() == "an earlier result" and names(tmp_path) == ["EQ.json", out.name]
    monkeypatch.undo()
    export_eq(eq, kind, out)
    assert out.read_bytes() != b"an earlier result" and names(tmp_path) == ["EQ.json", out.name]
    first = out.read_bytes()
    export_eq(eq, kind, out)
    assert out.read_bytes() == first


def test_what_babe2_exports_is_taken(tmp_path):
    """Without the lists that only a breakpoint EQ has, and with those."""
    for changes in ({}, {"breakpoints_hz": [50, 500, 1000, 1500, 2000], "slopes_db_per_octave": [0, 0, 0, 0]}):
        for kind in eq_export.ENDINGS:
            assert export_eq(write_eq(tmp_path, **changes), kind).path.is_file()


def test_graphic_points_are_written_as_they_are_judged(eq):
    hz, db = graphic_points(read_correction(eq))
    assert all(round(f, 1) == f for f in hz) and all(round(v, 2) == v for v in db)
    assert hz[0] == 20 and hz[-1] == 20000
