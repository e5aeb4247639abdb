"""Makes test material from clean recordings, with a response and noise that are known exactly."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from babe2_fx.audio.reading import read_audio
from babe2_fx.files import Place, write_whole

from ..audio.destinations import destination
from ..audio.recording import Recording, read_recording
from ..audio.writing import audio_destination, write_audio
from ..console import UsageError, speaker


def degrade(args: argparse.Namespace) -> None:
    """`babe2 degrade`."""
    if all(getattr(args, name) is None for name in ("response", "random", "noise", "snr", "gain")):
        raise UsageError("There is nothing to do: give --response or --random, or noise with --snr or --gain.")
    if args.noise and args.snr is None and args.gain is None:
        raise UsageError("--noise needs --snr DB or --gain G, to know how loud it is to be.")
    if args.gain is not None and not args.noise:
        raise UsageError("--gain needs --noise FILE, which it multiplies. For white noise, give --snr.")
    for name, low in (("seed", 0), ("random", 0), ("gain", 0.0)):
        value = getattr(args, name)
        if value is not None and not low <= value < 2 ** 63:
            raise UsageError(f"--{name} must be {low} or more, not {value}.")
    if args.snr is not None and not -60 <= args.snr <= 160:
        raise UsageError(f"--snr must lie from -60 to 160 dB, not {args.snr:g}.")
    recording = read_recording(args.input)
    sources = [source for source in (args.input, args.response, args.noise) if source]
    record_path = Path(args.output).with_suffix(".json")
    with (audio_destination(args.output, recording, *sources, depth=args.depth) as output,
          destination(record_path, *sources) as record):
        _degrade(args, recording, output, record)


def _degrade(args: argparse.Namespace, recording: Recording, output: Place, record_place: Place) -> None:
    from babe2_fx.evaluation.degradations import Response, random_response, read_response
    response = Response("flat", (20.0, 22050.0), (0.0, 0.0))
    if args.response:
        response = read_response(args.response)
    elif args.random is not None:
        response = random_response(args.random, args.kind)
    noise = _noise(args.noise, recording) if args.noise else None
    audio, record = degraded(recording, response, noise, snr_db=args.snr, gain=args.gain, seed=args.seed)
    lowered_db = write_audio(output, audio, recording.sample_rate, recording, depth=args.depth)
    record |= {"input": str(args.input), "noise_file": args.noise, "level_lowered_db": round(lowered_db, 4)}
    if lowered_db and "noise_dbfs" in record:
        record["noise_dbfs"] = round(record["noise_dbfs"] - lowered_db, 3)
    write_whole(record_place, lambda part: part.write_text(json.dumps(record) + "\n", encoding="utf-8"))
    say = speaker(args.quiet)
    for note in recording.notes:
        say(note)
    if lowered_db:
        say(f"The peaks did not fit the file's integer samples; its level was lowered by {lowered_db:.2f} dB.")
    say(f"Wrote {output} and {record_place}.")


def degraded(recording: Recording, response, noise: np.ndarray | None = None, *, snr_db: float | None = None,
             gain: float | None = None, seed: int = 0) -> tuple[np.ndarray, dict]:
    """A recording through a `Response`, with noise; (channels, samples) float32 at any level, and the record.

    Without `snr_db` and `gain` there is no noise. Raises DegradationError as `add_noise` does.
    """
    from babe2_fx.evaluation.degradations import add_noise, apply_response
    audio, facts = apply_response(recording.audio, recording.sample_rate, response), {}
    if snr_db is not None or gain is not None:
        audio, facts = add_noise(audio, noise, snr_db=snr_db, gain=gain, seed=seed)
    return audio.astype(np.float32), {
        "sample_rate": recording.sample_rate, "seconds": recording.duration_s, **facts, **response.record()}


def _noise(path: str, recording: Recording) -> np.ndarray:
    """The noise (channels, samples) at the recording's rate."""
    noise = read_audio(path)
    if noise.sample_rate == recording.sample_rate:
        return noise.audio
    import torch

    from babe2_fx.audio.resampling import resample
    return resample(torch.from_numpy(noise.audio), noise.sample_rate, recording.sample_rate).numpy()
