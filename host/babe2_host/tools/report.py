"""The report of a restoration: what was learned, before and after as pictures, and a record of the run."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import textwrap
from datetime import datetime
from pathlib import Path

import numpy as np

from babe2_fx.audio.reading import AudioFile
from babe2_fx.files import FileError, write_whole
from babe2_fx.folders import Folder, part_name

from ..audio.destinations import check_destination
from .lettering import lettering

FILES = ("equalizer.png", "spectrograms.png", "report.json")
LOWEST_HZ = 20.0
FRAME = 2048  # samples of a spectrogram's window
COLUMNS = 1600  # of a spectrogram at most: more than the picture has pixels
RANGE_DB = 80.0  # of a spectrogram's colours
FOUND_LETTERS = 110  # in a line of what was found, above the learned response
INPUT, RESTORED, REFERENCE, LEARNED, BREAKPOINTS = "#8a8a8a", "#0b5fa5", "#d9822b", "#a3195b", "#33333a"
FOUND = "#55555c"
BAND_WORDS = "within one standard deviation, where about two in three of its values lie"
SPECTROGRAMS_WORDS = "Spectrograms of the recording before the restoration and, below, after it, on one scale."
STYLE = {"font.size": 10, "axes.titlesize": 11, "axes.spines.top": False, "axes.spines.right": False,
         "axes.grid": True, "grid.color": "#e3e3e3", "grid.linewidth": 0.6, "axes.axisbelow": True,
         "legend.frameon": False, "figure.facecolor": "white", "savefig.facecolor": "white"}


def check_report_folder(folder: str | os.PathLike, *sources: str | os.PathLike) -> None:
    """Finds out whether a report can be written to `folder`; nothing is left behind.

    Args:
        sources: files that the report's must not replace.

    Raises:
        FileError: it is a file, or it or the folder that is to hold it cannot be written to.
    """
    folder = Path(folder)
    if os.path.lexists(folder) and not folder.is_dir():
        raise FileError(f"{folder} is a file; --report needs the name of a folder.")
    if not folder.exists():
        check_destination(folder, *sources)
    for name in FILES if folder.exists() else ():
        check_destination(folder / name, *sources)
    for source in sources:
        if os.path.realpath(source) in {os.path.realpath(folder / name) for name in FILES}:
            raise FileError(f"{source} has the name of a file of the report; choose another folder.")


def write_report(folder: str | os.PathLike, recording: AudioFile, result, prior, record: dict) -> None:
    """Writes the pictures and `report.json`; they appear once all three are made.

    Args:
        folder: made if it does not exist; files of earlier reports in it are replaced.
        recording: the input.
        result: a `RestorationResult`.
        prior: the prior it was made with.
        record: what only the caller knows (preset, time taken, versions, ...), for `report.json`.

    Raises:
        FileError: the folder cannot be written.
    """
    folder = Path(os.path.realpath(folder))
    temporary = folder.parent / part_name()
    try:
        with Folder(folder.parent) as around:
            around.claim()
            _write(folder, temporary, recording, result, prior, record)
    except OSError as error:
        raise FileError(f"The report {folder} could not be written: {error.strerror or error}.") from error


def _write(folder: Path, temporary: Path, recording: AudioFile, result, prior, record: dict) -> None:
    """Makes the report in a temporary folder, then puts it in its place. Raises OSError."""
    try:
        temporary.mkdir()
        with lettering(recording.path.name) as (title,):
            equalizer_picture(temporary / FILES[0], result, title)
            spectrograms_picture(temporary / FILES[1], (recording.audio, recording.sample_rate),
                                 (result.audio, result.sample_rate), prior.sample_rate, title)
        text = json.dumps(run_record(recording, result, prior, record), indent=2, ensure_ascii=False)
        # A name that is no Unicode is escaped, so that it can be read back as it was.
        (temporary / FILES[2]).write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
        if folder.exists():
            for name in FILES:
                write_whole(folder / name, functools.partial(shutil.copyfile, temporary / name))
        else:
            os.rename(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def run_record(recording: AudioFile, result, prior, record: dict) -> dict:
    """Everything needed to trace how a result came about, as plain values for JSON."""
    eq = result.equalizer
    network = getattr(prior, "network", None)
    duration_s, taken_s = recording.duration_s, record.get("time_taken_s")
    return {
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "input": {"path": str(recording.path), "format": recording.format, "subtype": recording.subtype,
                  "sample_rate": recording.sample_rate, "channels": recording.channels,
                  "samples": recording.audio.shape[1]},
        "duration_s": round(duration_s, 3),
        "times_real_time": round(taken_s / duration_s, 2) if taken_s else None,
        "device": _device_name(prior),
        **record,
        "settings": result.settings.flat(),
        "pictures": {FILES[0]: equalizer_words(result), FILES[1]: SPECTROGRAMS_WORDS},
        "equalizer": {"breakpoints_hz": list(eq.breakpoints_hz), "reference_hz": eq.reference_hz,
                      "slopes_db_per_octave": list(eq.slopes_db_per_octave)} if eq else None,
        "prior": {"sample_rate": prior.sample_rate, "block_length": prior.block_length,
                  "parameters": sum(p.numel() for p in network.parameters()) if network is not None else None,
                  "info": getattr(prior, "info", {})},
    }


def _device_name(prior) -> str:
    device = str(getattr(prior, "device", "cpu"))
    if device.startswith("cuda"):
        import torch
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return device


# --------------------------------------------------------------------------------------------------- pictures

def equalizer_words(result) -> str:
    """What `equalizer_picture` shows, for those who cannot see it."""
    words = ("Above, long-term spectra of input, reference and restored recording. Below, the learned response of the "
             "medium")
    if not _has_band(result):
        return f"{words}. How far that may be wrong is not known."
    words += f", with a shaded band {BAND_WORDS}; there is no band where nothing is known."
    return f"{words} {result.found}" if result.found else words


def _has_band(result) -> bool:
    return result.deviation_db is not None and bool(np.isfinite(result.deviation_db).any())


def equalizer_picture(path: Path, result, title: str) -> None:
    """The long-term spectra above the learned response of the degradation, on one axis of frequency.

    The response has a band of one deviation, where that is known, and what was found of it stands above in words.
    """
    top_hz = float(np.max(result.ltas_hz))
    with _figure(path, (9, 7), equalizer_words(result)) as figure:
        spectra, learned = figure.subplots(2, 1, sharex=True, height_ratios=(1.15, 1))
        curves = ((result.input_ltas_db, INPUT, "input"), (result.reference_ltas_db, REFERENCE, "reference"),
                  (result.restored_ltas_db, RESTORED, "restored"))
        for level_db, colour, label in curves:
            spectra.plot(result.ltas_hz, _drawable(level_db), color=colour, linewidth=1.8, label=label,
                         linestyle=(0, (5, 2)) if label == "reference" else "-")
        heard = np.asarray(result.ltas_hz) >= 40  # below, rumble would set the scale
        seen = np.concatenate([_drawable(level_db)[heard] for level_db, *_ in curves])
        low, high = _limits(seen, 100.0)
        spectra.set_ylim(low - 0.1 * (high - low), high)  # room for the legend
        spectra.set_ylabel("level, dB")
        spectra.set_title(f"{title}: long-term spectra (third octaves, aligned from 300 Hz to 3 kHz)",
                          loc="left")
        spectra.legend(loc="lower left", ncols=3)

        hz, response_db = np.asarray(result.frequencies_hz), _drawable(result.response_db)
        learned.axhline(0, color="#9a9a9a", linewidth=0.8)
        if _has_band(result):
            doubt_db = np.asarray(result.deviation_db, dtype=float)
            learned.fill_between(hz, response_db - doubt_db, response_db + doubt_db, where=np.isfinite(doubt_db),
                                 color=LEARNED, alpha=0.18, linewidth=0, label="within one deviation, where known")
        learned.plot(hz, response_db, color=LEARNED, linewidth=2.2, label="whole response")
        eq = result.equalizer
        if eq is not None:
            learned.plot(hz, _drawable(eq.response_db(hz)), color=BREAKPOINTS, linewidth=1.2,
                         label="its breakpoint EQ (the rest was found before sampling)")
            learned.plot(eq.breakpoints_hz, eq.response_db(eq.breakpoints_hz), "o", color=BREAKPOINTS,
                         markersize=5)
            learned.plot([eq.reference_hz], [0], "o", color="white", markeredgecolor=BREAKPOINTS,
                         markersize=9, markeredgewidth=1.8, label=f"reference, {_hz_text(eq.reference_hz)}")
        # Below the axes: the curve may run anywhere within.
        learned.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2)
        low, high = _limits(response_db, 60.0)
        learned.set_ylim(low, max(high, 6.0))
        learned.set_ylabel("response, dB")
        found = textwrap.wrap(result.found or "", FOUND_LETTERS)
        learned.text(0, 1.02, "\n".join(found), transform=learned.transAxes, va="bottom", color=FOUND, linespacing=1.3)
        learned.set_title("learned EQ: what the medium did to the music (the restoration undoes it)",
                          loc="left", pad=6 + 14 * len(found))
        learned.set_xscale("log")
        learned.set_xlim(LOWEST_HZ, top_hz)
        ticks = [f for f in (20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000) if f <= top_hz]
        learned.set_xticks(ticks, [f"{f // 1000}k" if f >= 1000 else str(f) for f in ticks])
        learned.set_xticks([], minor=True)
        learned.set_xlabel("frequency, Hz")


def spectrograms_picture(path: Path, before: tuple[np.ndarray, float], after: tuple[np.ndarray, float],
                         prior_rate: float, title: str) -> None:
    """Before above after, one colour scale, up to a little above the prior's highest frequency.

    before, after: audio (channels, samples), drawn as the mean of its channels, and its rate in Hz.
    """
    top_hz = min(max(before[1], after[1]) / 2, 0.6 * prior_rate)
    images = [spectrogram_db(audio, rate, min(top_hz, rate / 2)) for audio, rate in (before, after)]
    loudest = max(float(image.max()) for image in images)
    colours = colours_on_white()
    duration_s = before[0].shape[1] / before[1]
    with _figure(path, (10, 7), SPECTROGRAMS_WORDS) as figure:
        panels = figure.subplots(2, 1, sharex=True, sharey=True)
        for axes, image, name, rate in zip(panels, images, ("before", "after"), (before[1], after[1])):
            drawn = axes.imshow(image, origin="lower", aspect="auto",
                                extent=(0, duration_s, 0, min(top_hz, rate / 2) / 1000), vmin=loudest - RANGE_DB,
                                vmax=loudest, cmap=colours, interpolation="antialiased")
            axes.set_ylim(0, top_hz / 1000)
            axes.grid(False)
            axes.set_ylabel("frequency, kHz")
            axes.set_title(f"{title}: {name}" if name == "before" else name, loc="left")
        panels[1].set_xlabel("time, s")
        bar = figure.colorbar(drawn, ax=panels, pad=0.02, fraction=0.04)
        bar.set_label("level, dB")
        bar.outline.set_visible(False)


@contextlib.contextmanager
def _figure(path: Path, size_inches: tuple[float, float], words: str):
    """A figure, saved when the block ends, with its description in words. Made without pyplot, which has state and may
    open windows."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size_inches, layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        figure.savefig(path, dpi=130, format="png", metadata={"Description": words})


