"""Pianos of SoundFonts, played by FluidSynth."""

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import mido
import numpy as np
import soundfile

from ...errors import UserError

CHANNELS = [channel for channel in range(16) if channel != 9]  # MIDI's tenth is for drums
TICKS_PER_S = 1920


@dataclass(frozen=True)
class SoundFont:
    """A file of the Debian package of that name, and what its authors want said."""

    package: str
    file: str
    credit: str


FLUID = SoundFont("fluid-soundfont-gm", "FluidR3_GM.sf2",
                  "Piano samples: Fluid (R3) General MIDI SoundFont by Frank Wen and others, MIT licence.")
MUSESCORE = SoundFont("musescore-general-soundfont", "MuseScore_General_Full.sf3",
                      "Piano samples: MuseScore_General_HQ SoundFont by S. Christian Collins, MIT licence; its grand "
                      "piano is Splendid Grand from AKAI, public domain.")
TIMGM = SoundFont("timgm6mb-soundfont", "TimGM6mb.sf2", "Piano samples: TimGM6mb by Tim Brechbill, GPL-2.")


@dataclass(frozen=True)
class Program:
    """A piano of a SoundFont: its bank and program number there."""

    soundfont: SoundFont
    bank: int
    program: int


PROGRAMS = {
    "musescore-grand": Program(MUSESCORE, 0, 0),
    "musescore-bright": Program(MUSESCORE, 0, 1),
    "musescore-mellow": Program(MUSESCORE, 8, 0),
    "musescore-honkytonk": Program(MUSESCORE, 0, 3),
    "fluid-grand": Program(FLUID, 0, 0),
    "fluid-bright": Program(FLUID, 0, 1),
    "fluid-electric": Program(FLUID, 0, 2),
    "fluid-honkytonk": Program(FLUID, 0, 3),
    "timgm-grand": Program(TIMGM, 0, 0),
}


def find_soundfont(soundfont, folders):
    """The path of a SoundFont's file in the first of `folders` that has it.

    Raises UserError where none has.
    """
    for folder in folders:
        if (Path(folder) / soundfont.file).is_file():
            return Path(folder) / soundfont.file
    raise UserError(f"There is no {soundfont.file} in {', '.join(map(str, folders))}. It comes with Debian's package "
                    f"{soundfont.package}; say where it is with --soundfonts, or choose other pianos with --pianos and "
                    "--heldout-piano.")


def write_midi(played, path, program, bank, detune_cents, curve=1.0):
    """Writes a `Performance` as a standard MIDI file.

    Keys are spread over the CHANNELS, each detuned by its own `detune_cents` (15,), so that no two keys err alike.
    Velocities are bent to 127 (velocity / 127) ** curve. The pedal needs no events: a performance's dampers fall late.
    """
    events = []  # (tick, order, message): at one tick a key is let go before it is struck again
    silence_s = played.onset_s.max() + 10  # an endless loop has no place in a file; undamped keys have faded by then
    for key in np.unique(played.key):
        of_key = np.flatnonzero(played.key == key)
        strikes = np.round(played.onset_s[of_key] * TICKS_PER_S)
        # Two strikes of a key within a tick would end each other.
        strikes = np.maximum.accumulate(strikes - 2 * np.arange(len(strikes))) + 2 * np.arange(len(strikes))
        ends = np.round(np.minimum(played.release_s[of_key], silence_s) * TICKS_PER_S)
        ends = np.maximum(np.minimum(ends, np.append(strikes[1:], np.inf)), strikes + 1)
        velocities = np.clip(np.round(127 * (played.velocity[of_key] / 127) ** curve), 1, 127)
        note = {"channel": CHANNELS[int(key) * 7 % len(CHANNELS)], "note": int(key)}
        for strike, end, velocity in zip(strikes, ends, velocities):
            events.append((int(strike), 1, mido.Message("note_on", velocity=int(velocity), **note)))
            events.append((int(end), 0, mido.Message("note_off", **note)))
    track = mido.MidiTrack()
    for channel, cents in zip(CHANNELS, detune_cents):
        track.append(mido.Message("control_change", channel=channel, control=0, value=bank))
        track.append(mido.Message("program_change", channel=channel, program=program))
        bend = int(np.clip(round(cents / 200 * 8192), -8192, 8191))  # the wheel reaches two semitones
        track.append(mido.Message("pitchwheel", channel=channel, pitch=bend))
    now = 0
    for tick, _, message in sorted(events, key=lambda event: event[:2]):
        track.append(message.copy(time=tick - now))
        now = tick
    file = mido.MidiFile(ticks_per_beat=TICKS_PER_S // 2)  # at MIDI's own tempo, two beats a second
    file.tracks.append(track)
    file.save(path)


class SoundfontPiano:
    """One piano of a SoundFont file, with its own small mistunings and touch, drawn from `rng`.

    Raises UserError where FluidSynth is not installed.
    """

    sample_rate = 44100  # Hz

    def __init__(self, file, program, rng):
        if shutil.which("fluidsynth") is None:
            raise UserError("The program fluidsynth, which plays SoundFonts, is not on the path: install it, or do "
                            "without it by --pianos salamander --heldout-piano.")
        self.file, self.program = Path(file), program
        self.detune_cents = rng.normal(0, rng.uniform(0.5, 3.5), len(CHANNELS))
        self.curve = np.exp(rng.uniform(np.log(0.7), np.log(1.4)))

    def play(self, played, duration_s, rng=None):
        """A `Performance` as two microphones hear it, (2, duration_s * sample_rate) float32; nothing is drawn.

        Raises UserError where FluidSynth cannot play the file.
        """
        with tempfile.TemporaryDirectory() as folder:
            midi, wav = Path(folder) / "played.mid", Path(folder) / "played.wav"
            write_midi(played, midi, self.program.program, self.program.bank, self.detune_cents, self.curve)
            # No reverberation or chorus: the rooms come later. Only the samples that sound are read, and no other
            # SoundFont takes the place of one that cannot be.
            done = subprocess.run(
                ["fluidsynth", "-q", "-n", "-i", "-R", "0", "-C", "0", "-g", "0.5", "-r", str(self.sample_rate),
                 "-o", "synth.dynamic-sample-loading=1", "-o", "synth.default-soundfont=",
                 "-o", "synth.polyphony=1024", "-T", "wav", "-O", "float", "-F", wav, self.file, midi],
                capture_output=True, text=True)
            audio = soundfile.read(wav, dtype="float32", always_2d=True)[0].T if wav.exists() else np.zeros((2, 0))
        if not audio.any():  # its exit code says nothing
            raise UserError(f"FluidSynth cannot play {self.file}: {done.stderr.strip() or 'nothing is heard'}")
        length = int(duration_s * self.sample_rate)
        return np.pad(audio[:, :length], ((0, 0), (0, max(length - audio.shape[1], 0))))
