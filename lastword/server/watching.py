"""New generations of indexes that other processes write are taken up while requests go on."""

import asyncio
from typing import TYPE_CHECKING

from index.manifest_file import MANIFEST
from lastword.engine import SearchEngine

if TYPE_CHECKING:
    from lastword.server.state import ServerState

EVERY = 0.3  # seconds between looks at a manifest
AGAIN = 5.0  # seconds until a damaged one is looked at again although it is the same

ManifestLook = tuple[int, int, int]


async def watch_indexes(state: "ServerState") -> None:
    """Look at the manifest of every index until cancelled."""
    looks = {name: _look(engine) for name, engine in state.engines.items()}
    retry = dict.fromkeys(looks, float("inf"))
    while True:
        await asyncio.sleep(EVERY)
        now = asyncio.get_running_loop().time()
        for name, engine in state.engines.items():
            look = _look(engine)
            if look == looks[name] and now < retry[name]:
                continue
            looks[name] = look
            await take_up(state, name)
            retry[name] = now + AGAIN if name in state.damage else float("inf")


async def take_up(state: "ServerState", name: str) -> None:
    """Take an index as it is now; where it is damaged, note so and go on with the old one."""
    engine = state.engines[name]
    try:
        changed = await state.run(engine.refresh)
    except (ValueError, OSError) as error:
        if state.damage.get(name) != str(error):
            state.damage[name] = str(error)
            state.log.warn(f"index {name}: the old generation is served on: {error}")
        return
    if state.damage.pop(name, None) is not None:
        state.log.tell(f"index {name}: it is sound again")
    if changed:
        with engine.reading() as retriever:
            generation, documents = retriever.index.generation, retriever.index.documents
        state.log.tell(f"index {name}: generation {generation}, {documents} documents")


def _look(engine: SearchEngine) -> ManifestLook | None:
    try:
        found = (engine.path / MANIFEST).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
