"""float32 samples to what the store keeps, and back.

torch converts float16 ten times faster than NumPy but takes seconds to import, so it is used when
somebody (a loader, a stager) has imported it already; the numbers are the same.
"""

from __future__ import annotations

import sys

import numpy as np


def encode(samples: np.ndarray, offset: float, dtype: np.dtype) -> np.ndarray:
    """Return samples - offset as `dtype` (float16 or float32), a new array of the same shape."""
    centred = np.subtract(samples, np.float32(offset), dtype=np.float32)
    torch = sys.modules.get("torch")
    if torch is None or dtype != np.float16:
        return centred.astype(dtype, copy=False)
    return torch.from_numpy(centred).half().numpy()


def decode(stored: np.ndarray, out: np.ndarray, gain: float, shift: float) -> None:
    """Write stored * gain + shift to `out`, a float32 array of the same shape."""
    torch = sys.modules.get("torch")
    if torch is not None:
        target = torch.from_numpy(out)
        target.copy_(torch.from_numpy(stored))
        if (gain, shift) != (1, 0):  # one pass over the block while it is in the cache
            torch.add(torch.tensor(shift), target, alpha=gain, out=target)
        return
    np.copyto(out, stored)
    if (gain, shift) != (1, 0):
        out *= np.float32(gain)
        out += np.float32(shift)
