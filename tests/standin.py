"""Stand-in priors for fast tests: the real network code at its smallest, with random weights."""

from pathlib import Path

import torch

from babe2_fx.priors import BandMixer, CQTDiff, MixerConfig, NetworkConfig, Prior, save_prior

TINY = NetworkConfig(sample_rate=22050, block_length=32768, octaves=3, bins_per_octave=16, window="hann",
                     channels=(8, 8, 8), layers=(1, 1, 1), embedding=16)
TINY_MIXER = MixerConfig(sample_rate=22050, block_length=32768, octaves=3, bins_per_octave=16, width=8, depth=3,
                         mix_channels=4, reach=1, embedding=16)


def tiny_prior(seed: int = 0) -> Prior:
    """A prior that knows nothing of music; it samples in milliseconds."""
    torch.manual_seed(seed)
    return Prior(CQTDiff(TINY), sigma_data=0.063, ltas=1 / (1 + torch.linspace(0, 20, 1025) ** 2))


def tiny_mixer_prior(seed: int = 0) -> Prior:
    """The same with the other kind of network."""
    torch.manual_seed(seed)
    return Prior(BandMixer(TINY_MIXER), sigma_data=0.063, ltas=1 / (1 + torch.linspace(0, 20, 1025) ** 2))


def save_tiny_preset(folder: Path, **settings) -> None:
    """A preset called tiny in a configuration folder, for processes of their own: the stand-in, and these settings."""
    presets, prior = folder / "presets", tiny_prior()
    presets.mkdir(parents=True)
    save_prior(presets / "tiny.safetensors", prior.network.state_dict(), TINY, prior.sigma_data, prior.level,
               prior.ltas, None, {})
    lines = [f"{name} = {value!r}" for name, value in settings.items()]
    (presets / "tiny.toml").write_text('title = "Tiny"\ndescription = "Random weights."\nprior = "tiny.safetensors"\n'
                                       "[settings]\nguidance = 'direct'\nfilter_fit = 'global'\n" + "\n".join(lines))
