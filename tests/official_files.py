"""Official checkpoints for tests: files in the published layout, and pickles that no checkpoint should hold."""

import collections
import functools
import io
import pickle
import sys
import types
import typing
import zipfile
from contextlib import contextmanager

import pytest
import torch

from babe2_fx.priors import CQTDiff, NetworkConfig, PriorError, load_prior
from standin import TINY

CLASSES = {"dictconfig": ["DictConfig"], "listconfig": ["ListConfig"], "nodes": ["AnyNode"],
           "base": ["ContainerMetadata", "Metadata"]}


# ------------------------------------------------------------------------------- files in the official layout

@contextmanager
def configuration_classes():
    """Stand-ins for OmegaConf's classes, importable by their names as long as a file is written."""
    modules = {"omegaconf": types.ModuleType("omegaconf")}
    for name, classes in CLASSES.items():
        module = modules[f"omegaconf.{name}"] = types.ModuleType(f"omegaconf.{name}")
        for cls in classes:
            setattr(module, cls, type(cls, (), {"__module__": module.__name__}))
    before = {name: sys.modules.pop(name, None) for name in modules}
    sys.modules.update(modules)
    try:
        yield types.SimpleNamespace(**{cls: getattr(modules[f"omegaconf.{name}"], cls)
                                       for name, classes in CLASSES.items() for cls in classes})
    finally:
        for name, module in before.items():
            sys.modules.pop(name)
            if module is not None:
                sys.modules[name] = module


def wrapped(value, of, parent=None, key=None):
    """A plain configuration as OmegaConf's objects hold it: each knows its parent and carries metadata."""
    container = type(value) in (dict, list)
    cls = {dict: of.DictConfig, list: of.ListConfig}.get(type(value), of.AnyNode)
    node, metadata = cls(), (of.ContainerMetadata if container else of.Metadata)()
    metadata.__dict__.update(ref_type=typing.Any, object_type=type(value) if container else None, key=key,
                             optional=True, flags={}, resolver_cache=collections.defaultdict(dict))
    node.__dict__.update(_metadata=metadata, _parent=parent)
    if isinstance(value, dict):
        node._content = {k: wrapped(v, of, node, k) for k, v in value.items()}
    elif isinstance(value, list):
        node._content = [wrapped(v, of, node, i) for i, v in enumerate(value)]
    else:
        node._val = value
    return node


def settings(config: NetworkConfig, sigma_data: float = 1.0) -> dict:
    return {"exp": {"sample_rate": config.sample_rate, "audio_len": config.block_length, "exp_name": "test"},
            "diff_params": {"sigma_data": sigma_data, "sigma_min": 1e-5},
            "tester": {"blind_bwe": {"sigma_norm": 1}},
            "network": {"Ns": list(config.channels), "num_dils": list(config.layers),
                        "emb_dim": config.embedding, "num_bottleneck_layers": config.bottlenecks,
                        "attention_layers": [0] * (config.octaves + 1),
                        "cqt": {"window": config.window, "beta": config.window_beta,
                                "num_octs": config.octaves, "bins_per_oct": config.bins_per_octave}}}


def network(config: NetworkConfig = TINY, seed: int = 0) -> CQTDiff:
    """A network with random weights, gates open so that all of them count."""
    torch.manual_seed(seed)
    result = CQTDiff(config)
    for parameter in result.parameters():
        if parameter.detach().abs().max() < 1e-3:
            torch.nn.init.normal_(parameter, std=0.3)
    return result.eval().requires_grad_(False)


def write(path, config: NetworkConfig = TINY, ema: dict | None = None, args: dict | None = None, **others):
    """Writes an official checkpoint with `torch.save`; `others` are further or other items of it."""
    ema = network(config).state_dict() if ema is None else ema
    args = settings(config) if args is None else args
    optimizer = {"state": {i: {"step": torch.tensor(3.0), "exp_avg": torch.zeros(5)} for i in range(2)},
                 "param_groups": [{"lr": 2e-4, "betas": (0.9, 0.999), "params": [0, 1]}]}
    with configuration_classes() as of:
        torch.save({"it": 850000, "network": network(config, seed=1).state_dict(), "optimizer": optimizer,
                    "ema": ema, "args": wrapped(args, of)} | others, path)
    return path


def changed(keys: str, value) -> dict:
    """TINY's settings with another value at a path; DELETE takes it away."""
    args = settings(TINY)
    *folders, last = keys.split(".")
    node = functools.reduce(dict.get, folders, args)
    if value is DELETE:
        del node[last]
    else:
        node[last] = value
    return args


DELETE = object()


# ------------------------------------------------------------------------------------- files that are refused

def refused(path, *words) -> str:
    """The message for a file that must not load; it begins with the file and is one or two sentences."""
    with pytest.raises(PriorError) as caught:
        load_prior(path)
    message = str(caught.value)
    assert message.startswith(f"{path} ") and message.endswith(".") and ".." not in message.replace("...", "")
    assert message.isprintable() and len(message) < 600
    for word in words:
        assert word in message
    return message


class Call:
    """Pickles as the call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call

    def __call__(self):
        """A call of what a call gives is pickled too."""


class Identity(tuple):
    """Pickles as a persistent id."""


def pickled(value, protocol: int = 2) -> bytes:
    class Pickler(pickle._Pickler):
        def persistent_id(self, item):
            return tuple(item) if isinstance(item, Identity) else None
    stream = io.BytesIO()
    Pickler(stream, protocol).dump(value)
    return stream.getvalue()


def archived(path, data: bytes, compression=zipfile.ZIP_STORED, **entries: bytes):
    """Writes an archive with a pickle, and tensors' data by their names."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in {"data.pkl": data, "byteorder": b"little", "version": b"3",
                              **{f"data/{k.removeprefix('_')}": v for k, v in entries.items()}}.items():
            archive.writestr(f"archive/{name}", content)
    return path


def legacy(value) -> bytes:
    """A file as PyTorch wrote them before 1.6: bare pickles one after the other."""
    stream = io.BytesIO()
    torch.save(value, stream, _use_new_zipfile_serialization=False)
    return stream.getvalue()
