"""Official checkpoints: what is read from them, and that nothing in them is ever run."""

import collections
import functools
import importlib
import io
import os
import pickle
import random
import struct
import subprocess
import sys
import time
import types
import typing
import zipfile
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from babe2_fx.priors import CQTDiff, NetworkConfig, Prior, PriorError, load_prior, read_official
from standin import TINY

VOICE = NetworkConfig(sample_rate=44100, block_length=262144, octaves=8, bins_per_octave=32,
                      channels=(8, 8, 8, 8, 16, 8, 8, 8), layers=(1, 1, 1, 2, 1, 1, 1, 1), embedding=16)
PIANO = NetworkConfig(block_length=65536, window_beta=2.0, channels=(8, 16, 8, 8, 8, 8, 16),
                      layers=(1, 2, 1, 1, 1, 1, 2), bottlenecks=2, embedding=32)
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


@pytest.mark.parametrize("config,bins", [(VOICE, 2049), (PIANO, 1025), (TINY, None)])
@torch.no_grad()
def test_checkpoint_of_any_size_gives_its_network(tmp_path, config, bins):
    ltas = torch.rand(bins) if bins else None
    others = {"LTAS": ltas} if bins else {}
    path = write(tmp_path / "model.pt", config, args=settings(config, 0.7), **others)
    prior = load_prior(path)
    assert prior.network.config == config
    assert (prior.sample_rate, prior.block_length, prior.sigma_data, prior.level) == (
        config.sample_rate, config.block_length, 0.7, 0.7)
    assert prior.ltas is None if ltas is None else torch.equal(prior.ltas, ltas)
    assert prior.emphasis is None
    assert prior.info == {"origin": {"file": "model.pt", "iterations": 850000}}
    expected = Prior(network(config), 0.7)
    x, sigma = torch.randn(1, config.block_length), torch.tensor([0.1])
    assert torch.equal(prior.denoise(x, sigma), expected.denoise(x, sigma))


def test_block_of_another_length_can_be_denoised(tmp_path):
    prior = load_prior(write(tmp_path / "model.pt"))
    assert prior.denoise(torch.randn(1, 16384), 0.1).shape == (1, 16384)


@pytest.mark.parametrize("sigma_data,level", [(0.063, 0.07), (1, 1.0), (0.2, 0.2)])
def test_level_is_the_published_one(tmp_path, sigma_data, level):
    assert read_official(write(tmp_path / "model.pt", args=settings(TINY, sigma_data))).level == level


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_become_float32(tmp_path, dtype):
    ema = {name: value.to(dtype) for name, value in network().state_dict().items()}
    loaded = read_official(write(tmp_path / "model.pt", ema=ema)).network.state_dict()
    assert all(value.dtype == torch.float32 for value in loaded.values())
    assert all(torch.equal(loaded[name], value.float()) for name, value in ema.items())


def test_file_need_not_carry_the_resampling_kernels(tmp_path):
    ema = {name: value for name, value in network().state_dict().items() if not name.endswith("kernel")}
    loaded = read_official(write(tmp_path / "model.pt", ema=ema)).network
    assert torch.equal(loaded.upsamplerT.kernel, network().upsamplerT.kernel)


def test_weights_may_be_parameters_and_need_not_be_contiguous(tmp_path):
    ema = network().state_dict()
    ema["embedding.MLP.0.weight"] = torch.nn.Parameter(ema["embedding.MLP.0.weight"].t().contiguous().t())
    loaded = read_official(write(tmp_path / "model.pt", ema=ema)).network.state_dict()
    assert torch.equal(loaded["embedding.MLP.0.weight"], ema["embedding.MLP.0.weight"])


@pytest.mark.parametrize("protocol", [2, 4])
def test_ltas_may_be_a_numpy_array(tmp_path, protocol):
    ltas = np.random.default_rng(0).random(1025)
    path = tmp_path / "model.pt"
    with configuration_classes() as of:
        torch.save({"ema": network().state_dict(), "args": wrapped(settings(TINY), of), "LTAS": ltas,
                    "it": np.int64(3)}, path, pickle_protocol=protocol)
    assert np.allclose(read_official(path).ltas, ltas, rtol=1e-6)


