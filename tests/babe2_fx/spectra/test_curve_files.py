"""Curves as measuring programs, equalizers and spreadsheets write them; what is doubtful is refused with its line."""

import pytest

from babe2_fx.spectra import TargetError, TargetProfile

EXPECTED = ((20.5, 1000.0, 8000.0), (-3.25, 0.0, -20.0))
REW = "* Measurement data saved by REW V5.31\r\n* Dated: 1 Jan 2024\r\n*\r\n* Freq(Hz) SPL(dB) Phase(degrees)\r\n"
READ = {
    "REW": REW + "20.500 -3.250 -120.1\r\n1000.000 0.000 3.0\r\n8000.000 -20.000 45.5\r\n",
    "REW, German": REW + "20,500\t-3,250\t-120,100\r\n1000,000\t0,000\t3,000\r\n8000,000\t-20,000\t45,500\r\n",
    "REW, German, spaces": REW + "20,500 -3,250 -120,100\n1000,000 0,000 3,000\n8000,000 -20,000 45,500\n",
    "REW, commas": "Freq(Hz), SPL(dB), Phase(degrees)\n20.5, -3.25, -120.1\n1000, 0, 3\n8000, -20, 45\n",
    "German spreadsheet": "Frequenz in Hz;Pegel in dB\n20,5;-3,25\n1000;0\n8000,0;-20\n",
    "quoted": '"Hz","dB"\n"20,5","-3,25"\n"1000,0","0,0"\n"8000,0","-20,0"\n',
    "spectrum with its first bin": "Frequency (Hz)\tLevel (dB)\n0\t-90\n20.5\t-3.25\n1000\t0\n8000\t-20\n",
    "AutoEQ": "frequency,raw,error\n20.50,-3.25,1\n1000,0,1\n8000,-20,1\n",
    "comments": "// a\n; b\n! c\n% d\n\n20.5 -3.25 # here\n1000 0\n8000 \N{MINUS SIGN}20\n",
    "GraphicEQ": "Preamp: -6 dB\nGraphicEQ: 20.5 -3.25; 1000 0; 8000 -20\n",
    "Audacity": 'FilterCurve:f0="20.5" f1="1000" f2="8000" FilterLength="8191" v0="-3.25" v1="0" v2="-20"\n',
    "Audacity 2": '<equalizationeffect>\n<curve name="x">\n<point f="20.5" d="-3.25"/>\n<point f="1000" d="0"/>'
                  '<point f="8000" d="-20"/>\n</curve>\n</equalizationeffect>\n',
    "JSON": '{"freqs_hz": [20.5, 1000, 8000], "level_db": [-3.25, 0, -20]}',
}


@pytest.mark.parametrize("text", READ.values(), ids=READ)
def test_what_other_programs_write_is_read(tmp_path, text):
    (tmp_path / "curve.txt").write_text(text, encoding="utf-8", newline="")
    target = TargetProfile.from_file(tmp_path / "curve.txt")
    assert (target.freqs_hz, target.level_db) == EXPECTED


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_in_every_encoding(tmp_path, encoding):
    text = "# Messung Köln\r\nHz;dB\r\n20,5;-3,25\r\n1000;0\r\n8000;-20\r\n"
    (tmp_path / "curve.csv").write_bytes(text.encode(encoding))
    target = TargetProfile.from_file(tmp_path / "curve.csv")
    assert (target.freqs_hz, target.level_db) == EXPECTED


def test_text_is_a_curve_whatever_its_ending(tmp_path):
    for name in ("speaker.FRD", "house", "mic.cal"):
        (tmp_path / name).write_text("20.5 -3.25 90\n1000 0 0\n8000 -20 10\n")
        assert TargetProfile.from_file(tmp_path / name).freqs_hz == EXPECTED[0]


