"""The chunked cross-entropy equals torch's own, value and gradients, whatever the chunk."""

from __future__ import annotations

import pytest
import torch

from model.training import softmax
from model.training.products import has_fast_bfloat16


@pytest.mark.parametrize("max_logits", [1, 40, 2**23])
def test_value_and_gradients_equal_the_plain_cross_entropy(monkeypatch: pytest.MonkeyPatch, max_logits: int) -> None:
    monkeypatch.setattr(softmax, "MAX_LOGITS", max_logits)
    generator = torch.Generator().manual_seed(0)
    queries, candidates = torch.randn(7, 5, generator=generator), torch.randn(11, 5, generator=generator)
    bias, targets = torch.randn(11, generator=generator), torch.randint(0, 11, (7,), generator=generator)
    ours = [queries.clone().requires_grad_(), candidates.clone().requires_grad_()]
    plain = [queries.clone().requires_grad_(), candidates.clone().requires_grad_()]
    loss = softmax.cross_entropy(*ours, targets, bias)
    expected = torch.nn.functional.cross_entropy(plain[0] @ plain[1].T + bias, targets)
    (3 * loss).backward()
    (3 * expected).backward()
    torch.testing.assert_close(loss, expected)
    for mine, theirs in zip(ours, plain, strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)


def test_without_a_position_the_loss_and_the_gradients_are_zero() -> None:
    candidates = torch.ones(11, 5, requires_grad=True)
    loss = softmax.cross_entropy(torch.ones(0, 5), candidates, torch.zeros(0, dtype=torch.int64))
    loss.backward()
    assert float(loss.detach()) == 0
    assert candidates.grad is not None
    assert not candidates.grad.any()


def test_scores_far_beyond_float_range_stay_finite_and_keep_their_gradient() -> None:
    queries = torch.tensor([[1e4]], requires_grad=True)
    loss = softmax.cross_entropy(queries, torch.tensor([[1.0], [-1.0]]), torch.tensor([1]))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(87.34, abs=0.01)
    assert queries.grad is not None
    assert float(queries.grad) == 2.0


@pytest.mark.skipif(not has_fast_bfloat16(torch.device("cpu")), reason="needs an x86 CPU with AMX")
def test_in_bfloat16_value_and_gradients_are_near_those_in_float32() -> None:
    generator = torch.Generator().manual_seed(0)
    queries, candidates = torch.randn(300, 32, generator=generator), 0.3 * torch.randn(500, 32, generator=generator)
    targets = torch.randint(0, 500, (300,), generator=generator)
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        pair = [queries.clone().requires_grad_(), candidates.clone().requires_grad_()]
        loss = softmax.cross_entropy(*pair, targets, dtype=dtype)
        loss.backward()
        found.append((float(loss.detach()), *(tensor.grad for tensor in pair)))
    (loss32, *grads32), (loss16, *grads16) = found
    assert loss16 == pytest.approx(loss32, rel=1e-3)
    for exact, rounded in zip(grads32, grads16, strict=True):
        assert rounded.dtype == torch.float32
        assert float((exact - rounded).norm() / exact.norm()) < 0.01
