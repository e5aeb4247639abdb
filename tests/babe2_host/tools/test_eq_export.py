"""A learned equalizer in other programs' formats does there what it does here."""

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

from babe2_host.tools import eq_export
from babe2_host.tools.correction import read_correction
from babe2_host.tools.eq_export import convolution_gain_db, export_eq, impulse_response
from babe2_host.tools.parametric import Band, bands_db, coefficients, fit_bands
from responses import RESPONSES, write_eq

HZ = np.geomspace(20, 20000, 300)


def spectrum_db(impulse, hz, rate):
    size = 1 << 19
    return np.interp(hz, np.fft.rfftfreq(size, 1 / rate), 20 * np.log10(np.abs(np.fft.rfft(impulse, size)) + 1e-12))


def through(board, rate, seconds=2.0):
    """A pedalboard's response to an impulse at sample 0."""
    audio = np.zeros((1, int(seconds * rate)), np.float32)
    audio[0, 0] = 1
    return board(audio, rate, buffer_size=8192)[0].astype(float)


@pytest.mark.parametrize("deviation_db", [None, [None, *398 * [1.5], None]])
def test_the_correction_does_not_depend_on_how_sure_the_response_is(tmp_path, deviation_db):
    """Nor on whether the file says so: those of earlier versions do not."""
    without, told = (read_correction(write_eq(tmp_path, **changes)) for changes in ({}, {"deviation_db": deviation_db}))
    np.testing.assert_array_equal(told.at(HZ), without.at(HZ))


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
