"""Small valid files of every kind that the program reads: what `mutations` are made of. Each is made once."""

import functools
import io
import json
import struct
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

import official_files
from babe2_fx.priors import save_prior
from containers import (
    SMPL,
    aiff,
    aiff_chunk,
    bext,
    chunk,
    cue,
    cuesheet,
    frame,
    id3,
    labels,
    mark,
    with_flac_blocks,
)
from standin import TINY, TINY_MIXER, tiny_mixer_prior, tiny_prior

RATE = 8000
ENDINGS = {"WAV": ".wav", "WAVEX": ".wav", "RF64": ".rf64", "W64": ".w64", "AIFF": ".aiff", "CAF": ".caf", "AU": ".au",
           "FLAC": ".flac", "OGG": ".ogg", "MP3": ".mp3"}


def tone(channels: int = 1, samples: int = 600) -> np.ndarray:
    """(samples, channels), a little different in each."""
    time_s = np.arange(samples) / RATE
    return np.stack([0.5 * np.sin(2 * np.pi * (440 + 3 * k) * time_s) for k in range(channels)], axis=1)


def recording(kind: str = "WAV", subtype: str | None = None, channels: int = 1, samples: int = 600, **texts) -> bytes:
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", RATE, channels, subtype, format=kind) as sound:
        for name, text in texts.items():
            setattr(sound, name, text)
        sound.write(tone(channels, samples))
    return file.getvalue()


@functools.cache
def recordings() -> dict[str, tuple[bytes, ...]]:
    """Recordings by the ending of their names."""
    found: dict[str, list[bytes]] = {}
    for kind, ending in ENDINGS.items():
        found.setdefault(ending, []).append(recording(kind))
    found[".wav"] += [recording("WAV", "FLOAT", 2), recording("WAV", "ULAW"), recording("WAV", "MS_ADPCM"),
                      with_chunks(recording("WAV", "PCM_24", title="Aria", artist="Melba"))]
    found[".aiff"] += [recording("AIFF", "PCM_24", 2), recording("AIFF", "FLOAT", title="Aria"),
                       aiff(RATE, 600, aiff_chunk(b"MARK", mark(100, 200)))]
    found[".flac"] += [recording("FLAC", "PCM_24", 2, title="Aria"), recording("FLAC", samples=6000),
                       with_flac_blocks(found[".flac"][0], (5, cuesheet(100, 200)), (2, b"riffRIFF"))]
    found[".ogg"] += [found[".ogg"][0] * 2, recording("OGG", "OPUS")]
    found[".mp3"] += [ID3 + found[".mp3"][0], found[".mp3"][0] * 2]
    return {ending: tuple(files) for ending, files in found.items()}


def with_chunks(wave: bytes, **changed: bytes) -> bytes:
    """A WAV file with what archives put into one: a bext, cues with their labels, a sampler's loop, iXML and ID3."""
    more = b"".join(chunk(name.ljust(4).encode(), content) for name, content in (CHUNKS | changed).items())
    return wave[:4] + struct.pack("<I", len(wave) + len(more) - 8) + wave[8:] + more


IXML = (b'<?xml version="1.0"?><BWFXML><SPEED><FILE_SAMPLE_RATE>8000</FILE_SAMPLE_RATE><TIMESTAMP_SAMPLE_RATE>8000'
        b"</TIMESTAMP_SAMPLE_RATE></SPEED></BWFXML>")
ID3 = id3(frame(b"TIT2", b"\0Aria"), frame(b"TPE1", b"\1\xff\xfeM\0e\0"), frame(b"COMM", b"\0eng\0A comment"),
          frame(b"APIC", b"\0image/png\0\3\0\x89PNG"), frame(b"RVAD", bytes(10)))
CHUNKS = {"bext": bext(8000), "cue": cue(100), "LIST": labels(b"Aria"), "smpl": SMPL, "iXML": IXML, "id3": ID3,
          "cart": b"0101Aria".ljust(2048, b"\0"), "qlty": b"fine"}


