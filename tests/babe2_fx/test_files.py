"""Files appear whole or not at all, where they were meant to, and never in the place of what is not known."""

import errno
import os
import signal
import stat
import subprocess
import sys
import time

import pytest

from babe2_fx.files import FileError, NotInPlaceError, Place, whole_file, write_whole
from babe2_fx.folders import PART, part_name

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions, links or signals")


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def writing(text):
    return lambda part: part.write_text(text)


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
    write_whole(tmp_path / "link", writing("whole"))
    assert (tmp_path / "link").is_symlink() and (tmp_path / "folder" / "a.txt").read_text() == "whole"


# ------------------------------------------------------------------------------------------------ permissions

@posix
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


@posix
@pytest.mark.parametrize("bits", [0o600, 0o640, 0o664, 0o444, 0o777])
def test_a_file_that_is_replaced_leaves_its_permissions_to_the_new_one(tmp_path, bits):
    path = tmp_path / "a.txt"
    path.write_text("earlier")
    path.chmod(bits)
    write_whole(path, writing("new"))
    assert path.read_text() == "new" and mode(path) == bits
    with Place(path) as place:
        write_whole(place, writing("newer"))
    assert path.read_text() == "newer" and mode(path) == bits
    with whole_file(path, private=True) as part:
        part.write_text("secret")
    assert mode(path) == 0o600


# ------------------------------------------------------------------------------------- what comes in between

@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
@pytest.mark.parametrize("earlier", [None, "earlier"])
def test_what_came_to_be_or_was_changed_since_the_check_is_not_replaced(tmp_path, monkeypatch, earlier, links):
    if not links:  # as FAT has none
        def refuse(*args, **options):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "a.txt"
    if earlier:
        path.write_text(earlier)
    (tmp_path / "a (2).txt").write_text("of another time")
    with Place(path) as place:
        path.write_text("somebody's work")
        with pytest.raises(NotInPlaceError, match=r"is not replaced; the result is .*a \(3\)\.txt\.") as caught:
            write_whole(place, writing("result"))
    assert caught.value.code == "appeared" and caught.value.fields["kept"] == tmp_path / "a (3).txt"
    assert {name: (tmp_path / name).read_text() for name in os.listdir(tmp_path)} == {
        "a.txt": "somebody's work", "a (2).txt": "of another time", "a (3).txt": "result"}


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_what_was_there_at_the_check_is_replaced_and_what_has_gone_since_is_made(tmp_path, monkeypatch, links):
    if not links:
        def refuse(*args, **options):
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "a.txt"
    for gone in (False, True):
        path.write_text("earlier")
        with Place(path) as place:
            if gone:
                path.unlink()
            write_whole(place, writing("result"))
        assert path.read_text() == "result" and os.listdir(tmp_path) == ["a.txt"]


