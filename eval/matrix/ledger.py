"""A budget in tokens: the cost of reading is counted and charged before anything is run."""

from collections.abc import Hashable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from embedder.encoders.llm import LLMEncoder
from embedder.encoders.shared_prefix import GroupTokens, role_fingerprint, shared_head
from embedder.files.config_file import read_json
from embedder.files.json_file import write_json
from embedder.files.typed_values import fill_value
from embedder.types import Role
from eval.matrix.shared_encoder import digest


@dataclass(frozen=True, slots=True)
class Charge:
    """One pass over texts for prompts that are read together.

    Attributes:
        what: model, data set and role, for people.
        texts: digest of the texts.
        sides: digests of each prompt's wording of this role, in the order in which they joined.
        tokens: fed in the pass; the most, where a model writes.
        apart: tokens if each prompt were read alone.
    """

    what: str
    texts: str
    sides: tuple[str, ...]
    tokens: int
    apart: int


@dataclass(frozen=True)
class Ledger:
    """Passes that are paid for: an interrupted run goes on at no cost."""

    charges: tuple[Charge, ...] = ()

    @property
    def spent(self) -> int:
        """Tokens of all passes."""
        return sum(charge.tokens for charge in self.charges)

    @property
    def apart(self) -> int:
        """Tokens that the same passes would have cost prompt by prompt."""
        return sum(charge.apart for charge in self.charges)

    def holds(self, texts: str, side: str) -> bool:
        """Tell whether reading these texts so is paid for."""
        return any(charge.texts == texts and side in charge.sides for charge in self.charges)

    def reading(self, texts: str, sides: Set[str]) -> "Ledger":
        """Return the ledger of a run that asks for these sides of some texts, and no others.

        What was paid for in one pass with them may not have been read yet. It would now be read
        alone, so it is paid for again when it is asked for again.
        """
        return Ledger(
            tuple(
                replace(charge, sides=tuple(side for side in charge.sides if side in sides))
                if charge.texts == texts and not sides.isdisjoint(charge.sides)
                else charge
                for charge in self.charges
            )
        )

    def write(self, path: Path) -> None:
        """Write it, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, [asdict(charge) for charge in self.charges])

    @staticmethod
    def read(path: Path) -> "Ledger":
        """Read the file of `write`; without one nothing was spent.

        Raises:
            ValueError: it is another file.
        """
        if not path.is_file():
            return Ledger()
        data = read_json(path)
        try:
            return Ledger(fill_value(tuple[Charge, ...], data, "charges"))
        except ValueError as error:
            raise ValueError(f"{path}: expected a list of charged passes; {error}") from error


@dataclass(frozen=True, slots=True, eq=False)
class LedgerTexts:
    """Texts of one role in a data set, with their digest."""

    role: Role
    texts: Sequence[str]
    digest: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What a cell costs, and whether it is run.

    Attributes:
        runs: the budget has room for it, or it is paid for.
        tokens: that it adds; of a cell that is left out, its cost by itself.
        at_most: the model writes, and may end earlier.
    """

    runs: bool
    tokens: int
    at_most: bool = False


_Passes = dict[tuple[Role, Hashable], tuple[GroupTokens, tuple[str, ...]]]
"""Passes that are not charged yet: role and shared head -> token counts, and prompts' sides."""


def decide(
    ledger: Ledger,
    budget: int | None,
    encoders: Mapping[str, LLMEncoder],
    data: Sequence[LedgerTexts],
    label: str,
) -> tuple[Ledger, dict[str, Decision]]:
    """Choose which prompts are read, in their order: each that the budget has room for.

    Args:
        ledger: earlier charges.
        budget: tokens in all, those of the ledger included; None for no limit.
        encoders: prompt -> encoder, all of one model.
        data: the texts of a data set.
        label: model and data set, for people.

    Returns:
        The ledger with the passes of the prompts that run, and prompt -> its decision.
    """
    new: _Passes = {}
    decided: dict[str, Decision] = {}
    for prompt, encoder in encoders.items():
        joined = new | _join(encoder, data, ledger, new)
        runs = budget is None or ledger.spent + _tokens(joined) <= budget
        if runs:
            added, new = _tokens(joined) - _tokens(new), joined
        else:
            added = _tokens(_join(encoder, data, ledger, {}))
        decided[prompt] = Decision(runs, added, encoder.reader.generates)
    return _charge(ledger, new, data, label), decided


def _tokens(passes: _Passes) -> int:
    return sum(tally.tokens for tally, _ in passes.values())


def _join(
    encoder: LLMEncoder, data: Sequence[LedgerTexts], ledger: Ledger, new: _Passes
) -> _Passes:
    """Return the passes that a prompt needs and that nobody has paid for, with it in them."""
    joined: _Passes = {}
    for texts in data:
        wording = side_digest(encoder, texts.role)
        open_sides = (sides for (role, _), (_, sides) in new.items() if role is texts.role)
        if ledger.holds(texts.digest, wording) or any(wording in sides for sides in open_sides):
            continue
        head = shared_head(encoder, texts.role)
        key = (texts.role, wording if head is None else head)
        if key in new:
            tally, sides = new[key]
            joined[key] = tally.joined(encoder, texts.texts), (*sides, wording)
        else:
            joined[key] = GroupTokens.of(encoder, texts.texts, texts.role), (wording,)
    return joined


def _charge(ledger: Ledger, new: _Passes, data: Sequence[LedgerTexts], label: str) -> Ledger:
    digests = {texts.role: texts.digest for texts in data}
    charges = (
        Charge(
            f"{label}, {role.value}", digests[role], sides, tally.tokens, int(tally.lengths.sum())
        )
        for (role, _), (tally, sides) in new.items()
    )
    return Ledger((*ledger.charges, *charges))


def side_digest(encoder: LLMEncoder, role: Role) -> str:
    """Return the digest of a prompt's wording of one role."""
    return digest(role_fingerprint(encoder, role))
