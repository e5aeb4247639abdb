"""What a recording does not decide: music under its noise, and everything above its band limit.

A small prior makes steady noise of both. Off with `extension = "none"` for the highs; all of it also needs
`recording_noise = "ignored"`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..spectra import WINDOW_POWER, resample_spectrum, smooth_octave

SPOT = 5, 9  # bands and frames of the constant-Q transform over which levels are measured
SPREAD = 1.6  # factor by which noise in such a spot may exceed its mean
QUIET = 0.05  # share of a band's usual power that music may have in spots where none is heard
LOWEST_HZ = 1000.0  # no band limit is looked for below
FADE_S = 0.01


class Completion:
    """Combines what the recording says with the prior's own estimate, spot by spot of time and frequency.

    A tone may stand far above noise that is louder than all the music in its band; between two notes there is only
    that noise. So how far the recording is followed depends on the music in a spot, judged by its level. Where it
    holds no music, the denoiser's estimate stays, up to what is usual in the band.

    Above the band limit the recording has no say. A denoiser that was trained for long knows from the lows where highs
    belong. A small one sees each band by itself: from noise alone it makes noise, steady and without attacks. What it
    does well is tell music from noise within a band. So as long as the sampler's noise covers a band above the limit,
    the estimate there is the octave below with all frequencies doubled, which puts partials and attacks in place, at
    the level ratio between the two in the reference. Once the noise is below the level of music in that band, the
    denoiser's estimate counts.

    Args:
        prior: its constant-Q transform and `level` are used.
        reference: power spectrum of clean music in the prior's domain, at unit variance, (bins,).
        noise: variance of the recording's noise at the filters' bins, as in the observation, (2049,).
        extends: whether highs start from the octave below.

    Attributes:
        variance: the clean signal's uncertainty for the operator's inverse, before spots are looked at: so large that
            only frequencies where no music is heard are damped.
    """

    variance = 1.0

    def __init__(self, prior, reference: Tensor, noise: Tensor, extends: bool = True):
        self._prior, self._noise, self._extends = prior, noise.double().cpu(), extends
        power = smooth_octave(reference.double().cpu()) / WINDOW_POWER * prior.level ** 2
        # Relative to white noise of unit variance. A target may be empty in places.
        self._music = resample_spectrum(power.clamp(min=1e-12 * float(power.max())), len(self._noise))

    def heard(self, observation: Tensor) -> list[Tensor]:
        """How far each spot of an observation (batch, samples) is music: 0 to 1, in the shape of its octaves."""
        cqt, result = self._prior.network.transform(observation.shape[-1]), []
        for i, octave in enumerate(cqt(self._faded(observation))):
            power = octave.abs().square()[:, None]
            power = F.avg_pool2d(power, SPOT, 1, (SPOT[0] // 2, SPOT[1] // 2), count_include_pad=False)[:, 0]
            noise = (self._at(self._noise, cqt, i).to(power) * cqt.white(i) ** 2)[:, None]
            above = (power - SPREAD * noise).clamp(min=0)
            result.append(above / (above + noise + 1e-20))
        return result

    def __call__(self, denoised: Tensor, corrected: Tensor, operator, heard: list[Tensor], sigma: float) -> Tensor:
        """The estimate, (batch, samples).

        Args:
            denoised: the denoiser's own estimate, (batch, samples).
            corrected: the same, corrected by the observation.
            operator: says where the observation decides. Nothing is extended below the highest such frequency.
            heard: `heard` of the observation.
            sigma: the sampler's noise level.
        """
        cqt = self._prior.network.transform(denoised.shape[-1])
        own, octaves = cqt(denoised), cqt(corrected)
        lifted = self.variance * (1 / operator.known(self.variance).double().cpu().clamp(min=1e-12) - 1)
        lower = cqt(self._faded(corrected)) if self._extends else list(octaves)
        decided = operator.known(QUIET * self._music).double().cpu()
        within = decided.flip(0).cummax(0).values.flip(0)  # the band limit

        def at_bands(curve: Tensor, octave: int) -> Tensor:
            return self._at(curve, cqt, octave).to(denoised)[:, None]
        for i, unheard in enumerate(1 - spots for spots in heard):
            noise = at_bands(lifted, i)
            music = noise * (1 - unheard) / unheard.clamp(min=1e-6) + QUIET * at_bands(self._music, i)
            uncertain = sigma ** 2 * music / (sigma ** 2 + music)
            follows = uncertain / (uncertain + noise)
            octaves[i] = own[i] + (octaves[i] - own[i]) * follows
            lower[i] = lower[i] * follows
            high = (cqt.centre_hz[i] >= LOWEST_HZ).to(denoised)[:, None]
            beyond = high * (1 - at_bands(within, i)) * unheard
            if i and self._extends and beyond.any():
                music, below = at_bands(self._music, i), at_bands(self._music, i - 1)
                # A partial's power stays when its octave is twice as wide.
                higher = _transposed(lower[i - 1]) * (2 * music / below).sqrt()
                octaves[i] = octaves[i] + (higher - octaves[i]) * beyond * sigma ** 2 / (sigma ** 2 + music)
                lower[i] = lower[i] + (higher - lower[i]) * beyond
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


def _transposed(octave: Tensor) -> Tensor:
    """An octave (batch, bands, frames) as the next one (batch, bands, 2 frames): phases doubled, magnitudes kept."""
    frames = octave.shape[-1]
    spectrum = torch.fft.fft(octave)
    room = spectrum.new_zeros(*spectrum.shape[:-1], frames)
    between = torch.fft.ifft(torch.cat([spectrum[..., :frames // 2], room, spectrum[..., frames // 2:]], dim=-1))
    return between.square() / (between.abs() + 1e-20)  # half as large for twice as many frames, as in the transform