@pytest.mark.parametrize("keys,value", [
    ("network.cqt.num_octs", "${exp.octaves}"), ("network.cqt.num_octs", "${.count}"),
    ("network.cqt.num_octs", "${...exp.octaves}"), ("network.Ns", "${exp.widths}"),
    ("network.Ns", [8, "${.0}", 8]), ("network.cqt", "${exp.cqt}"),
    ("network.num_bottleneck_layers", DELETE)])
def test_interpolated_settings_are_resolved(tmp_path, keys, value):
    args = changed(keys, value)
    args["exp"] |= {"octaves": "${exp.count}", "count": TINY.octaves, "widths": list(TINY.channels),
                    "cqt": settings(TINY)["network"]["cqt"]}
    if isinstance(args["network"]["cqt"], dict):
        args["network"]["cqt"]["count"] = TINY.octaves
    assert read_official(write(tmp_path / "model.pt", args=args)).network.config == TINY


def test_only_the_ema_weights_are_read(tmp_path):
    path = write(tmp_path / "model.pt")
    with zipfile.ZipFile(path) as archive:
        entries = {info.filename: (info.header_offset, archive.read(info)) for info in archive.infolist()}
    other = network(seed=1).state_dict()["embedding.MLP.1.weight"].numpy().tobytes()
    used = network().state_dict()["embedding.MLP.1.weight"].numpy().tobytes()
    content = path.read_bytes()
    assert content.count(other) == content.count(used) == 1 and len(entries) > 100
    path.write_bytes(content.replace(other, bytes(len(other))))  # would be seen by its checksum
    read_official(path)
    path.write_bytes(content.replace(used, bytes(len(used))))
    with pytest.raises(PriorError, match="damaged.*CRC"):
        read_official(path)


def test_configuration_library_is_not_imported(tmp_path, monkeypatch):
    path = write(tmp_path / "model.pt")
    folder = tmp_path / "site" / "omegaconf"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path / "site")
    read_official(path)
    assert not (tmp_path / "imported").exists() and "omegaconf" not in sys.modules
    importlib.import_module("omegaconf")  # the trap is a real one
    del sys.modules["omegaconf"]
    assert (tmp_path / "imported").exists()


@pytest.mark.parametrize("name", ["model.PT", "model.ckpt", "model", "model.bin"])
def test_prior_is_loaded_whatever_the_file_is_called(tmp_path, name):
    assert load_prior(write(tmp_path / name), device="cpu").network.config == TINY


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


def touch(sentinel) -> Call:
    return Call(os.system, f"touch {sentinel}")


def opened(sentinel) -> str:
    return f"open({str(sentinel)!r}, 'w').close()"