@functools.cache
def metadata() -> tuple[tuple[str, bytes, Callable[[bytes], bytes]], ...]:
    """Pieces of metadata: the name of a file, a piece in it, and how the file is made with another in its place."""
    wave, flac, mp3 = recording("WAV", samples=60), recording("FLAC"), recording("MP3")
    info = b"INFO" + chunk(b"INAM", b"Aria\0") + chunk(b"ICRD", b"1906\0")
    comments = struct.pack("<I2sII", 2, b"me", 1, 10) + b"TITLE=Aria"
    picture = struct.pack(">II9sI", 3, 9, b"image/png", 0) + bytes(16) + struct.pack(">I4s", 4, b"\x89PNG")

    def in_flac(kind: int, content: bytes) -> tuple[str, bytes, Callable[[bytes], bytes]]:
        return "in.flac", content, lambda other: with_flac_blocks(flac, (kind, other[:1 << 20]))

    def in_aiff(name: bytes, content: bytes) -> tuple[str, bytes, Callable[[bytes], bytes]]:
        return "in.aiff", content, lambda other: aiff(RATE, 60, aiff_chunk(name, other))
    return (*(("in.wav", content, lambda other, name=name: with_chunks(wave, **{name: other}))
              for name, content in CHUNKS.items()),
            ("in.wav", info, lambda other: with_chunks(wave, LIST=other)),
            in_flac(4, comments), in_flac(5, cuesheet(100, 200)), in_flac(6, picture), in_flac(2, b"riffRIFF"),
            in_aiff(b"MARK", mark(10, 20)), in_aiff(b"ID3 ", ID3), in_aiff(b"COMT", b"\0\1" + bytes(8) + b"Ar"),
            ("in.mp3", ID3, lambda other: other + mp3))


@functools.cache
def priors() -> tuple[bytes, ...]:
    """Prior files of both kinds of network, with random weights."""
    return tuple(_written(lambda path, prior=prior, config=config: save_prior(
        path, prior.network.state_dict(), config, prior.sigma_data, prior.level, prior.ltas, None, {"title": "Tiny"}))
        for prior, config in ((tiny_prior(), TINY), (tiny_mixer_prior(), TINY_MIXER)))


@functools.cache
def checkpoint() -> bytes:
    """An official checkpoint, as PyTorch writes them."""
    return _written(official_files.write)


def _written(write) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file")
        write(path)
        return path.read_bytes()


CURVES = {
    ".txt": ("# A curve\n20 -3\n100 0\n1000 -6.5\n8000 -30\n", "Hz\tdB\n20,5\t-3,5\n100\t0\n8000\t-30\n",
             "* Measurement data\n* Freq(Hz) SPL(dB) Phase\n20.000 75.1 12.0\n1000.000 80.2 -3.0\n8000.0 71.0 9\n"),
    ".csv": ("frequency,level\n20,-3\n100,0\n8000,-30\n", "20;-3,5\n100;0\n8000;-30\n"),
    ".json": (json.dumps({"freqs_hz": [20, 100, 8000], "level_db": [0, -3.5, -30]}),)}

EQUALIZER = json.dumps({
    "freqs_hz": [20.0, 100.0, 1000.0, 4000.0, 11025.0], "response_db": [-60.0, -3.0, 0.0, -6.0, -50.0],
    "deviation_db": [None, 1.0, 0.5, 2.0, None], "breakpoints_hz": [50, 100, 1000, 3000, 4000],
    "slopes_db_per_octave": [6, 2, -1, -12], "reference_hz": 1000.0})

PRESET = """title = "Tiny"
description = "Random weights."
prior = "prior.safetensors"

[settings]
steps = 3
sigma_start = 0.2

[draft]
guidance = "direct"
filter_fit = "global"

[paper]
xi = 0.4

[[operators]]
name = "low-pass"
cutoff_hz = 4000.0
"""

