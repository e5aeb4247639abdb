"""The gate that every prior passes: files from strangers, through every door."""

import json
import os
import random
import struct

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from babe2_fx import GenerativeEQ
from babe2_fx.catalogue.presets import load_preset
from babe2_fx.errors import UserError
from babe2_fx.priors import Prior, PriorError, gate, load_prior, make_network, save_prior
from babe2_fx.priors.levels import LevelConfig, LevelModel
from babe2_fx.priors.response import ResponseConfig, ResponseModel
from babe2_host.cli import main
from standin import TINY, TINY_MIXER, tiny_prior


def write(path, config=TINY, **changes):
    """A good prior file."""
    torch.manual_seed(0)
    save_prior(path, make_network(config).state_dict(), config, 0.063, 0.063, torch.linspace(1, 0, 1025),
               torch.linspace(0, 20, 2049), {}, ltas_spread_db=torch.full((1025,), 3.0), **changes)
    return path


def changed(path, tensors=None, sizes=None, **metadata):
    """Changes what is in a prior file; None takes a tensor away."""
    with safe_open(str(path), framework="pt") as file:
        texts = dict(file.metadata())
    texts |= metadata
    if sizes:
        texts["network"] = json.dumps(json.loads(texts["network"]) | sizes)
    kept = load_file(path) | (tensors or {})
    save_file({name: value for name, value in kept.items() if value is not None}, path, texts)
    return path


def filled(value, *shape, dtype=torch.float32):
    return torch.full(shape, value, dtype=dtype)


NAN = float("nan")
FIRST = "network.downs.0.0.H.0.weight"
SIZES = {
    "many bands": ({"bins_per_octave": 200000}, "bins_per_octave must be a whole number from 4 to 512, not 200000."),
    "a negative block": ({"block_length": -1}, "block_length must be a whole number from 256 to 4194304, not -1."),
    "many bottlenecks": ({"bottlenecks": 200000}, "bottlenecks must be a whole number from 1 to 16, not 200000."),
    "many layers": ({"layers": [100000, 1, 1]}, "layers[0] must be a whole number from 1 to 16, not 100000."),
    "a prime rate": ({"sample_rate": 21991}, "sample_rate must be a multiple of 25 Hz, as all"),
    "a rate of text": ({"sample_rate": "x"}, "sample_rate must be a whole number from 8000 to 192000, not 'x'."),
    "a rate for bats": ({"sample_rate": 384000}, "sample_rate must be a whole number from 8000 to 192000"),
    "an unknown window": ({"window": "x"}, "window must be one of hann, kaiser, not 'x'."),
    "all at once": ({"channels": [4096] * 3, "layers": [16] * 3, "block_length": 2 ** 22}, "would take about"),
    "too short": ({"block_length": 256, "bins_per_octave": 128}, "its sizes do not go together: A block of 256"),
}
METADATA = {
    "no level": ({"level": "nan"}, "its level is nan, where a number from 1e-06 to 1000 is needed."),
    "a huge level": ({"level": "1e308"}, "its level is 1e308, where a number from 1e-06 to 1000 is needed."),
    "a negative sigma": ({"sigma_data": "-1"}, "its sigma_data is -1, where a number from 1e-06 to 1000 is needed."),
    "no text": ({"sigma_data": "\x1b[2J"}, "its sigma_data is \\x1b[2J, where a number"),
    "a tiny sigma": ({"sigma_data": "1e-300"}, "its sigma_data is 1e-300, where"),
    "no number": ({"sigma_data": "much"}, "its sigma_data is much, where a number from 1e-06"),
    "no table": ({"info": "[1]"}, "what it says of its origin is not a table"),
    "deep": ({"info": "[" * 10 ** 5}, "nested more than 64 deep"),
    "digits": ({"network": '{"octaves": ' + "9" * 5000 + "}"}, "a whole number of more than 18 digits"),
    "levels of nothing": ({"levels": "{}"}, "it lacks levels."),
    "levels without end": ({"levels": json.dumps(dict.fromkeys(("channels", "mixes", "width", "passed"), 1024))},
                           "its sizes are those of a network of 2.7e+08 parameters, where 1e+07 are the most"),
    "odd levels": ({"levels": '{"depth": 3}'}, "a level model has no size 'depth'"),
}
TENSORS = {
    "an emphasis of nothing": ({"emphasis_db": filled(0.0, 0)}, "its emphasis_db has the shape (0,), where one row of"),
    "a deafening emphasis": ({"emphasis_db": filled(300.0, 2049)}, "its emphasis_db has the value 300, where all must"),
    "a spectrum of two rows": ({"ltas": filled(1.0, 3, 5)}, "its ltas has the shape (3, 5), where one row of 257, 513"),
    "a long spectrum": ({"ltas": filled(1.0, 100001)}, "its ltas has the shape (100001,)"),
    "a negative spectrum": ({"ltas": filled(-1.0, 1025)}, "its ltas has the value -1, where all must lie from 0 to"),
    "a silent spectrum": ({"ltas": filled(0.0, 1025)}, "its ltas is zero everywhere"),
    "an infinite spectrum": ({"ltas": filled(float("inf"), 1025)}, "values that are not finite numbers, in ltas"),
    "a spread of nothing": ({"ltas_spread_db": filled(NAN, 1025)}, "are not finite numbers, in ltas_spread_db"),
    "a negative spread": ({"ltas_spread_db": filled(-3.0, 1025)}, "its ltas_spread_db has the value -3, where"),
    "weights of nothing": ({FIRST: filled(NAN, 8, 8, 1, 1, dtype=torch.float16)},
                           f"it has values that are not finite numbers, in {FIRST}."),
    "weights of integers": ({FIRST: torch.ones(8, 8, 1, 1, dtype=torch.int32)},
                            f"{FIRST} is not a tensor of fractional numbers"),
    "other shapes": ({FIRST: filled(0.0, 8, 4)}, f"{FIRST} has the shape (8, 4), not (8, 8, 1, 1)"),
    "too few": ({FIRST: None, "network.embedding.RFF_freq": None}, "it lacks network.embedding.RFF_freq and 1 more"),
    "too many": ({"network.odd": filled(0.0, 1)}, "it also has network.odd"),
    "loud weights": ({"network.embedding.MLP.2.weight": filled(1e30, 16, 256)}, "what it makes of noise is"),
}