REFUSED = {
    "thousands": ("Hz,dB\n20,-3\n1,000,0\n8,000,-20\n", 'line 3, "1,000,0", has 3 values, and line 1 has 2 columns'),
    "thousands, no heading": ("20,-3\n1,000,0\n8,000,-20\n", 'line 2, "1,000,0", has 3 values'),
    "thousands everywhere": ("1,000,0\n2,000,-3\n16,000,-6\n", 'line 1, "1,000,0", seems to have a comma between'),
    "thousands and semicolons": ("Hz;dB\n20;-3\n1,000;0\n8,000;-20\n", 'line 3, "1,000;0", has a comma that may'),
    "thousands and points": ("200\t-3.5\n1,000\t0.0\n8,000\t-20.0\n", "line 2,"),
    "thousands in quotes": ('"20","-3"\n"1,000","0"\n"8,000","-20"\n', "line 2,"),
    "thousands and spaces": ("20 -3\n1,000 0\n8,000 -20\n", "line 2,"),
    "thousands with points": ("1.000;0\n8.000;-3\n16.000;-20\n", "the highest frequency would be 16 Hz"),
    "kHz": ("kHz,dB\n0.02,0\n8,3\n", "says that the frequencies are in kHz"),
    "more values than the heading": ("Hz,dB\n20,-3,4\n1000,0,4\n", 'line 2, "20,-3,4", has 3 values'),
    "falling": ("20 0\n1000 0\n500 0\n", 'line 3, "500 0", has the frequency 500 Hz, which is not above'),
    "twice": ("20 0\n1000 0\n1000 1\n", "line 3,"), "negative": ("-20 0\n1000 0\n", "must be above 0"),
    "not a number": ("20 nan\n1000 0\n", "line 1, \"20 nan\", has a value that is not a finite number"),
    "infinite": ("20 0\n1000 -inf\n", "line 2,"), "too loud": ("20 0\n1000 500\n", "has the level 500 dB"),
    "a letter": ("2O 0\n100 0\n1000 1\n", 'line 1, "2O 0", does not hold'),
    "an underscore": ("20 1_0\n100 0\n", "line 1,"), "a gap": ("20;;-3\n1000;;0\n", "line 1,"),
    "filters": ("Preamp: -6 dB\nFilter 1: ON PK Fc 100 Hz Gain -3 dB Q 1\n", "export a curve instead"),
    "falling GraphicEQ": ("# x\nGraphicEQ: 20 -3; 1000 0; 800 -20\n", 'line 2, "800 -20", has the frequency 800 Hz'),
    "two of Audacity's": ('<equalizationeffect><curve name="a"></curve><curve name="b"></curve>', "it has 2 curves"),
    "escapes": ("20 0\n100 \x1b[31m\n", r'line 2, "100 \x1b[31m", does not hold'),
    "long": ("20 0\n" + 999 * "x", f'line 2, "{60 * "x"}…", does not hold'),
    "empty": ("\n\n", "it is empty"), "prose": ("This is\nno curve\n", "fewer than two points"),
    "pointer": ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "it is a Git LFS pointer"),
    "page": ("<!DOCTYPE html><html>", "it is a web page"), "binary": ("RIFF\0\0\0\0WAVE", "it is not text"),
    "JSON falls": ('{"freqs_hz": [200, 100], "level_db": [1, 2]}', "point 2,"),
    "JSON, NaN": ('{"freqs_hz": [20, NaN], "level_db": [1, 2]}', "value 2 in freqs_hz"),
    "JSON, a name": ('{"freqs_hz": [20, "x"], "level_db": [1, 2]}', "value 2 in freqs_hz"),
    "JSON, too few": ('{"freqs_hz": [20, 100], "level_db": [1]}', "2 values in freqs_hz and 1 in level_db"),
    "JSON without end": ('{"freqs_hz": ' + 99999 * "[", "it is not JSON"),
}


@pytest.mark.parametrize("text, says", REFUSED.values(), ids=REFUSED)
def test_what_is_doubtful_is_refused_with_its_line(tmp_path, text, says):
    path = tmp_path / "curve.csv"
    path.write_text(text, encoding="utf-8", newline="")
    with pytest.raises(TargetError) as refused:
        TargetProfile.from_file(path)
    assert str(refused.value).startswith(f"{path} cannot be used as a target: ") and says in str(refused.value)
