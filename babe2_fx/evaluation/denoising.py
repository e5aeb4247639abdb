"""How well a prior tells its music from noise: the denoising gain, against a filter that knows the spectrum alone."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..audio.mapped import as_tensor
from ..audio.resampling import resample
from ..errors import UserError
from ..priors import Prior
from ..restoration.domain import SILENT_SHARE
from ..spectra import apply_response, ltas, ltas_fft_size, resample_spectrum

LEVELS = (4.0, 1.6, 0.5, 0.16, 0.05, 0.016)  # of the noise, in units of the prior's sigma_data
BLOCKS = 4  # of a recording at most, spread over it


@torch.no_grad()
def denoising_gains_db(prior: Prior, audio: np.ndarray, sample_rate: float, seed: int = 0) -> list[dict]:
    """Noise is added to clean blocks of a recording and taken away again, at six levels, in the prior's own domain.

    Args:
        audio: mono (samples,).

    Returns:
        For each level, highest first: `sigma` · `prior_db`: by how much less the denoised blocks differ from the
        clean ones than the noisy ones did, in dB of power · `wiener_db`: the same for the best fixed filter, a Wiener
        filter that knows the LTAS of this very recording and the noise. The prior's lead over it is what it knows
        about music beyond a spectrum. Nothing below the prior's lowest octave counts.

    Raises UserError for a silent recording.
    """
    clean = resample(as_tensor(audio)[None], sample_rate, prior.sample_rate)
    clean = prior.emphasis.apply(clean) if prior.emphasis else clean
    blocks = clean[:, :prior.block_length * max(1, clean.shape[-1] // prior.block_length)]
    blocks = torch.nn.functional.pad(blocks, (0, max(0, prior.block_length - blocks.shape[-1])))
    blocks = blocks.reshape(-1, prior.block_length)
    blocks = blocks[blocks.std(dim=1) > max(SILENT_SHARE * float(blocks.std(dim=1).max()), 1e-7)]
    if not len(blocks):
        raise UserError("A silent recording says nothing about a prior.")
    if len(blocks) > BLOCKS:
        blocks = blocks[torch.linspace(0, len(blocks) - 1, BLOCKS).round().long()]
    blocks = blocks * (prior.level / blocks.std(dim=1).median())
    spectrum = resample_spectrum(ltas(blocks, ltas_fft_size(prior.sample_rate)), 2049)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(blocks.shape, generator=generator)
    before = _banded(prior, noise).norm()

    results = []
    for sigma in (level * prior.sigma_data for level in LEVELS):
        noisy = blocks + sigma * noise
        wiener = apply_response(noisy, spectrum / (spectrum + 0.75 * sigma ** 2))  # 0.75: white noise, as `ltas` has it
        denoised = torch.cat([prior.denoise(block[None].to(prior.device), torch.tensor(sigma)).cpu()
                              for block in noisy])
        gains = {name: float(20 * torch.log10(sigma * before / _banded(prior, estimate - blocks).norm()))
                 for name, estimate in (("prior_db", denoised), ("wiener_db", wiener))}
        results.append({"sigma": round(sigma, 6), **gains})
    return results


def _banded(prior: Prior, x: Tensor) -> Tensor:
    return torch.cat([prior.band_limit(row[None].to(prior.device)).cpu() for row in x])
