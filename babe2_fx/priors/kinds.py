"""The kinds of networks that a prior may have, by the names that files and training settings give them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from .cqt_network import CQTNetwork, TransformConfig
from .mixer import BandMixer, MixerConfig
from .network import CQTDiff, NetworkConfig

KINDS: dict[str, tuple[type[TransformConfig], type[CQTNetwork]]] = {
    "unet": (NetworkConfig, CQTDiff), "mixer": (MixerConfig, BandMixer)}
UNNAMED = "unet"  # the kind of sizes that do not name one; files from before there were several


def kind_of(config: TransformConfig) -> str:
    """The name of the kind of network that has these sizes."""
    return next(kind for kind, (sizes, _) in KINDS.items() if type(config) is sizes)


def make_network(config: TransformConfig) -> CQTNetwork:
    """A network of these sizes with random weights."""
    network: Any = KINDS[kind_of(config)][1]
    return network(config)


def to_plain(config: TransformConfig) -> dict[str, Any]:
    """Sizes as plain values, with the kind where it is not the unnamed one."""
    kind = kind_of(config)
    return ({} if kind == UNNAMED else {"kind": kind}) | asdict(config)


def from_plain(values: object) -> TransformConfig:
    """Sizes from a stranger's plain values, as `to_plain` gives them. Raises ValueError saying what is wrong."""
    if not isinstance(values, dict):
        raise ValueError("the sizes of its network are not a table.")
    kind = values.get("kind", UNNAMED)
    if not (isinstance(kind, str) and kind in KINDS):
        raise ValueError(f"its network is of the kind {kind!r:.60}, where this version knows {', '.join(KINDS)}. "
                         "A newer version may know it.")
    return sized(KINDS[kind][0], {name: value for name, value in values.items() if name != "kind"},
                 f"a network of the kind {kind}")


def sized(sizes: type[Any], values: object, what: str) -> Any:
    """Sizes of a class from a stranger's plain values. Raises ValueError, which calls the sized thing `what`."""
    if not isinstance(values, dict):
        raise ValueError(f"the sizes of {what} are not a table.")
    unknown = sorted(set(values) - set(sizes.__dataclass_fields__))
    if unknown:
        raise ValueError(f"{what} has no size {unknown[0]!r:.60}.")
    return sizes(**values)
