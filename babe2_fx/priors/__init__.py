"""Priors: diffusion models of clean music on an invertible constant-Q transform."""

from .batching import BatchingPrior
from .checkpoints import load_prior, save_prior
from .cqt_network import CQTNetwork, TransformConfig
from .edm import Preconditioning, warped_levels
from .kinds import kind_of, make_network
from .mixer import BandMixer, MixerConfig
from .network import CQTDiff, NetworkConfig
from .official import read_official
from .prior import Emphasis, Prior, PriorError

__all__ = ["BandMixer", "BatchingPrior", "CQTDiff", "CQTNetwork", "Emphasis", "MixerConfig", "NetworkConfig",
           "Preconditioning", "Prior", "PriorError", "TransformConfig", "kind_of", "load_prior", "make_network",
           "read_official", "save_prior", "warped_levels"]
