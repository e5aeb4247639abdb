"""What a recording does not decide: music under its noise, and everything above its band limit.

A small prior makes steady noise of both. Off with `levels = "long-term"` for what the recording has lost; all of it
also needs `recording_noise = "ignored"`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..operators import InvertibleOperator
from ..priors import Prior
from ..spectra import WINDOW_POWER, resample_spectrum, smooth_octave
from .local_levels import LocalLevels

SPOT = 5, 9  # bands and frames of the constant-Q transform over which levels are measured
SPREAD = 1.6  # factor by which noise in such a spot may exceed its mean
QUIET = 0.05  # share of a band's usual power that music may have in spots where none is heard
FADE_S = 0.01


class Completion:
    """Combines what a recording says with the prior's own estimate, spot by spot of time and frequency.

    A tone may stand far above noise that is louder than all the music in its band; between two notes there is only
    that noise. So how far the recording is followed depends on the music in a spot: on its level as it is heard there,
    or else as it is to be expected. Where it holds no music, the denoiser's estimate stays, up to that level.

    Where the recording has no say, above its band limit, a denoiser that was trained for long knows from the lows
    where highs belong. A small one sees each band by itself: from noise alone it makes noise, steady and without
    attacks. What it does well is tell music from noise within a band. So as long as the sampler's noise covers a cell
    there, the estimate is noise at the level that the prior's level model expects of it; once the sampler's noise is
    below that level, the denoiser's estimate counts.

    Args:
        prior: its constant-Q transform and `level` are used.
        reference: power spectrum of clean music in the prior's domain, at unit variance, (bins,).
        noise: variance of the recording's noise at the filters' bins, as in the observation, (2049,).
        observation: of the blocks, (batch, samples).
        levels: what level to expect of each cell; None: a share of what is usual in the band, and nothing is begun
            where the recording has no say.
        draw: white noise of unit variance, of its argument's shape. Not needed without levels.

    Attributes:
        variance: the clean signal's uncertainty for the operator's inverse, before spots are looked at: so large that
            only frequencies where no music is heard are damped.
    """

    variance = 1.0

    def __init__(self, prior: Prior, reference: Tensor, noise: Tensor, observation: Tensor,
                 levels: LocalLevels | None = None, draw: Callable[[Tensor], Tensor] = torch.randn_like):
        self._prior, self._noise, self._levels = prior, noise.double().cpu(), levels
        power = smooth_octave(reference.double().cpu()) / WINDOW_POWER * prior.level ** 2
        # Relative to white noise of unit variance. A target may be empty in places.
        self._music = resample_spectrum(power.clamp(min=1e-12 * float(power.max())), len(self._noise))
        self.heard = self._heard(observation)
        self._begun = prior.network.transform(observation.shape[-1])(draw(observation)) if levels else []

    def _heard(self, observation: Tensor) -> list[Tensor]:
        """How far each spot of an observation (batch, samples) is music: 0 to 1, in the shape of its octaves."""
        cqt, result = self._prior.network.transform(observation.shape[-1]), []
        for i, octave in enumerate(cqt(self._faded(observation))):
            power = octave.abs().square()[:, None]
            power = F.avg_pool2d(power, SPOT, 1, (SPOT[0] // 2, SPOT[1] // 2), count_include_pad=False)[:, 0]
            noise = (self._at(self._noise, cqt, i).to(power) * cqt.white(i) ** 2)[:, None]
            above = (power - SPREAD * noise).clamp(min=0)
            result.append(above / (above + noise + 1e-20))
        return result

    def __call__(self, denoised: Tensor, corrected: Tensor, operator: InvertibleOperator, sigma: float) -> Tensor:
        """The estimate, (batch, samples).

        Args:
            denoised: the denoiser's own estimate, (batch, samples).
            corrected: the same, corrected by the observation.
            operator: says where the observation decides.
            sigma: the sampler's noise level.
        """
        cqt = self._prior.network.transform(denoised.shape[-1])
        own, octaves = cqt(denoised), cqt(corrected)
        lifted = self.variance * (1 / operator.known(self.variance).double().cpu().clamp(min=1e-12) - 1)
        decided = operator.known(QUIET * self._music).double().cpu()
        # Between frequencies that are decided, the recording holds more than a level can say, however noisy it is.
        inside = torch.minimum(decided.cummax(0).values, decided.flip(0).cummax(0).values.flip(0))
        expected = self._levels(corrected, decided, lifted) if self._levels else None
        for i, unheard in enumerate(1 - spots for spots in self.heard):
            noise = self._at(lifted, cqt, i).to(denoised)[:, None]
            quiet = QUIET * self._at(self._music, cqt, i).to(denoised)[:, None]
            music = noise * (1 - unheard) / unheard.clamp(min=1e-6) + quiet
            uncertain = sigma ** 2 * music / (sigma ** 2 + music)
            octaves[i] = own[i] + (octaves[i] - own[i]) * uncertain / (uncertain + noise)
            if expected is not None:
                outside = (1 - self._at(inside, cqt, i).to(denoised)[:, None]) * unheard
                covered = outside * sigma ** 2 / (sigma ** 2 + expected[i])
                octaves[i] = octaves[i] + (self._begun[i] * expected[i].sqrt() - octaves[i]) * covered
        return cqt.inverse(octaves)

    def _faded(self, x: Tensor) -> Tensor:
        """x (batch, samples) with faded ends. The transform joins them, and a click there would be transposed."""
        count = min(int(FADE_S * self._prior.sample_rate), x.shape[-1] // 2)
        rise = torch.hann_window(2 * count, device=x.device)[:count]
        return x * torch.cat([rise, rise.new_ones(x.shape[-1] - 2 * count), rise.flip(0)])

    def _at(self, curve: Tensor, cqt, octave: int) -> Tensor:
        """A curve at the filters' bins, (2049,), interpolated at an octave's bands."""
        place = (cqt.centre_hz[octave] / (self._prior.sample_rate / 2) * (len(curve) - 1)).clamp(max=len(curve) - 1)
        below = place.long().clamp(max=len(curve) - 2)
        return torch.lerp(curve[below], curve[below + 1], place - below)
