"""Frames between peers: 4 bytes of length (big endian), then that much msgpack.

The first frame each way is a `Hello`; everything behind it is a `Message`. Decoding is validation:
what does not decode raises `BadFrameError`, and the connection that brought it is closed. A frame
is read only once it is whole, and its length is refused before a byte of it is stored.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from bazaar_peer.core.messages import Message, decode_message
from bazaar_peer.core.records import UNREADABLE

FORMAT = 3
"""Version of frames and messages; peers of another one are refused with a sentence."""
HELLO_MAX_BYTES = 4096
FRAME_MAX_BYTES = 64 * 1024 * 1024
HEADER_BYTES = 4


class Hello(Struct, frozen=True, array_like=True):
    """Who speaks, and whom it means to speak to (R5, R14, N9)."""

    format: int
    ring: str
    life: int
    """Ordinal and incarnation in one (R14)."""
    boot: int
    address: str
    """`host:port` where this peer can be dialled now."""
    to: int
    """The life that the speaker believes to have reached: its address may be someone else's."""
    knows: int = 0
    """The latest boot of the listener that the speaker has met: an old copy of a volume learns by
    it what it is (R14)."""
    made: str = ""
    """When the speaker's volume was formatted, by a random name: of two volumes that show one life
    the second one is an old copy, too."""
    proof: str = ""
    """Of all the above, by the secret that a ring's peers share; empty on one machine."""


class BadFrameError(Exception):
    """Bytes that no peer of this format sends; the text says what was wrong."""


_encoder = msgspec.msgpack.Encoder()
_decode_hello = msgspec.msgpack.Decoder(Hello).decode


def frame(message: Message | Hello) -> bytes:
    body = _encoder.encode(message)
    if len(body) > FRAME_MAX_BYTES:
        raise ValueError(f"a message of {len(body)} bytes does not fit into a frame")
    return len(body).to_bytes(HEADER_BYTES, "big") + body


def hello_from(body: memoryview) -> Hello:
    try:
        return _decode_hello(body)
    except UNREADABLE as error:
        raise BadFrameError(f"the first frame is no Hello: {error}") from error


def messages_from(bodies: list[memoryview]) -> list[Message]:
    try:
        return [decode_message(body) for body in bodies]
    except UNREADABLE as error:
        raise BadFrameError(f"a frame is no message: {error}") from error


class Framer:
    """Cuts a byte stream into frames; joins chunks only once the next frame is whole."""

    __slots__ = ("_chunks", "_have", "_need", "limit")

    def __init__(self) -> None:
        self.limit = HELLO_MAX_BYTES
        self._chunks: list[bytes] = []
        self._have = 0
        self._need = HEADER_BYTES

    def feed(self, data: bytes, most: int = -1) -> list[memoryview]:
        """Return the frames that are whole now, `most` of them at most.

        Raises:
            BadFrameError: the next frame is longer than `limit`.
        """
        if not self._have and most:
            # Nearly always a chunk is one whole frame.
            length = int.from_bytes(data[:HEADER_BYTES], "big")
            if len(data) == HEADER_BYTES + length and length <= self.limit:
                return [memoryview(data)[HEADER_BYTES:]]
        self._chunks.append(data)
        self._have += len(data)
        frames: list[memoryview] = []
        if self._have < self._need:
            return frames
        view = memoryview(data if len(self._chunks) == 1 else b"".join(self._chunks))
        start, end = 0, self._have
        self._need = HEADER_BYTES
        while len(frames) != most and end - start >= HEADER_BYTES:
            length = int.from_bytes(view[start : start + HEADER_BYTES], "big")
            if length > self.limit:
                raise BadFrameError(f"a frame of {length} bytes is over the limit of {self.limit}")
            if end - start < HEADER_BYTES + length:
                self._need = HEADER_BYTES + length
                break
            frames.append(view[start + HEADER_BYTES : start + HEADER_BYTES + length])
            start += HEADER_BYTES + length
        self._chunks = [bytes(view[start:])] if start < end else []
        self._have = end - start
        return frames
