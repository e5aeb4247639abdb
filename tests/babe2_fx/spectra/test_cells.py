"""Levels on the grid of time and log frequency."""

import numpy as np
import pytest
import torch

from babe2_fx.spectra.cells import HOP, RATE, SIZE, band_centres_hz, cells, fine_centres_hz, frame_centres


def test_white_noise_has_its_variance_in_every_cell():
    x = 0.3 * torch.randn(2, 20 * RATE, generator=torch.Generator().manual_seed(0))
    for fine in (True, False):
        power = cells(x, fine).mean(dim=(0, 2))
        assert torch.allclose(power, torch.tensor(0.09), rtol=0.2)
        assert float(power.mean()) == pytest.approx(0.09, rel=0.02)


@pytest.mark.parametrize("hz", [120.0, 440.0, 3000.0, 9000.0])
def test_a_tone_is_loudest_in_the_cell_whose_centre_is_nearest(hz):
    x = torch.sin(2 * torch.pi * hz * torch.arange(RATE) / RATE)
    for fine, centres in ((True, fine_centres_hz()), (False, band_centres_hz())):
        loudest = int(cells(x, fine).mean(-1).argmax())
        # Where bins are wider than bands, the tone is as near as a bin allows.
        assert abs(centres[loudest] - hz) <= max(0.03 * hz, RATE / SIZE)


def test_a_click_is_in_the_frames_around_it():
    x, at = torch.zeros(RATE), 9000
    x[at] = 1.0
    power = cells(x).mean(0)
    loudest = int(power.argmax())
    assert abs(frame_centres(len(power))[loudest] - at) <= HOP / 2
    assert float(power[np.abs(frame_centres(len(power)) - at) > SIZE / 2].max()) == 0


def test_only_whole_frames_count_and_a_short_signal_is_one():
    assert cells(torch.zeros(3, SIZE + HOP - 1)).shape == (3, 249, 1)
    assert cells(torch.zeros(SIZE + HOP), fine=False).shape == (83, 2)
    assert cells(torch.ones(10)).shape == (249, 1)


def test_many_frames_are_as_one_by_one():
    x = torch.randn(400 * HOP, generator=torch.Generator().manual_seed(1))
    together = cells(x)
    assert torch.allclose(together[:, 300], cells(x[300 * HOP:300 * HOP + SIZE])[:, 0], rtol=1e-3)
