"""A prior: a trained denoiser of clean music, with what a sampler must know about it."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from ..spectra.curves import at_bins
from ..spectra.fir import TAPS as EMPHASIS_TAPS  # noqa: F401 - how far an emphasis reaches
from ..spectra.fir import zero_phase
from .cqt_network import CQTNetwork
from .edm import Preconditioning
from .levels import LevelModel
from .response import ResponseModel


class PriorError(UserError):
    """A prior file that cannot be used; the message says which and why."""


class Companions(TypedDict, total=False):
    """Small models that a prior has besides its denoiser."""

    levels: LevelModel | None
    response: ResponseModel | None


class Emphasis:
    """A fixed zero-phase filter and its inverse: the domain in which a prior was trained.

    Music falls by some 60 dB from its lows to its highs while the noise of diffusion is white, so a small network
    spends itself on the lows. A prior trained on the flattened signal sees all bands alike. The sampler works in that
    domain throughout and returns to audio once, at the end.

    Args:
        gain_db: the filter's gain, (bins,) from 0 Hz to Nyquist.
    """

    def __init__(self, gain_db: Tensor):
        self.gain_db = gain_db.detach().double().cpu()

    def apply(self, x: Tensor) -> Tensor:
        """Audio (..., samples) -> the prior's domain, same shape."""
        return zero_phase(x, self.gain_db)

    def undo(self, x: Tensor) -> Tensor:
        """The prior's domain (..., samples) -> audio, same shape."""
        return zero_phase(x, -self.gain_db)

    def power(self, bins: int) -> np.ndarray:
        """What the filter does to a power spectrum, a factor at each bin from 0 Hz to Nyquist: (bins,) float64."""
        return 10 ** (at_bins(self.gain_db, bins) / 10)


class Prior:
    """A denoiser D(x, sigma) of blocks of clean music (Eq. 15).

    Attributes:
        network: the bare F of Eq. 15.
        sample_rate: Hz.
        block_length: samples per block; `denoise` takes other lengths too where the CQT allows them.
        sigma_data: standard deviation of the training data in the prior's domain.
        level: standard deviation to which the median block of a recording is scaled before sampling.
        ltas: power spectrum of the training data in the prior's domain, (bins,), or None.
        ltas_spread_db: standard deviation in dB of the spectra of the training recordings, (bins,), or None.
        emphasis: the prior's domain, or None where it is plain audio.
        info: what the checkpoint says of its origin, a dict of plain values.
        levels: says how loud music is where a recording lacks it, or None.
        response: tells a recording's frequency response from its music, or None.
    """

    def __init__(self, network: CQTNetwork, sigma_data: float, level: float | None = None, ltas: Tensor | None = None,
                 emphasis: Emphasis | None = None, info: dict | None = None, ltas_spread_db: Tensor | None = None,
                 levels: LevelModel | None = None, response: ResponseModel | None = None):
        self.network = network.eval().requires_grad_(False)
        self.sample_rate = network.config.sample_rate
        self.block_length = network.config.block_length
        self.sigma_data = float(sigma_data)
        self.level = float(level or sigma_data)
        self.ltas = ltas
        self.ltas_spread_db = ltas_spread_db
        self.emphasis = emphasis
        self.info = info or {}
        self.levels = levels.eval().requires_grad_(False) if levels else None
        self.response = response.eval().requires_grad_(False) if response else None
        self.preconditioning = Preconditioning(self.sigma_data)

    @property
    def device(self) -> torch.device:
        return self.network.device

    @property
    def companions(self) -> Companions:
        """The small models that come with the denoiser, under the names of `save_prior`'s arguments."""
        return Companions(levels=self.levels, response=self.response)

    @property
    def lowest_hz(self) -> float:
        """The lower edge of the lowest octave; the prior knows nothing below."""
        return self.sample_rate / 2 / 2 ** self.network.config.octaves

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of all that the prior's results depend on, as hexadecimal digits."""
        digest = hashlib.sha256(repr((self.network.config, self.sigma_data, self.level)).encode())
        curves = {"ltas": self.ltas, "spread": self.ltas_spread_db,
                  "emphasis": self.emphasis.gain_db if self.emphasis else None}
        levels = self.levels.state_dict().items() if self.levels else ()
        response = {f"response.{name}": value for name, value in self.response.state_dict().items()} \
            if self.response else {}
        for name, value in (*self.network.state_dict().items(), *curves.items(), *levels, *response.items()):
            digest.update(name.encode())
            if value is not None:
                digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def spectrum(self, bins: int) -> tuple[np.ndarray, np.ndarray]:
        """Frequencies in Hz and mean power of its training music, out of the prior's own domain: both (bins,).

        Raises ValueError if the prior does not know it.
        """
        if self.ltas is None:
            raise ValueError("This prior does not say what spectrum its training music has.")
        power = at_bins(self.ltas, bins)
        if self.emphasis:
            power = power / self.emphasis.power(bins)
        return np.linspace(0, 1, bins) * self.sample_rate / 2, power

    def to(self, device) -> "Prior":
        self.network.to(device)
        return self

    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        """x̂0 of Eq. 15. x: (batch, samples); sigma: (batch,), (batch, 1) or a scalar -> (batch, samples)."""
        sigma = torch.as_tensor(sigma, dtype=x.dtype, device=x.device)
        sigma = sigma.reshape(-1, 1).expand(x.shape[0], 1)
        c = self.preconditioning
        return c.c_skip(sigma) * x + c.c_out(sigma) * self.network(c.c_in(sigma) * x, c.c_noise(sigma))

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """The denoiser as a sampler asks for it: `denoise` at one level, without what the transform leaves out."""
        return self.band_limit(self.denoise(x, torch.tensor(sigma)))

    def band_limit(self, x: Tensor) -> Tensor:
        """x (batch, samples) without what the prior's transform leaves out (below `lowest_hz`, and Nyquist)."""
        return self.network.transform(x.shape[-1]).band_limit(x)
