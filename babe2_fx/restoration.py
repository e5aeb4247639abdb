"""Restores whole recordings: levels, blocks, LTAS-EQ, sampling, and back to the rate and length that came in."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Generator
from dataclasses import astuple, dataclass, field, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from .audio.mapped import all_finite, allocate, allocate_like, chunks, release
from .audio.resampling import resample
from .blocks import END_S, Blocks, fade_ends
from .equalizer import BreakpointEQ, FilterFit, GlobalFit
from .operators import BlindEqualizer, FixedFilter, WithOverlap
from .priors import Prior, PriorError
from .running import finish, relay
from .sampling import Completion, sample_posterior
from .settings import Settings
from .spectra import (
    Medium,
    TargetProfile,
    filter_frequencies,
    ltas,
    ltas_fft_size,
    resample_spectrum,
    smooth_octave,
    zero_phase,
)

SILENCE = 1e-7  # -140 dBFS: nothing that a recording holds
SILENT_SHARE = 1e-4  # a block 80 dB under the loudest is a pause, and nothing is made of it
DUAL_MONO_DB = -10.0  # side below mid: two channels of one groove
UNHEARD = 1e6  # variance of the noise where no music is heard: nothing is taken from there
LOW_HZ = 1000.0  # what may be missing below is a matter of the music played
OTHER_SPREAD_DB = 4.0  # by which recordings differ that were made with other instruments than the prior's
BATCH = 4  # blocks sampled at once in time-invariant processing; bounds memory
MAX_EQ_HZ_POINTS = 400


@dataclass(frozen=True)
class Progress:
    """Where a run is: block and step (from 1), their totals, noise level, the current EQ, the share done (0 to 1).

    denoised: the current estimate, (batch, samples), in the prior's domain · removed: the response that LTAS-EQ has
    undone before, linear magnitude (2049,) at `filter_frequencies`; with the EQ it is the whole learned response.
    """

    block: int
    blocks: int
    step: int
    steps: int
    sigma: float
    equalizer: BreakpointEQ | None
    share_done: float
    denoised: Tensor | None = field(default=None, repr=False, compare=False)
    removed: Tensor | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class RestorationResult:
    """A restored recording and what was learned of it.

    audio: (channels, samples) float32, at the input's rate and length · equalizer: the breakpoint EQ, or None ·
    frequencies_hz, response_db: the whole learned response of the degradation, LTAS-EQ included, 0 dB at the
    reference · ltas_hz with input_, restored_, reference_ltas_db: third-octave spectra, aligned between 300 Hz and
    3 kHz · notes: what was decided about this recording, as sentences · parts: where each channel was restored as a
    recording of its own, their results; what else is here is then the first channel's, but for the audio.
    """

    audio: np.ndarray
    sample_rate: float
    equalizer: BreakpointEQ | None
    frequencies_hz: np.ndarray
    response_db: np.ndarray
    reference_hz: float
    ltas_hz: np.ndarray
    input_ltas_db: np.ndarray
    restored_ltas_db: np.ndarray
    reference_ltas_db: np.ndarray
    settings: Settings
    notes: tuple[str, ...]
    parts: tuple["RestorationResult", ...] = ()

    def eq_export(self) -> dict:
        """The learned EQ as plain values for JSON."""
        eq = self.equalizer
        return {"freqs_hz": [round(float(f), 3) for f in self.frequencies_hz],
                "response_db": [round(float(v), 3) for v in self.response_db],
                "breakpoints_hz": list(eq.breakpoints_hz) if eq else None,
                "slopes_db_per_octave": list(eq.slopes_db_per_octave) if eq else None,
                "reference_hz": self.reference_hz}

    def eq_json(self) -> str:
        return json.dumps(self.eq_export(), indent=1)


class Journal(Protocol):
    """Keeps the finished blocks of a run, so that one that was cut off can go on after them with the same result."""

    def read(self, name: str) -> dict[str, Tensor] | None:
        """What was written under this name, or None."""

    def write(self, name: str, tensors: dict[str, Tensor]) -> None:
        """Keeps tensors under a name, whole or not at all. What it cannot keep it lets go without an error."""


class Restorer:
    """Restores recordings with one prior and one set of settings.

    Args:
        prior: from `load_prior`; one prior may serve many restorers and threads.
        settings: all hyper-parameters.
        target: the spectrum to use in the place of the prior's own as reference of the LTAS steps.
        journal: where finished blocks are kept and looked for; None: nowhere.
    """

    def __init__(self, prior: Prior, settings: Settings = Settings(), target: TargetProfile | None = None,
                 journal: Journal | None = None):
        self.prior, self.settings, self.target, self.journal = prior, settings, target, journal

    def run(self, audio: np.ndarray, sample_rate: float,
            passage: tuple[int, int] | None = None) -> Generator[Progress, None, RestorationResult]:
        """Restores `audio` (channels, samples), ±1, at `sample_rate` Hz, step by step.

        With a `passage`, first and last sample (not included), only that is restored and comes back, but the noise and
        the long-term spectrum are those of the whole: a preview of what the whole would become.

        Yields `Progress`; returns, as the generator's value, a `RestorationResult`. Closing the generator cancels.

        Raises:
            ValueError: audio that is empty, not two-dimensional or not finite; a passage that is not in it.
        """
        audio = np.asarray(audio, dtype=np.float32)
        if audio.ndim != 2 or audio.size == 0:
            raise ValueError(f"The audio must have the shape (channels, samples), not {audio.shape}, and some of both.")
        if not all_finite(audio):
            raise ValueError("The audio has samples that are not finite numbers.")
        begin, end = passage or (0, audio.shape[1])
        if not 0 <= begin < end <= audio.shape[1]:
            raise ValueError(f"The passage from sample {begin} to {end} is not in a recording of {audio.shape[1]}.")
        passage = slice(begin, end)
        if self.settings.channels == "independent" and len(audio) > 1:
            return self._run_each(audio, sample_rate, passage)
        return self._run(audio, sample_rate, passage)

    def restore(self, audio: np.ndarray, sample_rate: float) -> RestorationResult:
        """`run` to its end."""
        return finish(self.run(audio, sample_rate))

    def _run_each(self, audio: np.ndarray, sample_rate: float,
                  passage: slice) -> Generator[Progress, None, RestorationResult]:
        """Every channel as a recording of its own."""
        results, count = [], len(audio)
        for number, channel in enumerate(audio):
            def of_all(now: Progress, done: int = number) -> Progress:
                return replace(now, block=now.block + done * now.blocks, blocks=now.blocks * count,
                               share_done=(done + now.share_done) / count)
            results.append((yield from relay(self._run(channel[None], sample_rate, passage), of_all)))
        whole = allocate(count, results[0].audio.shape[1])
        for row, result in zip(whole, results):
            row[:] = result.audio[0]
        return replace(results[0], audio=whole, parts=tuple(results))

    def _run(self, audio: np.ndarray, sample_rate: float,
             passage: slice) -> Generator[Progress, None, RestorationResult]:
        prior, settings, notes = self.prior, self.settings, []
        signal, spread = _channels_to_restore(torch.from_numpy(audio), settings.channels, notes)
        if sample_rate != prior.sample_rate:
            kept = settings.high_band == "keep" and sample_rate > prior.sample_rate
            notes.append(f"Worked at {prior.sample_rate} Hz (the recording has {sample_rate:g} Hz); "
                         f"{'what lies' if kept else 'nothing is made'} above {prior.sample_rate / 2:g} Hz"
                         f"{' stays as it was' if kept else ''}.")
        reference = self._reference_ltas()
        whole, ends = self._flat(signal, sample_rate)
        if float(torch.linalg.vector_norm(whole, torch.inf)) < SILENCE:
            notes.append("The recording is silent and stays so.")
            audio = audio[:, passage]
            return self._result(audio, audio, sample_rate, None, None, reference, notes)
        run_name = self._fingerprint(audio, sample_rate, passage) if self.journal else ""
        gain = prior.level / _median_block_level(whole, prior.block_length)
        flat = whole.mul_(gain)
        medium = Medium.of(flat, reference, prior.sample_rate, prior.lowest_hz,
                           settings.recording_noise == "measured", self._margin_db())
        if passage != slice(0, audio.shape[1]):
            audio, signal = audio[:, passage], signal[:, passage]
            flat, ends = self._flat(signal, sample_rate)
            flat.mul_(gain)
        release(flat)
        if not medium.heard.all():
            hz = filter_frequencies(prior.sample_rate)[medium.heard]
            notes.append(f"Music stands out of the recording's noise from {float(hz.min()):.0f} to "
                         f"{float(hz.max()):.0f} Hz.")
        equalizing = 10 ** (medium.response_db.clamp(min=settings.ltas_floor_db) / 20)
        initial, lift = flat, torch.ones_like(equalizing)
        if settings.ltas != "off":
            initial = zero_phase(flat, -20 * equalizing.log10())
            scale = flat.std() / initial.std().clamp(min=1e-12)
            initial, lift = initial.mul_(scale), scale / equalizing
        equalizer = None
        if settings.ltas == "only":
            restored, response = initial, equalizing
        else:
            observation = initial if settings.ltas == "objective" else flat
            removed = equalizing if settings.ltas == "objective" else torch.ones_like(equalizing)
            noise = medium.noise * lift ** 2 if settings.ltas == "objective" else medium.noise
            noise = noise + prior.level ** 2 * 10 ** (settings.observation_noise_db / 10)
            completion = self._completion(reference, noise)
            noise[~medium.heard] = UNHEARD  # what is made there is the prior's alone
            fitter = self._fitter(medium, removed)
            run = self._sample(observation, initial, _Modelled(fitter, noise, completion), run_name)
            restored = yield from relay(run, lambda now: replace(now, removed=removed))
            if settings.low_band == "keep":
                restored.add_(self._below(flat))
            equalizer = fitter.equalizer if fitter else None
            response = removed
        del flat, initial
        restored = restored.div_(gain)
        if prior.emphasis:
            restored = prior.emphasis.undo(restored)
        fade_ends(restored, prior.sample_rate, END_S / 10)  # where hardly a window of the filters reaches
        for part, taken in ends:
            restored[:, part] += taken
        restored = resample(restored, prior.sample_rate, sample_rate)[..., :audio.shape[-1]]
        if settings.high_band == "keep" and sample_rate > prior.sample_rate:
            lower = resample(resample(signal, sample_rate, prior.sample_rate), prior.sample_rate, sample_rate)
            for part in chunks(audio.shape[-1], restored, signal, lower):
                restored[:, part] += signal[:, part] - lower[:, part]
        return self._result(audio, spread(restored).numpy(), sample_rate, equalizer, response, reference, notes)

    # ------------------------------------------------------------------------------------------------- pieces

    def _flat(self, signal: Tensor, sample_rate: float) -> tuple[Tensor, list[tuple[slice, Tensor]]]:
        """A recording (channels, samples) at the prior's rate, in the prior's domain, without an offset.

        Its ends are faded: one that is cut out of music begins with a step, of which a restoration would make a click.
        What was taken away there comes back too, with its places, but as it was in the recording.
        """
        resampled = resample(signal, sample_rate, self.prior.sample_rate)
        offset, working = resampled.mean(dim=-1, keepdim=True), allocate_like(resampled)
        torch.sub(resampled, offset, out=working)
        ends = fade_ends(working, self.prior.sample_rate)
        return (self.prior.emphasis.apply(working) if self.prior.emphasis else working), ends

    def _reference_ltas(self) -> Tensor:
        """The reference of the LTAS steps: power spectrum of a signal of unit variance in the prior's domain."""
        prior = self.prior
        if self.target is None:
            if prior.ltas is None:
                raise PriorError("This prior does not say what spectrum its training music has. Give a target to "
                                 "restore with it.")
            power = prior.ltas.double()
            # Stored spectra may be of any level; a signal of unit variance under a Hann window has a mean of 3/4.
            return power / power.mean() * 0.75
        bins = ltas_fft_size(prior.sample_rate) // 2 + 1
        power = self.target.to_ltas(prior.sample_rate, bins)
        if prior.emphasis:
            power = power * _emphasis_power(prior, bins)
        return power / power.mean() * 0.75

    def _margin_db(self) -> Tensor | None:
        """How far from the reference music's own spectrum may be, in dB, (bins,); None: not at all."""
        margin = self.settings.ltas_margin
        if not margin or self.target is not None:  # a user who draws a target means it
            return None
        spread_db = self.prior.ltas_spread_db
        spread_db = torch.zeros(1025) if spread_db is None else spread_db
        return margin * (spread_db.double() ** 2 + OTHER_SPREAD_DB ** 2).sqrt()

    def _fitter(self, medium: Medium, removed: Tensor):
        """What fits the EQ. removed: the response that LTAS-EQ has undone already, linear (2049,)."""
        s, rate = self.settings, self.prior.sample_rate
        if s.filter_fit == "none":
            return None
        if s.filter_fit == "global":
            expected_db = torch.where(medium.heard, medium.response_db, medium.most_db) - 20 * removed.log10()
            # A recording without low notes looks as if it had lost them, so there no more is expected to be missing
            # than LTAS-EQ would give back. A band limit at the top is another matter: it is what is to be undone.
            low = filter_frequencies(rate) < LOW_HZ
            expected_db[low] = expected_db[low].clamp(min=0.0 if s.ltas == "objective" else s.ltas_floor_db)
            return GlobalFit(rate, self.prior.lowest_hz, expected_db.numpy(), medium.heard.numpy())
        return FilterFit(rate, s.filter_learning_rate, s.filter_iterations, s.collapse_weight, s.collapse_decay,
                         s.filter_fit, lowpass_only=s.filter_shape == "lowpass")

    def _completion(self, reference: Tensor, noise: Tensor) -> Completion | None:
        """What completes the estimates. noise: variance of the observation's at the filters' bins, (2049,)."""
        extends = self.settings.extension == "octave"
        if not extends and self.settings.recording_noise == "ignored":
            return None
        return Completion(self.prior, reference, noise, extends)

    def _fingerprint(self, audio: np.ndarray, sample_rate: float, passage: slice) -> str:
        """Tells runs apart in a journal: equal only for what gives an equal result on one machine."""
        what = (astuple(self.settings), self.target, self.prior.fingerprint, str(self.prior.device), torch.__version__,
                audio.shape, float(sample_rate), passage)
        digest = hashlib.sha256(repr(what).encode())
        for channel in audio:
            for part in chunks(len(channel), audio):
                digest.update(np.ascontiguousarray(channel[part]))
        return digest.hexdigest()[:32]

    def _sample(self, observation: Tensor, initial: Tensor, medium: _Modelled,
                run_name: str) -> Generator[Progress, None, Tensor]:
        """The whole recording (channels, samples), in the prior's domain, block by block.

        run_name: of this run in the journal.
        """
        cut = Blocks(observation.shape[-1], self.prior.block_length, self.settings.overlap)
        if self.settings.blocks == "time-invariant" and medium.fitter is not None and cut.count > 1:
            return (yield from self._time_invariant(observation, initial, medium, cut, run_name))
        return (yield from self._autoregressive(observation, initial, medium, cut, run_name))

    def _autoregressive(self, observation: Tensor, initial: Tensor, medium: _Modelled, cut,
                        run_name: str) -> Generator[Progress, None, Tensor]:
        """Block after block; each begins with the restored end of the one before (Eq. 20)."""
        done = cut.room(len(observation))
        for index in range(cut.count):
            observed, start = cut.take(observation, index), cut.take(initial, index)
            operator = medium.operator(self.prior.sample_rate)
            if index:
                # Not to its very end, where the block before knew nothing of what follows.
                known = max(cut.overlap - int(END_S * self.prior.sample_rate), 0)
                previous = cut.take(done, index)[..., :known]
                observed = torch.cat([previous, observed[..., known:]], dim=-1)
                start = torch.cat([previous, start[..., known:]], dim=-1)
                operator = WithOverlap(operator, known)
            block = yield from self._block(operator, observed, start, [index] * len(observed), medium,
                                           index, cut.count, run_name)
            cut.join(done, block, index)
        return done[..., :observation.shape[-1]]

    def _time_invariant(self, observation: Tensor, initial: Tensor, medium: _Modelled, cut,
                        run_name: str) -> Generator[Progress, None, Tensor]:
        """The filter from a batch of blocks in the middle, then every block with it, in batches."""
        count = min(self.settings.estimation_blocks, cut.count)
        first = (cut.count - count) // 2
        chosen = range(first, first + count)
        rounds = 1 + -(-cut.count // BATCH)
        stack = [torch.cat([cut.take(source, i) for i in chosen]) for source in (observation, initial)]
        rows = [i for i in chosen for _ in range(len(observation))]
        yield from self._block(medium.operator(self.prior.sample_rate), *stack, rows, medium, 0, rounds, run_name)
        known = FixedFilter(medium.operator(self.prior.sample_rate).response, medium.noise)
        done = cut.room(len(observation))
        for number, begin in enumerate(range(0, cut.count, BATCH), 1):
            batch = range(begin, min(begin + BATCH, cut.count))
            stack = [torch.cat([cut.take(source, i) for i in batch]) for source in (observation, initial)]
            rows = [i for i in batch for _ in range(len(observation))]
            blocks = yield from self._block(known, *stack, rows, medium, number, rounds, run_name)
            for index, block in zip(batch, blocks.split(len(observation))):
                cut.join(done, block, index)
        return done[..., :observation.shape[-1]]

    def _block(self, operator, observed: Tensor, start: Tensor, rows: list[int], medium: _Modelled, index: int,
               total: int, run_name: str) -> Generator[Progress, None, Tensor]:
        """One batch of blocks, (batch, block). `rows`: the number of each row's block, which seeds its noise."""
        prior, settings, fitter = self.prior, self.settings, medium.fitter
        if float(observed.std()) < SILENT_SHARE * prior.level:
            return prior.band_limit(observed.to(prior.device)).cpu()

        def progress(step: int, sigma: float, denoised: Tensor | None = None) -> Progress:
            return Progress(index + 1, total, step, settings.steps, sigma, fitter.equalizer if fitter else None,
                            (index + step / settings.steps) / total, denoised)

        name = f"{run_name}-{index:05}"
        kept = self.journal.read(name) if self.journal else None
        if kept is not None and kept["restored"].shape == observed.shape:
            if fitter:
                fitter.restore({key: value.numpy() for key, value in kept.items() if key != "restored"})
            yield progress(settings.steps, 0.0)
            return kept["restored"]
        generators = [torch.Generator().manual_seed(_seed(settings.seed, block, row)) for row, block in enumerate(rows)]
        run = sample_posterior(prior, operator, observed.to(prior.device), start.to(prior.device), settings, generators,
                               medium.completion)
        while True:
            try:
                step = next(run)
            except StopIteration as end:
                restored = end.value.cpu()
                break
            yield progress(step.step, step.sigma, step.denoised)
        if self.journal:
            state = {key: torch.from_numpy(value) for key, value in fitter.state().items()} if fitter else {}
            self.journal.write(name, state | {"restored": restored})
        return restored

    def _below(self, recording: Tensor) -> Tensor:
        """What lies below the prior's lowest octave, (channels, samples), as it is: LTAS-EQ would lift rumble."""
        cut = Blocks(recording.shape[-1], self.prior.block_length, self.settings.overlap)
        whole = cut.room(len(recording))
        for index in range(cut.count):
            block = cut.take(recording, index)
            cut.join(whole, block - self.prior.band_limit(block.to(self.prior.device)).cpu(), index)
        return whole[..., :recording.shape[-1]]

    def _result(self, audio: np.ndarray, restored: np.ndarray, sample_rate: float, equalizer: BreakpointEQ | None,
                response: Tensor | None, reference: Tensor, notes: list[str]) -> RestorationResult:
        prior = self.prior
        hz = np.geomspace(20, prior.sample_rate / 2, MAX_EQ_HZ_POINTS)
        level_db = np.zeros_like(hz)
        if response is not None:
            bins_hz = filter_frequencies(prior.sample_rate).numpy()
            level_db = np.interp(hz, bins_hz, 20 * np.log10(np.maximum(response.numpy(), 1e-6)))
        reference_hz = equalizer.reference_hz if equalizer else 1000.0
        if equalizer:
            level_db = level_db + equalizer.response_db(hz)
        level_db = np.maximum(level_db - np.interp(reference_hz, hz, level_db), -120.0)
        size = ltas_fft_size(prior.sample_rate)
        bins_hz = np.linspace(0, prior.sample_rate / 2, size // 2 + 1)
        power = [smooth_octave(ltas(resample(torch.from_numpy(x), sample_rate, prior.sample_rate), size,
                                    mirrored=False)) for x in (audio, restored)]
        plain = resample_spectrum(reference.double(), len(bins_hz))
        if prior.emphasis:
            plain = plain / _emphasis_power(prior, len(bins_hz))
        curves = [_aligned_db(p.numpy(), bins_hz) for p in (*power, smooth_octave(plain))]
        return RestorationResult(restored, sample_rate, equalizer, hz, level_db, float(reference_hz), bins_hz[1:],
                                 *curves, self.settings, tuple(notes))


@dataclass(frozen=True)
class _Modelled:
    """How the sampler sees the medium: what fits its EQ, or None; its noise's variance, (2049,); the `Completion`."""

    fitter: FilterFit | GlobalFit | None
    noise: Tensor
    completion: Completion | None

    def operator(self, sample_rate: float) -> BlindEqualizer | FixedFilter:
        if self.fitter is None:
            return FixedFilter(torch.ones_like(filter_frequencies(sample_rate)), self.noise)
        return BlindEqualizer(self.fitter, sample_rate, self.noise)


def _seed(seed: int, block: int, row: int) -> int:
    """One seed for each block and row, from the user's, so that noise does not depend on how work is batched."""
    return int(np.random.SeedSequence([seed, block, row]).generate_state(1, np.uint64)[0] >> 1)


def _emphasis_power(prior: Prior, bins: int) -> Tensor:
    gain_db = prior.emphasis.gain_db
    return 10 ** (torch.from_numpy(np.interp(np.linspace(0, 1, bins), np.linspace(0, 1, len(gain_db)),
                                             gain_db.numpy())) / 10)


def _aligned_db(power: np.ndarray, hz: np.ndarray) -> np.ndarray:
    level_db = 10 * np.log10(np.maximum(power, 1e-16))
    return (level_db - level_db[(hz >= 300) & (hz <= 3000)].mean())[1:]


def _median_block_level(x: Tensor, block_length: int) -> Tensor:
    """Median of the blocks' standard deviations over (channels, samples); silent blocks do not count."""
    blocks = x.split(block_length, dim=-1)
    if len(blocks) > 1 and blocks[-1].shape[-1] < block_length // 2:
        blocks = blocks[:-1]
    levels = torch.stack([block.std(unbiased=False) for block in blocks])
    return levels[levels >= SILENT_SHARE * levels.max()].median().clamp(min=SILENCE)


def _channels_to_restore(audio: Tensor, channels: str, notes: list[str]):
    """The signals to restore (rows, samples), and a function that turns them back into the input's channels.

    Two channels that hold one groove are summed, which also lowers the noise; true stereo shares one filter.
    """
    if len(audio) == 1:
        return audio, lambda x: x
    mid, side, power = torch.from_numpy(allocate(1, audio.shape[1])), 0.0, 0.0
    for part in chunks(audio.shape[1], audio, mid):
        mid[:, part] = audio[:, part].mean(dim=0)
        side += float((audio[:, part] - mid[:, part]).double().square().mean(dim=0).sum())
        power += float(mid[:, part].double().square().sum())
    count = audio.shape[1]
    alike = 10 * math.log10((side / count + 1e-20) / (power / count + 1e-20)) < DUAL_MONO_DB
    if channels == "mono" or (channels == "auto" and alike):
        notes.append(f"The {len(audio)} channels {'hold the same signal' if alike else 'were summed'}; what was "
                     "restored is their mean.")
        return mid, lambda x: _repeated(x, len(audio))
    notes.append(f"The {len(audio)} channels were restored each, with one common filter.")
    return audio, lambda x: x


def _repeated(x: Tensor, channels: int) -> Tensor:
    """One channel (1, samples) as several."""
    several = torch.from_numpy(allocate(channels, x.shape[1]))
    for part in chunks(x.shape[1], x, several):
        several[:, part] = x[:, part]
    return several