HOSTILE = {  # what it holds, what is named in the message, whether a plain load falls for it
    "os.system": (touch, "posix.system", True),
    "os.system, protocol 4": (lambda s: pickled(touch(s), 4), "posix.system", True),
    "os.system, protocol 0": (lambda s: pickled(touch(s), 0), "posix.system", True),
    "os.system by INST": (lambda s: f"(S'touch {s}'\nios\nsystem\n.".encode(), "os.system", True),
    "os.system by OBJ": (lambda s: f"(cos\nsystem\nS'touch {s}'\no.".encode(), "os.system", False),
    "a class by NEWOBJ": (lambda s: f"\x80\x02csubprocess\nPopen\n(S'touch'\nS'{s}'\nt\x81.".encode("latin1"),
                          "subprocess.Popen", False),
    "subprocess": (lambda s: Call(subprocess.check_call, ("touch", str(s))), ".check_call", True),
    "in ema": (lambda s: {"ema": {"embedding.RFF_freq": touch(s)}}, "posix.system", True),
    "in an optimizer's state": (lambda s: {"optimizer": {"state": {0: touch(s)}}}, "posix.system", True),
    "as a dictionary's key": (lambda s: {touch(s): 1}, "posix.system", True),
    "as an OrderedDict's items": (lambda s: Call(collections.OrderedDict, touch(s)), "posix.system", False),
    "builtins.eval": (lambda s: Call(eval, opened(s)), "builtins.eval", True),
    "builtins.exec": (lambda s: pickled(Call(exec, opened(s)), 4), "builtins.exec", True),
    "builtins.getattr": (lambda s: Call(Call(getattr, Call(importlib.import_module, "os"), "system"), f"touch {s}"),
                         "builtins.getattr", True),
    "builtins.map": (lambda s: Call(list, Call(map, eval, [opened(s)])), "map", True),
    # Written out: where Qt has been imported, `__import__` itself bears another name.
    "builtins.__import__": (lambda s: b"cbuiltins\n__import__\n(S'this'\ntR.", "builtins.__import__", False),
    "builtins.open": (lambda s: Call(open, str(s), "w"), "io.open", True),
    "functools.partial": (lambda s: Call(functools.partial(os.system, f"touch {s}")), "functools.partial",
                          True),
    "runpy": (lambda s: b"crunpy\nrun_path\n(S'evil.py'\ntR.", "runpy.run_path", False),
    "torch.load": (lambda s: Call(torch.load, "evil.pt", None, None), "torch.serialization.load", False),
    "torch load by another name": (lambda s: b"ctorch\nload\n(S'evil.pt'\ntR.", "torch.load", False),
    "torch.storage": (lambda s: Call(torch.storage._load_from_bytes, legacy(touch(s))),
                      "torch.storage._load_from_bytes", False),
    "torch.hub": (lambda s: Call(torch.hub.load, "evil/evil", "evil"), "torch.hub.load", False),
    "torch._utils": (lambda s: Call(torch._utils._import_dotted_name, "os.system"),
                     "torch._utils._import_dotted_name", False),
    "torch.package": (lambda s: b"ctorch.package\nPackageImporter\n(S'evil.pt'\ntR.",
                      "torch.package.PackageImporter", False),
    "numpy": (lambda s: f"cnumpy.testing._private.utils\nrunstring\n(S{opened(s)!r}\n}}tR.".encode(),
              "numpy.testing._private.utils.runstring", True),
    "attribute of an allowed name": (
        lambda s: b"\x80\x04\x8c\x0bcollections\x8c\x20OrderedDict.__init__.__globals__\x93.",
        "collections.OrderedDict.__init__.__globals__", False),
    "attribute of a configuration's class": (
        lambda s: b"\x80\x04\x8c\x14omegaconf.dictconfig\x8c\x13DictConfig.__init__\x93.",
        "omegaconf.dictconfig.DictConfig.__init__", False),
    "module with a similar name": (lambda s: b"comegaconf_evil\nrun\n)R.", "omegaconf_evil.run", False),
    "registered extension": (lambda s: b"\x80\x02\x82\x01.", "EXT1", False),
}


def legacy(value) -> bytes:
    """A file as PyTorch wrote them before 1.6: bare pickles one after the other."""
    stream = io.BytesIO()
    torch.save(value, stream, _use_new_zipfile_serialization=False)
    return stream.getvalue()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_checkpoint_is_refused_by_name_and_not_run(tmp_path, name):
    make, named, works = HOSTILE[name]
    sentinel = tmp_path / "was_run"
    made = make(sentinel)
    path = archived(tmp_path / "evil.pt", made if isinstance(made, bytes) else pickled(made))
    refused(path, named, "Nothing in it was run")
    assert not sentinel.exists()
    if works:  # the file is what it is taken for
        try:
            torch.load(path, weights_only=False)
        except Exception:
            pass
        assert sentinel.exists()


@pytest.mark.parametrize("keys", ["exp.exp_name", "exp.sample_rate", "network.Ns", "network.cqt.window"])
def test_call_hidden_in_the_configuration_is_refused_and_not_run(tmp_path, keys):
    sentinel = tmp_path / "was_run"
    path = write(tmp_path / "evil.pt", args=changed(keys, touch(sentinel)))
    refused(path, "posix.system")
    assert not sentinel.exists()
    with configuration_classes():
        torch.load(path, weights_only=False)
    assert sentinel.exists()


