"""A batch of three small files, and what there is of it on the disk."""

from babe2_host import cli
from babe2_host.batch.manifest import Manifest

RATE = 22050
GAIN = '[[plugins]]\nplugin = "Gain"\ngain_db = -6.0\n'
QUICK = ("--preset", "piano", "--quality", "draft", "--set", "steps=3", "--set", "order=1")


ALL = {"a.wav", "disc 1/b.flac", "disc 1/ü.wav"}
BOARD = ("--board", "gain.toml")


def batch(*args):
    return cli.main(["batch", *map(str, args)])


def there(folder):
    """All that a user sees in a folder, with its contents."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*")
            if path.is_file() and not path.name.startswith(".")}


def results(folder):
    return set(there(folder)) - {"manifest.json"}


def states(folder):
    return {name: entry["state"] for name, entry in Manifest(folder).content["files"].items()}
