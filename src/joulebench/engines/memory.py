"""Out of memory, as torch says it."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` is torch's own word that an allocation failed; nothing else counts.

    On CUDA that is torch.OutOfMemoryError. Torch's CPU allocator raises a plain RuntimeError, known by its name in
    the message.
    """
    import torch

    if isinstance(error, torch.OutOfMemoryError):
        return True
    return type(error) is RuntimeError and "DefaultCPUAllocator: can't allocate memory" in str(error)
