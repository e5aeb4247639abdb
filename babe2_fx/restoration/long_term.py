"""LTAS-EQ (Sec. 3.4): the spectrum aimed at, and a recording through the inverse of what its own suggests."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..beyond import Medium
from ..priors import Emphasis, Prior, PriorError
from ..settings import LongTerm
from ..spectra import WINDOW_POWER, TargetProfile, ltas, ltas_fft_size, zero_phase

LEARNED_FLOOR_DB = -40.0  # lowest response of a response model that is inverted


@dataclass(frozen=True)
class Equalized:
    """What LTAS-EQ made.

    signal: as loud as the recording, emphasised as that is; a passage is as loud as within the whole · removed: the
    response that was undone, and lift: the gain that noise was given, (2049,) each · level: the factor that makes it
    as loud once the emphasis is undone.
    """

    signal: Tensor
    removed: Tensor
    lift: Tensor
    level: float

    @classmethod
    def of(cls, flat: Tensor, medium: Medium, prior: Prior, spectrum: LongTerm,
           whole: "Equalized | None" = None) -> "Equalized":
        """A recording (channels, samples) in the prior's domain through the inverse of its medium's response (Eq. 10).

        whole: what came of the whole recording, if `flat` is a passage, which then gets the gains of the whole.
        """
        if spectrum.ltas == "off":
            flat_response = torch.ones_like(medium.response_db)
            return cls(flat, flat_response, flat_response, 1.0)
        if whole:
            signal = zero_phase(flat, -20 * whole.removed.log10())
            return replace(whole, signal=signal.mul_(whole.lift[0] * whole.removed[0]))
        floor_db = spectrum.ltas_floor_db if medium.deviation_db is None else LEARNED_FLOOR_DB
        response = 10 ** (medium.response_db.clamp(min=floor_db) / 20)
        signal = zero_phase(flat, -20 * response.log10())
        scale = flat.std() / signal.std().clamp(min=1e-12)
        signal.mul_(scale)
        level = 1.0  # as published; the same spread of an emphasised signal is another loudness
        if emphasis := prior.emphasis:
            level = math.sqrt(plain_power(flat, prior.sample_rate, emphasis)
                              / plain_power(signal, prior.sample_rate, emphasis))
        return cls(signal, response, scale / response, level)


def reference_power(prior: Prior, target: TargetProfile | None) -> Tensor:
    """The reference of the LTAS steps: power spectrum (bins,) at unit variance, in the prior's domain.

    target: takes the place of the prior's own. Raises PriorError if there is neither.
    """
    if target is None:
        if prior.ltas is None:
            raise PriorError("This prior does not include the spectrum of its training music. Give a target "
                             "to restore with it.")
        power = prior.ltas.double()
    else:
        bins = ltas_fft_size(prior.sample_rate) // 2 + 1
        power = target.to_ltas(prior.sample_rate, bins)
        if prior.emphasis:
            power = power * torch.from_numpy(prior.emphasis.power(bins))
    # Whatever their level: a signal of unit variance under a Hann window has a mean of 3/4.
    return power / power.mean() * WINDOW_POWER


def plain_power(flat: Tensor, sample_rate: float, emphasis: Emphasis) -> float:
    """Power of a signal (..., samples) once its emphasis is undone, up to a constant."""
    power = ltas(flat, ltas_fft_size(sample_rate), mirrored=False)
    return max(float((power / torch.from_numpy(emphasis.power(len(power)))).sum()), 1e-30)
