"""Arrays as long as a recording: small ones in memory, large ones in unnamed files, processed in chunks."""

from __future__ import annotations

import contextlib
import mmap
import os
import tempfile
import weakref
from collections.abc import Iterator

import numpy as np

from ..errors import UserError

LARGE = 1 << 28  # bytes from which an array is kept in a file
CHUNK = 1 << 20  # samples of a channel processed at a time
_mapped: weakref.WeakKeyDictionary[mmap.mmap, tuple[int, int]] = weakref.WeakKeyDictionary()  # to first, last address


class RoomError(UserError):
    """There is no room for a recording, in memory or in the folder for temporary files."""


def allocate(*shape: int) -> np.ndarray:
    """An uninitialised array of float32 samples. A large one is kept in the folder for temporary files.

    Raises RoomError if that folder does not have enough room.
    """
    size = 4 * int(np.prod(shape))
    if size < LARGE:
        return np.empty(shape, dtype=np.float32)
    with tempfile.TemporaryFile(prefix="babe2-") as file:
        try:
            if hasattr(os, "posix_fallocate"):  # now: a disk that fills up later kills the process
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
            pages = mmap.mmap(file.fileno(), size)
        except OSError as error:
            raise RoomError(f"A recording of {size / 1e9:.1f} GB needs that much room in {tempfile.gettempdir()} "
                            f"({error.strerror}). Make room, or set TMPDIR to a folder that has it.") from error
    array = np.frombuffer(pages, dtype=np.float32).reshape(shape)
    start = array.ctypes.data
    _mapped[pages] = (start, start + size)
    return array


def copied(array: np.ndarray) -> np.ndarray:
    """A copy as float32 samples, kept where `allocate` keeps them."""
    made = allocate(*array.shape)
    np.copyto(made, array, casting="unsafe")
    return made


def plain_audio(audio) -> np.ndarray:
    """Audio as a plain array of float32 that PyTorch can take as it is.

    It shares the memory, which is only read. What is read-only, runs backwards, is not aligned or has another type of
    numbers or another order of bytes is copied.
    """
    array = np.asarray(audio)
    regular = array.flags.behaved and all(step >= 0 and step % 4 == 0 for step in array.strides)
    return array if array.dtype == np.float32 and regular else copied(array)


def as_tensor(audio):
    """The same as a tensor."""
    import torch
    return torch.from_numpy(plain_audio(audio))


def allocate_like(x, samples: int | None = None):
    """An uninitialised tensor like `x` (..., samples), or like it with another number of samples."""
    import torch  # late: reading files should not wait for it
    shape = x.shape[:-1] + (x.shape[-1] if samples is None else samples,)
    if x.device.type == "cpu" and x.dtype == torch.float32:
        return torch.from_numpy(allocate(*shape))
    return torch.empty(shape, dtype=x.dtype, device=x.device)


def chunks(samples: int, *arrays, length: int = CHUNK) -> Iterator[slice]:
    """Slices that together cover all samples. Parts of `arrays` already processed may leave the memory meanwhile."""
    done = 0
    for start in range(0, samples, length):
        yield slice(start, min(start + length, samples))
        done += length
        if done >= 16 * length or start + length >= samples:
            release(*arrays)
            done = 0


def release(*arrays) -> None:
    """Says that arrays (NumPy's or PyTorch's) are not needed soon; those in files give back their memory."""
    if not hasattr(mmap, "MADV_DONTNEED"):
        return
    for array in arrays:
        at = array.ctypes.data if isinstance(array, np.ndarray) else array.data_ptr()
        for pages, (first, last) in list(_mapped.items()):
            if first <= at < last:
                with contextlib.suppress(OSError, ValueError):
                    pages.madvise(mmap.MADV_DONTNEED)  # a shared file: its content stays


def all_finite(audio: np.ndarray) -> bool:
    """Whether all of (channels, samples) are finite numbers."""
    return all(np.isfinite(audio[:, part]).all() for part in chunks(audio.shape[1], audio))


def peak(audio: np.ndarray) -> float:
    """The largest magnitude in (channels, samples); 0 where there are none."""
    return max((float(np.abs(audio[:, part]).max(initial=0.0)) for part in chunks(audio.shape[1], audio)), default=0.0)
