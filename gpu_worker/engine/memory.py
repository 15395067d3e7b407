"""Running out of memory: how it is told from other failures, and how the memory that nobody needs is given back."""

import gc

import torch

OUT_OF_MEMORY = (MemoryError, RuntimeError)
"""What to catch and then ask `ran_out` about; torch.OutOfMemoryError is a RuntimeError."""
_SIGNS = ("can't allocate memory", "not enough memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""What PyTorch says on the CPU (Linux, Windows), what CUDA says, and what cuBLAS says."""


def ran_out(problem: BaseException) -> bool:
    if isinstance(problem, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(problem, RuntimeError) and any(sign in str(problem) for sign in _SIGNS)


def give_back() -> None:
    """Free what failed work has left. Call it outside of the handler, whose traceback holds tensors."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
