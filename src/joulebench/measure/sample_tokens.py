"""How long the sampled requests are together, as an engine will serve them."""

from collections.abc import Sequence

from joulebench.engines.base import Prepared
from joulebench.records.models import SampleTokens


def sample_tokens(prepared: Sequence[Prepared]) -> SampleTokens | None:
    """Sums over all of `prepared`; None where a model ends its answers by itself, and where requests have no tokens."""
    if not prepared or not all(one.ignore_end and one.prompt_tokens is not None for one in prepared):
        return None
    return SampleTokens(
        requests=len(prepared),
        prompt_tokens=sum(one.prompt_tokens or 0 for one in prepared),
        output_tokens=sum(one.max_output_tokens for one in prepared),
    )
