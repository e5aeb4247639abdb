"""The methods of the paper side by side, on a user's own recordings or against clean originals."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from babe2_fx.audio.kinds import is_recording
from babe2_fx.audio.reading import AudioFile, read_audio
from babe2_fx.catalogue.presets import load_preset
from babe2_fx.documents import read_json
from babe2_fx.errors import UserError
from babe2_fx.files import FileError, write_whole

from ..audio.destinations import check_destination
from ..console import (
    OK,
    UsageError,
    checked,
    choose_device,
    parse_overrides,
    speaker,
    version,
    versions,
    watch,
)
from .evaluation_page import command_line, markdown_page, reading_notes, spectra_figure

SUFFIXES = ("_degraded", "_clean", "_filter")  # that distinguish the files of one piece
SILENCE = 1e-7
LENGTHS_APART_S = 0.1


@dataclass(frozen=True)
class Piece:
    """A recording to restore, its clean original and its known response, where there are such."""

    name: str
    path: Path
    clean: Path | None = None
    response: dict | None = None


def evaluate(args: argparse.Namespace) -> int:
    """`babe2 evaluate`. All that can be wrong with the files is found out before the first restoration."""
    overrides = parse_overrides(args.overrides, args.seed)
    preset = load_preset(args.preset)
    settings = checked(lambda: preset.settings(args.quality, **overrides))
    prior_path = preset.prior_path
    folder, sources = Path(args.output), _sources(args)
    clean = sources.get("clean", [])

    from babe2_fx import effect
    from babe2_fx.evaluation import load_embedding
    from babe2_fx.evaluation.methods import method_settings
    from babe2_fx.evaluation.results import csv_text, json_table, markdown, order_by_fad, summarise
    say = speaker(args.quiet)
    methods = {name: method_settings(name, settings) for name in _names(args.methods)}
    embeddings = [load_embedding(name) for name in _names(args.embeddings) if name != "none"]
    prior = effect.shared_prior(prior_path, choose_device(args.device))
    folder.mkdir(parents=True, exist_ok=True)
    pieces = ([_piece(path, clean) for path in sources["recordings"]] if args.recordings else
              _degraded(clean, folder / "degraded", settings.recording.seed))
    reference = sources.get("reference", clean)
    rates = [_checked(path).sample_rate for path in [*reference, *(piece.path for piece in pieces)]]
    for piece in pieces:
        _check_lengths(piece)
    _check_figure(args.figure, pieces)

    listener = _Listener(min(prior.sample_rate, *rates), embeddings)
    say(f"Listening to {len(reference)} reference recording{'s' * (len(reference) != 1)} at {listener.rate} Hz.")
    target, moments = listener.reference(reference)
    scored, done = [], {}
    for piece in pieces:
        for method, values in methods.items():
            path, learned = (piece.path, None) if values is None else _restored(
                piece, method, values, prior, folder, done, args.quiet, say)
            scored.append(listener.scored(piece, method, path, learned))
    table = summarise(scored, target, moments, listener.rate, args.fad_infinity)
    gains = _denoising(clean, prior, settings.recording.seed, say) if not args.recordings else []

    spectra_figure(folder / "ltas.png", scored, target, listener.rate, args.figure)
    notes = reading_notes(methods, settings, embeddings, len(pieces), args.fad_infinity)
    facts = {"command": command_line(args), "preset": args.preset, "quality": args.quality,
             "sample_rate": listener.rate,
             "embeddings": {e.name: e.hears for e in embeddings}, "recordings": [p.path.name for p in pieces],
             "reference": [path.name for path in reference], "prior": prior.fingerprint, "versions": versions(),
             "methods": {name: values and values.flat() for name, values in methods.items()},
             "notes": [*order_by_fad(table), *notes]}
    record = {**facts, "table": json_table(table), "denoising": gains,
              "each": [{"recording": s.recording, "method": s.method, **s.scores} for s in scored]}
    _write(folder / "results.json", json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    _write(folder / "results.csv", csv_text(table))
    _write(folder / "results.md", markdown_page(facts, markdown(table), gains, "ltas.png"))
    if args.table:
        page, picture = Path(args.table), Path(args.table).with_suffix(".png")
        write_whole(picture, lambda part: shutil.copyfile(folder / "ltas.png", part))
        _write(page, markdown_page(facts, markdown(table), gains, picture.name))
    if not args.quiet:
        print(markdown(table), end="")
    say(f"Wrote {folder}: results.md, results.csv, results.json, ltas.png." + (
        f" Wrote {args.table} and its picture." if args.table else ""))
    return OK


# -------------------------------------------------------------------------------------------------- measuring

@dataclass(frozen=True)
class _Listener:
    """Measures recordings at one rate, as the mean of their channels."""

    rate: float
    embeddings: list

    def hear(self, path: Path) -> tuple:
        """The LTAS of a file, and its frames by embedding. Raises UsageError naming it."""
        from babe2_fx.evaluation import recording_ltas
        audio = _mono(path, self.rate)
        frames = {}
        for embedding in self.embeddings:
            try:
                frames[embedding.name] = embedding.frames(audio, self.rate)
            except UserError as error:
                raise UsageError(f"{path}: {error}") from error
        return recording_ltas(audio, self.rate), frames

    def reference(self, paths: list[Path]) -> tuple:
        """The mean LTAS of a set, and the moments of its frames by embedding."""
        from babe2_fx.evaluation import Moments, mean_ltas
        spectra, moments = [], {}
        for path in paths:
            spectrum, frames = self.hear(path)
            spectra.append(spectrum)
            for name, own in frames.items():
                moments[name] = moments[name] + Moments.of(own) if name in moments else Moments.of(own)
        return mean_ltas(spectra), moments

    def scored(self, piece: Piece, method: str, path: Path, learned: dict | None):
        """All that is measured of one result: a `Scored`."""
        from babe2_fx.evaluation.results import Scored, flat_scores
        from babe2_fx.evaluation.scores import RATE, filter_error_db, full_reference_scores
        scores = {}
        if piece.clean is not None:
            scores |= flat_scores(full_reference_scores(_mono(piece.clean, RATE), _mono(path, RATE)))
        if piece.response is not None and learned is not None:
            scores["filter_error_db"] = filter_error_db(piece.response, learned)
        return Scored(piece.name, method, *self.hear(path), scores)


def _mono(path: Path, sample_rate: float) -> np.ndarray:
    from babe2_fx.evaluation.embeddings import resampled
    recording = read_audio(path)
    return resampled(recording.audio.mean(axis=0, dtype=np.float64), recording.sample_rate, sample_rate)


def _denoising(clean: list[Path], prior, seed: int, say: Callable[[str], None]) -> list[dict]:
    from babe2_fx.evaluation import denoising_gains_db
    gains = []
    for path in clean:
        say(f"{path.name}: how well the prior denoises it")
        audio = _mono(path, prior.sample_rate)
        gains.append({"recording": path.stem, "levels": denoising_gains_db(prior, audio, prior.sample_rate, seed)})
    return gains


# ------------------------------------------------------------------------------------------------------ files

def _sources(args: argparse.Namespace) -> dict[str, list[Path]]:
    """The recordings of each folder that is given. Raises UsageError for what cannot be evaluated."""
    if not args.clean and not (args.recordings and args.reference):
        raise UsageError("There is nothing to compare with: give --recordings with --reference, or --clean.")
    output = Path(args.output)
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file; --output needs the name of a folder.")
    sources = {}
    for name in ("recordings", "reference", "clean"):
        folder = getattr(args, name)
        if not folder:
            continue
        if output.exists() and output.resolve() == Path(folder).resolve():
            raise UsageError(f"{folder} holds inputs and is not written to; give --output another folder.")
        found = recordings_in(folder, f"--{name}")
        other = {"recordings": "_clean" if args.clean else None, "clean": "_degraded"}.get(name)
        sources[name] = [path for path in found if not (other and path.stem.endswith(other))]
        if not sources[name]:
            raise UsageError(f"{folder} given as --{name} holds nothing but recordings whose names end in {other}, "
                             "which are not taken for such.")
    if args.table:
        for path in (args.table, Path(args.table).with_suffix(".png")):
            check_destination(path, *(path for paths in sources.values() for path in paths))
    return sources


def recordings_in(folder: str | os.PathLike, option: str) -> list[Path]:
    """The recordings that lie directly in a folder, sorted. Raises UsageError where there are none."""
    if not Path(folder).is_dir():
        raise UsageError(f"{option} needs a folder; {folder} is not one.")
    found = sorted(path for path in Path(folder).iterdir() if path.is_file() and is_recording(path))
    if not found:
        raise UsageError(f"The folder {folder} given as {option} holds no recordings.")
    for path, other in zip(found, found[1:]):
        if path.stem == other.stem:
            raise UsageError(f"{path} and {other} have one name; rename one of them, or give another folder.")
    return found


def _names(text: str) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise UsageError("--methods and --embeddings need a name at least.")
    return names


def _stem(path: Path) -> str:
    for suffix in SUFFIXES:
        if path.stem.endswith(suffix):
            return path.stem.removesuffix(suffix)
    return path.stem


def _piece(path: Path, clean: list[Path]) -> Piece:
    """A recording with its partners. Raises UsageError where there are clean ones and none is of its name."""
    from babe2_fx.evaluation.degradations import read_record
    records = [p for p in (path.with_suffix(".json"), path.with_name(f"{_stem(path)}_filter.json")) if p.is_file()]
    response = read_record(records[0]) if records else None
    if not clean:
        return Piece(path.stem, path, None, response)
    partners = [other for other in clean if _stem(other) == _stem(path)]
    if len(partners) != 1:
        what = f"{len(partners)} clean originals" if partners else "no clean original"
        raise UsageError(f"{path} has {what} in --clean; there must be one that is called {_stem(path)} or "
                         f"{_stem(path)}_clean.")
    return Piece(path.stem, path, partners[0], response)


def _checked(path: Path) -> AudioFile:
    recording = read_audio(path)
    if not float(recording.audio.mean(axis=0).std()) > SILENCE:
        raise UsageError(f"{path} is silent; there is nothing to measure in it.")
    return recording


def _check_lengths(piece: Piece) -> None:
    if piece.clean is not None:
        lengths = [_checked(path).duration_s for path in (piece.path, piece.clean)]
        if abs(lengths[0] - lengths[1]) > LENGTHS_APART_S:
            raise UsageError(f"{piece.path} lasts {lengths[0]:.2f} s and its clean original {piece.clean} "
                             f"{lengths[1]:.2f} s; they must be the same passage.")


def _check_figure(names: list[str] | None, pieces: list[Piece]) -> None:
    for name in names or ():
        if name not in {piece.name for piece in pieces}:
            raise UsageError(f"--figure {name}: there is no recording of that name; there are "
                             f"{', '.join(piece.name for piece in pieces)}.")


def _degraded(clean: list[Path], folder: Path, seed: int) -> list[Piece]:
    """Every clean recording through a breakpoint response and through a horn's, each of its own."""
    from babe2_fx.evaluation.degradations import KINDS, random_response

    from .degrade import degraded
    folder.mkdir(exist_ok=True)
    pieces = []
    for number, path in enumerate(clean):
        recording = _checked(path)
        for kind in KINDS:
            response = random_response(seed + number, kind)
            audio, record = degraded(recording, response, snr_db=60.0, seed=seed + number)
            name = f"{_stem(path)}_{kind}"
            _write(folder / f"{name}.json", json.dumps(record) + "\n")
            _write_float(folder / f"{name}.wav", audio, recording.sample_rate)
            pieces.append(Piece(name, folder / f"{name}.wav", path, response.record()))
    return pieces


