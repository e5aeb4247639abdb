"""Files that are no official checkpoint, or lie: they are refused by name, and nothing in them is ever run."""

import collections
import functools
import importlib
import os
import random
import struct
import subprocess
import time
import zipfile

import pytest
import torch

from babe2_fx.priors import Prior, PriorError, load_prior, read_official
from official_files import (
    Call,
    Identity,
    archived,
    changed,
    configuration_classes,
    legacy,
    network,
    pickled,
    refused,
    write,
)
from standin import TINY


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
    (b"<!DOCTYPE html><title>404 Not Found</title>", "is a web page in place of the file"),
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


@pytest.mark.parametrize("value", [
    {}, [], {"ema": {}}, {"ema": 3, "args": {}}, {"args": {}}, torch.nn.Linear])
def test_pickle_of_something_else_is_refused(tmp_path, value):
    torch.save(value, tmp_path / "model.pt")
    refused(tmp_path / "model.pt")


def test_messages_show_a_strangers_names_safely(tmp_path):
    name = "\x1b[31mevil\r\n" + "x" * 5000
    data = b"\x80\x04X" + struct.pack("<L", len(name)) + name.encode() + b"\x8c\x03run\x93."
    refused(archived(tmp_path / "model.pt", data), "evil", "...")
