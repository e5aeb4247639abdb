"""A learned equalizer in other programs' forms, measured in those programs where they are at hand."""

import csv
import doctest
import json
import math
import re

import numpy as np
import pedalboard
import pytest
import scipy.signal
import soundfile

from babe2_fx.files import FileError
from babe2_host.tools import eq_export
from babe2_host.tools.eq_export import (
    Band,
    EqExportError,
    bands_db,
    coefficients,
    convolution_gain_db,
    export_eq,
    fit_bands,
    graphic_points,
    impulse_response,
    read_correction,
)


def breakpoints(hz, *points):
    """A response in dB: straight lines over log frequency through (Hz, dB), and 80 dB per octave beyond."""
    octaves, at, db = np.log2(hz), *np.array(points, float).T
    steep = 80 * np.maximum(np.log2(at[0]) - octaves, octaves - np.log2(at[-1])).clip(0)
    return np.maximum(np.interp(octaves, np.log2(at), db) - steep, -120)


def horn(hz):
    """A smooth response with resonances, falling at 12 dB per octave below 150 Hz and 24 above 4.5 kHz."""
    bumps = sum(gain * np.exp(-(np.log2(hz / at) / width) ** 2)
                for gain, at, width in ((6, 700, 0.2), (9, 1600, 0.25), (-5, 3000, 0.3)))
    return bumps - 10 * np.log10(1 + (150 / hz) ** 4) - 10 * np.log10(1 + (hz / 4500) ** 8)


RESPONSES = {
    # As in babe2's own exports: 400 points up to the prior's Nyquist frequency.
    "78": (np.geomspace(20, 11025, 400), lambda hz: breakpoints(hz, (150, -14), (420, -3), (1000, 0), (1800, 4),
                                                                 (3600, -10))),
    "horn": (np.geomspace(20, 22050, 400), horn),
    "tape": (np.geomspace(20, 22050, 400), lambda hz: breakpoints(hz, (30, -6), (100, 2), (1000, 0), (9000, -12))),
    "dull": (np.geomspace(20, 11025, 400), lambda hz: -3 * np.log2(hz / 1000).clip(0)),  # no edge within its range
    "notched": (np.geomspace(20, 22050, 400),
                lambda hz: breakpoints(hz, (80, -3), (1000, 0), (5000, -5))
                - 30 * np.exp(-(np.log2(hz / 2000) / 0.2) ** 2)),
    "flat": (np.array([20.0, 20000.0]), np.zeros_like),
}


def write_eq(folder, name="78", **changes):
    hz, response = RESPONSES[name]
    values = {"freqs_hz": [round(float(f), 3) for f in hz], "response_db": [round(float(v), 3) for v in response(hz)],
              "breakpoints_hz": None, "slopes_db_per_octave": None, "reference_hz": 1000.0, **changes}
    path = folder / "EQ.json"
    path.write_text(json.dumps(values))
    return path


@pytest.fixture
def eq(tmp_path):
    return write_eq(tmp_path)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def spectrum_db(impulse, hz, rate):
    size = 1 << 19
    return np.interp(hz, np.fft.rfftfreq(size, 1 / rate), 20 * np.log10(np.abs(np.fft.rfft(impulse, size)) + 1e-12))


def through(board, rate, seconds=2.0):
    """A pedalboard's response to an impulse at sample 0."""
    audio = np.zeros((1, int(seconds * rate)), np.float32)
    audio[0, 0] = 1
    return board(audio, rate, buffer_size=8192)[0].astype(float)


# --------------------------------------------------------------------------------------------- the correction

@pytest.mark.parametrize("name", RESPONSES)
def test_within_the_band_the_correction_is_the_inverse_and_never_above_the_limit(tmp_path, name):
    hz, response = RESPONSES[name]
    for limit_db in (6, 20, 40):
        correction = read_correction(write_eq(tmp_path, name), limit_db)
        fine = np.geomspace(5, 40000, 20000)
        assert correction.at(fine).max() <= limit_db
        inside = hz[(hz > correction.low_hz) & (hz < correction.high_hz)]
        np.testing.assert_allclose(correction.at(inside), np.minimum(-response(inside), limit_db), atol=5e-3)


@pytest.mark.parametrize("name", RESPONSES)
def test_beyond_the_band_the_correction_is_back_at_0_db_after_an_octave(tmp_path, name):
    correction = read_correction(write_eq(tmp_path, name))
    low, high = correction.low_hz, correction.high_hz
    np.testing.assert_array_equal(correction.at([0, low / 8, low / 2, 2 * high, 8 * high]), 0)
    for at, towards in ((low, 0.5), (high, 2)):
        way = np.abs(correction.at(at * towards ** np.linspace(0, 1, 200)))
        assert (np.diff(way) <= 1e-9).all() and np.abs(np.diff(way)).max() < 0.02 * max(way[0], 1)


