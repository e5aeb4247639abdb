"""Restores whole recordings: into the prior's domain, LTAS-EQ, sampling block by block, and back."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ..audio.mapped import all_finite, allocate, allocate_like, chunks, plain_audio, release
from ..beyond import BandFit, Completion, DirectGuidance, LocalLevels, Medium
from ..beyond.fullness import FEWEST_OCTAVES, octaves_filled
from ..equalizer import FilterFit
from ..operators import (
    OPERATORS,
    BlindEQ,
    Fitter,
    FixedFilter,
    Measurement,
    Operator,
    OperatorError,
    as_operators,
)
from ..priors import Prior, PriorError
from ..progress import Run
from ..sampling import GradientGuidance, Guidance, draw_noise, solve
from ..settings import Adam, Bands, Direct, Gradient, Known, Settings
from ..spectra import FILTER_BINS, TargetProfile, filter_frequencies, ltas, ltas_fft_size
from .blocks import Blocks, fade_ends
from .bounds import bounded
from .channels import channels_to_restore, live_channels
from .domain import SILENCE, SILENT_SHARE, Domain
from .journal import Journal, fingerprint
from .long_term import Equalized, reference_power
from .result import Progress, RestorationResult
from .schedule import Batch, Task, sample_recording

KEPT_BY_RESAMPLERS = 0.95  # share of Nyquist; above it little of a recording of a lower rate is left
LEAST_BELOW = 1e-4  # of the recording's power that must lie in the prior's band; next to that it is noise
UNHEARD = 1e6  # variance of the noise where no music is heard: nothing is taken from there
Guide = Callable[[Operator, Tensor, Callable[[Tensor], Tensor]], Guidance]


class Restorer:
    """Restores recordings with one prior and one set of settings.

    Args:
        prior: from `load_prior`; one prior may serve many restorers and threads.
        settings: all hyper-parameters.
        target: the spectrum to use in the place of the prior's own as reference of the LTAS steps.
        journal: where finished blocks are kept and looked for; None: nowhere. Only runs whose operators are those of
            the registry are kept, for of others it cannot be told whether they are the same.
        operators: what was done to the recording, the first thing first; None: the blind EQ alone. See
            `effective_settings` for what they make of the settings.

    Raises OperatorError if the operators and the settings do not go together.
    """

    def __init__(self, prior: Prior, settings: Settings = Settings(), target: TargetProfile | None = None,
                 journal: Journal | None = None, operators: Sequence[Measurement] | None = None):
        self.prior, self.target = prior, target
        self.operators = None if operators is None else as_operators(operators)
        self.settings = effective_settings(settings, self.operators)
        plain = all(type(operator) in OPERATORS.values() for operator in self.operators or ())
        self.journal = journal if plain else None

    def run(self, audio: np.ndarray, sample_rate: float,
            passage: tuple[int, int] | None = None) -> Run[Progress, RestorationResult]:
        """Restores `audio` (channels, samples), ±1, at `sample_rate` Hz, step by step.

        With a `passage` (first sample, end sample excluded), only that part is restored and returned, but with the
        noise and the long-term spectrum of the whole: a preview of what the whole would become.

        The run yields `Progress`; its value is a `RestorationResult`. Closing it cancels.

        Raises:
            ValueError: audio that is empty, not two-dimensional or not finite; a passage outside it.
            PriorError: samples that are not finite come of it.
        """
        audio = plain_audio(audio)
        if audio.ndim != 2 or audio.size == 0:
            raise ValueError(f"The audio must have the shape (channels, samples), both above 0, not {audio.shape}.")
        if not all_finite(audio):
            raise ValueError("The audio has samples that are not finite numbers.")
        begin, end = passage or (0, audio.shape[1])
        if not 0 <= begin < end <= audio.shape[1]:
            raise ValueError(f"The passage from sample {begin} to {end} is outside a recording of {audio.shape[1]}.")
        each = self.settings.recording.channels == "independent" and len(audio) > 1
        return Run((self._each if each else self._whole)(audio, sample_rate, slice(begin, end)))

    def restore(self, audio: np.ndarray, sample_rate: float) -> RestorationResult:
        """`run` to its end."""
        return self.run(audio, sample_rate).finish()

    def _each(self, audio: np.ndarray, sample_rate: float,
              passage: slice) -> Generator[Progress, None, RestorationResult]:
        """Restores each channel that holds music as a recording of its own."""
        live, notes = live_channels(torch.from_numpy(audio), sample_rate)
        results, count = list[RestorationResult](), len(live)
        for number, channel in enumerate(audio[channel] for channel in live):
            def of_all(now: Progress, done: int = number) -> Progress:
                return replace(now, block=now.block + done * now.blocks, blocks=now.blocks * count,
                               share_done=(done + now.share_done) / count)
            results.append((yield from Run(self._whole(channel[None], sample_rate, passage)).map(of_all)))
        whole = allocate(len(audio), passage.stop - passage.start)
        whole[:] = audio[:, passage]
        for channel, result in zip(live, results):
            whole[channel] = result.audio[0]
        return replace(results[0], audio=whole, parts=tuple(results), notes=(*notes, *results[0].notes))

    def _whole(self, audio: np.ndarray, sample_rate: float,
               passage: slice) -> Generator[Progress, None, RestorationResult]:
        """The stages of a restoration, in order."""
        prior, how = self.prior, self.settings.recording
        notes = self._rate_notes(sample_rate)
        channels = channels_to_restore(torch.from_numpy(audio), sample_rate, how.channels)
        signal = self._without_hidden(channels.signal, sample_rate)
        reference, domain = reference_power(prior, self.target), Domain(prior, sample_rate)
        flat = domain.enter(signal)
        why = self._why_not(flat, signal, sample_rate)
        medium = None if why else self._medium(self._observed(domain.set_level(flat)), reference, sample_rate)
        if medium is None or self._is_blind() and not medium.music:
            audio = audio[:, passage]
            notes.append(why or "No music stands out from the noise of the recording; it was left as it is.")
            return RestorationResult.of(audio, audio, sample_rate, prior, self.settings, notes, reference)
        run_name = self._run_name(audio, sample_rate, passage) if self.journal is not None else ""
        equalized, told = Equalized.of(flat, medium, prior, self.settings.spectrum), self._told(medium)
        if passage != slice(0, audio.shape[1]):
            audio, signal = audio[:, passage], signal[:, passage]
            flat = domain.enter(signal)
            equalized = Equalized.of(flat, medium, prior, self.settings.spectrum, whole=equalized)
        release(flat)
        notes += [*channels.notes, *_heard_notes(medium, prior.sample_rate)]
        if self.settings.spectrum.ltas == "only":
            restored, response, equalizer = equalized.signal.mul_(equalized.level), equalized.removed, None
        else:
            begin = round(passage.start * prior.sample_rate / sample_rate)
            task, response = self._task(flat, equalized, medium, domain, begin)
            cut = Blocks(flat.shape[-1], prior.block_length, self.settings.blocks.overlap)
            sample = partial(self._sample, guide=self._guide(task, reference, cut.length), fitter=task.fitter,
                             removed=response, deviation_db=told.deviation_db if told else None, run_name=run_name)
            restored = yield from sample_recording(task, cut, self.settings.blocks, sample)
            if self.settings.spectrum.ltas == "objective":
                restored.mul_(equalized.level)
            if how.low_band == "keep":
                restored.add_(self._below(flat, cut))
            equalizer = task.fitter.equalizer if task.fitter else None
            del task, sample
        del flat, equalized
        restored = domain.leave(restored, audio.shape[-1])
        if how.high_band == "keep" and sample_rate > prior.sample_rate:
            restored = domain.keep_highs(restored, signal)
        if not all_finite(restored.numpy()):
            raise PriorError("The restoration gave samples that are not finite numbers; the prior's weights are at "
                             "fault, or settings far from a preset's.")
        restored, said = bounded(restored, signal, sample_rate, self._aimed(reference), self._is_whole(sample_rate))
        notes += said
        return RestorationResult.of(audio, channels.put_back(restored, torch.from_numpy(audio)).numpy(), sample_rate,
                                    prior, self.settings, notes, reference, equalizer, response, told)

    # ------------------------------------------------------------------------------------------------- stages

    def _is_blind(self) -> bool:
        """Whether the response of the medium is to be found from the recording."""
        return self.operators is None or any(isinstance(operator, BlindEQ) for operator in self.operators)

    def _why_not(self, flat: Tensor, signal: Tensor, sample_rate: float) -> str:
        """Why a recording (`signal`, in the prior's domain `flat`) is to stay as it is, as a sentence; empty if it is
        not."""
        if _is_above(signal, sample_rate, self.prior.sample_rate / 2):
            return (f"Next to nothing in the recording lies below {self.prior.sample_rate / 2:g} Hz, where the preset "
                    "works; it stays as it is.")
        if float(torch.linalg.vector_norm(flat, torch.inf)) < SILENCE:
            return "The recording is silent and stays so."
        if not self._is_blind():
            return ""  # what happened to it is known
        power = ltas(self._observed(flat), ltas_fft_size(self.prior.sample_rate), mirrored=False)
        if self.prior.emphasis:
            power = power / torch.from_numpy(self.prior.emphasis.power(len(power)))
        if octaves_filled(power, self.prior.sample_rate / 2) >= FEWEST_OCTAVES:
            return ""
        return "The recording holds little but single tones, which say nothing about the medium; it was left as it is."

    def _rate_notes(self, sample_rate: float) -> list[str]:
        prior_rate = self.prior.sample_rate
        if sample_rate == prior_rate:
            return []
        if sample_rate < prior_rate:
            return [f"Worked at {prior_rate} Hz, but the result is at {sample_rate:g} Hz: what was restored above "
                    f"{sample_rate / 2:g} Hz is not in it."]
        kept = self.settings.recording.high_band == "keep"
        return [f"Worked at {prior_rate} Hz; {'what lies' if kept else 'nothing is made'} above {prior_rate / 2:g} Hz"
                f"{' stays as it was' if kept else ''}."]

    def _aimed(self, reference: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """The spectrum aimed at without emphasis: Hz and power."""
        power, rate = reference.double().numpy(), self.prior.sample_rate
        if self.prior.emphasis:
            power = power / self.prior.emphasis.power(len(power))
        return np.linspace(0, rate / 2, len(power)), power

    def _run_name(self, audio: np.ndarray, sample_rate: float, passage: slice) -> str:
        return fingerprint(audio, self.settings, self.operators, self.target, self.prior.fingerprint,
                           str(self.prior.device), float(sample_rate), passage)

    def _hidden(self, sample_rate: float) -> list[tuple[int, int]]:
        """The stretches that operators leave out, in order: first sample, and first one after."""
        return sorted(span for operator in self.operators or () for span in operator.hidden(sample_rate))

    def _is_whole(self, sample_rate: float) -> bool:
        """Whether no operator took away peaks, as clipping does, or stretches."""
        return not self._hidden(sample_rate) and all(operator.domain != "audio" for operator in self.operators or ()
                                                     if isinstance(operator, Operator))

    def _without_hidden(self, signal: Tensor, sample_rate: float) -> Tensor:
        """A recording (channels, samples) with silence where operators say that it holds nothing of the music."""
        spans = self._hidden(sample_rate)
        if not spans:
            return signal
        silenced = allocate_like(signal)
        for part in chunks(signal.shape[-1], signal, silenced):
            silenced[:, part] = signal[:, part]
        for first, last in spans:
            silenced[:, first:last] = 0
        return silenced

    def _observed(self, flat: Tensor) -> Tensor:
        """The recording (channels, samples) without what operators hide, which would pass for pauses without noise."""
        spans, samples, rate = self._hidden(self.prior.sample_rate), flat.shape[-1], self.prior.sample_rate
        stretches, begin = [], 0
        for first, last in [*spans, (samples, samples)]:
            if begin < min(first, samples):
                stretches.append(slice(begin, min(first, samples)))
            begin = max(begin, last)
        count = sum(part.stop - part.start for part in stretches)
        if not spans or count < ltas_fft_size(rate):
            return flat
        observed, done = allocate_like(flat, count), 0
        for part in stretches:
            length = part.stop - part.start
            observed[:, done:done + length] = flat[:, part]
            fade_ends(observed[:, done:done + length], rate)
            done += length
        return observed

    def _medium(self, flat: Tensor, reference: Tensor, sample_rate: float) -> Medium:
        """What the recording tells of its medium."""
        prior, learned = self.prior, None
        # Who draws a target means it, however unlikely the response.
        if self.target is None and self.settings.spectrum.response_prior == "learned" and prior.response:
            learned = prior.response.estimate(prior.emphasis.undo(flat) if prior.emphasis else flat)
        return Medium.of(flat, reference, prior.sample_rate, prior.lowest_hz,
                         self.settings.recording.recording_noise == "measured", learned,
                         KEPT_BY_RESAMPLERS * sample_rate / 2 if sample_rate < prior.sample_rate else math.inf)

    def _told(self, medium: Medium) -> Medium | None:
        """The medium, if a response model told what it did and the learned response follows that; None otherwise."""
        follows = self.settings.spectrum.ltas in ("objective", "only") or not isinstance(self.settings.fit, Known)
        return medium if medium.deviation_db is not None and follows else None

    def _task(self, flat: Tensor, equalized: Equalized, medium: Medium, domain: Domain,
              begin: int) -> tuple[Task, Tensor]:
        """What is to be sampled, and the response (2049,) that its observation has lost already."""
        guidance, objective = self.settings.guidance, self.settings.spectrum.ltas == "objective"
        removed = equalized.removed if objective else torch.ones_like(equalized.removed)
        noise = medium.noise * equalized.lift ** 2 if objective else medium.noise
        assumed = guidance if isinstance(guidance, Direct) else Direct()
        noise = noise + self.prior.level ** 2 * 10 ** (assumed.observation_noise_db / 10)
        # Where no music is heard the prior alone decides, for the guidance and its completion alike; below its lowest
        # frequency nothing does, and an EQ that falls off there must not be undone.
        noise[~medium.heard | (filter_frequencies(self.prior.sample_rate) < self.prior.lowest_hz)] = UNHEARD
        fitter = self._fitter(medium, removed)
        flat_response = FixedFilter(torch.ones(FILTER_BINS, dtype=torch.float64), noise)
        operators = copy.deepcopy(self.operators) or (BlindEQ() if fitter else flat_response,)  # they may be fitted
        observation = equalized.signal if objective else flat
        return Task(observation, equalized.signal, operators, noise, fitter, domain, begin), removed

    def _guide(self, task: Task, reference: Tensor, length: int) -> Guide:
        """Makes the guidance of blocks of `length` samples from their operator, observation and source of noise."""
        chosen, prior = self.settings.guidance, self.prior
        if isinstance(chosen, Gradient):
            return lambda operator, y, draw: GradientGuidance(prior, operator, y, chosen.xi,
                                                              chosen.noise_regularization, draw)
        levels = LocalLevels(prior, length) if chosen.levels == "learned" and prior.levels else None
        if not levels and self.settings.recording.recording_noise != "measured":
            return lambda operator, y, draw: DirectGuidance(prior, operator, y)
        return lambda operator, y, draw: DirectGuidance(
            prior, operator, y, Completion(prior, reference, task.noise, y, levels, draw))

    def _fitter(self, medium: Medium, removed: Tensor) -> Fitter | None:
        """What fits the EQ. removed: the response that LTAS-EQ has already undone, linear (2049,)."""
        fit, spectrum, rate = self.settings.fit, self.settings.spectrum, self.prior.sample_rate
        if isinstance(fit, Bands):
            if spectrum.response_prior == "none":
                return BandFit(rate, self.prior.lowest_hz, heard=medium.heard.numpy())
            # No more of the lows is taken for missing than LTAS-EQ would give back, or has given back already.
            least_db = 0.0 if spectrum.ltas == "objective" else spectrum.ltas_floor_db
            if medium.deviation_db is not None:  # a model knows music without low notes from music that has lost them
                least_db = -math.inf
            return BandFit.expecting(medium, removed, rate, self.prior.lowest_hz, least_db)
        if isinstance(fit, Adam):  # or Sgd, which has the same settings
            return FilterFit(rate, fit.filter_learning_rate, fit.filter_iterations, fit.collapse_weight,
                             fit.collapse_decay, fit.tag, fit.filter_shape == "lowpass",
                             medium.expectation(removed, rate))
        return None

    def _sample(self, batch: Batch, guide: Guide, fitter: Fitter | None, removed: Tensor,
                deviation_db: Tensor | None, run_name: str) -> Generator[Progress, None, Tensor]:
        """One batch of blocks, (rows, samples), from the journal or from the sampler."""
        prior, solver = self.prior, self.settings.solver
        observed = batch.observation
        if not batch.hides and float(observed.std()) < SILENT_SHARE * prior.level:
            return prior.band_limit(observed.to(prior.device)).cpu()

        def progress(step: int, sigma: float, denoised: Tensor | None = None) -> Progress:
            return Progress(batch.index + 1, batch.of, step, solver.steps, sigma, fitter.equalizer if fitter else None,
                            (batch.index + step / solver.steps) / batch.of, denoised, removed, deviation_db)

        name = f"{run_name}-{batch.index:05}"
        kept = self.journal.read(name) if self.journal is not None else None
        if kept is not None and kept["restored"].shape == observed.shape:
            if fitter:
                fitter.restore({key: value.numpy() for key, value in kept.items() if key != "restored"})
            yield progress(solver.steps, 0.0)
            return kept["restored"]
        seed = self.settings.recording.seed
        draw = partial(draw_noise, generators=[torch.Generator().manual_seed(_seed(seed, block, row))
                                               for row, block in enumerate(batch.rows)])
        y, start = observed.to(prior.device), batch.initial.to(prior.device)
        run = Run(solve(guide(batch.operator, y, draw), start, solver, draw))
        for step in run:
            yield progress(step.step, step.sigma, step.denoised)
        restored = run.value.cpu()
        if self.journal is not None:
            state = {key: torch.from_numpy(value) for key, value in fitter.state().items()} if fitter else {}
            self.journal.write(name, state | {"restored": restored})
        return restored

    def _below(self, recording: Tensor, cut: Blocks) -> Tensor:
        """What is below the prior's lowest octave, (channels, samples), unchanged: LTAS-EQ would lift rumble."""
        whole = cut.allocate(len(recording))
        for index in range(cut.count):
            block = cut.take(recording, index)
            cut.join(whole, block - self.prior.band_limit(block.to(self.prior.device)).cpu(), index)
        return whole[..., :recording.shape[-1]]


def effective_settings(settings: Settings, operators: Sequence[Measurement] | None) -> Settings:
    """The settings as they are with these operators.

    Without the blind EQ among them no filter is fitted, and LTAS-EQ takes no part. Where another stands next to it,
    LTAS-EQ only makes the initial signal: the observation is what that operator made.

    Raises OperatorError where they do not go together.
    """
    if operators is None:
        return settings
    if settings.spectrum.ltas == "only":
        raise OperatorError("Operators mean nothing with ltas = only, which samples nothing.", "no-sampling")
    if not any(isinstance(operator, BlindEQ) for operator in operators):
        return settings.replace(filter_fit="none", ltas="off")
    if isinstance(settings.fit, Known):
        raise OperatorError("The operator blind-eq needs a fit of its EQ, but filter_fit = none.", "no-fit")
    if len(operators) > 1 and settings.spectrum.ltas == "objective":
        return settings.replace(ltas="initial")
    return settings


def _is_above(signal: Tensor, sample_rate: float, limit_hz: float) -> bool:
    """Whether less than `LEAST_BELOW` of the power of a recording (channels, samples) lies below a frequency."""
    if sample_rate / 2 <= limit_hz:
        return False
    power = ltas(signal, ltas_fft_size(sample_rate), mirrored=False)[2:]  # without an offset
    return float(power[:round(len(power) * 2 * limit_hz / sample_rate)].sum()) < LEAST_BELOW * float(power.sum())


def _heard_notes(medium: Medium, sample_rate: float) -> list[str]:
    if medium.heard.all():
        return []
    hz = filter_frequencies(sample_rate)[medium.heard]
    return [f"Music stands out from the recording's noise from {float(hz.min()):.0f} to {float(hz.max()):.0f} Hz."]


def _seed(seed: int, block: int, row: int) -> int:
    """One seed, from the user's, for a block and its row in the batch: noise does not depend on the other rows."""
    return int(np.random.SeedSequence([seed, block, row]).generate_state(1, np.uint64)[0] >> 1)
