"""Which channels of a recording are restored, and how: one groove as one signal, true stereo as it is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..audio.channel_relations import LEAST_NOISE, UNSHARED, Relation, Relations, relate
from ..audio.mapped import allocate, allocate_like, chunks
from ..texts import listed

LEAST_DELAY = 0.1  # samples; a sum of two that are no further apart loses less than 0.1 dB anywhere
LEAST_GAIN_DB = 1.0  # a smaller difference in level is the pickup's and is averaged out
SAME_NOISE = 1 / 3, 2 / 3  # shares in the sum within this lower the noise by 0.5 dB at most: the plain mean will do
ALL_SHARED_DB, CLOSE_DB = 50.0, 10.0  # below the music: what is called the same signal, and what is worth a word
TOO_MUCH_DB = -10 * math.log10(UNSHARED)
TAPS = 64  # to each side of a sample, of the filter that delays by a part of one


@dataclass(frozen=True)
class Channels:
    """The channels of a recording that are restored, and those that are not.

    live: the numbers, from 0, of those with music · signal: what is restored: one row for each of them, or a single
    one for all · gains: of each live channel in what was summed, 1 where nothing was · notes: what was decided, as
    sentences.
    """

    live: tuple[int, ...]
    signal: Tensor
    gains: tuple[float, ...]
    notes: tuple[str, ...] = ()

    def put_back(self, restored: Tensor, audio: Tensor) -> Tensor:
        """The recording `audio` (channels, samples) with its live channels restored.

        restored: (rows, samples), as `signal` has them. Dead channels stay as they were.
        """
        if restored.shape == audio.shape:
            return restored
        whole = torch.from_numpy(allocate(*audio.shape))
        for part in chunks(audio.shape[1], audio, restored, whole):
            whole[:, part] = audio[:, part]
            for number, (channel, gain) in enumerate(zip(self.live, self.gains)):
                whole[channel, part] = restored[min(number, len(restored) - 1), part] * gain
        return whole


def channels_to_restore(audio: Tensor, sample_rate: float, channels: str) -> Channels:
    """Decides which channels of a recording (channels, samples) are restored.

    Channels without music are left alone. Those that hold one groove are aligned and summed, which also lowers the
    noise; true stereo shares one filter.

    Args:
        channels: the setting of that name: "auto", "mono" or "linked".
    """
    count = len(audio)
    if count == 1:
        return Channels((0,), audio, (1.0,))
    found = relate(audio, sample_rate)
    notes = _dead_notes(found.dead, count, filled=channels == "mono")
    if channels == "mono" or (channels == "auto" and found.one):
        if len(found.live) > 1:
            notes.append(_sum_note(found, count, sample_rate))
        signal = _sum(audio, found) if len(found.live) > 1 else _rows(audio, found.live)
        filled = found.dead if channels == "mono" else ()
        return Channels(found.live + filled, signal, _gains(found) + (1.0,) * len(filled), tuple(notes))
    notes.append(_apart_note(found, count, channels))
    return Channels(found.live, _rows(audio, found.live), (1.0,) * len(found.live), tuple(notes))


def _rows(audio: Tensor, live: tuple[int, ...]) -> Tensor:
    """Some channels of a recording; where they are neighbours, without copying."""
    if live[-1] - live[0] == len(live) - 1:
        return audio[live[0]:live[-1] + 1]
    rows = torch.from_numpy(allocate(len(live), audio.shape[1]))
    for part in chunks(audio.shape[1], audio, rows):
        rows[:, part] = audio[list(live), part]
    return rows


def live_channels(audio: Tensor, sample_rate: float) -> tuple[tuple[int, ...], list[str]]:
    """The channels (by number from 0) of a recording (channels, samples) that hold music, and notes on the others."""
    found = relate(audio, sample_rate)
    return found.live, _dead_notes(found.dead, len(audio))


def _gains(found: Relations) -> tuple[float, ...]:
    """Linear gains of the live channels relative to the reference; what they are restored with, and given back."""
    return (1.0, *(10 ** (relation.gain_db / 20) if relation.one and abs(relation.gain_db) >= LEAST_GAIN_DB else 1.0
                   for relation in found.to_reference))


def _weights(found: Relations) -> list[float]:
    """What each live channel contributes to the sum: the less, the noisier it is."""
    if not found.one:
        return [1 / len(found.live)] * len(found.live)
    reference = sum(relation.reference_noise for relation in found.to_reference) / len(found.to_reference)
    noise = [max(power, LEAST_NOISE) for power in (reference, *(relation.noise for relation in found.to_reference))]
    total = sum(1 / power for power in noise)
    weights = [1 / power / total for power in noise]
    low, high = (2 / len(weights) * limit for limit in SAME_NOISE)
    return [1 / len(weights)] * len(weights) if all(low <= weight <= high for weight in weights) else weights


def _delayed(relation: Relation) -> bool:
    return relation.alike and abs(relation.delay) >= LEAST_DELAY


def _sum(audio: Tensor, found: Relations) -> Tensor:
    """The live channels as one, (1, samples): aligned, in polarity, at the reference's level; weighted by noise."""
    relations, gains, weights = (Relation(one=True), *found.to_reference), _gains(found), _weights(found)
    factors = [weight / gain * (-1 if relation.alike and relation.inverted else 1)
               for relation, gain, weight in zip(relations, gains, weights)]
    mixed = torch.from_numpy(allocate(1, audio.shape[1]))
    if len(set(factors)) == 1 and not any(map(_delayed, relations)):
        for part in chunks(audio.shape[1], audio, mixed):
            mixed[:, part] = audio[list(found.live), part].mean(dim=0)
        return mixed
    mixed.zero_()
    for channel, relation, factor in zip(found.live, relations, factors):
        row = audio[channel:channel + 1]
        aligned = advanced(row, relation.delay) if _delayed(relation) else row
        for part in chunks(audio.shape[1], aligned, mixed):
            mixed[:, part] += aligned[:, part] * factor
    return mixed


