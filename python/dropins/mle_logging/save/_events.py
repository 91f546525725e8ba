"""TensorBoard's event files: records with checksums around protocol buffers, written without TensorFlow or torch.

Source: TensorFlow's `record_writer` (record framing, masked CRC-32C) and `event.proto`, `summary.proto`.
"""

import os
import socket
import struct
import time


def _table():
    made = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        made.append(byte)
    return made


_CRC = _table()


def _masked(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _varint(number):
    number &= (1 << 64) - 1
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)


def _bytes(field, data):
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _number(field, number):
    return _varint(field << 3) + _varint(number)


def _double(field, number):
    return _varint(field << 3 | 1) + struct.pack("<d", number)


class EventWriter:
    """Appends to one event file in a folder."""

    def __init__(self, folder):
        os.makedirs(folder, exist_ok=True)
        name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}.{time.monotonic_ns()}"
        self.path = os.path.join(folder, name)
        self._file = open(self.path, "ab")
        self._event(_bytes(3, b"brain.Event:2"))

    def _event(self, body):
        data = _double(1, time.time()) + body
        length = struct.pack("<Q", len(data))
        self._file.write(length + struct.pack("<I", _masked(length)) + data + struct.pack("<I", _masked(data)))

    def _value(self, tag, step, value):
        self._event(_number(2, step) + _bytes(5, _bytes(1, _bytes(1, tag.encode()) + value)))

    def scalar(self, tag, number, step):
        self._value(tag, step, _varint(2 << 3 | 5) + struct.pack("<f", number))

    def histogram(self, tag, values, step, bins=64):
        """Write how an array's finite numbers are distributed."""
        import numpy as np

        values = np.asarray(values, dtype="float64").ravel()
        values = values[np.isfinite(values)]
        if not len(values):
            return
        counts, edges = np.histogram(values, bins)
        packed = lambda field, numbers: _bytes(field, struct.pack(f"<{len(numbers)}d", *numbers))  # noqa: E731
        body = _double(1, values.min()) + _double(2, values.max()) + _double(3, len(values)) + _double(4, values.sum())
        body += _double(5, float((values**2).sum())) + packed(6, edges[1:].tolist()) + packed(7, counts.tolist())
        self._value(tag, step, _bytes(5, body))

    def image(self, tag, png, height, width, step):
        """Write a PNG of 4 channels."""
        self._value(tag, step, _bytes(4, _number(1, height) + _number(2, width) + _number(3, 4) + _bytes(4, png)))

    def flush(self):
        self._file.flush()

    def close(self):
        self._file.close()
