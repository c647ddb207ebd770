"""Attention in parts is attention."""

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from joulebench.engines.pipeline_calls import in_parts  # noqa: E402


@pytest.mark.parametrize("mask", [None, (7, 1, 5, 5), (1, 1, 5, 5), (5, 5)])
@pytest.mark.parametrize("most", [1, 3, 7, 8])
def test_parts_together_are_the_whole(most: int, mask: tuple[int, ...] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(7, 2, 5, 4, generator=generator) for _ in range(3))
    seen = None if mask is None else torch.randn(mask, generator=generator)
    plain = functional.scaled_dot_product_attention
    asked = []

    def counted(query: torch.Tensor, *args: object, **kw: object) -> torch.Tensor:
        asked.append(query.shape[0])
        return plain(query, *args, **kw)  # type: ignore[arg-type]

    monkeypatch.setattr(functional, "scaled_dot_product_attention", counted)
    with in_parts(most):
        found = functional.scaled_dot_product_attention(query, key, value, attn_mask=seen, dropout_p=0.0, scale=0.3)
    assert functional.scaled_dot_product_attention is counted
    weights = query @ key.transpose(-1, -2) * 0.3
    expected = torch.softmax(weights if seen is None else weights + seen, -1) @ value
    assert torch.allclose(found, expected, atol=1e-5)
    assert asked == {1: [1] * 7, 3: [3, 3, 1], 7: [7], 8: [7]}[most]
