"""Files appear whole or not at all, as any new file or for their owner alone."""

import os
import stat

import pytest

from babe2_fx.files import FileError, whole_file, write_whole


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_write_that_fails_leaves_the_earlier_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("earlier")

    def fails(part):
        part.write_text("half")
        raise OSError(28, "No space left on device")
    with pytest.raises(FileError, match=r"a\.txt could not be written: no space left on device\.") as caught:
        write_whole(path, fails)
    assert caught.value.code == "not-written" and caught.value.fields == {"path": path}
    assert path.read_text() == "earlier" and os.listdir(tmp_path) == ["a.txt"]


def test_a_trial_leaves_nothing_and_a_link_is_followed(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "a.txt")
    with whole_file(tmp_path / "link", trial=True) as part:
        part.write_text("trial")
    assert os.listdir(tmp_path / "folder") == []
    write_whole(tmp_path / "link", lambda part: part.write_text("whole"))
    assert (tmp_path / "link").is_symlink() and (tmp_path / "folder" / "a.txt").read_text() == "whole"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_permissions_are_those_of_any_new_file_also_where_a_library_replaces_it_or_the_owners_alone(tmp_path):
    (tmp_path / "new.txt").write_text("")

    def replaces(part):
        part.unlink()
        os.close(os.open(part, os.O_CREAT | os.O_WRONLY, 0o600))
    write_whole(tmp_path / "a.txt", replaces)
    assert mode(tmp_path / "a.txt") == mode(tmp_path / "new.txt")
    with whole_file(tmp_path / "secret.txt", private=True) as part:
        assert mode(part) == 0o600
    assert mode(tmp_path / "secret.txt") == 0o600
