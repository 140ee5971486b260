"""The bundled model under ten prompts that a user might write: on scifact, and on sentence pairs.

The ten files of prompts10/ were written before any of them was judged, and none was dropped.
"""

from collections.abc import Mapping
from pathlib import Path

from benchmarks.bundled_section import Figure, Section, Subject, markdown
from embedder.encoders.load import own_prompt
from embedder.prompts.files import load_prompt
from embedder.prompts.prompt import Prompt
from embedder.train.pretrain import settings
from embedder.types import Role
from eval.data.collections import open_collection
from eval.data.pairs import read_pairs
from eval.matrix.cells import OWN, MatrixRequest
from eval.matrix.run import Data, Matrix, run_matrix
from eval.runs.record import Record
from eval.statistics.sensitivity import PromptStanding, PromptValues, measure_spread, place_prompts

FOLDER = Path(__file__).parent / "prompts10"
LABEL = "model"
DEV, TESTS = "stsb-dev", {"stsb-test": 68.0, "sickr-test": 62.0}
LEAST, MOST = 2.0, 15.0


def ten() -> dict[str, Prompt]:
    """Read the ten prompts."""
    return {path.stem: load_prompt(path) for path in sorted(FOLDER.glob("*.toml"))}


def sts(subject: Subject) -> Section:
    """Choose a prompt on STS-B dev, and judge it on the test sets, beside the model's own."""
    prompts = _all_prompts(subject)
    files = {name: read_pairs(subject.data / f"sts/{name}.tsv") for name in (DEV, *TESTS)}
    dev = _spearman(_run(subject, prompts, files[DEV]), DEV)
    best = max(dev, key=dev.__getitem__)
    chosen = {name: prompts[name] for name in dict.fromkeys((best, OWN))}
    matrices = {name: _run(subject, chosen, files[name]) for name in TESTS}
    test = {name: _spearman(matrix, name) for name, matrix in matrices.items()}
    figures = tuple(
        Figure(
            f"{name} Spearman x100, best prompt", 100 * test[name][best], goal,
            note=f"{best}, chosen on {DEV}; own prompt {100 * test[name][OWN]:.2f}",
        )
        for name, goal in TESTS.items()
    )  # fmt: skip
    rows = [
        [name, f"{100 * dev[name]:.2f}"]
        + [f"{100 * test[dataset][name]:.2f}" if name in chosen else "" for dataset in TESTS]
        for name in sorted(dev, key=dev.__getitem__, reverse=True)
    ]
    return Section(
        "sts",
        "Sentence similarity: Spearman x100, both sentences read as queries",
        figures,
        markdown(("prompt", DEV, *TESTS), rows),
        {"best": best, "dev": dev, "test": {name: scores[best] for name, scores in test.items()},
         "test_own": {name: scores[OWN] for name, scores in test.items()}},
    )  # fmt: skip


def sensitivity(subject: Subject) -> Section:
    """Judge the ten prompts, and beside them the model's own, on scifact by dense rows."""
    prompts = _all_prompts(subject)
    collection = open_collection(subject.data / "retrieval/scifact")
    column = _column(_run(subject, prompts, collection), collection.name)
    values = {name: column[name].main for name in ten()}
    places = {standing.prompt: standing for standing in place_prompts(values)}
    learned = phrasings()
    marks = {name: seen(prompt, learned) for name, prompt in ten().items()}
    wordings = {name: prompt or own_prompt(subject.model) for name, prompt in prompts.items()}
    places[OWN] = PromptStanding(OWN, column[OWN].measures["nDCG@10"], None, False)
    marks[OWN] = seen(wordings[OWN], learned)
    rows = [
        [
            name, f"{places[name].mean:.4f}", marks[name], _p_text(places[name]),
            *(f"`{_text(wordings[name], role)}`".replace("\n", "\\n") for role in Role),
        ]
        for name in sorted(places, key=lambda standing: places[standing].mean, reverse=True)
    ]  # fmt: skip
    return Section(
        "prompts",
        "Prompt sensitivity: dense nDCG@10 on scifact",
        spread_figures(values, marks),
        (
            "Seen: wordings that embedder/train/contrast/finetune_settings.py trains with. "
            "p: paired, Holm, against the best of the ten. The model's own prompt is not one "
            "of the ten.",
            "",
            *markdown(("prompt", "nDCG@10", "seen", "p to best", "query", "document"), rows),
        ),
        {"nDCG@10": {name: standing.mean for name, standing in places.items()}, "seen": marks},
    )


def spread_figures(column: PromptValues, marks: Mapping[str, str]) -> tuple[Figure, ...]:
    """Return how far prompts lie apart, and whether those seen in training lead."""
    spread = measure_spread("scifact", LABEL, column)
    means = {standing.prompt: standing.mean for standing in place_prompts(column)}
    learned = [means[name] for name in means if marks[name] == "yes"]
    new = [means[name] for name in means if marks[name] != "yes"]
    apart = Figure(
        "spread over ten prompts, scifact dense, points of nDCG@10", 100 * spread.range,
        LEAST, MOST,
        note=f"best {spread.best} {spread.high:.4f}, worst {spread.worst} {spread.low:.4f}",
    )  # fmt: skip
    ahead = sum(mean > min(learned) for mean in new) if learned else 0
    beaten = Figure(
        "prompts not seen in training that beat one that was", ahead, 1.0 if learned else None,
        form=".0f", note=f"{len(learned)} of {len(means)} were seen in both roles",
    )  # fmt: skip
    return apart, beaten


def phrasings() -> dict[Role, set[str]]:
    """Return the wordings that training uses, by role."""
    stages = getattr(settings, "PHRASINGS", {"": settings.TEMPLATES})
    texts: dict[Role, set[str]] = {role: set() for role in Role}
    for templates in stages.values():
        for role, text in templates.items():
            texts[Role(role)].add(text)
    return texts


def seen(prompt: Prompt, learned: Mapping[Role, set[str]]) -> str:
    """Tell which sides of a prompt are wordings of the training: yes, no, or the one side."""
    sides = [role.value for role in Role if _text(prompt, role) in learned[role]]
    return {0: "no", len(Role): "yes"}.get(len(sides), "".join(sides))


def _all_prompts(subject: Subject) -> dict[str, Prompt | None]:
    return {OWN: None, **ten()}


def _run(subject: Subject, prompts: Mapping[str, Prompt | None], data: Data) -> Matrix:
    request = MatrixRequest(prompts, {LABEL: subject.model})
    return run_matrix(request, [data], subject.work / "prompts")


def _column(matrix: Matrix, dataset: str) -> dict[str, Record]:
    """Return prompt -> record.

    Raises:
        ValueError: a prompt could not be read with the model.
    """
    refused = [f"{cell.prompt}: {cell.refused}" for cell in matrix.cells if cell.refused]
    if refused:
        raise ValueError(f"{dataset}: {'; '.join(refused)}")
    return matrix.column(dataset, LABEL)


def _spearman(matrix: Matrix, dataset: str) -> dict[str, float]:
    return {name: record.measures["spearman"] for name, record in _column(matrix, dataset).items()}


def _text(prompt: Prompt, role: Role) -> str:
    return prompt.forms[0].templates(role)[0].text


def _p_text(place: PromptStanding) -> str:
    if place.p_holm is None:
        return "best" if place.best else ""
    return f"{place.p_holm:.2g}"