def test_classes_of_the_configuration_stay_inert(tmp_path):
    """Called, built and given a state of code, they are data; nothing of this program changes."""
    path = write(tmp_path / "model.pt")
    evil = [b"comegaconf.base\nrun\n(S'x'\ntR.", b"comegaconf\nOmegaConf\n)\x81}(S'__class__'\nK\x01ub.",
            b"\x80\x02comegaconf\nA\n)\x81N}(X\x09\x00\x00\x00__class__comegaconf\nB\nu\x86b.",
            b"\x80\x04\x8c\x09omegaconf\x8c\x01A\x93)}\x8c\x01kK\x01s\x92."]
    for data in evil:
        refused(archived(tmp_path / "evil.pt", data), "not an official checkpoint")
    assert read_official(path).network.config == TINY


def test_attributes_of_functions_and_classes_cannot_be_set(tmp_path):
    for name in ("collections\nOrderedDict", "torch._utils\n_rebuild_tensor_v2", "__builtin__\ndict",
                 "omegaconf\nA"):
        data = f"c{name}\n}}(S'__call__'\nK\x01ub.".encode()
        refused(archived(tmp_path / "evil.pt", data), "sets attributes")
        data = f"c{name}\n(N}}(S'__code__'\nK\x01utb.".encode()
        refused(archived(tmp_path / "evil.pt", data), "sets attributes")


@pytest.mark.parametrize("value,words", [
    (Call(np.dtype, "O"), "unusable LTAS"),
    (np.array([None] * 1025, dtype=object), "unusable LTAS"),
    (np.arange(1025), "unusable LTAS"),
    (torch.arange(1025), "unusable LTAS"),
    (torch.ones(1000), "unusable LTAS"),
    (-torch.ones(1025), "unusable LTAS"),
    (torch.zeros(1025), "unusable LTAS"),
    (torch.full((2049,), float("nan")), "unusable LTAS"), (np.arange(1025) - 1.0, "unusable LTAS"),
    ([1.0] * 1025, "unusable LTAS")])
def test_ltas_that_is_none_is_refused(tmp_path, value, words):
    refused(write(tmp_path / "model.pt", LTAS=value), words)


# ------------------------------------------------------------------------------------------- tensors that lie

def tensor(identity=("storage", torch.FloatStorage, "7", "cpu", 10), offset=0, size=(10,), stride=(1,)):
    return Call(torch._utils._rebuild_tensor_v2, Identity(identity), offset, size, stride, False,
                collections.OrderedDict())


@pytest.mark.parametrize("lie,words", [
    (tensor(("storage", torch.FloatStorage, "7", "cpu", 11)), "lies about the size"),
    (tensor(("storage", torch.FloatStorage, "7", "cpu", 9)), "lies about the size"),
    (tensor(("storage", torch.DoubleStorage, "7", "cpu", 10)), "lies about the size"),
    (tensor(("storage", torch.FloatStorage, "7", "cpu", 2 ** 62)), "not a tensor's data"),
    (tensor(("storage", torch.FloatStorage, "7", "cpu", -10)), "not a tensor's data"),
    (tensor(("storage", torch.FloatStorage, "7", "cpu", True)), "not a tensor's data"),
    (tensor(("storage", torch.FloatStorage, "../byteorder", "cpu", 10)), "not a tensor's data"),
    (tensor(("storage", torch.FloatStorage, "8", "cpu", 10)), "lacks the tensor data/8"),
    (tensor(("storage", dict, "7", "cpu", 10)), "not a tensor's data"),
    (tensor(("storage", "float", "7", "cpu", 10)), "not a tensor's data"),
    (tensor(("module", torch.FloatStorage, "7", "cpu", 10)), "not a tensor's data"),
    (tensor(("storage",)), "not a tensor's data"),
    (tensor(size=(11,)), "lies about the size"),
    (tensor(offset=1), "lies about the size"),
    (tensor(size=(2, 5), stride=(6, 1)), "lies about the size"),
    (tensor(size=(2 ** 30, 2 ** 30), stride=(0, 0)), "lies about the size"),
    (tensor(size=(1000,), stride=(0,)), "lies about the size"),
    (tensor(offset=-1), "without a proper size"),
    (tensor(size=(-10,)), "without a proper size"),
    (tensor(stride=(-1,)), "without a proper size"),
    (tensor(size=(2 ** 50,)), "without a proper size"),
    (tensor(size=(10, 1)), "without a proper size"),
    (tensor(size=(1,) * 100, stride=(1,) * 100), "without a proper size"),
    (tensor(size=("10",)), "without a proper size"),
    (Call(torch._utils._rebuild_tensor_v2, "storage", 0, (1,), (1,)), "without a proper size"),
    (Call(torch._utils._rebuild_tensor_v2), "damaged pickle"),
    (Call(torch._utils._rebuild_parameter, 1, True, {}), "not a tensor")])
