"""The little of CUDA an engine needs: memory on the device, one stream, copies. Through NVIDIA's cuda-python."""

from __future__ import annotations

import importlib
from typing import Any, Protocol

import numpy as np

from airside.errors import UnavailableError


class Cuda(Protocol):
    """Addresses and streams are plain integers, as TensorRT takes them."""

    def stream(self) -> int: ...

    def allocate(self, size_bytes: int) -> int: ...

    def to_device(self, address: int, values: np.ndarray, stream: int) -> None: ...

    def to_host(self, values: np.ndarray, address: int, stream: int) -> None: ...

    def wait(self, stream: int) -> None: ...


class CudaRuntime:
    """:class:`Cuda` on the first device. Raises :class:`UnavailableError` where there is none, or no cuda-python, and
    whenever a call fails: an engine on a failed device must not go on."""

    def __init__(self) -> None:
        try:
            self._cuda = importlib.import_module("cuda.bindings.runtime")
        except ImportError as error:
            raise UnavailableError(f"cuda-python is not there ({error}); run: pip install cuda-python") from error
        self._properties = self._call("cudaGetDeviceProperties", 0)

    @property
    def device(self) -> str:
        """Name, compute capability and driver: what a plan depends on."""
        name = self._properties.name
        words = name.decode() if isinstance(name, bytes) else str(name)
        driver = self._call("cudaDriverGetVersion")
        return f"{words.strip(chr(0))} sm_{self._properties.major}{self._properties.minor} driver {driver}"

    def stream(self) -> int:
        return int(self._call("cudaStreamCreate"))

    def allocate(self, size_bytes: int) -> int:
        return int(self._call("cudaMalloc", size_bytes))

    def to_device(self, address: int, values: np.ndarray, stream: int) -> None:
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call("cudaMemcpyAsync", address, values.ctypes.data, values.nbytes, kind, stream)

    def to_host(self, values: np.ndarray, address: int, stream: int) -> None:
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call("cudaMemcpyAsync", values.ctypes.data, address, values.nbytes, kind, stream)

    def wait(self, stream: int) -> None:
        self._call("cudaStreamSynchronize", stream)

    def _call(self, name: str, *arguments: Any) -> Any:
        error, *found = getattr(self._cuda, name)(*arguments)
        if int(error) != 0:
            raise UnavailableError(f"{name} failed ({error}): check the device and its driver (nvidia-smi)")
        return found[0] if found else None
