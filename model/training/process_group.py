"""The processes of one training: data parallelism over `torch.distributed`, and its null object, one process alone.

Each process holds the whole model and all events, and computes its share of the windows of each batch. Gradients are
added up, so all make the same step: the losses of the steps are those of one process with the same batches. Process 0
reads, reports and writes; the others receive what they train on from it. Independent of models and of who starts the
processes.
"""

from __future__ import annotations

import io
import os
import pickle
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.errors import InvalidSettings, TrainingProcessLost

LOCALHOST = "127.0.0.1"
ARRIVED = "arrived/"  # keys of a rendezvous
TIMEOUT = timedelta(hours=1)  # for lost machines: a lost process is noticed by its connection or by who started it


@dataclass(frozen=True, slots=True)
class Share:
    """What one process computes of a batch of B windows.

    `windows`: its rows. `num_copies`: how many processes compute the same rows: all, if there are fewer windows than
    processes, else 1.
    """

    windows: slice
    num_copies: int = 1

    def positions(self, trained_BL: Tensor) -> slice:
        """Its places among the P trained positions of the whole batch."""
        before = int(trained_BL[: self.windows.start].sum())
        return slice(before, before + int(trained_BL[self.windows].sum()))


class ProcessGroup:
    """One process alone: nothing to share, nothing to add."""

    rank = 0
    size = 1

    def share_of(self, num_windows: int) -> Share:
        """The share of this process in a batch: neighbouring windows."""
        if num_windows < self.size:
            return Share(slice(0, num_windows), self.size)
        return Share(slice(num_windows * self.rank // self.size, num_windows * (self.rank + 1) // self.size))

    def broadcast(self, value: Any = None) -> Any:
        """The value of process 0, in every process."""
        return value

    def agreed(self, number: float) -> float:
        """The number of process 0, in every process."""
        return number

    def add(self, tensor: Tensor) -> None:
        """Replace a tensor by its sum over all processes."""

    def add_gradients(self, parameters: Sequence[Tensor], loss: Tensor) -> float:
        """Replace gradients by their sums over all processes; returns the sum of the losses."""
        return float(loss.detach())

    def gathered(self, own_MQD: Tensor, share: Share, num_windows: int) -> Tensor:
        """The rows of a whole batch from those of each process, as many per window; own rows keep their gradients.

        For a loss over the whole batch that each process computes and counts `1 / size` times: the gradients of own
        rows are multiplied by the number of processes, so that their sum is that of one process.
        """
        return own_MQD


SINGLE = ProcessGroup()


class TorchProcessGroup(ProcessGroup):
    """The default process group of `torch.distributed`; every method raises `TrainingProcessLost` if another ended."""

    def __init__(self) -> None:
        from torch import distributed

        self._distributed = distributed
        self.rank = distributed.get_rank()
        self.size = distributed.get_world_size()

    def broadcast(self, value: Any = None) -> Any:
        """Pickled, with the memory of arrays and tensors sent as it is: no copy of them is made."""
        arrays: list[pickle.PickleBuffer] = []
        buffers = [memoryview(_dumps(value, arrays))] if self.rank == 0 else []
        buffers += [array.raw() for array in arrays]
        count = self._from_first(torch.tensor([len(buffers)]))
        sizes = torch.tensor([buffer.nbytes for buffer in buffers]) if buffers else torch.zeros(int(count)).long()
        self._from_first(sizes)
        if self.rank:
            buffers = [np.empty(size, np.uint8).data for size in sizes.tolist()]
        for buffer in buffers:
            if buffer.nbytes:
                self._from_first(_bytes(buffer))
        return value if self.rank == 0 else pickle.loads(buffers[0], buffers=buffers[1:])  # noqa: S301 (of process 0)

    def agreed(self, number: float) -> float:
        """In one message."""
        return float(self._from_first(torch.tensor([number], dtype=torch.float64)))

    def add(self, tensor: Tensor) -> None:
        """By an all-reduce."""
        with _lost_processes():
            self._distributed.all_reduce(tensor)

    def add_gradients(self, parameters: Sequence[Tensor], loss: Tensor) -> float:
        """In one buffer with the loss: one message per step. A parameter without a gradient has none anywhere."""
        grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([grad.flatten() for grad in grads] + [loss.detach().to(grads[0]).view(1)])
        self.add(flat)
        parts = torch.split(flat[:-1], [grad.numel() for grad in grads])
        for grad, part in zip(grads, parts, strict=True):
            grad.copy_(part.view_as(grad))
        return float(flat[-1])

    def gathered(self, own_MQD: Tensor, share: Share, num_windows: int) -> Tensor:
        """By a sum of arrays that are zero outside of own rows."""
        if share.num_copies > 1:
            return own_MQD
        begin, end = share.windows.start, share.windows.stop
        per_window = own_MQD.shape[1] // (end - begin)
        rows_MQD = own_MQD.new_zeros(len(own_MQD), num_windows * per_window, own_MQD.shape[2])
        rows_MQD[:, begin * per_window : end * per_window] = own_MQD.detach()
        self.add(rows_MQD)
        scaled_MQD = own_MQD.detach() + self.size * (own_MQD - own_MQD.detach())
        return torch.cat(
            [rows_MQD[:, : begin * per_window], scaled_MQD, rows_MQD[:, end * per_window :]],
            dim=1,
        )

    def _from_first(self, tensor: Tensor) -> Tensor:
        with _lost_processes():
            self._distributed.broadcast(tensor, src=0)
        return tensor


class Rendezvous:
    """Where the processes of one machine find each other: a store of process 0, on a free port."""

    def __init__(self, size: int, *, port: int = 0) -> None:
        """`port`: that of process 0; 0: this is process 0."""
        from torch.distributed import TCPStore  # type: ignore[attr-defined]  # not in its __all__

        self.size = size
        self.store = TCPStore(LOCALHOST, port, size, is_master=port == 0, wait_for_workers=False)
        self.port: int = self.store.port

    def arrive(self, rank: int) -> None:
        """Tell process 0 that this process has started."""
        self.store.set(f"{ARRIVED}{rank}", "")

    def all_arrived(self) -> bool:
        """Whether all but process 0 have."""
        return bool(self.store.check([f"{ARRIVED}{rank}" for rank in range(1, self.size)]))


@contextmanager
def joined(rendezvous: Rendezvous | None = None, *, rank: int = -1) -> Iterator[TorchProcessGroup]:
    """The group of the processes that meet at a rendezvous, until the block ends.

    Without arguments: the group that torchrun describes in the environment. GPUs exchange by NCCL, CPUs by Gloo. Raises
    `TrainingProcessLost` if the others don't come.
    """
    from torch import distributed

    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    if local_rank < torch.cuda.device_count():
        torch.cuda.set_device(local_rank)
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    with _lost_processes():
        store, size = (rendezvous.store, rendezvous.size) if rendezvous else (None, -1)
        distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=TIMEOUT)
    try:
        yield TorchProcessGroup()
    finally:
        distributed.destroy_process_group()


def num_gpus() -> int:
    """The GPUs of this machine."""
    return torch.cuda.device_count()


def check_gpus(num_processes: int, *, option: str, remedy: str) -> None:
    """Raise `InvalidSettings` unless there is a GPU for each process; `option`: what asks for them."""
    found = num_gpus()
    if num_processes > found:
        wanted = f"a GPU for each of {num_processes} processes" if num_processes > 1 else "a machine with a GPU"
        msg = f"{option}: wanted {wanted}, found {found}; {remedy}"
        raise InvalidSettings(msg)


@contextmanager
def _lost_processes() -> Iterator[None]:
    """The errors of `torch.distributed` as ours."""
    try:
        yield
    except RuntimeError as error:  # of its own errors, the common base class
        msg = "training: the connection to another process of this training was lost; start the training again"
        raise TrainingProcessLost(msg) from error


class _Pickler(pickle.Pickler):
    """Tensors as arrays, whose memory is pickled out of band (protocol 5)."""

    def reducer_override(self, value: Any) -> Any:
        """How to make a tensor again; parameters and everything else as usual."""
        if type(value) is Tensor:
            return torch.from_numpy, (value.detach().cpu().contiguous().numpy(),)
        return NotImplemented


def _dumps(value: object, buffers: list[pickle.PickleBuffer]) -> bytearray:
    """A value without its arrays, whose memory is appended to `buffers`."""
    file = io.BytesIO()
    _Pickler(file, protocol=5, buffer_callback=buffers.append).dump(value)
    return bytearray(file.getbuffer())


def _bytes(buffer: Any) -> Tensor:
    """A buffer's memory as a tensor; it is only read, so that it may be write-protected."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given buffer is not writable")
        return torch.frombuffer(buffer, dtype=torch.uint8)