def test_tensor_that_lies_is_refused(tmp_path, lie, words):
    for place in ("ema", "network"):
        path = archived(tmp_path / "model.pt", pickled({place: {"x": lie}}), _7=bytes(40))
        refused(path, words)


def test_many_tensors_from_the_same_numbers_are_refused(tmp_path):
    weights = network().state_dict()
    numbers = torch.randn(max(value.numel() for value in weights.values()))
    shared = {name: numbers[:value.numel()].view(value.shape) for name, value in weights.items()}
    path = write(tmp_path / "model.pt", ema=shared, network={})
    assert path.stat().st_size < 4 * sum(value.numel() for value in weights.values())
    refused(path, "lies about the size of its tensors")


# ----------------------------------------------------------------------------------- archives and other files

def test_zip_bombs_are_refused(tmp_path):
    path = tmp_path / "bomb.pt"
    refused(archived(path, bytes(50_000_000), zipfile.ZIP_DEFLATED), "compressed", "bomb", "become 50000000")
    refused(archived(path, b"N.", zipfile.ZIP_BZIP2, _0=bytes(50_000_000)), "compressed", "zip bomb")
    assert path.stat().st_size < 10000
    refused(archived(path, b"N" * 5_000_000), "pickle of 5000000 bytes")
    with zipfile.ZipFile(path, "w") as archive:  # many entries with the same data
        archive.writestr("archive/data.pkl", b"N.")
        archive.writestr("archive/data/0", bytes(10000))
        for i in range(1, 100):
            again = zipfile.ZipInfo(f"archive/data/{i}")
            for field in ("file_size", "compress_size", "CRC", "header_offset"):
                setattr(again, field, getattr(archive.filelist[1], field))
            archive.filelist.append(again)
    refused(path, "more data than its")
    with open(path, "wb") as file:  # a directory of 100 MB, none of which is on the disk
        file.write(b"PK\x03\x04")
        file.seek(100_000_000)
        file.write(struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 10 ** 4, 10 ** 4, 99_000_000, 100, 0))
    refused(path, "damaged")


@pytest.mark.parametrize("keep", [0.001, 0.2, 0.5, 0.9, 0.9999])
def test_truncated_checkpoint_is_refused(tmp_path, keep):
    path = write(tmp_path / "model.pt")
    path.write_bytes(path.read_bytes()[:int(path.stat().st_size * keep)])
    refused(path, "cut short or damaged", "Download or copy it again")


def test_archives_that_are_no_checkpoint_are_refused(tmp_path):
    path = tmp_path / "model.pt"
    with pytest.warns(UserWarning, match="Duplicate name"):
        with zipfile.ZipFile(path, "w") as archive:
            for content in (b"N.", b"N."):
                archive.writestr("archive/data.pkl", content)
    refused(path, "two entries of one name")
    for names in ([], ["data.pkl"], ["a/b/data.pkl"], ["a/data.pkl", "b/data.pkl"], ["a/constants.pkl"]):
        with zipfile.ZipFile(path, "w") as archive:
            for name in ["mimetype", *names]:
                archive.writestr(name, b"N.")
        refused(path, "not a checkpoint")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"N.")
        archive.writestr("archive/byteorder", b"big")
    refused(path, "big-endian")
    archived(path, b"N.")
    header = b"PK\x01\x02\x14\x03\x14\x00"
    path.write_bytes(path.read_bytes().replace(header + b"\x00", header + b"\x01"))
    refused(path, "encrypted")