BOARD = """format = "babe2-board-1"
title = "From discs"
sample_rate = 44100
depth = "24"

[[plugins]]
plugin = "HighpassFilter"
cutoff_frequency_hz = 40.0

[[plugins]]
plugin = "Mix"
[[plugins.plugins]]
plugin = "Gain"
gain_db = -3.0
[[plugins.plugins]]
plugin = "Board"
title = "Inside"
[[plugins.plugins.plugins]]
plugin = "Convolution"
impulse_response_filename = "recording.wav"
mix = 0.5

[[plugins]]
plugin = "GenerativeEQ"
preset = "piano"
quality = "draft"
seed = 3
steps = 4

[[plugins]]
plugin = "LadderFilter"
mode = "HPF12"
"""

LISTS = {
    ".csv": ("file,preset,quality,seed,gain_db\nrecording.wav,piano,draft,1,-3.5\nrecording.wav,,standard,,\n",
             "file;output;target_match\nrecording.wav;a/b.flac;0.5\nrecording.wav;c.wav;1\n"),
    ".toml": ('[[files]]\nfile = "recording.wav"\npreset = "piano"\nseed = 1\n[[files]]\nfile = "recording.wav"\n'
              'output = "disc/side.flac"\nboard = "piano-78"\ngain_db = -1.5\n',)}

REQUEST = {"token": "TOKEN", "ask": "submit", "input": "FOLDER/recording.wav", "output": "FOLDER/out.wav",
           "label": "side A", "preset": "piano", "quality": "draft", "target": "FOLDER/curve.txt",
           "target_match": 0.5, "seed": 1, "rate": 44100, "depth": "24", "device": "cpu", "settings": {"steps": 3}}

RECORD = json.dumps({
    "id": "0123456789abcdef", "input": "/in.wav", "output": "/out.wav", "state": "running", "share_done": 0.5,
    "message": "A note.", "left_s": 3.5, "label": "side A", "preset": "piano", "target_match": 0.5,
    "settings": {"steps": 3}, "rate": 44100, "depth": "24", "device": "cpu", "attempts": 1,
    "created": "2026-01-01T00:00:00.000Z", "ended": None})

MANIFEST = json.dumps({
    "format": "babe2-batch-1", "runs": [{"started": "2026-01-01", "versions": {}}], "recipes": {},
    "files": {"a.wav": {"state": "done", "input": {"path": "a.wav"}, "output": {"size": 1}, "run": 0}}})


def furnish(folder: Path) -> None:
    """Writes what these files name to stand next to them."""
    (folder / "recording.wav").write_bytes(recording())
    (folder / "prior.safetensors").write_bytes(priors()[0])
    (folder / "curve.txt").write_text(CURVES[".txt"][0])


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


@functools.cache
def session() -> dict[str, bytes]:
    """The members of a saved session with effects, a target and two takes, of `recording.wav` next to it."""
    from babe2_gui.model.chain import new_effect
    from babe2_gui.model.curve import TargetCurve
    from babe2_gui.model.document import Document
    from babe2_gui.model.options import RenderOptions
    from babe2_gui.model.session import View
    from babe2_gui.model.session_file import SessionWriter, Snapshot
    from babe2_gui.model.take import Learned, Take
    from babe2_host.audio.recording import read_recording
    curve = TargetCurve(((20.0, 0.0), (1000.0, -6.0), (8000.0, -30.0)), "drawn")
    options = RenderOptions(quality="draft", expert={"steps": 3, "order": 1})
    hz = np.geomspace(20, 4000, 5)
    learned = Learned(hz, -hz / 100, (50.0, 100.0), (6.0,), 1000.0, np.full(5, 1.5))
    takes = tuple(Take(f"take {start}", tone().T[:, start:].astype(np.float32), start, options, curve, learned,
                       (hz, hz, hz), ("A note.",), 1.5, f"id{start}") for start in (0, 100))
    with tempfile.TemporaryDirectory() as folder:
        furnish(Path(folder))
        path = Path(folder, "session.babe2")
        document = Document(curve, options, (new_effect("HighpassFilter"),), (new_effect("Gain"),), takes, "id100")
        SessionWriter().write(path, Snapshot(read_recording(Path(folder, "recording.wav")), document, View()))
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
