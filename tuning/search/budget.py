"""What a search may spend, and what it has spent: charged before anything runs."""

import re
import time
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass, field, fields
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Cost:
    """What a piece of work takes.

    Attributes:
        tokens: fed to the model that is tuned.
        calls: of a chat model that proposes or judges.
        evaluations: prompts times queries.
        chat_tokens: that the chat model reads and writes.
    """

    tokens: int = 0
    calls: int = 0
    evaluations: int = 0
    chat_tokens: int = 0

    def __post_init__(self) -> None:
        if min(astuple(self)) < 0:
            raise ValueError(f"a cost is not negative; got {self!r}")

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def __str__(self) -> str:
        amounts = asdict(self).items()
        texts = (f"{amount:,} {_spelled(unit)}" for unit, amount in amounts if amount)
        return ", ".join(texts) or "nothing"

    def within(self, most: "Cost") -> "Cost":
        """Return the cost, each amount cut to that of another."""
        return Cost(*map(min, astuple(self), astuple(most)))

    def less(self, part: "Cost") -> "Cost":
        """Return what is left without a part of it."""
        return Cost(*(a - b for a, b in zip(astuple(self), astuple(part), strict=True)))


def _spelled(unit: str) -> str:
    return unit.replace("_", "-")


NOTHING = Cost()
_AMOUNT = re.compile(
    r"([0-9]+(?:\.[0-9]+)?)([kKMG]?)-(tokens|calls|evaluations|chat-tokens|seconds)"
)
_FACTORS = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9}


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits; None is no limit.

    Attributes:
        tokens: as in Cost; likewise `calls`, `evaluations` and `chat_tokens`.
        seconds: of wall time, counted over all sittings of a run. A batch is not begun after
            them; nobody knows beforehand how long it will take.
    """

    tokens: int | None = None
    calls: int | None = None
    evaluations: int | None = None
    seconds: float | None = None
    chat_tokens: int | None = None

    def __post_init__(self) -> None:
        if any(limit is not None and limit < 0 for limit in self.limits.values()):
            raise ValueError(f"limits are not negative; got {self}")

    @property
    def limits(self) -> dict[str, float | None]:
        """Limits by unit."""
        return {unit.name: getattr(self, unit.name) for unit in fields(self)}

    @staticmethod
    def parse(text: str) -> "Budget":
        """Read limits such as "2M-tokens,500-calls,60-seconds".

        Raises:
            ValueError: anything else.
        """
        amounts: dict[str, Decimal] = {}
        for part in text.split(","):
            match = _AMOUNT.fullmatch(part.strip())
            unit = match[3].replace("-", "_") if match else ""
            if not match or unit in amounts:
                raise ValueError(
                    "a budget is amounts with their units, each unit once, "
                    f"e.g. 2M-tokens or 500k-tokens,20-calls,600-seconds; got {text!r}"
                )
            amounts[unit] = Decimal(match[1]) * _FACTORS[match[2]]  # 2.01k is 2,010
        seconds = float(amounts.pop("seconds")) if "seconds" in amounts else None
        return Budget(**{unit: int(amount) for unit, amount in amounts.items()}, seconds=seconds)

    def __str__(self) -> str:
        limits = self.limits.items()
        texts = (f"{limit:,.0f} {_spelled(unit)}" for unit, limit in limits if limit is not None)
        return ", ".join(texts) or "no limit"


class SpentError(Exception):
    """The next piece of work does not fit into the budget; nothing of it was done."""


@dataclass(slots=True)
class Meter:
    """Counts what is spent, and refuses what would be too much.

    Attributes:
        budget: the limits.
        reserved: kept back for what must come at the end.
        spent: so far.
        before: seconds of earlier sittings.
        clock: seconds since any moment.
        until: when the work at hand must end, in seconds; None is when the budget's time is over.
    """

    budget: Budget
    reserved: Cost = NOTHING
    spent: Cost = NOTHING
    before: float = 0.0
    clock: Callable[[], float] = time.monotonic
    until: float | None = None
    _began: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self.clock()

    @property
    def seconds(self) -> float:
        """Wall time of all sittings."""
        return self.before + self.clock() - self._began

    @property
    def end(self) -> float | None:
        """When the work at hand must end, in seconds; None where time is not limited."""
        return self.budget.seconds if self.until is None else self.until

    def moment(self, share: float) -> float | None:
        """Return when a share of the time that is left will have gone."""
        return (
            None if self.end is None else self.seconds + share * max(0.0, self.end - self.seconds)
        )

    def fits(self, cost: Cost) -> bool:
        """Tell whether a piece of work may be done, leaving what is reserved."""
        after = asdict(self.spent + self.reserved + cost)
        limits = self.budget.limits
        return all(
            limit is None or after[unit] <= limit
            for unit, limit in limits.items()
            if unit != "seconds"
        )

    def charge(self, cost: Cost) -> None:
        """Count a piece of work that is about to be done.

        Raises:
            SpentError: it does not fit.
        """
        if not self.fits(cost):
            kept = f", {self.reserved} kept for the end" if self.reserved != NOTHING else ""
            raise SpentError(
                f"the next piece of work takes {cost}, and of {self.budget} {self.spent} is "
                f"spent{kept}"
            )
        self.spent = self.spent + cost

    def settle(self, most: Cost, used: Cost) -> None:
        """Give back what a piece of work was charged beyond what it used.

        What it claims to have used beyond the charge is not believed: it was promised not to.
        """
        self.spent = self.spent.less(most) + used.within(most)

    def all_but_share(self, reserved: Cost, shares: int, chat_shares: int = 0) -> Cost:
        """Return what is reserved, and all but one of equal shares of what is left besides.

        Args:
            reserved: for the end.
            shares: how many; each takes what those before it left.
            chat_shares: how many of them ask a chat model; 0 is all.
        """

        def withheld(unit: str) -> int:
            limit = getattr(self.budget, unit)
            if limit is None:
                return 0
            free = max(0, limit - getattr(self.spent, unit) - getattr(reserved, unit))
            parts = chat_shares or shares if unit in ("calls", "chat_tokens") else shares
            return int(getattr(reserved, unit) + free - free // parts)

        return Cost(*(withheld(unit.name) for unit in fields(Cost)))

    @property
    def left(self) -> float:
        """The smallest share of a limit that is left, 0..1; 1 without limits."""
        after = asdict(self.spent)
        shares = [1.0]
        for unit, limit in self.budget.limits.items():
            used = self.seconds if unit == "seconds" else after[unit]
            if limit is not None:
                shares.append(max(0.0, 1 - used / limit) if limit else 0.0)
        return min(shares)