def colours_on_white():
    """Magma from black for the loudest, its palest end made white, as paper is."""
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap
    colours = colormaps["magma_r"](np.linspace(0.04, 1, 10))
    return LinearSegmentedColormap.from_list("magma_on_white", ["white", *colours])


def spectrogram_db(audio: np.ndarray, sample_rate: float, top_hz: float) -> np.ndarray:
    """Of the mean of (channels, samples), in dB of a full-scale sine: (bins to top_hz, columns)."""
    # Shorter windows at low rates, so that time is shown as finely.
    frame = 1 << max(8, round(np.log2(FRAME * sample_rate / 44100)))
    mono = np.pad(audio.mean(axis=0), (frame // 2, frame // 2 + 1))
    hop = max(frame // 8, -(-(len(mono) - frame) // COLUMNS))
    frames = np.lib.stride_tricks.sliding_window_view(mono, frame)[::hop]
    bins = int(np.ceil(top_hz / sample_rate * frame)) + 1
    window = np.hanning(frame)
    power = np.empty((len(frames), min(bins, frame // 2 + 1)))
    for start in range(0, len(frames), 256):  # a chunk of frames in memory at a time
        spectrum = np.fft.rfft(frames[start:start + 256] * window, axis=1)[:, :power.shape[1]]
        power[start:start + 256] = np.abs(spectrum * (2 / window.sum())) ** 2
    return 10 * np.log10(power.T + 1e-14)


def _drawable(level_db) -> np.ndarray:
    """Levels with what cannot be drawn (silence is minus infinity) at a level far below."""
    return np.nan_to_num(np.asarray(level_db, dtype=float), nan=-200.0, neginf=-200.0, posinf=200.0)


def _limits(level_db: np.ndarray, most_db: float) -> tuple[float, float]:
    """An axis from the lowest to the highest level, `most_db` at most, with some room."""
    high = float(level_db.max()) + 4
    low = max(float(level_db.min()) - 4, high - most_db)
    return low, max(high, low + 12)


def _hz_text(hz: float) -> str:
    return f"{hz / 1000:.2f} kHz" if hz >= 1000 else f"{hz:.0f} Hz"