def test_the_same_result_of_a_process_that_was_killed_is_taken_for_its_own(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("result")
    with Place(path, replaces=False) as place:
        write_whole(place, writing("result"))
    assert os.listdir(tmp_path) == ["a.txt"]


@posix
@pytest.mark.parametrize("another", ["link", "folder", "nothing"])
def test_a_result_comes_into_the_folder_that_was_checked_whatever_takes_its_name(tmp_path, another):
    (tmp_path / "out").mkdir()
    (tmp_path / "private").mkdir()
    with Place(tmp_path / "out" / "a.txt") as place:
        (tmp_path / "out").rename(tmp_path / "moved")
        if another == "link":
            (tmp_path / "out").symlink_to("private")
        elif another == "folder":
            (tmp_path / "out").mkdir()
        with pytest.raises(NotInPlaceError, match="The folder of .*a.txt was moved or replaced"):
            write_whole(place, writing("result"))
    assert (tmp_path / "moved" / "a.txt").read_text() == "result"
    assert os.listdir(tmp_path / "moved") == ["a.txt"] and os.listdir(tmp_path / "private") == []


@posix
def test_a_folder_that_was_deleted_is_named_as_the_reason(tmp_path):
    (tmp_path / "out").mkdir()
    with Place(tmp_path / "out" / "a.txt") as place:
        (tmp_path / "out").rmdir()
        with pytest.raises(FileError, match="a.txt could not be written: its folder was deleted meanwhile"):
            write_whole(place, writing("result"))


@posix
@pytest.mark.parametrize("link", ["folder", "folder in a folder", "file"])
def test_without_following_no_part_of_the_path_may_be_a_link(tmp_path, link):
    (tmp_path / "granted" / "disc").mkdir(parents=True)
    (tmp_path / "private" / "disc").mkdir(parents=True)
    with Place(tmp_path / "granted" / "disc" / "a.txt", follow=False) as place:
        write_whole(place, writing("result"))
    path = tmp_path / "granted" / "disc" / "a.txt"
    if link == "file":
        path.unlink()
        path.symlink_to(tmp_path / "private" / "a.txt")
        with Place(path, follow=False, replaces=False) as place, pytest.raises(NotInPlaceError):
            write_whole(place, writing("other"))
    else:
        swapped = path.parent if link == "folder in a folder" else path.parent.parent
        swapped.rename(tmp_path / "moved")
        swapped.symlink_to(tmp_path / "private" / swapped.name.replace("granted", ""))
        with pytest.raises(OSError):
            Place(path, follow=False)
    assert [path for path in (tmp_path / "private").rglob("*") if path.is_file()] == []


# ------------------------------------------------------------------------------------------------- left behind

@posix
def test_parts_of_killed_processes_are_swept_and_live_ones_never(tmp_path):
    maker = ("import sys, time; from babe2_fx.files import whole_file\n"
             "with whole_file(sys.argv[1]) as part:\n    part.write_text('half'); print('made', flush=True)\n"
             "    time.sleep(60)\n")
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    live = subprocess.Popen([sys.executable, "-c", maker, tmp_path / "live.txt"], stdout=subprocess.PIPE, env=env)
    live.stdout.readline()
    (left,) = os.listdir(tmp_path)
    assert PART.fullmatch(left)
    write_whole(tmp_path / "a.txt", writing("a"))
    assert sorted(os.listdir(tmp_path)) == [left, "a.txt"]
    live.send_signal(signal.SIGKILL)
    live.communicate()
    old, folder = ".babe2-0123456789ab.part", ".babe2-ab0123456789.part"  # as earlier versions called them
    (tmp_path / old).write_text("half")
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "report.json").write_text("half")
    write_whole(tmp_path / "b.txt", writing("b"))
    assert sorted(os.listdir(tmp_path)) == ["a.txt", "b.txt"]


def test_a_part_of_another_computer_is_left_until_it_is_old(tmp_path):
    """Which has a disk in common with this one, where locks need not reach."""
    theirs, mine = tmp_path / ".babe2-000000000000-0123456789ab.part", tmp_path / "babe2.part"
    for path in (theirs, mine):
        path.write_text("half")
    write_whole(tmp_path / "a.txt", writing("a"))
    assert theirs.exists() and not PART.fullmatch(mine.name)
    week = time.time() - 8 * 86400
    for path in (theirs, mine):
        os.utime(path, (week, week))
    write_whole(tmp_path / "a.txt", writing("a"))
    assert not theirs.exists() and mine.exists()
    (tmp_path / part_name()).write_text("of this one")
    write_whole(tmp_path / "a.txt", writing("a"))
    assert sorted(os.listdir(tmp_path)) == ["a.txt", "babe2.part"]


@posix
def test_room_is_kept_by_a_file_without_a_name_until_the_result_is_written(tmp_path):
    def used() -> int:
        return os.fstat(place._room).st_blocks * 512
    with Place(tmp_path / "a.bin") as place:
        place.reserve(lambda part: part.write_bytes(bytes(range(256)) * 4096), 3 << 20)
        assert os.listdir(tmp_path) == [] and used() >= 3 << 20
        write_whole(place, writing("small"))
        assert place._room is None
    assert (tmp_path / "a.bin").read_text() == "small" and os.listdir(tmp_path) == ["a.bin"]