def test_the_band_ends_where_the_response_passes_the_limit(eq):
    correction = read_correction(eq, 20)
    assert correction.high_hz == pytest.approx(3600 * 2 ** (10 / 80), rel=2e-3)
    assert correction.low_hz == pytest.approx(150 / 2 ** (6 / 80), rel=2e-3)
    assert correction.at([correction.high_hz]) == pytest.approx(20)
    assert read_correction(eq, 40).high_hz == pytest.approx(3600 * 2 ** (30 / 80), rel=2e-3)


def test_a_response_that_is_unknown_above_a_frequency_is_not_corrected_there(tmp_path):
    correction = read_correction(write_eq(tmp_path, "dull"))
    assert correction.high_hz == 11025 and correction.at([11025])[0] == pytest.approx(10.4, abs=0.1)
    assert correction.at([22050])[0] == 0


# ------------------------------------------------------------------------------------------------------ table

def test_the_table_has_frequency_response_and_correction(eq):
    done = export_eq(eq, "csv")
    assert done.path == eq.with_suffix(".csv")
    with open(done.path, newline="") as file:
        heading, *rows = csv.reader(file)
    assert heading == ["frequency_hz", "response_db", "correction_db"]
    table, values = np.array(rows, float), json.loads(eq.read_text())
    np.testing.assert_array_equal(table[:, 0], values["freqs_hz"])
    np.testing.assert_array_equal(table[:, 1], values["response_db"])
    np.testing.assert_allclose(table[:, 2], read_correction(eq).at(table[:, 0]), atol=6e-4)


# ------------------------------------------------------------------------------------------ impulse responses

@pytest.mark.parametrize("phase", ["minimum", "linear"])
@pytest.mark.parametrize("rate", [22050, 44100, 48000, 96000])
@pytest.mark.parametrize("name", RESPONSES)
def test_pedalboards_convolution_does_the_correction(tmp_path, name, rate, phase):
    """Within 0.5 dB from 50 Hz to the band's edge, at the level of the correction itself."""
    source = write_eq(tmp_path, name)
    done = export_eq(source, "fir", tmp_path / "fir.wav", sample_rate=rate, phase=phase)
    gain_db = done.figures["convolution_gain_db"]
    board = pedalboard.Pedalboard([pedalboard.Convolution(str(done.path)), pedalboard.Gain(gain_db)])
    correction = read_correction(source)
    hz = np.geomspace(50, min(correction.high_hz, 0.99 * rate / 2), 4000)
    error = np.abs(spectrum_db(through(board, rate), hz, rate) - correction.at(hz)).max()
    assert error < 0.5
    assert error == pytest.approx(done.figures["error_db"], abs=0.05)


@pytest.mark.parametrize("phase", ["minimum", "linear"])
@pytest.mark.parametrize("recording", ["ragtime", "waltz"])
def test_the_known_responses_are_undone_by_pedalboard(shared, tmp_path, recording, phase):
    source = shared / "audio" / f"piano_{recording}_filter.json"
    done = export_eq(source, "fir", tmp_path / "fir.wav", phase=phase)
    board = pedalboard.Pedalboard([pedalboard.Convolution(str(done.path)),
                                   pedalboard.Gain(done.figures["convolution_gain_db"])])
    values = json.loads(source.read_text())
    hz, response = np.array(values["freqs_hz"]), np.array(values["response_db"])
    kept = (hz >= 50) & (response > -20)
    corrected = response[kept] + spectrum_db(through(board, 44100), hz[kept], 44100)
    assert np.abs(corrected).max() < 0.5


def test_convolution_in_blocks_and_in_stereo_is_the_same(eq, tmp_path):
    done = export_eq(eq, "fir", sample_rate=44100)
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 44100)).astype(np.float32)
    board = pedalboard.Pedalboard([pedalboard.Convolution(str(done.path)),
                                   pedalboard.Gain(done.figures["convolution_gain_db"])])
    impulse = soundfile.read(done.path)[0]
    expected = np.stack([scipy.signal.fftconvolve(channel, impulse)[:44100] for channel in noise])
    for buffer_size in (512, 8192, 44100):
        np.testing.assert_allclose(board(noise, 44100, buffer_size=buffer_size), expected, atol=2e-4)


