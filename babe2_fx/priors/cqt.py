"""An invertible constant-Q transform, one complex spectrogram per octave.

A nonstationary Gabor frame (Velasco et al., DAFx 2011) computed in the frequency domain of the whole block: every
band is a window on the spectrum followed by an inverse FFT. Bands of one octave share a number of frames, a power
of two, so that each octave is a rectangular array that halves in frames from one octave to the next below. DC and
Nyquist bands are not kept: what lies below the lowest octave is dropped (paper, App. A.2).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

MIN_WINDOW = 4  # bins of the block's spectrum; keeps the narrowest bands invertible


def _window(kind: str, beta: float, length: int) -> Tensor:
    """A spectral window with its centre at index 0 (the FFT's own order). Shape: (length,), float64."""
    n = torch.arange(length, dtype=torch.float64)
    if kind == "hann":
        return 0.5 + 0.5 * torch.cos(2 * math.pi * n / length)
    if kind == "kaiser":
        # The published transform's form: scaled to 1/2 at its peak, which the dual windows undo.
        centred = torch.roll(torch.sin(math.pi * n / length).abs(), length // 2)
        b = torch.tensor(float(beta), dtype=torch.float64)
        return torch.i0(b * centred) / (2 * torch.i0(b))
    raise ValueError(f"The CQT window must be 'hann' or 'kaiser', not {kind!r}.")


class OctaveCQT(nn.Module):
    """Constant-Q transform of blocks of one length.

    Args:
        octaves: number of octaves below Nyquist.
        bins_per_octave: bands in each.
        sample_rate: Hz.
        block_length: samples; the transform is circular over the block.
        window: "hann" or "kaiser"; `beta` is the latter's parameter.

    Raises:
        ValueError: if the block is too short for the octaves to halve in frames.
    """

    def __init__(self, octaves: int, bins_per_octave: int, sample_rate: float, block_length: int,
                 window: str = "kaiser", beta: float = 1.0):
        super().__init__()
        self.octaves, self.bins_per_octave, self.block_length = octaves, bins_per_octave, block_length
        bands = octaves * bins_per_octave
        nyquist_hz = sample_rate / 2
        highest_hz = nyquist_hz - 1e-6  # a band exactly at Nyquist would be the Nyquist band itself
        centre_hz = highest_hz * 2.0 ** (octaves * (torch.arange(bands, dtype=torch.float64) / (bands - 1) - 1))
        self.centre_hz = centre_hz.view(octaves, bins_per_octave)  # of each octave's bands
        step = 2.0 ** (octaves / (bands - 1))
        quality = math.sqrt(step) / (step - 1) / 2

        # All bands around the circle, in bins of the block's spectrum: DC, the bands, Nyquist, the mirrored bands.
        zero, nyquist = torch.zeros(1, dtype=torch.float64), torch.full((1,), nyquist_hz, dtype=torch.float64)
        upper = torch.cat([zero, centre_hz, nyquist])
        centre = torch.cat([upper, sample_rate - centre_hz.flip(0)]) * block_length / sample_rate
        width = torch.zeros_like(centre)
        width[0] = 2 * centre[1]
        width[1] = centre[1] / quality
        width[2:bands + 1] = centre[3:bands + 2] - centre[1:bands]
        width[bands + 1] = width[bands]
        width[bands + 2:] = width[1:bands + 1].flip(0)
        width = width.round().clamp(min=MIN_WINDOW).long()
        windows = [_window(window, beta, int(w)) for w in width]
        # The last band's centre is moved between its neighbours; its nominal one coincides with Nyquist's.
        centre[bands] = (centre[bands - 1] + centre[bands + 1]) / 2
        centre[bands + 2] = block_length - centre[bands]
        position = centre.round().long()

        frames = width.clone()
        self.frames = []  # of each octave, lowest first
        for octave in range(octaves):
            first = 1 + octave * bins_per_octave
            count = 2 ** math.ceil(math.log2(int(frames[first:first + bins_per_octave].max())))
            self.frames.append(count)
            frames[first:first + bins_per_octave] = count
            # One band further than symmetry would have it, as in the published transform: the frame's diagonal
            # near DC and Nyquist, hence the gain there, depends on it.
            frames[-first - bins_per_octave:-first] = count
        if any(high != 2 * low for low, high in zip(self.frames, self.frames[1:])):
            raise ValueError(f"A block of {block_length} samples is too short or too odd for {octaves} octaves of "
                             f"{bins_per_octave} bands: its octaves have {self.frames} frames, which do not halve.")

        covers = [(int(p) + torch.arange(-(int(w) // 2), int(w) - int(w) // 2)) % block_length
                  for p, w in zip(position, width)]
        frame_operator = torch.zeros(block_length, dtype=torch.float64)
        for cover, values, count in zip(covers, windows, frames):
            frame_operator[cover] += torch.fft.fftshift(values) ** 2 * count

        half = block_length // 2 + 1
        gain = torch.zeros(half, dtype=torch.float64)
        for octave, count in enumerate(self.frames):
            index = torch.zeros(bins_per_octave, count, dtype=torch.long)
            analysis = torch.zeros(bins_per_octave, count, dtype=torch.float64)
            synthesis = torch.zeros(bins_per_octave, count, dtype=torch.float64)
            for row in range(bins_per_octave):
                band = 1 + octave * bins_per_octave + row
                w = int(width[band])
                slots = (torch.arange(w) - w // 2) % count  # the band's centre goes to frame frequency 0
                values = torch.fft.fftshift(windows[band])
                index[row, slots] = covers[band]
                analysis[row, slots] = values
                synthesis[row, slots] = values / frame_operator[covers[band]] * count
                gain.index_add_(0, covers[band], values ** 2 * count / frame_operator[covers[band]])
            self.register_buffer(f"index_{octave}", index.reshape(-1), persistent=False)
            self.register_buffer(f"analysis_{octave}", analysis.float(), persistent=False)
            self.register_buffer(f"synthesis_{octave}", synthesis.float(), persistent=False)
            white = (block_length * analysis.square().sum(dim=1)).sqrt() / count
            self.register_buffer(f"white_{octave}", white.float(), persistent=False)
        self.register_buffer("gain", gain.float(), persistent=False)

    def _octave(self, name: str, octave: int) -> Tensor:
        return getattr(self, f"{name}_{octave}")

    def white(self, octave: int) -> Tensor:
        """Standard deviation of an octave's bands (bins_per_octave,) for white noise of unit variance."""
        return self._octave("white", octave)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Audio (batch, block_length) -> a complex (batch, bins_per_octave, frames) per octave, lowest first."""
        if x.shape[-1] != self.block_length:
            raise ValueError(f"This CQT takes blocks of {self.block_length} samples, not {x.shape[-1]}.")
        spectrum = torch.fft.rfft(x)
        return [torch.fft.ifft(spectrum.index_select(-1, self._octave("index", i))
                               .view(-1, self.bins_per_octave, count) * self._octave("analysis", i))
                for i, count in enumerate(self.frames)]

    def inverse(self, octaves: list[Tensor]) -> Tensor:
        """The dual: octaves as `forward` gives them -> audio (batch, block_length), without DC and Nyquist bands."""
        batch = octaves[0].shape[0]
        spectrum = octaves[0].new_zeros(batch, self.block_length // 2 + 1)
        for i, coefficients in enumerate(octaves):
            weighted = torch.fft.fft(coefficients) * self._octave("synthesis", i)
            spectrum = spectrum.index_add(-1, self._octave("index", i), weighted.reshape(batch, -1))
        return torch.fft.irfft(spectrum, n=self.block_length)

    def band_limit(self, x: Tensor) -> Tensor:
        """What `inverse(forward(x))` keeps of x: audio (batch, block_length) without the DC and Nyquist bands."""
        return torch.fft.irfft(torch.fft.rfft(x) * self.gain, n=self.block_length)
