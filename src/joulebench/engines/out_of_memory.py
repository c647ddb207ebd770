"""Out of memory, as torch says it."""

import sys


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` is torch's own word that an allocation failed; nothing else counts.

    On CUDA that is torch.OutOfMemoryError. Torch's CPU allocator raises a plain RuntimeError, known by its name in
    the message. An error raised where torch was never imported is none of torch's.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return type(error) is RuntimeError and "DefaultCPUAllocator: can't allocate memory" in str(error)
