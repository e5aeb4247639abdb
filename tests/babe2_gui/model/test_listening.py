"""What is heard and measured: loudness, true peak, and versions on one clock."""

import numpy as np
import pytest

from babe2_gui.model.loudness import SILENCE_LUFS, loudness_lufs, true_peak_db
from babe2_gui.model.mixer import FADE_S, Mixer, Source
from babe2_gui.model.pictures import Envelope, spectrogram_db

RATE = 48000


def sine(hz, seconds=3.0, level=1.0, rate=RATE):
    return (level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)[None]


@pytest.mark.parametrize("rate", [22050, 44100, 48000, 96000])
def test_loudness_of_the_standards_own_signal(rate):
    """BS.1770: a sine of 997 Hz at full scale in one channel has -3.01 LUFS, at any rate."""
    assert loudness_lufs(sine(997, rate=rate), rate) == pytest.approx(-3.01, abs=0.05)


def test_pauses_do_not_count_for_loudness():
    tone = sine(997, level=0.1)
    with_pause = np.concatenate([tone, np.zeros((1, 10 * RATE), np.float32)], axis=1)
    assert loudness_lufs(with_pause, RATE) == pytest.approx(loudness_lufs(tone, RATE), abs=0.3)
    assert loudness_lufs(np.zeros((2, RATE), np.float32), RATE) == SILENCE_LUFS


def test_true_peak_is_found_between_the_samples():
    """A quarter of the sample rate, 45 degrees off: samples reach 0.707, the signal 1."""
    x = np.sin(np.pi / 2 * np.arange(4000) + np.pi / 4).astype(np.float32)[None]
    assert 20 * np.log10(np.abs(x).max()) == pytest.approx(-3.01, abs=0.01)
    assert true_peak_db(x)[0] == pytest.approx(0.0, abs=0.3)


def mixer(samples=4800):
    ramp = np.arange(samples, dtype=np.float32)[None] / samples
    made = Mixer(Source(ramp), RATE)
    made.set_source("restored", Source(-ramp, gain=0.5))
    return made, ramp


def test_switching_goes_on_at_the_very_next_sample_without_a_step():
    made, ramp = mixer()
    first = made.read(1000)
    made.choose("restored")
    second = made.read(1000)
    assert np.array_equal(first, ramp[:, :1000])
    fade = round(FADE_S * RATE)
    assert np.allclose(second[:, fade:], -0.5 * ramp[:, 1000 + fade:2000])
    assert np.abs(np.diff(np.concatenate([first, second], axis=1))).max() < 0.005
    assert made.position == 2000


def test_a_fade_goes_on_over_the_end_of_a_buffer():
    made, ramp = mixer()
    made.choose("restored")
    whole = np.concatenate([made.read(7) for _ in range(100)], axis=1)
    other, _ = mixer()
    other.choose("restored")
    assert np.array_equal(whole, other.read(700))


def test_a_loop_is_exact_to_the_sample():
    made, ramp = mixer()
    made.set_loop((100, 350))
    made.seek(300)
    heard = made.read(600)
    assert np.array_equal(heard, np.concatenate([ramp[:, 300:350], ramp[:, 100:350], ramp[:, 100:350],
                                                 ramp[:, 100:150]], axis=1))


def test_a_preview_is_heard_in_its_passage_and_the_original_around_it():
    made, ramp = mixer()
    made.set_source("restored", Source(np.ones((1, 100), np.float32), start=1000))
    made.choose("restored")
    made.read(900)
    heard = made.read(300)
    assert np.array_equal(heard[:, :100], ramp[:, 900:1000]) and (heard[:, 100:200] == 1).all()
    assert np.array_equal(heard[:, 200:], ramp[:, 1100:1200])


def test_the_end_is_the_end():
    made, _ = mixer(1000)
    made.seek(900)
    assert made.read(500).shape == (1, 100) and made.read(500).shape == (1, 0)


def test_a_version_that_is_removed_gives_way_to_the_original():
    made, ramp = mixer()
    made.choose("restored")
    made.set_source("restored", None)
    made.read(1000)
    assert made.name == "original" and np.array_equal(made.read(10), ramp[:, 1000:1010])


@pytest.mark.parametrize("columns, begin, end", [(100, 0, 96000), (700, 1000, 3000), (50, 95990, 96000)])
def test_an_envelope_holds_every_peak(columns, begin, end):
    rng = np.random.default_rng(0)
    audio = rng.normal(size=(2, 96000)).astype(np.float32)
    at, low, high = Envelope(audio).read(begin, end, columns)
    assert len(at) == len(low) == len(high) <= max(columns, 2) and (np.diff(at) > 0).all()
    assert (low <= high).all()
    assert high.max() == audio[:, begin:end].max() and low.min() == audio[:, begin:end].min()


def test_a_spectrogram_shows_a_sine_where_it_is_at_its_level():
    image = spectrogram_db(sine(3000, level=0.5), RATE, RATE, 2 * RATE, 40)
    peak = image.mean(axis=1).argmax() * RATE / 2 / (len(image) - 1)
    assert peak == pytest.approx(3000, abs=RATE / 2048)
    assert image.max() == pytest.approx(20 * np.log10(0.5), abs=1.5)


def test_beyond_the_recording_there_is_silence():
    image = spectrogram_db(sine(3000, 0.5), RATE, -RATE, 2 * RATE, 30)
    assert image.shape[1] == 30
    assert image[:, :5].max() < -130 and image[:, -5:].max() < -130 and image.max() > -3


def test_a_spectrogram_of_an_hour_reads_only_what_it_shows():
    """A recording of an hour that counts what is read of it: three frames a column, not all."""
    class Counting(np.ndarray):
        read = 0

        def __getitem__(self, key):
            out = super().__getitem__(key)
            if isinstance(out, np.ndarray) and out.ndim == 2:
                Counting.read += out.shape[1]
            return out
    hour = np.zeros((1, 3600 * 44100), np.float32).view(Counting)
    spectrogram_db(hour, 44100, 0, hour.shape[1], 1000)
    assert Counting.read <= 3 * 1000 * 2048
