"""Official checkpoints: what is read from them."""

import importlib
import sys
import zipfile

import numpy as np
import pytest
import torch

from babe2_fx.priors import NetworkConfig, Prior, PriorError, load_prior, read_official
from official_files import (
    DELETE,
    Call,
    changed,
    configuration_classes,
    network,
    refused,
    settings,
    wrapped,
    write,
)
from standin import TINY

VOICE = NetworkConfig(sample_rate=44100, block_length=262144, octaves=8, bins_per_octave=32,
                      channels=(8, 8, 8, 8, 16, 8, 8, 8), layers=(1, 1, 1, 2, 1, 1, 1, 1), embedding=16)
PIANO = NetworkConfig(block_length=65536, window_beta=2.0, channels=(8, 16, 8, 8, 8, 8, 16),
                      layers=(1, 2, 1, 1, 1, 1, 2), bottlenecks=2, embedding=32)


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
def test_ltas_that_is_not_one_is_refused(tmp_path, value, words):
    refused(write(tmp_path / "model.pt", LTAS=value), words)


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
    ({"downs.0.2.attn_block.qk.weight": torch.ones(3)}, "also has downs.0.2.attn_block.qk.weight"),
    ({"embedding.RFF_freq": torch.ones(1, 33)}, "has the shape (1, 33), not (1, 32)"),
    ({"embedding.RFF_freq": torch.ones(1, 32, dtype=torch.int64)}, "not a tensor of fractional numbers"),
    ({"embedding.RFF_freq": 3.0}, "not a tensor of fractional numbers"),
    ({"embedding.RFF_freq": torch.full((1, 32), torch.inf)}, "not finite numbers, in embedding.RFF_freq")])
def test_weights_of_another_network_are_refused(tmp_path, ema, words):
    weights = {name: value for name, value in (network().state_dict() | ema).items() if value is not None}
    refused(write(tmp_path / "model.pt", ema=weights), words)
