"""Heads of safetensors files: what is no such file, or lies about what it holds, is refused in a sentence."""

import json

import pytest
import torch
from safetensors.torch import save_file

from babe2_fx.files import FileError
from babe2_fx.tensor_files import StoredShape, read_head


def test_a_head_says_what_is_in_the_file(tmp_path):
    save_file({"a": torch.zeros(2, 3), "b": torch.zeros(4).half()}, tmp_path / "x.safetensors", {"format": "mine"})
    head = read_head(tmp_path / "x.safetensors")
    assert head.metadata == {"format": "mine"}
    assert head.tensors == {"a": StoredShape("F32", (2, 3)), "b": StoredShape("F16", (4,))}


def of(head: object, data: bytes = b"") -> bytes:
    text = json.dumps(head).encode()
    return len(text).to_bytes(8, "little") + text + data


def tensor(shape=(2,), dtype="F32", place=(0, 8)) -> dict:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(place)}


@pytest.mark.parametrize("content, sentence", {
    "empty": (b"", "is empty (0 bytes)."),
    "short": (b"\x10\x00", "does not begin as one"),
    "text": (b"hello, this is a letter", "does not begin as one"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 6931658\n", "is a Git LFS pointer"),
    "web page": (b"\n<!DOCTYPE html>\n<html><head><title>404</title>", "is a web page in place of the file"),
    "zip": (b"PK\x03\x04\x14\x00\x00\x00\x00\x00", "is a zip archive, as PyTorch's checkpoints are"),
    "huge head": ((2 ** 60).to_bytes(8, "little") + b"{}", "its head has 1152921504606846976 bytes"),
    "cut in the head": (of({"a": tensor()})[:20], "it is cut short"),
    "cut in the data": (of({"a": tensor()}, bytes(7)), "its tensors have 8 bytes, and 7 are there"),
    "more data": (of({"a": tensor()}, bytes(9)), "1 bytes follow its last tensor"),
    "no table": (of([{}]) + b"{", "does not begin as one"),
    "deep": (of({"a": json.loads("[" * 100 + "]" * 100)}), "nested more than 64 deep"),
    "metadata": (of({"__metadata__": {"a": 1}}), "its metadata is not text"),
    "entry": (of({"a": 3}), "the tensor 'a' cannot be understood"),
    "negative": (of({"a": tensor((-2, -1))}, bytes(8)), "the tensor 'a' cannot be understood"),
    "fractional": (of({"a": tensor((1.5,))}, bytes(8)), "the tensor 'a' cannot be understood"),
    "unknown type": (of({"a": tensor(dtype="F8_E4M3")}, bytes(8)), "the tensor 'a' cannot be understood"),
    "many dimensions": (of({"a": tensor((1,) * 100)}, bytes(8)), "the tensor 'a' cannot be understood"),
    "huge": (of({"a": tensor((2 ** 40, 2 ** 40))}, bytes(8)), "has 8 bytes, which contradicts its shape"),
    "overlapping": (of({"a": tensor(), "b": tensor()}, bytes(8)), "its tensors overlap"),
    "many tensors": (of({str(i): tensor((0,), place=(0, 0)) for i in range(10001)}), "it has 10001 tensors"),
}.values())
def test_what_is_no_such_file_is_said(tmp_path, content, sentence):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(FileError) as error:
        read_head(path)
    assert str(error.value).startswith(f"{path} ") and sentence in str(error.value) and len(str(error.value)) < 400
