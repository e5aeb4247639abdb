"""Reads what is selected in Audacity, to the sample.

It is read by a few lines of Nyquist, Audacity's own language for effects: as an effect sees it, at the track's rate,
before gain, pan, envelope, mute and solo.
"""

from __future__ import annotations

import math
from pathlib import Path

import soundfile

from .audacity_pipe import LONG_S, Audacity, AudacityError, quoted
from .audacity_project import Clip, Passage

# What Nyquist writes about the selected track. Clips are those of the first channel; the other one's are the same.
FACTS = """(setf *float-format* "%.17g")
(let ((facts (open {facts} :direction :output)) (clips (get '*track* 'clips)))
  (format facts "start ~a~%rate ~a~%samples ~a~%" (get '*selection* 'start) (get '*track* 'rate) (truncate len))
  (dolist (clip (if (arrayp clips) (aref clips 0) clips))
    (format facts "clip ~a ~a~%" (first clip) (second clip)))
  (close facts))
"""
# Nyquist keeps samples in memory for as long as a name refers to them.
SAMPLES = """(s-save (prog1 *track* (setf *track* nil)) ny:all {samples}
        :format snd-head-wave :mode snd-mode-float :bits 32)
"""
NOTHING = '""\n'  # what it gives back: nothing, which leaves the track as it is


def read_selection(audacity: Audacity, folder: Path) -> tuple[list[Passage], list[str]]:
    """The selected audio of each selected track, as files in `folder`; Audacity's selection stays as it is.

    Returns the passages, and sentences on tracks that have nothing in the selected time. Raises AudacityError if
    nothing is selected.
    """
    tracks = audacity.info("Tracks")
    selected = [index for index, track in enumerate(tracks) if track.get("selected")]
    waves = [index for index in selected if tracks[index]["kind"] == "wave"]
    if not waves:
        raise AudacityError("No audio track is selected in Audacity. Select what to restore there first: drag over "
                            "it, or Select > All.")
    envelopes = audacity.info("Envelopes")
    passages, notes = [], []
    try:
        start_s, end_s = _selected_time(audacity, folder, waves[0])
        try:
            if end_s <= start_s:
                raise AudacityError("No stretch of time is selected in Audacity, only a position. Select what to "
                                    "restore there first: drag over it, or Select > All.")
            for index in waves:
                points = [clip["points"] for clip in envelopes if clip["track"] == index]
                passage = _read_passage(audacity, folder, index, tracks[index], points, start_s, end_s)
                if passage:
                    passages.append(passage)
                else:
                    notes.append(f"{tracks[index]['name']}: nothing in the selected time.")
        finally:
            audacity.do(f"SelectTime: Start={start_s!r} End={end_s!r}")
    finally:
        for mode, index in zip(["Set"] + ["Add"] * len(selected), selected):
            audacity.do(f"SelectTracks: Track={index} TrackCount=1 Mode={mode}")
    if not passages:
        raise AudacityError("There is no audio in the selected time of the selected tracks.")
    return passages, notes


def envelope_within(points: list[tuple[float, float]], start_s: float, end_s: float) -> tuple[tuple[float, float], ...]:
    """The part of an envelope between two times, counted from the first. Between points it is a line in dB, as
    Audacity's is, and constant outside them."""
    def value(at_s: float) -> float:
        before = [point for point in points if point[0] <= at_s]
        after = [point for point in points if point[0] > at_s]
        if not before or not after:
            return (before[-1] if before else after[0])[1]
        (t0, y0), (t1, y1) = before[-1], after[0]
        if min(y0, y1) <= 0:
            return y0 + (y1 - y0) * (at_s - t0) / (t1 - t0)
        return math.exp(math.log(y0) + math.log(y1 / y0) * (at_s - t0) / (t1 - t0))
    if not points:
        return ()
    inner = [(time_s - start_s, y) for time_s, y in points if start_s < time_s < end_s]
    return ((0.0, value(start_s)), *inner, (end_s - start_s, value(end_s)))


def _selected_time(audacity: Audacity, folder: Path, track: int) -> tuple[float, float]:
    """Start and end (s) of the selected time, which is changed. Audacity 3.2 gives it only to Nyquist, the end as a
    number of samples, and not at all if it is a position; so it is made a second longer before it is asked."""
    audacity.do(f"SelectTracks: Track={track} TrackCount=1 Mode=Set")
    audacity.do("SelectTime: Start=0 End=1 RelativeTo=Selection")
    facts = _facts(audacity, folder)
    samples = facts["samples"] - facts["rate"]
    return facts["start"], facts["start"] + (samples / facts["rate"] if samples > 1 else 0.0)


def _read_passage(audacity: Audacity, folder: Path, index: int, track: dict, points: list, start_s: float,
                  end_s: float) -> Passage | None:
    """What of a track lies in the selected time, without silence around; None if there is nothing."""
    audacity.do(f"Select: Track={index} TrackCount=1 Mode=Set Start={start_s!r} End={end_s!r}")
    facts = _facts(audacity, folder)
    rate = round(facts["rate"])
    low, high = round(start_s * rate), round(end_s * rate)
    if len(points) != len(facts["clips"]):
        points = [[]] * len(facts["clips"])
    clips = []
    for (clip_start_s, clip_end_s), envelope in zip(facts["clips"], points):
        first, last = max(low, round(clip_start_s * rate)), min(high, round(clip_end_s * rate))
        if first < last:
            curve = envelope_within([(point["t"], point["y"]) for point in envelope], first / rate, last / rate)
            clips.append(Clip(first, last - first, curve))
    if not clips:
        return None
    first, last = clips[0].first, clips[-1].first + clips[-1].samples
    path = folder / f"track{index + 1}.wav"
    audacity.do(f"SelectTime: Start={first / rate!r} End={last / rate!r}")
    _facts(audacity, folder, path)
    written = soundfile.info(path)
    if written.frames != last - first or written.samplerate != rate:
        raise AudacityError(f"Audacity gave {written.frames} samples of {track['name']} instead of {last - first}. "
                            "Please report this, with Audacity's version.")
    return Passage(track["name"], path, rate, written.channels, first, last - first, track["gain"], track["pan"],
                   tuple(clips))


def _facts(audacity: Audacity, folder: Path, samples: Path | None = None) -> dict:
    """Start of the selection (s), how many samples are in it, the selected track's rate (Hz) and its clips (start and
    end in s). The selected samples go to a file, if there is to be one."""
    facts, script = folder / "facts.txt", folder / "read.ny"
    facts.unlink(missing_ok=True)
    text = FACTS.format(facts=quoted(facts.as_posix()))
    if samples:
        text += SAMPLES.format(samples=quoted(samples.as_posix()))
    script.write_text(text + NOTHING, encoding="utf-8")
    # It is said to fail, because nothing comes back for the track.
    audacity.do(f"NyquistPrompt: Command={quoted(f'(load {quoted(script.as_posix())})')} Version=4",
                LONG_S, may_fail=True)
    if not facts.exists() or samples and not samples.exists():
        raise AudacityError("Audacity did not hand out the selected audio. If it plays or records, stop it first.")
    found: dict = {"clips": []}
    for line in facts.read_text().splitlines():
        name, *values = line.split()
        if name == "clip":
            found["clips"].append(tuple(map(float, values)))
        else:
            found[name] = float(values[0])
    return found