def test_old_pickle_is_refused_and_not_run(tmp_path):
    sentinel, path = tmp_path / "was_run", tmp_path / "model.pt"
    path.write_bytes(legacy({"ema": touch(sentinel)}))
    refused(path, "bare pickle", "before version 1.6")
    assert not sentinel.exists()
    torch.load(path, weights_only=False)
    assert sentinel.exists()


@pytest.mark.parametrize("content,words", [
    (b"", "is empty"),
    (b"cos\nsystem\n(S'true'\ntR.", "not a checkpoint"),
    (b"<!DOCTYPE html><title>404 Not Found</title>", "not a checkpoint"),
    (b"RIFF\x24\x00\x00\x00WAVEfmt ", "not a checkpoint"),
    (b"\x10\x00\x00\x00\x00\x00\x00\x00{\"a\":{}}        ", "safetensors"),
    (b"PK", "cut short or damaged"),
    (b"PK\x03\x04" + bytes(1000), "cut short or damaged")])
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt"])
def test_other_files_with_its_name_are_refused(tmp_path, content, words, suffix):
    path = tmp_path / f"model{suffix}"
    path.write_bytes(content)
    refused(path, words)


def test_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(PriorError, match="There is no prior file .*nowhere.pt"):
        load_prior(tmp_path / "nowhere.pt")
    with pytest.raises(PriorError, match="nowhere.pt cannot be read"):
        read_official(tmp_path / "nowhere.pt")


@pytest.mark.parametrize("data", [
    b"", b".", b"N", b"N0.", b"R.", b"b.", b"e.", b"t.", b"u.", b"(.", b"]K\x01u.", b"K\x01K\x02a.",
    b"}(K\x01u.", b"}K\x01K\x02K\x03e.", b"\x80\x04\x8c\xffabc", b"h\x07.", b"\xff.", b"I9x\n.",
    b"K\x01)R.", b"(K\x01i\n.", b"\x96" + (2 ** 62).to_bytes(8, "little") + b"x.",
    b"\x8e" + (2 ** 40).to_bytes(8, "little") + b"x.",
    b"\x8b\xff\xff\xff\x7fx.", b"NQ.", b"(lK\x01N\x93.", b"Nr\xff\xff\xff\xff.", b"N\x81.", b"(d."])
def test_senseless_pickle_is_refused(tmp_path, data):
    refused(archived(tmp_path / "model.pt", data))


DEEP = 1_000_000


@pytest.mark.parametrize("data", [
    b"N" + b"\x85" * DEEP + b".", b"}N" + b"\x85" * DEEP + b"Ns.", b"]" * DEEP + b"a" * (DEEP - 1) + b".",
    b"(" * DEEP + b".",
    b"}X\x04\x00\x00\x00args" + b"]" * DEEP + b"a" * (DEEP - 1) + b"sX\x03\x00\x00\x00ema}s.",
    b"N" + b"".join(b"q%cq%ch%ch%c\x86" % (i, i, i, i) for i in range(60)) + b"q\xff}h\xffNs."],
    ids=["tuples", "tuples as a key", "lists", "marks", "in the settings", "doubling as a key"])
def test_deep_pickle_is_refused_in_time(tmp_path, data):
    began = time.monotonic()
    refused(archived(tmp_path / "model.pt", data))
    assert time.monotonic() - began < 60


def test_random_damage_is_refused_or_harmless(tmp_path):
    with zipfile.ZipFile(write(tmp_path / "model.pt")) as archive:
        entries = {name.split("/", 1)[1]: archive.read(name) for name in archive.namelist()}
    whole, rng = entries["data.pkl"], random.Random(0)
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(rng.choice((1, 3, 20))):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path = tmp_path / "damaged.pt"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in (entries | {"data.pkl": bytes(damaged)}).items():
                archive.writestr(f"model/{name}", content)
        try:
            assert isinstance(load_prior(path), Prior)
        except PriorError as error:
            assert str(error).startswith(str(path))