def advanced(x: Tensor, samples: float) -> Tensor:
    """Audio (rows, n) moved to an earlier time by a number of samples, whole or not; zeros follow. Same shape."""
    whole, length, result = math.floor(samples), x.shape[1], allocate_like(x)
    at = torch.arange(-TAPS, TAPS + 1, dtype=torch.float64) - (samples - whole)
    taps = torch.sinc(at) * torch.special.i0(9 * (1 - (at / (TAPS + 1)) ** 2).clamp(min=0).sqrt()) / torch.special.i0(
        torch.tensor(9.0, dtype=torch.float64))
    taps = (taps / taps.sum()).to(x)[None, None]
    for part in chunks(length, x, result):
        start, stop = part.start + whole - TAPS, part.stop + whole + TAPS
        piece = x[:, max(start, 0):max(stop, 0)]
        before = min(max(-start, 0), stop - start)
        piece = F.pad(piece, (before, stop - start - before - piece.shape[1]))
        result[:, part] = F.conv1d(piece[:, None], taps)[:, 0]
    return result


# ----------------------------------------------------------------------------------------------------- what is said

def _name(channel: int, count: int) -> str:
    return f"the {('left', 'right')[channel]} channel" if count == 2 else f"channel {channel + 1}"


def _capital(words: str) -> str:
    return words[0].upper() + words[1:]


def _dead_notes(dead: tuple[int, ...], count: int, filled: bool = False) -> list[str]:
    """Says which channels hold no music, and what becomes of them.

    filled: whether they get what is restored of the others; if not, they stay as they are.
    """
    if not dead:
        return []
    one = len(dead) == 1
    who = _name(dead[0], count) if one else "channels " + listed([str(channel + 1) for channel in dead])
    fate = "stays as it was" if one else "stay as they were"
    if filled:
        fate = f"get{'s' * one} what was restored from the rest"
    return [f"{_capital(who)} hold{'s' * one} no music to restore and {fate}."]


def _music_channels(found: Relations, count: int) -> str:
    return f"The {len(found.live)} channels{' with music' if len(found.live) < count else ''}"


def _unshared_db(found: Relations) -> float:
    """How far what the live channels do not share lies below the music, in dB."""
    return -10 * math.log10(max(relation.unshared for relation in found.to_reference))


def _sum_note(found: Relations, count: int, sample_rate: float) -> str:
    """Says what was measured of channels that are summed, and what was done."""
    which, weights, below_db = _music_channels(found, count), _weights(found), _unshared_db(found)
    names = [_name(channel, count) for channel in found.live]
    differences = [said for name, relation in zip(names[1:], found.to_reference)
                   if (said := _difference(name, relation, sample_rate))]
    mean = "heir mean was restored"
    if len(set(weights)) > 1:
        mean += f", weighted by their noise ({listed([f'{w:.0%} {name}' for w, name in zip(weights, names)])})"
    if not found.one:
        return " ".join([f"{which} hold different music, but were summed.", *differences, f"T{mean}."])
    if below_db > ALL_SHARED_DB and not differences:
        return f"{which} hold the same signal; t{mean}."
    below = f"more than {ALL_SHARED_DB:.0f}" if below_db > ALL_SHARED_DB else f"{below_db:.0f}"
    return " ".join([f"{which} hold one groove: the music they do not share lies {below} dB below the music they "
                     "do.", *differences, f"T{mean}; the setting channels = linked keeps them apart."])


def _difference(name: str, relation: Relation, sample_rate: float) -> str:
    """How a channel differs from the reference in what is undone, or kept, as a sentence; empty: in nothing."""
    undone, said = [], []
    if _delayed(relation):
        undone.append(f"{abs(relation.delay):.1f} samples ({abs(relation.delay) / sample_rate * 1000:.2f} ms) "
                      f"{'late' if relation.delay > 0 else 'early'}")
    if relation.alike and relation.inverted:
        undone.append("of inverted polarity")
    if undone:
        said.append(f"{listed(undone)}, which was undone")
    if relation.one and abs(relation.gain_db) >= LEAST_GAIN_DB:
        louder = "louder" if relation.gain_db > 0 else "quieter"
        said.append(f"{abs(relation.gain_db):.1f} dB {louder}, which was kept")
    return f"{_capital(name)} is {', and '.join(said)}." if said else ""


def _apart_note(found: Relations, count: int, channels: str) -> str:
    """Says that channels were restored one by one, and where it was close, why."""
    if len(found.live) == 1:
        return f"{_capital(_name(found.live[0], count))} was restored."
    said = f"{_music_channels(found, count)} were restored separately, with one common filter."
    below_db = _unshared_db(found)
    if channels == "auto" and CLOSE_DB < below_db < TOO_MUCH_DB:
        said += (f" The music they do not share lies {below_db:.0f} dB below the music they do, too much for one "
                 "groove; the setting channels = mono sums them.")
    return said
