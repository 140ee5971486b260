"""How much scores hang on the wording of a prompt: all wordings on the same few queries."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from embedder.prompts.prompt import Prompt
from tuning.search.space import key_of
from tuning.search.types import Scored


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Means of wordings over the block of queries that every one of them was scored on.

    Races drop wordings after it, so that later blocks would show the better ones only.

    Attributes:
        queries: of the block.
        means: of each wording, the default among them; rising.
        default: mean of the default.
    """

    queries: int
    means: tuple[float, ...]
    default: float

    @property
    def quartiles(self) -> tuple[float, float, float]:
        """Means that a quarter, half and three quarters of the wordings do not reach."""
        low, middle, high = np.quantile(self.means, (0.25, 0.5, 0.75)).tolist()
        return low, middle, high

    @property
    def worse(self) -> int:
        """How many wordings are worse than the default."""
        return sum(mean < self.default for mean in self.means)

    def __str__(self) -> str:
        low, middle, high = self.quartiles
        return (
            f"{len(self.means):,} wordings on the first {self.queries} queries: "
            f"{self.means[0]:.4f} lowest, {self.means[-1]:.4f} highest, quartiles "
            f"{low:.4f}, {middle:.4f}, {high:.4f}; "
            f"the default, {self.default:.4f}, is above {self.worse:,} of them"
        )


def measure_sensitivity(
    scored: Sequence[Scored], block: Sequence[str], default: Prompt
) -> Sensitivity | None:
    """Gather what differs from the default in words alone and was scored on a whole block.

    Args:
        scored: results; of a prompt that comes twice, the last one counts.
        block: query ids, at least one.
        default: the prompt.

    Returns:
        None where nothing but the default was.
    """
    means = {
        key_of(result.proposal.prompt): float(np.mean([result.scores[query] for query in block]))
        for result in scored
        if result.proposal.prompted
        and replace(result.proposal.prompt, forms=default.forms) == default
        and all(query in result.scores for query in block)
    }
    own = means.get(key_of(default))
    if own is None or len(means) < 2:
        return None
    return Sensitivity(len(block), tuple(sorted(means.values())), own)