# ----------------------------------------------------------------------------------- settings that do not fit

@pytest.mark.parametrize("keys,value,words", [
    ("exp.sample_rate", DELETE, "exp.sample_rate"),
    ("exp.sample_rate", "22050", "exp.sample_rate"),
    ("exp.sample_rate", True, "exp.sample_rate"),
    ("exp.audio_len", 10 ** 12, "exp.audio_len"),
    ("exp.audio_len", 400, "too short or too odd"),
    ("diff_params.sigma_data", 0, "diff_params.sigma_data"),
    ("diff_params.sigma_data", float("nan"), "diff_params.sigma_data"),
    ("network", DELETE, "CQT window None"),
    ("network.Ns", [8, 8], "3 octaves needs"),
    ("network.Ns", [8, 12, 8], "multiples of 8"),
    ("network.Ns", [8, 10 ** 9, 8], "network.Ns.1"),
    ("network.Ns", 8, "network.Ns"),
    ("network.Ns", [8] * 10000, "network.Ns"),
    ("network.num_dils", [1, 1, 10 ** 9], "network.num_dils.2"),
    ("network.cqt.window", "rectangular", "CQT window rectangular"),
    ("network.cqt.num_octs", 4, "4 octaves needs"),
    ("network.cqt.num_octs", "${oc.env:HOME}", "${oc.env:HOME}"),
    ("network.cqt.num_octs", "${network.cqt.num_octs}", "without end"),
    ("network.cqt", "${network.cqt}", "without end"),
    ("network.cqt.num_octs", "${nowhere.at.all}", "network.cqt.num_octs"),
    ("network.cqt.num_octs", "${....x}", "network.cqt.num_octs"),
    ("network.emb_dim", 8, "not (8, 256)"),
    ("network.num_bottleneck_layers", 2, "lacks middle.1"),
    ("network.num_dils", [2, 1, 1], "lacks downs.0")])
def test_settings_that_do_not_fit_are_named(tmp_path, keys, value, words):
    refused(write(tmp_path / "model.pt", args=changed(keys, value)), words)


def test_interpolations_that_multiply_are_refused_in_time(tmp_path):
    args = changed("network.cqt.num_octs", "${a0.x}")
    for level in range(20):
        args[f"a{level}"] = "${" + ".".join([f"a{level + 1}"] + ["x"] * 50) + "}"
    args["a20"] = {"x": "${a20}"}
    refused(write(tmp_path / "model.pt", args=args), "without end")


@pytest.mark.parametrize("ema,words", [
    ({"embedding.RFF_freq": None}, "lacks embedding.RFF_freq"),
    ({"downs.0.2.attn_block.qk.weight": torch.ones(3)}, "has besides downs.0.2.attn_block.qk.weight"),
    ({"embedding.RFF_freq": torch.ones(1, 33)}, "has the shape (1, 33), not (1, 32)"),
    ({"embedding.RFF_freq": torch.ones(1, 32, dtype=torch.int64)}, "not a tensor of fractional numbers"),
    ({"embedding.RFF_freq": 3.0}, "not a tensor of fractional numbers"),
    ({"embedding.RFF_freq": torch.full((1, 32), torch.inf)}, "not finite numbers, in embedding.RFF_freq")])
def test_weights_of_another_network_are_refused(tmp_path, ema, words):
    weights = {name: value for name, value in (network().state_dict() | ema).items() if value is not None}
    refused(write(tmp_path / "model.pt", ema=weights), words)


@pytest.mark.parametrize("value", [
    {}, [], {"ema": {}}, {"ema": 3, "args": {}}, {"args": {}}, torch.nn.Linear])
def test_pickle_of_something_else_is_refused(tmp_path, value):
    torch.save(value, tmp_path / "model.pt")
    refused(tmp_path / "model.pt")


def test_messages_show_a_strangers_names_safely(tmp_path):
    name = "\x1b[31mevil\r\n" + "x" * 5000
    data = b"\x80\x04X" + struct.pack("<L", len(name)) + name.encode() + b"\x8c\x03run\x93."
    refused(archived(tmp_path / "model.pt", data), "evil", "...")
