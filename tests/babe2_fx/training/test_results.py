"""What a run leaves for people."""

import os

import torch

from babe2_fx.training.results import Logs


def test_what_a_run_leaves_can_lie_in_a_folder_whose_name_is_not_text(tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    logs = Logs(folder, 0)
    logs.numbers(1, {"loss": 1.0})
    assert logs.example(1, torch.randn(4410), 22050).exists()
    logs.close()
