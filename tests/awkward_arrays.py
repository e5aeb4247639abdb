"""Audio in arrays of every kind that NumPy has, for tests of what takes audio."""

import mmap

import numpy as np


def awkward(audio: np.ndarray) -> dict[str, np.ndarray]:
    """The same float32 audio (channels, samples) in arrays that are hard to take; none may be written to."""
    packed = np.zeros(audio.shape, dtype=[("flag", "i1"), ("sample", "f4")])
    packed["sample"] = audio
    pages = mmap.mmap(-1, audio.nbytes)
    pages.write(audio.tobytes())
    locked = audio.copy()
    locked.flags.writeable = False
    return {
        "read-only": locked,
        "from bytes": np.frombuffer(audio.tobytes(), np.float32).reshape(audio.shape),
        "mapped": np.frombuffer(memoryview(pages).toreadonly(), np.float32).reshape(audio.shape),
        "float64": audio.astype(np.float64), "big-endian": audio.astype(">f4"), "big-endian 64": audio.astype(">f8"),
        "backwards": audio[:, ::-1].copy()[:, ::-1], "upside down": audio[::-1].copy()[::-1],
        "every other": np.repeat(audio, 2, axis=1)[:, ::2], "Fortran": np.asfortranarray(audio),
        "packed": packed["sample"], "matrix": audio.copy().view(np.matrix), "masked": np.ma.masked_greater(audio, 0.0),
        "record": audio.copy().view(np.recarray),
        "repeated": np.broadcast_to(audio[:1], audio.shape) if (audio == audio[:1]).all() else locked[:],
    }