def test_the_linear_phase_has_the_latency_that_is_stated(eq, tmp_path):
    for length, rate in ((16384, 44100), (4097, 22050), (1000, 8000)):
        done = export_eq(eq, "fir", tmp_path / "fir.wav", phase="linear", length=length, sample_rate=rate)
        latency, impulse = done.figures["latency_samples"], soundfile.read(done.path)[0]
        assert latency == length // 2 == np.abs(impulse).argmax()
        assert any(f"a latency of {latency} samples ({1000 * latency / rate:.1f} ms)" in note for note in done.notes)
        after = impulse[latency:]
        np.testing.assert_allclose(impulse[latency::-1][:len(after)], after[:latency + 1], atol=1e-9)


def test_the_minimum_phase_is_early_and_has_the_same_level(eq, tmp_path):
    linear, minimum = (impulse_response(read_correction(eq), 44100, phase, 16384) for phase in ("linear", "minimum"))
    energy = np.cumsum(minimum ** 2)
    assert energy[400] > 0.99 * energy[-1]
    assert energy[-1] == pytest.approx((linear ** 2).sum(), rel=1e-3)
    zeros_inside = np.unwrap(np.angle(np.fft.rfft(minimum, 1 << 18)))[-1]
    assert abs(zeros_inside) < 0.1  # no turn of the phase is left over


def test_the_file_is_mono_32_bit_float_and_says_what_it_is(eq):
    done = export_eq(eq, "fir", sample_rate=48000, length=8192)
    assert done.path.name == "EQ.fir.wav"
    info = soundfile.info(done.path)
    assert (info.format, info.subtype, info.channels, info.samplerate, info.frames) == ("WAV", "FLOAT", 1, 48000, 8192)
    with soundfile.SoundFile(done.path) as file:
        assert file.title == done.notes[0]
        assert "latency of 0 samples" in file.comment and "pedalboard.Convolution" in file.comment


def test_pedalboard_scales_impulses_as_we_say_it_does(tmp_path):
    for impulse in (np.eye(1, 64)[0], np.array([0.3, -0.2, 0.1]), np.random.default_rng(0).normal(0, 3, 5000)):
        soundfile.write(tmp_path / "fir.wav", impulse, 44100, subtype="FLOAT")
        made = through(pedalboard.Convolution(str(tmp_path / "fir.wav")), 44100)
        undone = made * 10 ** (convolution_gain_db(impulse) / 20)
        np.testing.assert_allclose(undone[:len(impulse)], impulse, atol=1e-4 * np.abs(impulse).max())
    assert doctest.testmod(eq_export).failed == 0


def test_too_few_samples_are_said_to_be_too_few(eq, tmp_path):
    done = export_eq(eq, "fir", tmp_path / "fir.wav", length=256)
    assert done.figures["error_db"] > 0.5 and done.notes[-1].startswith("256 samples are too few")


# ------------------------------------------------------------------------------------------------- graphic EQ

def graphic_eq_of(text):
    """Equalizer APO's reading: pairs of Hz and dB, straight lines over log frequency, the ends held."""
    line, = [line for line in text.splitlines() if line.startswith("GraphicEQ: ")]
    pairs = [pair.split() for pair in line.removeprefix("GraphicEQ: ").split("; ")]
    hz, db = np.array(pairs, float).T
    assert (np.diff(hz) > 0).all()
    return lambda at: np.interp(np.log(at), np.log(hz), db), len(hz)


def preamp_of(text):
    return float(re.search(r"^Preamp: (-?[\d.]+) dB$", text, re.M)[1])


@pytest.mark.parametrize("name", RESPONSES)
def test_the_graphic_equalizer_follows_the_correction_with_few_points(tmp_path, name):
    source = write_eq(tmp_path, name)
    done = export_eq(source, "graphic-eq")
    assert done.path.name == "EQ.graphic-eq.txt"
    text = done.path.read_text()
    curve, points = graphic_eq_of(text)
    hz = np.geomspace(20, 20000, 5000)
    correction = read_correction(source)
    np.testing.assert_allclose(curve(hz), correction.at(hz), atol=0.25)
    assert np.sqrt(np.mean((curve(hz) - correction.at(hz)) ** 2)) < 0.03
    assert points == done.figures["points"] <= 200
    assert curve(hz).max() + preamp_of(text) <= 0 and preamp_of(text) > -20.2
    if name == "flat":
        assert points == 2 and preamp_of(text) == 0


# ------------------------------------------------------------------------------------------- parametric bands

LINE = re.compile(r"^Filter (\d+): ON (PK|LSC|HSC) Fc ([\d.]+) Hz Gain (-?[\d.]+) dB Q ([\d.]+)$", re.M)
PLUGINS = {"PK": pedalboard.PeakFilter, "LSC": pedalboard.LowShelfFilter, "HSC": pedalboard.HighShelfFilter}


