"""The chunked cross-entropy equals torch's own, value and gradients, whatever the chunk."""

from __future__ import annotations

import pytest
import torch

from model import softmax


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


def test_scores_far_beyond_float_range_stay_finite() -> None:
    loss = softmax.cross_entropy(torch.tensor([[1e4]]), torch.tensor([[1.0], [-1.0]]), torch.tensor([1]))
    assert float(loss) == pytest.approx(2e4)