@pytest.mark.parametrize("change, sentence", [
    *(({"sizes": sizes}, sentence) for sizes, sentence in SIZES.values()), *METADATA.values(),
    *(({"tensors": tensors}, sentence) for tensors, sentence in TENSORS.values())],
    ids=[*SIZES, *METADATA, *TENSORS])
def test_a_stranger_s_prior_is_refused_in_a_sentence(tmp_path, change, sentence):
    path = changed(write(tmp_path / "stranger.safetensors"), **change)
    with pytest.raises(PriorError) as error:
        load_prior(path)
    message = str(error.value)
    assert message.startswith(f"{path} cannot be used as a prior: ") and sentence in message
    assert message.isprintable() and message.endswith(".") and len(message) < 500


def test_every_door_has_the_gate(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("BABE2_CACHE", str(tmp_path / "cache"))
    path = changed(write(tmp_path / "stranger.safetensors"), TENSORS["weights of nothing"][0])
    (tmp_path / "data").mkdir()
    assert main(["weights", "import", str(path)]) != 0
    assert "that are not finite numbers" in capsys.readouterr().err
    assert not list((tmp_path / "cache").rglob("*.safetensors"))
    assert main(["sample", str(path), "-o", str(tmp_path / "examples")]) != 0
    assert "that are not finite numbers" in capsys.readouterr().err
    (tmp_path / "mine.toml").write_text('title = "Mine"\ndescription = "Mine."\nprior = "stranger.safetensors"\n')
    for preset in (path, tmp_path / "mine.toml"):
        with pytest.raises(PriorError, match="that are not finite numbers"):
            GenerativeEQ(str(preset), device="cpu")(torch.zeros(1, 22050).numpy(), 22050)


def test_the_content_of_a_file_decides_not_its_name(tmp_path):
    good = write(tmp_path / "good.safetensors")
    os.rename(good, tmp_path / "good.pt")
    assert isinstance(load_prior(tmp_path / "good.pt"), Prior)
    for name in ("page.safetensors", "page.pt"):
        (tmp_path / name).write_text("<!DOCTYPE html><html>Not found</html>")
        with pytest.raises(PriorError, match="is a web page in place of the file"):
            load_prior(tmp_path / name)
        (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 6931658\n")
        with pytest.raises(PriorError, match="is a Git LFS pointer in place of the file"):
            load_prior(tmp_path / name)


def test_a_prior_that_no_file_could_hold_is_not_written(tmp_path):
    weights = tiny_prior().network.state_dict()
    weights[FIRST.removeprefix("network.")] = filled(1e5, 8, 8, 1, 1)  # beyond half precision
    with pytest.raises(PriorError, match=r"p\.safetensors was not written: it has values that are not finite"):
        save_prior(tmp_path / "p.safetensors", weights, TINY, 0.063, 0.063, None, None, {})
    save_prior(tmp_path / "p.safetensors", weights, TINY, 0.063, 0.063, None, None, {}, dtype=torch.float32)
    assert os.listdir(tmp_path) == ["p.safetensors"]


def test_companions_are_tried_too(tmp_path):
    levels, response = LevelModel(LevelConfig(4, 2, 8, 2)), ResponseModel(ResponseConfig(4, 2, 2, 8, 2))
    companions = {"levels": levels.requires_grad_(False), "response": response.requires_grad_(False)}
    path = write(tmp_path / "p.safetensors", **companions)
    assert load_prior(path).levels.config == levels.config
    with pytest.raises(PriorError, match=r"response\.deviation_scale has the value 0, where all must lie"):
        load_prior(changed(path, {"response.deviation_scale": filled(0.0, 83)}))
    changed(path, {"response.deviation_scale": None, "levels.leave.weight": filled(3e38, 6, 4, 1, 1)})
    with pytest.raises(PriorError, match="what its level model says"):
        load_prior(path)


def test_a_long_trial_is_remembered_as_long_as_the_file_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("BABE2_CACHE", str(tmp_path / "cache"))
    tried = []
    monkeypatch.setattr(gate, "try_out", lambda prior: tried.append(prior))
    monkeypatch.setattr(gate, "LONG_TRIAL_S", -1.0)
    path = write(tmp_path / "p.safetensors")
    load_prior(path)
    load_prior(path)
    assert len(tried) == 1
    changed(path, level="0.07")
    load_prior(path)
    assert len(tried) == 2
    load_prior("piano")  # it ships with the program
    (tmp_path / "cache" / "tried.json").write_text("[" * 10 ** 5)
    load_prior(path)
    assert len(tried) == 3


def test_the_work_of_a_block_is_known_without_doing_it():
    for config in (TINY, TINY_MIXER, load_prior("piano").network.config):
        cqt = make_network(config).transform(config.block_length)
        assert [config.frames(i) for i in range(config.octaves)] == cqt.frames
        assert config.coefficients == sum(cqt.frames) * config.bins_per_octave


VALUES = (0, -1, 1, 7, 100, 4096, 44056, 2 ** 22, 2 ** 31, 2 ** 53, 10 ** 30, 0.5, 1e300, NAN, None, True, "x", [], {},
          [[8]], "\ud800")


def mutated(content: bytes, rng: random.Random) -> bytes:
    """A prior file with something about it changed."""
    length, = struct.unpack("<Q", content[:8])
    head, data = json.loads(content[8:8 + length]), content[8 + length:]
    match rng.randrange(6):
        case 0:
            content = bytearray(content)
            for _ in range(rng.choice((1, 8, 64))):
                content[rng.randrange(rng.choice((8, 8 + length, len(content))))] = rng.randrange(256)
            return bytes(content)
        case 1:
            return content[:rng.randrange(len(content))] + bytes(rng.choice((0, 0, 9)))
        case 2:
            head["__metadata__"][rng.choice(list(head["__metadata__"]))] = rng.choice(
                [json.dumps(value) for value in VALUES] + ["[" * 10 ** 5, "9" * 5000, "inf"])
        case 3:
            sizes = json.loads(head["__metadata__"]["network"])
            for _ in range(rng.choice((1, 1, 3))):
                name = rng.choice(list(sizes))
                number = type(sizes[name]) is int and rng.random() < 0.5
                sizes[name] = max(1, int(sizes[name] * rng.choice((0.5, 2, 16)))) if number else rng.choice(VALUES)
            head["__metadata__"]["network"] = json.dumps(sizes)
        case 4:
            entry = head[rng.choice(list(head)[1:])]
            entry[rng.choice(list(entry))] = rng.choice((*VALUES, "F32", [0], [2 ** 40], [1] * 100))
        case _:
            first, last = head[rng.choice(list(head)[1:])]["data_offsets"]
            data = data[:first] + rng.choice((b"\0\0\xc0\x7f", b"\0\x7c\0\x7c", b"\xff")) * (last - first) + data[last:]
            data = data[:last] + content[8 + length + last:]
    text = json.dumps(head).encode()
    return len(text).to_bytes(8, "little") + text + data


def test_no_mutation_of_a_prior_file_breaks_the_program(tmp_path):
    """`BABE2_FUZZ=2000` tries so many instead of a hundred."""
    originals = [write(tmp_path / "original.safetensors", config).read_bytes() for config in (TINY, TINY_MIXER)]
    path, rng, seen = tmp_path / "m.safetensors", random.Random(0), {"read": 0, "refused": 0}
    for _ in range(int(os.environ.get("BABE2_FUZZ", "100"))):
        path.write_bytes(mutated(rng.choice(originals), rng))
        try:
            load_preset(str(path))
            load_prior(path)
            seen["read"] += 1
        except UserError as error:
            seen["refused"] += 1
            assert str(error).startswith(f"{path} ") and len(str(error)) < 700
    assert seen["refused"] > seen["read"]

