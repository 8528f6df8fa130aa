"""Adam: the same steps as the class of torch, and a state that a run goes on from."""

from __future__ import annotations

import torch
from torch import Tensor

from model.training.adam import Adam

RATES = (0.01, 0.02, 0.005, 0.001)


def parameters() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in ((3, 4), (5,), ())]


def descend(tensors: list[Tensor], turn: int) -> None:
    """Gradients of a bowl whose bottom moves; in the second turn the last parameter has none."""
    taking_part = tensors[:-1] if turn == 1 else tensors
    sum((parameter - turn).square().sum() for parameter in taking_part).backward()  # type: ignore[union-attr]


def test_steps_equal_torch_adam_even_for_parameters_without_gradient() -> None:
    tensors, torch_tensors = parameters(), parameters()
    optimizer, reference = Adam(tensors), torch.optim.Adam(torch_tensors)
    for turn, rate in enumerate(RATES):
        optimizer.forget_gradients()
        descend(tensors, turn)
        optimizer.step(rate)
        reference.zero_grad()
        descend(torch_tensors, turn)
        reference.param_groups[0]["lr"] = rate
        reference.step()
        for tensor, torch_tensor in zip(tensors, torch_tensors, strict=True):
            torch.testing.assert_close(tensor, torch_tensor)


def test_a_state_is_gone_on_from_to_the_same_bits() -> None:
    uninterrupted, resumed = parameters(), parameters()
    optimizer, resumed_optimizer = Adam(uninterrupted), Adam(resumed)
    for turn, rate in enumerate(RATES):
        optimizer.forget_gradients()
        descend(uninterrupted, turn)
        optimizer.step(rate)
    for turn, rate in enumerate(RATES):
        if turn == 2:
            state = {name: tensor.clone() for name, tensor in resumed_optimizer.state().items()}
            resumed_optimizer = Adam(resumed)
            resumed_optimizer.load(state)
        resumed_optimizer.forget_gradients()
        descend(resumed, turn)
        resumed_optimizer.step(rate)
    assert all(
        torch.equal(tensor, resumed_tensor) for tensor, resumed_tensor in zip(uninterrupted, resumed, strict=True)
    )


def test_a_step_without_any_gradient_moves_nothing() -> None:
    tensors = parameters()
    before = [tensor.detach().clone() for tensor in tensors]
    Adam(tensors).step(0.1)
    assert all(torch.equal(tensor, old_tensor) for tensor, old_tensor in zip(tensors, before, strict=True))
