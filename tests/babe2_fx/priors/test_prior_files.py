"""Prior files with either kind of network, and files from strangers."""

import json
import resource
import time

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from babe2_fx.priors import BandMixer, PriorError, kind_of, load_prior, make_network, save_prior
from babe2_fx.priors.checkpoints import FORMAT
from standin import TINY, TINY_MIXER


def written(path, config=TINY_MIXER, dtype=torch.float16):
    torch.manual_seed(0)
    network = make_network(config)
    save_prior(path, network.state_dict(), config, 0.063, 0.07, torch.ones(1025), torch.linspace(0, 9, 2049),
               {"origin": "test"}, dtype)
    return network.requires_grad_(False)


def metadata_of(path) -> dict[str, str]:
    with safe_open(str(path), framework="pt") as file:
        return dict(file.metadata())


def test_a_mixing_prior_comes_back_as_it_was_saved_but_for_half_rounding(tmp_path):
    network = written(tmp_path / "p.safetensors")
    loaded = load_prior(tmp_path / "p.safetensors")
    assert isinstance(loaded.network, BandMixer) and loaded.network.config == TINY_MIXER
    assert (loaded.sigma_data, loaded.level, loaded.block_length) == (0.063, 0.07, 32768)
    found = loaded.network.state_dict()
    assert list(found) == list(network.state_dict())
    for name, weight in network.state_dict().items():
        assert torch.equal(found[name], weight if "RFF" in name else weight.half().float()), name
        weight.copy_(found[name])
    x, level = torch.randn(1, 32768), torch.tensor([[-0.5]])
    assert torch.equal(loaded.network(x, level), network(x, level))


def test_a_loaded_prior_is_written_again_to_the_bit(tmp_path):
    for config in (TINY, TINY_MIXER):
        first, second = tmp_path / "1.safetensors", tmp_path / "2.safetensors"
        written(first, config)
        prior = load_prior(first)
        save_prior(second, prior.network.state_dict(), prior.network.config, prior.sigma_data, prior.level, prior.ltas,
                   prior.emphasis.gain_db, prior.info)
        tensors, again = load_file(first), load_file(second)
        assert metadata_of(first) == metadata_of(second) and list(tensors) == list(again)
        assert all(torch.equal(tensors[name], again[name]) for name in tensors)


def test_files_of_the_first_kind_are_as_they_were_before_there_was_another(tmp_path):
    written(tmp_path / "p.safetensors", TINY)
    sizes = json.loads(metadata_of(tmp_path / "p.safetensors")["network"])
    assert "kind" not in sizes and kind_of(load_prior(tmp_path / "p.safetensors").network.config) == "unet"


HOSTILE = {
    "an unknown kind": ({"kind": "transformer"}, "of the kind 'transformer', where this version knows unet, mixer"),
    "a kind that is no text": ({"kind": ["mixer"]}, "of the kind ['mixer']"),
    "a long kind": ({"kind": "x" * 10 ** 6}, "A newer version may know it."),
    "the other kind": ({"kind": "unet"}, "a network of the kind unet has no size 'depth'"),
    "no kind": ({"kind": None}, "of the kind None"),
    "deep": ({"depth": 10 ** 9}, "depth must be a whole number from 1 to 64, not 1000000000."),
    "wide": ({"width": 10 ** 12}, "width must be a whole number from 1 to 4096"),
    "wide within reason": ({"width": 1024, "depth": 24}, "it lacks network.layers.3."),
    "many octaves": ({"octaves": 10 ** 9}, "octaves must be a whole number from 1 to 12"),
    "a long block": ({"block_length": 2 ** 50}, "block_length must be a whole number"),
    "negative": ({"mix_channels": -1}, "mix_channels must be a whole number"),
    "text for a number": ({"width": "96"}, "width must be a whole number from 1 to 4096, not '96'."),
    "a list for a number": ({"width": [96] * 100000}, "width must be a whole number"),
    "a truth for a number": ({"reach": True}, "reach must be a whole number"),
    "nan": ({"sigma_data": float("nan")}, "it has the number nan, where only finite ones are of use"),
    "an odd window": ({"window": "x" * 10 ** 6}, "window must be one of hann, kaiser"),
    "a further size": ({"heads": 4}, "a network of the kind mixer has no size 'heads'"),
    "uneven tokens": ({"token_bands": 3}, "do not fill octaves of 16"),
    "other sizes than the weights'": ({"width": 16}, "network.enter.0.bias has the shape (8,), not (16,)"),
}
UNET = {
    "large in all": ({"channels": [4096] * 3, "layers": [16] * 3, "block_length": 2 ** 22}, "would take about 1"),
    "deep": ({"layers": [10 ** 9] * 3}, "layers[0] must be a whole number from 1 to 16"),
    "many bottlenecks": ({"bottlenecks": 10 ** 9}, "bottlenecks must be a whole number from 1 to 16"),
    "a number for a list": ({"channels": 8}, "channels must be a list of whole numbers, not 8."),
    "text in a list": ({"channels": ["8", 8, 8]}, "channels[0] must be a whole number"),
    "a long list": ({"channels": [8] * 10 ** 6}, "channels must be a list of whole numbers"),
}


@pytest.mark.parametrize("config, changes, sentence",
                         [(TINY_MIXER, *case) for case in HOSTILE.values()] + [(TINY, *case) for case in UNET.values()],
                         ids=[*HOSTILE, *(f"unet, {name}" for name in UNET)])
def test_a_stranger_s_sizes_are_refused_at_once_in_a_sentence(tmp_path, config, changes, sentence):
    path = tmp_path / "stranger.safetensors"
    written(path, config)
    metadata = metadata_of(path)
    metadata["network"] = json.dumps(json.loads(metadata["network"]) | changes)
    refused(path, metadata, sentence)


@pytest.mark.parametrize("changes, sentence", [
    ({"network": "[1, 2]"}, "the sizes of its network are not a table"),
    ({"network": "{"}, "cannot be used as a prior: Expecting property name"),
    ({"network": "[" * 100000}, "nested more than 64 deep"), ({"network": '{"width": 1' + "0" * 5000 + "}"}, "digits"),
    ({"sigma_data": "nan"}, "its sigma_data is nan"), ({"level": "inf"}, "its level is inf"),
    ({"sigma_data": "-1"}, "its sigma_data is -1"), ({"info": "nothing"}, "Expecting value: line 1")],
    ids=["list", "cut", "nested", "digits", "nan", "inf", "negative", "info"])
def test_other_metadata_that_is_wrong_is_refused_too(tmp_path, changes, sentence):
    path = tmp_path / "stranger.safetensors"
    written(path)
    refused(path, metadata_of(path) | changes, sentence)


def refused(path, metadata, sentence):
    """That the file with this metadata is refused with its name, in little time and memory."""
    assert metadata["format"] == FORMAT
    save_file(load_file(path), path, metadata)
    begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(PriorError) as error:
        load_prior(path)
    assert "stranger.safetensors" in str(error.value) and sentence in str(error.value)
    assert time.monotonic() - begun < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB
