"""How the channels of a recording are related: dead ones, delays, polarity, balance, and what they do not share.

All of it is measured above rumble and offsets, band by band and in sections, so that memory does not grow with the
length. The limits were set on 78 rpm discs, on true stereo, and on constructed pairs of both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .mapped import chunks

SECTION_S, FRAME_S = 10.0, 0.093
LOWEST_HZ, HIGHEST_HZ = 100.0, 10000.0  # rumble lies below
BANDS_PER_OCTAVE = 3
LEVEL_HZ, LOW_HZ = 150.0, 400.0  # where a channel's level is measured from; what one for low effects stays below
MOST_DELAY_S = 0.005
LAGS_PER_SAMPLE = 8
SPILL = 1e-7  # of the strongest frequency: what is fainter may have spilled from there
AS_GOOD = 0.95  # of the best lag: of several such, as a tone has them, the shortest is taken
SILENT_DB, STEADY_DB = -60.0, -20.0  # relative to the loudest channel: nothing there is music; nothing steady is
NOTHING_HIGH = 1e-3  # of the power below LOW_HZ, and of the loudest channel's above
STEADY = 0.3  # share by which the level of noise seems to rise and fall
FRAMES = 3  # of a segment's even frames, and of its odd ones
FEWEST_SEGMENTS = 4
HEARD = 10 ** -2.5  # of the strongest band, in power: fainter ones are not asked
UNSHARED = 0.005  # of the music's power (-23 dB), at which two channels no longer hold one signal
NOISIEST = 0.25  # share of all power that may be noise of either channel
MOST_UNLIKE = 0.1  # of the sections that may differ by more: a damaged stretch
MOST_GAIN_DB, MOST_PHASE = 3.0, 0.5  # mean difference between the bands, beyond which no sum is right for all
LEAST_NOISE = 1e-4  # in power: what is fainter makes no channel better than another


@dataclass(frozen=True)
class Relation:
    """How a channel is related to the reference channel.

    delay: samples by which it is late · inverted: its polarity · gain_db: its level relative to the reference's ·
    unshared: power of the music in it that the reference does not explain, relative to all music in it; steady or
    crackling noise does not count · noise, reference_noise: power of what only this channel, or only the reference,
    has, relative to the music · certain: the share of the frequencies that agree on the delay, 0 to 1 · one: whether
    both hold one signal, as two walls of a mono groove do.
    """

    delay: float = 0.0
    inverted: bool = False
    gain_db: float = 0.0
    unshared: float = 1.0
    noise: float = 1.0
    reference_noise: float = 1.0
    certain: float = 0.0
    one: bool = False

    @property
    def alike(self) -> bool:
        """Whether delay and polarity can be relied on, even if the channels do not hold one signal."""
        return self.one or (self.certain > 0.5 and self.noise < 0.5)


@dataclass(frozen=True)
class Relations:
    """live: channels with music, by number from 0; the first is the reference · levels_db: of all channels, relative
    to the loudest · to_reference: of each live channel but the reference.
    """

    live: tuple[int, ...]
    levels_db: tuple[float, ...]
    to_reference: tuple[Relation, ...]

    @property
    def dead(self) -> tuple[int, ...]:
        """The channels without music."""
        return tuple(channel for channel in range(len(self.levels_db)) if channel not in self.live)

    @property
    def one(self) -> bool:
        """Whether all live channels hold one signal."""
        return all(relation.one for relation in self.to_reference)


def relate(audio: Tensor, sample_rate: float) -> Relations:
    """Measures how the channels of a recording (channels, samples) are related."""
    frame = 1 << max(8, round(math.log2(FRAME_S * sample_rate)))
    bands = _bands(frame, sample_rate)
    live, levels_db, cross, frames = _levels(audio, sample_rate, frame, bands)
    first, *others = live
    relations = []
    for other in others:
        delay, inverted, certain = _delay(cross[[first, other]][:, [first, other]], frames, frame, sample_rate)
        relations.append(_relation(audio[[first, other]], sample_rate, frame, bands, delay, inverted, certain))
    return Relations(tuple(live), tuple(levels_db), tuple(relations))


def _bands(frame: int, sample_rate: float) -> Tensor:
    """Which bins make up which band of a third of an octave: (bands, bins), 1 or 0."""
    hz = torch.arange(frame // 2 + 1) * sample_rate / frame
    highest_hz = min(0.45 * sample_rate, HIGHEST_HZ)
    count = max(1, int(BANDS_PER_OCTAVE * math.log2(highest_hz / LOWEST_HZ)))
    edges = LOWEST_HZ * 2 ** (torch.arange(count + 1) / BANDS_PER_OCTAVE)
    return ((hz >= edges[:-1, None]) & (hz < edges[1:, None])).float()


def _sections(audio: Tensor, sample_rate: float, frame: int, shift: int = 0) -> Iterator[Tensor]:
    """Spectra (channels, bins, frames) of one section after the other. A click is hardly ever in two frames.

    shift: samples by which all channels but the first are taken later.
    """
    samples = audio.shape[-1]
    length = -(-samples // max(1, round(samples / (SECTION_S * sample_rate))))
    window = torch.hann_window(frame)
    for part in chunks(samples, audio, length=length):
        piece = audio[:, part]
        if shift:
            start, stop = part.start + shift, part.stop + shift
            late = audio[1:, max(start, 0):max(stop, 0)]
            before = min(max(-start, 0), piece.shape[1])
            late = F.pad(late, (before, piece.shape[1] - before - late.shape[1]))
            piece = torch.cat([piece[:1], late])
        if piece.shape[1] < frame:
            piece = F.pad(piece, (0, frame - piece.shape[1]))
        yield torch.stft(piece, frame, frame * 3 // 4, window=window, center=False, return_complex=True)


def _levels(audio: Tensor, sample_rate: float, frame: int,
            bands: Tensor) -> tuple[list[int], list[float], Tensor, int]:
    """Which channels hold music, the levels of all in dB, their cross spectra (channels, channels, bins), and how many
    frames these are summed over.

    No music is: silence or next to it, noise or hum far below the music and as steady as noise is, nothing but lows.
    """
    cross = torch.zeros(len(audio), len(audio), frame // 2 + 1, dtype=torch.complex128)
    rise, frames = torch.zeros(len(audio), len(bands), dtype=torch.float64), 0
    for spectra in _sections(audio, sample_rate, frame):
        cross += torch.einsum("cft,dft->cdf", spectra.conj(), spectra)
        frames += spectra.shape[-1]
        segments = _segments(bands @ spectra.abs().square()).mean(-2)
        if segments.shape[-2] >= FEWEST_SEGMENTS:
            loud, quiet = _loud_and_quiet(segments, segments)
            rise += (loud - quiet) * spectra.shape[-1]
    powers = torch.diagonal(cross.real).T  # (channels, bins)
    hz = torch.arange(frame // 2 + 1) * sample_rate / frame
    music = powers[:, (hz >= LEVEL_HZ) & (hz < HIGHEST_HZ)].sum(1)
    low, high = powers[:, (hz >= 15) & (hz < LOW_HZ)].sum(1), powers[:, (hz >= LOW_HZ) & (hz < HIGHEST_HZ)].sum(1)
    levels_db = 10 * (music.clamp(min=1e-30) / music.max().clamp(min=1e-30)).log10()
    steady = rise.sum(1) < STEADY * (powers @ bands.double().T).sum(1)
    dead = (levels_db < SILENT_DB) | (steady & (levels_db < STEADY_DB))
    dead |= (high < NOTHING_HIGH * low) & (high < NOTHING_HIGH * high.max())
    live = (~dead).nonzero()[:, 0].tolist() or list(range(len(audio)))
    return live, levels_db.tolist(), cross, frames


def _segments(table: Tensor) -> Tensor:
    """(..., frames) -> (..., segments, frames, 2): the even and the odd frames of each segment.

    Noise in odd frames does not depend on that in the even ones, but music goes on.
    """
    count = table.shape[-1] // (2 * FRAMES)
    return table[..., :count * 2 * FRAMES].unflatten(-1, (count, FRAMES, 2)).double()


def _loud_and_quiet(table: Tensor, by: Tensor) -> tuple[Tensor, Tensor]:
    """Means of a table (..., bands, segments, 2) where `by`, of the same shape, is large, and where it is small: (...,
    bands).

    What even frames tell chooses among the odd ones and the reverse: steady noise is as strong in both means, whatever
    chance did to it.
    """
    order, count = by.argsort(-2), by.shape[-2]
    chosen = table.flip(-1)

    def mean(part: Tensor) -> Tensor:
        return chosen.gather(-2, part.expand(*table.shape[:-2], *part.shape[-2:])).mean((-1, -2))
    return mean(order[..., count // 2:, :]), mean(order[..., :max(1, count // 4), :])


def _delay(cross: Tensor, frames: int, frame: int, sample_rate: float) -> tuple[float, bool, float]:
    """Delay in samples of the second channel, whether it is inverted, and the share of frequencies that agree.

    By the cross-correlation of what is coherent: each frequency counts by its coherence, not by its power.

    Args:
        cross: cross spectra (2, 2, bins), summed over `frames` frames of `frame` samples.
    """
    hz, omega = torch.arange(frame // 2 + 1) * sample_rate / frame, 2 * math.pi * torch.arange(frame // 2 + 1) / frame
    both = cross[0, 1]
    coherence = both.abs().square() / (cross[0, 0].real * cross[1, 1].real).clamp(min=1e-30)
    chance = min(1.1 / frames, 0.99)  # of what is not coherent at all
    coherence = ((coherence - chance) / (1 - chance)).clamp(0, 1) * (both.abs() > SPILL * both.abs().max())
    coherence[(hz < LOWEST_HZ) | (hz > min(0.45 * sample_rate, HIGHEST_HZ))] = 0
    if not float(coherence.sum()):
        return 0.0, False, 0.0
    phases = coherence * both / both.abs().clamp(min=1e-30)
    size = frame * LAGS_PER_SAMPLE
    correlation = torch.fft.irfft(phases, n=size) * (size / 2 / coherence.sum())
    most = int(MOST_DELAY_S * sample_rate * LAGS_PER_SAMPLE)
    lags = torch.arange(-most - 1, most + 2)
    values = correlation[lags]
    size_of = values.abs()
    tops = (size_of[1:-1] >= size_of[:-2]) & (size_of[1:-1] >= size_of[2:]) & (size_of[1:-1] >= AS_GOOD * size_of.max())
    if not tops.any():  # the best lies beyond
        return 0.0, False, 0.0
    found = lags[1:-1][tops]
    best = int(found[found.abs().argmin()])
    inverted, delay = bool(correlation[best] < 0), best / LAGS_PER_SAMPLE
    turned = phases * torch.exp(1j * omega * delay) * (-1 if inverted else 1)
    rest = -(turned.imag * omega).sum() / (coherence * omega ** 2).sum()  # the slope that is left in the phases
    limit = 1 / LAGS_PER_SAMPLE
    return delay + min(max(float(rest), -limit), limit), inverted, float(correlation[best].abs())


@dataclass(frozen=True)
class _Evidence:
    """Sums over `segments` of what two channels share and do not, in power: (bands,) each.

    first, second, real, imaginary: powers of the music, and its cross spectrum. Only what rises and falls together is
    music, where anything does · unshared: how far that part of the second channel rises and falls of which the first
    says nothing; `variance`: of that sum · noise: all that only the first has, and only the second, (2, bands).
    """

    segments: int
    first: Tensor
    second: Tensor
    real: Tensor
    imaginary: Tensor
    unshared: Tensor
    variance: Tensor
    noise: Tensor

    @classmethod
    def of(cls, frames: Tensor) -> "_Evidence":
        """frames: (4, bands, segments, frames, 2): powers of both channels, real and imaginary part of the cross
        spectrum.
        """
        table = frames.mean(-2)
        (loud, quiet), count = _loud_and_quiet(table, table[2:].square().sum(0)), table.shape[2]
        music = loud - quiet
        steady = (music[:2] < 0.2 * loud[:2]).any(0)
        first, second, real, imaginary = torch.where(steady, loud, music)
        response = torch.complex(real, imaginary) / first.clamp(min=1e-30)
        a, b = response.real[:, None, None, None], response.imag[:, None, None, None]
        # What the first does not explain in each frame; of several frames the median, which no single click moves.
        rest = (frames[1] + (a ** 2 + b ** 2) * frames[0] - 2 * (a * frames[2] + b * frames[3])).median(-2).values
        more, less = _loud_and_quiet(rest, rest)
        mean = table.mean((-1, -2))
        gain = (second / first.clamp(min=1e-30)).sqrt().clamp(min=1e-15)  # the same for both, unlike the response
        common = torch.hypot(mean[2], mean[3])
        noise = torch.stack([mean[0] - common / gain, mean[1] - common * gain])
        return cls(count, *(count * part for part in (first, second, real, imaginary, more - less,
                                                      rest.mean(-1).var(-1), noise.clamp(min=0))))

    @classmethod
    def sum(cls, parts: "list[_Evidence]") -> "_Evidence":
        return cls(*(sum(values[1:], values[0]) for values in zip(*(vars(part).values() for part in parts))))

    def weights(self, strongest: float) -> Tensor:
        """How much each band counts: by the amplitude of its music, if that is heard.

        strongest: power of the music in the recording's strongest band, of a segment.
        """
        music = torch.hypot(self.real, self.imaginary)
        return music.sqrt() * (music > HEARD * strongest * self.segments)

    def share(self, weights: Tensor) -> tuple[float, float]:
        """The mean of the part that is not shared, relative to the music, and its standard deviation."""
        error = (weights * self.variance.sqrt() / self.second).nan_to_num().square().sum().sqrt()
        return _mean(self.unshared / self.second, weights), float(error / weights.sum().clamp(min=1e-30))


def _mean(values: Tensor, weights: Tensor) -> float:
    return float((weights * values.nan_to_num()).sum() / weights.sum().clamp(min=1e-30))


def _relation(pair: Tensor, sample_rate: float, frame: int, bands: Tensor, delay: float, inverted: bool,
              certain: float) -> Relation:
    """How the second of two channels (2, samples) is related to the first, once delay and polarity are taken out."""
    whole, omega = round(delay), 2 * math.pi * torch.arange(frame // 2 + 1) / frame
    turn = torch.exp(1j * omega * (delay - whole))[:, None] * (-1 if inverted else 1)
    sections = []
    for first, second in _sections(pair, sample_rate, frame, whole):
        cross = first.conj() * second * turn
        parts = first.abs().square(), second.abs().square(), cross.real, cross.imag
        table = _segments(torch.stack([bands @ part for part in parts]))
        if table.shape[2] >= FEWEST_SEGMENTS:
            sections.append(_Evidence.of(table))
    if not sections:
        return _of_few_samples(pair)
    total = _Evidence.sum(sections)
    strongest = float(torch.hypot(total.real, total.imaginary).max()) / total.segments
    weights = total.weights(strongest)
    share, error = total.share(weights)
    unlike = [part - doubt > UNSHARED for part, doubt in
              (section.share(section.weights(strongest)) for section in sections)]
    gains_db = 10 * (total.second / total.first).log10()
    gain_db = _mean(gains_db, weights)
    phase = _mean(torch.atan2(total.imaginary, total.real).abs(), weights)
    reference_noise, noise = (_mean(own / of, weights) for own, of in zip(total.noise, (total.first, total.second)))
    one = (share + error < UNSHARED and sum(unlike) <= MOST_UNLIKE * len(unlike)
           and max(noise, reference_noise) < NOISIEST
           and _mean((gains_db - gain_db).abs(), weights) < MOST_GAIN_DB and phase < MOST_PHASE)
    return Relation(delay, inverted, gain_db, max(share, 1e-9), noise, reference_noise, certain, one)


def _of_few_samples(pair: Tensor) -> Relation:
    """The relation of two channels (2, samples) that are too short to tell noise from music: sample by sample."""
    first, second = (pair - pair.mean(1, keepdim=True)).double()
    powers, both = first.square().sum() * second.square().sum(), float(first @ second)
    unshared = 1 - both ** 2 / float(powers) if powers else 0.0
    gain_db = 10 * math.log10(max(float(second.square().sum()), 1e-30) / max(float(first.square().sum()), 1e-30))
    return Relation(0.0, both < 0, gain_db, max(unshared, 1e-9), unshared, unshared, 0.0, unshared < UNSHARED)
