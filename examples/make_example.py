"""Makes examples/piano_78.flac and piano_78_clean.flac: ten seconds of Mozart as an acoustic-era 78 would have it.

    python examples/make_example.py CACHE_DIR

CACHE_DIR receives the piano samples (see babe2_fx/training/piano). What was done to the clean audio is known
exactly: the zero-phase response of `horn_response_db`, then noise at -50 dB.
"""

import sys
from pathlib import Path

import numpy as np
import soundfile
import soxr

from babe2_fx.training.piano import SAMPLE_RATE
from babe2_fx.training.piano.performance import perform
from babe2_fx.training.piano.rooms import record
from babe2_fx.training.piano.salamander import SampledPiano, fetch_samples, load_samples
from babe2_fx.training.piano.scores import HELD_OUT, corpus_paths, parse_score

DURATION_S = 10.0
OUT_RATE = 44100  # Hz
SEED = 10
NOISE_DB = -50.0  # below the degraded music's RMS

# Breakpoints of the recording chain (Hz, dB), joined by straight lines over log frequency: 150 Hz to 4 kHz pass.
BREAKPOINTS = [(20, -75), (150, -8), (300, 0), (1500, 0), (4000, -10), (6000, -45), (22050, -120)]
RESONANCES = [(480, 5.0, 0.35), (1150, -4.0, 0.4), (2300, 6.0, 0.3)]  # of the horn: Hz, dB, width in octaves


def horn_response_db(freq_hz):
    """Magnitude response in dB, (frequencies,), of a horn and a wax disc."""
    octave = np.log2(np.maximum(freq_hz, 1.0))
    hz, db = np.array(BREAKPOINTS, float).T
    response = np.interp(octave, np.log2(hz), db)
    for centre_hz, gain_db, width in RESONANCES:
        response += gain_db * np.exp(-0.5 * ((octave - np.log2(centre_hz)) / width) ** 2)
    return response


def degrade(clean, sample_rate, rng):
    """The 78 of a clean mono recording (samples,): filtered, with noise that is a little pink."""
    freq = np.fft.rfftfreq(len(clean), 1 / sample_rate)
    filtered = np.fft.irfft(np.fft.rfft(clean) * 10 ** (horn_response_db(freq) / 20), len(clean))
    colour = 1 / np.maximum(freq, 50) ** 0.25
    noise = np.fft.irfft(np.fft.rfft(rng.normal(size=len(clean))) * colour, len(clean))
    return filtered + noise * filtered.std() / noise.std() * 10 ** (NOISE_DB / 20)


def main(cache_dir):
    name = HELD_OUT[0]
    kind, path = next((k, p) for n, k, p in corpus_paths() if n == name)
    rng = np.random.default_rng(SEED)
    piano = SampledPiano(*load_samples(fetch_samples(cache_dir)), rng)
    played = perform(parse_score(path, name, kind), rng, DURATION_S)
    recording = record(piano.play(played, DURATION_S + 1, rng), SAMPLE_RATE, rng)
    clean = soxr.resample(recording, SAMPLE_RATE, OUT_RATE)[: int(DURATION_S * OUT_RATE)]
    fade = OUT_RATE // 2
    clean[-fade:] *= np.cos(np.linspace(0, np.pi / 2, fade)) ** 2
    for file, audio in (("piano_78_clean.flac", clean), ("piano_78.flac", degrade(clean, OUT_RATE, rng))):
        soundfile.write(Path(__file__).parent / file, 0.5 * audio / np.abs(audio).max(), OUT_RATE, subtype="PCM_16")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
