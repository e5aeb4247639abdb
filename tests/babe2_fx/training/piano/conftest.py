"""A stand-in for the sampled piano (damped sinusoids, five keys and two layers), a scale, and performances of rows."""

import numpy as np
import pytest
import soundfile

RATE = 32000
KEYS = {"A1": 33, "A2": 45, "A3": 57, "A4": 69, "A5": 81}


@pytest.fixture(scope="session")
def stand_in_dir(tmp_path_factory):
    """Sampled notes in which the hard layer is 12 dB louder and has a second harmonic."""
    folder = tmp_path_factory.mktemp("stand_in")
    t = np.arange(int(1.2 * RATE)) / RATE
    for name, key in KEYS.items():
        f0 = 440 * 2 ** ((key - 69) / 12)
        for layer, gain in ((2, 0.2), (14, 0.8)):
            note = np.sin(2 * np.pi * f0 * t) + (layer > 5) * 0.3 * np.sin(4 * np.pi * f0 * t)
            note = gain * 0.7 * note * np.exp(-t / 0.5) * np.clip(t / 0.002, 0, 1)
            silence = np.zeros(RATE // 50)  # the recording starts before the hammer
            soundfile.write(folder / f"{name}v{layer}.wav", np.concatenate([silence, note]), RATE)
    return folder


@pytest.fixture(scope="session")
def make_piano(stand_in_dir):
    """make_piano(rng) -> a SampledPiano of the stand-in's notes."""
    from babe2_fx.training.piano.salamander import SampledPiano, load_samples

    samples = load_samples(stand_in_dir)
    return lambda rng: SampledPiano(*samples, rng)


@pytest.fixture(scope="session")
def scale():
    """scale(name="anon/scale", kind="keyboard", bars=16): four quarter notes a bar over a held bass note."""
    from babe2_fx.training.piano.scores import Score

    def make(name="anon/scale", kind="keyboard", bars=16):
        onset = np.concatenate([np.arange(4.0 * bars), 4.0 * np.arange(bars)])
        key = np.concatenate([60 + np.array([0, 2, 4, 5] * bars), np.full(bars, 48)])
        duration = np.concatenate([np.ones(4 * bars), np.full(bars, 4.0)])
        return Score(name, kind, onset, duration, key, 4.0 * np.arange(bars), 120.0)

    return make


@pytest.fixture(scope="session")
def notes():
    """notes(*rows): a performance of (onset_s, release_s, key, velocity) rows."""
    from babe2_fx.training.piano.performance import Performance

    return lambda *rows: Performance(*np.array(rows, float).T)


@pytest.fixture(scope="session")
def strongest_hz():
    """strongest_hz(audio, sample_rate): the frequency of the highest peak of the spectrum."""
    def find(audio, sample_rate):
        spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), 8 * len(audio)))
        return np.fft.rfftfreq(8 * len(audio), 1 / sample_rate)[spectrum.argmax()]

    return find
