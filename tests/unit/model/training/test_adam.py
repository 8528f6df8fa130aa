"""Adam: the same steps as the class of torch, a state that a run goes on from, and no compiler with it."""

from __future__ import annotations

import subprocess
import sys

import torch
from torch import Tensor

from model.training.adam import Adam

RATES = (0.01, 0.02, 0.005, 0.001)


def parameters() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in ((3, 4), (5,), ())]


def descend(some: list[Tensor], turn: int) -> None:
    """Gradients of a bowl whose bottom moves; in the second turn the last parameter has none."""
    taking_part = some[:-1] if turn == 1 else some
    sum((one - turn).square().sum() for one in taking_part).backward()  # type: ignore[union-attr]


def test_steps_equal_torch_adam_even_for_parameters_without_gradient() -> None:
    ours, theirs = parameters(), parameters()
    own, reference = Adam(ours), torch.optim.Adam(theirs)
    for turn, rate in enumerate(RATES):
        own.forget_gradients()
        descend(ours, turn)
        own.step(rate)
        reference.zero_grad()
        descend(theirs, turn)
        reference.param_groups[0]["lr"] = rate
        reference.step()
        for mine, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(mine, other)


def test_a_state_is_gone_on_from_to_the_same_bits() -> None:
    whole, halves = parameters(), parameters()
    own, first = Adam(whole), Adam(halves)
    for turn, rate in enumerate(RATES):
        own.forget_gradients()
        descend(whole, turn)
        own.step(rate)
    for turn, rate in enumerate(RATES):
        if turn == 2:
            kept = {name: one.clone() for name, one in first.state().items()}
            first = Adam(halves)
            first.load(kept)
        first.forget_gradients()
        descend(halves, turn)
        first.step(rate)
    assert all(torch.equal(one, two) for one, two in zip(whole, halves, strict=True))


def test_a_step_without_any_gradient_moves_nothing() -> None:
    some = parameters()
    before = [one.detach().clone() for one in some]
    Adam(some).step(0.1)
    assert all(torch.equal(one, two) for one, two in zip(some, before, strict=True))


def test_training_does_not_import_the_torch_compiler() -> None:
    step = (
        "from model.training.adam import Adam; p = torch.ones(2, requires_grad=True);"
        " p.sum().backward(); Adam([p]).step(0.1)"
    )
    modules = "model.training.train, model.training.fine_tuning"
    program = f"import sys, torch, {modules}; {step}; assert 'torch._dynamo' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