@pytest.mark.parametrize("name", RESPONSES)
def test_the_parametric_bands_have_the_error_that_the_file_states(tmp_path, name):
    """Measured with other people's filters: Pedalboard's."""
    source = write_eq(tmp_path, name)
    done = export_eq(source, "parametric")
    assert done.path.name == "EQ.parametric.txt"
    text = done.path.read_text()
    bands = LINE.findall(text)
    assert [int(number) for number, *_ in bands] == list(range(1, 7))
    assert all(line.startswith(("#", "Preamp: ", "Filter ")) for line in text.splitlines())
    assert sorted(bands, key=lambda band: float(band[2])) == bands
    board = pedalboard.Pedalboard([PLUGINS[kind](float(hz), float(gain), float(q)) for _, kind, hz, gain, q in bands])
    correction = read_correction(source)
    hz = np.geomspace(50, min(correction.high_hz, 20000), 4000)
    error = spectrum_db(through(board, 44100), hz, 44100) - correction.at(hz)
    stated = re.search(r"Error from 50 to (\d+) Hz: ([\d.]+) dB RMS, ([\d.]+) dB at most", text)
    assert float(stated[1]) == pytest.approx(correction.high_hz, abs=0.51) or correction.high_hz > 20000
    assert float(stated[2]) == pytest.approx(np.sqrt(np.mean(error ** 2)), abs=0.1)
    assert float(stated[3]) == pytest.approx(np.abs(error).max(), abs=0.1)
    assert done.figures["rms_db"] == pytest.approx(float(stated[2]), abs=0.006)
    assert done.figures["rms_db"] < (1.5 if name == "notched" else 1.0)
    everywhere = spectrum_db(through(board, 44100), np.geomspace(20, 20000, 4000), 44100)
    assert everywhere.max() + preamp_of(text) <= 0.05


@pytest.mark.parametrize("recording, most_rms_db", [("ragtime", 0.5), ("waltz", 1.0)])
def test_six_bands_come_close_to_known_responses(shared, tmp_path, recording, most_rms_db):
    done = export_eq(shared / "audio" / f"piano_{recording}_filter.json", "parametric", tmp_path / "eq.txt")
    assert done.figures["rms_db"] < most_rms_db and done.figures["most_db"] < 3.5


def test_more_bands_come_closer(eq):
    correction = read_correction(eq)
    hz = correction.errors_hz()
    rms = [np.sqrt(np.mean((bands_db(fit_bands(correction, 44100, count), hz, 44100) - correction.at(hz)) ** 2))
           for count in (1, 3, 6)]
    assert rms == sorted(rms, reverse=True) and rms[-1] < 0.6


def test_a_correction_made_of_bands_is_recovered(tmp_path):
    true = [Band("LSC", 120, 6, 0.7), Band("PK", 900, -5, 1.2), Band("HSC", 5000, 4, 0.6)]
    hz = np.geomspace(20, 22000, 400)
    path = write_eq(tmp_path, freqs_hz=list(hz), response_db=list(-bands_db(true, hz, 44100)))
    found = fit_bands(read_correction(path), 44100, 3)
    assert [band.kind for band in found] == ["LSC", "PK", "HSC"]
    for band, expected in zip(found, true):
        assert math.log2(band.hz / expected.hz) == pytest.approx(0, abs=0.1)
        assert band.gain_db == pytest.approx(expected.gain_db, abs=0.3)


@pytest.mark.parametrize("kind", PLUGINS)
@pytest.mark.parametrize("gain_db", [-12, 9])
@pytest.mark.parametrize("rate", [22050, 96000])
def test_bands_are_the_biquads_that_others_compute(kind, gain_db, rate):
    band, hz = Band(kind, 700, gain_db, 0.8), np.geomspace(20, 0.99 * rate / 2, 300)
    by_scipy = 20 * np.log10(np.abs(scipy.signal.freqz(*coefficients(band, rate), worN=hz, fs=rate)[1]))
    np.testing.assert_allclose(bands_db([band], hz, rate), by_scipy, atol=1e-6)
    measured = spectrum_db(through(PLUGINS[kind](700, gain_db, 0.8), rate), hz, rate)
    np.testing.assert_allclose(bands_db([band], hz, rate), measured, atol=0.02)


# -------------------------------------------------------------------------------------------- what goes wrong

NAN = float("nan")
BAD_CONTENT = [
    (b"", "is not JSON"), (b"{", "is not JSON"), (b"\xff\xfe\x00", "is not JSON"), (b"[" * 100000, "is not JSON"),
    (b"9" * 5000, "is not JSON"),
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
    ({"freqs_hz": [20, 40], "response_db": [0, 10 ** 400]}, "number 2 in response_db is '1000"),
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
        with pytest.raises(EqExportError, match="is a folder, not an equalizer"):
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