def _restored(piece: Piece, method: str, settings, prior, folder: Path, done: dict[str, Path], quiet: bool,
              say: Callable[[str], None]) -> tuple[Path, dict]:
    """A restored recording and what was learned: made now, or found finished, in this run or in an earlier one."""
    recording = read_audio(piece.path)
    what = repr((settings, prior.fingerprint, recording.sample_rate, version("babe2-fx"))).encode()
    key = hashlib.sha256(what + np.ascontiguousarray(recording.audio).tobytes()).hexdigest()
    (folder / method).mkdir(exist_ok=True)
    path = folder / method / f"{piece.name}.wav"
    record = path.with_suffix(".json")
    try:
        kept = read_json(record)
        if kept["made_of"] == key and path.is_file():
            done[key] = path
            return path, kept["equalizer"]
    except (FileError, KeyError, TypeError):
        pass  # not finished, or of another run
    if key in done:
        equal = done[key]
        write_whole(path, lambda part: shutil.copyfile(equal, part))
        write_whole(record, lambda part: shutil.copyfile(equal.with_suffix(".json"), part))
        return path, read_json(record)["equalizer"]
    from babe2_fx.restoration import Restorer
    say(f"{piece.name}: {method}")
    for note in recording.notes:
        say(note)
    result = watch(Restorer(prior, settings).run(recording.audio, recording.sample_rate), quiet)
    _write_float(path, result.audio, recording.sample_rate)
    _write(record, json.dumps({"made_of": key, "equalizer": result.eq_export(),
                               "notes": [*recording.notes, *result.notes]}) + "\n")
    done[key] = path
    return path, result.eq_export()


def _write(path: Path, text: str) -> None:
    write_whole(path, lambda part: part.write_text(text, encoding="utf-8", errors="backslashreplace"))


def _write_float(path: Path, audio: np.ndarray, sample_rate: int) -> None:
    write_whole(path, lambda part: soundfile.write(os.fsencode(part), audio.T, sample_rate, "FLOAT", format="WAV"))


