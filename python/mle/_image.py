"""Images as PNG, without an imaging library."""

from __future__ import annotations

import struct
import zlib

from ._errors import InvalidError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def png(image: Any) -> bytes:
    """Return an image as PNG.

    Parameters
    ----------
    image : (height, width) or (height, width, 1 | 3 | 4) array, or a PIL image
        uint8 from 0 to 255, or floats from 0 to 1.

    References
    ----------
    PNG specification, third edition, W3C 2023: chunks, and filter type 0 on each line.

    Examples
    --------
    >>> numpy = pytest.importorskip("numpy")
    >>> mle._image.png(numpy.zeros((2, 3)))[:8]
    b'\\x89PNG\\r\\n\\x1a\\n'
    """
    if hasattr(image, "save") and hasattr(image, "mode"):
        import io

        buffer = io.BytesIO()
        image.save(buffer, format="PNG")
        return buffer.getvalue()
    import numpy

    if hasattr(image, "detach"):
        image = image.detach().cpu().numpy()
    array = numpy.asarray(image)
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or 0 in array.shape:
        raise InvalidError(
            f"an image of shape {array.shape} cannot be shown", "give (height, width) or (height, width, 1, 3 or 4)"
        )
    if array.dtype.kind == "f":
        array = numpy.clip(numpy.nan_to_num(array), 0.0, 1.0) * 255.0 + 0.5
    elif array.dtype.kind == "b":
        array = array * 255
    array = numpy.clip(array, 0, 255).astype("uint8")
    height, width, channels = array.shape
    lines = numpy.zeros((height, width * channels + 1), dtype="uint8")
    lines[:, 1:] = array.reshape(height, -1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
    body = zlib.compress(lines.tobytes(), 6)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
