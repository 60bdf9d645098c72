"""Buffers: bytes in Arrow's own memory, for its readers."""

from __future__ import annotations

import pyarrow as pa


def owned_buffer(data: bytes | memoryview) -> pa.Buffer:
    """A copy of some bytes that Arrow owns.

    A buffer over Python's own bytes is let go under Python's lock. The last to hold it may be one of Arrow's
    threads, and where that one asks for the lock while Python ends, the whole process is aborted.
    """
    buffer = pa.allocate_buffer(len(data))
    with pa.FixedSizeBufferWriter(buffer) as sink:
        sink.write(data)
    return buffer
