"""The program that `foreign` runs: decodes one file with Pedalboard and writes the audio to its standard output.

It imports nothing of this package, so that it starts at once and needs little memory.
Usage: foreign_decoder.py PATH_IN_HEX CPU_SECONDS BYTES_OF_MEMORY
"""

import contextlib
import json
import os
import signal
import struct
import sys

BLOCK = 1 << 16  # samples
MOST_CHANNELS = 64


def limit(seconds: int, memory: int) -> None:
    """Bounds this process where the system can do that; where not, its parent watches over its time."""
    try:
        import resource
    except ImportError:  # Windows
        return
    used = 0
    with contextlib.suppress(OSError), open("/proc/self/statm", encoding="ascii") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    for what, most in ((resource.RLIMIT_CPU, seconds), (resource.RLIMIT_AS, used + memory), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(OSError, ValueError):  # macOS does not limit memory
            resource.setrlimit(what, (most, most))


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ends it even within the decoder
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what decoders print is no audio

    def say(about: dict) -> None:
        text = json.dumps(about).encode()
        out.write(struct.pack("<I", len(text)) + text)
        out.flush()

    path, seconds, memory = os.fsdecode(bytes.fromhex(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3])
    import numpy
    from pedalboard.io import AudioFile
    limit(seconds, memory)
    try:
        try:
            path.encode()
            opened = AudioFile(path)
        except UnicodeEncodeError:  # Pedalboard's names are text
            opened = AudioFile(open(path, "rb"))
        with opened as file:
            if not 1 <= file.num_channels <= MOST_CHANNELS:
                say({"error": f"it has {file.num_channels} channels; there may be {MOST_CHANNELS}"})
                return
            say({"rate": round(file.samplerate), "channels": file.num_channels, "frames": file.frames})
            while (block := file.read(BLOCK)).shape[1]:
                block = numpy.ascontiguousarray(block, dtype=numpy.float32)
                out.write(struct.pack("<I", block.shape[1]) + block.tobytes())
                out.flush()
    except (ValueError, RuntimeError, OSError) as error:
        if not isinstance(error, BrokenPipeError):
            say({"error": " ".join(str(error).split()).rstrip(".")[:200]})
        return
    out.write(struct.pack("<I", 0))
    out.flush()


if __name__ == "__main__":
    main()
