"""P17: what each finds among the same notes for the same labelled questions. The figures are what was *not* found."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
from measure import Row
from peers import PEERS, NotHere, Ours, Peer
from stdio_pipe import Broken, opened

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests" / "support"))
from embeddings_api import embeddings_api  # noqa: E402
from labelled import Grep, Labelled, Quality, load_messages, measure  # noqa: E402
from static_model import make_model_folder  # noqa: E402

from argosy_core.embedding import FolderEmbedder, FolderSettings  # noqa: E402

START_SECONDS = 120.0
PEER_SECONDS = 400.0


def finding(folder: Path, quick: bool) -> list[Row]:
    """Grep's and every peer's rows. *quick* leaves out the notes that no question is about."""
    documents, questions = load_messages()
    if quick:
        asked = {each.path for each in questions}
        documents = [each for each in documents if each.path in asked]
    texts = {each.title: each.body for each in documents}
    titles = {each.path: each.title for each in documents}
    # Where a peer takes vectors from an endpoint, they come from the same model as in our tests of retrieval.
    model = FolderEmbedder(FolderSettings(make_model_folder(folder / "model")))
    with embeddings_api(vector=model.query) as api:
        task = functools.partial(_quality, texts=texts, titles=titles, questions=questions, embeddings=api.url)
        ours = anyio.run(functools.partial(task, Ours(), folder / "ours"))[""]
        grep = Grep(documents)
        rows = _rows("grep", ours, measure(questions, [grep.search(each.text) for each in questions])["all"])
        for peer in PEERS:
            print(f"… {peer.name} {peer.version}", file=sys.stderr)
            try:
                peer.install()
                theirs = anyio.run(functools.partial(task, peer, folder / peer.name))
                for way, quality in theirs.items():
                    rows += _rows(f"{peer.name} {peer.version}, {way}", ours, quality)
            except (NotHere, Broken, AssertionError, OSError) as error:
                rows.append(Row.missing("P17", f"{peer.name} {peer.version}", str(error)[:160] or type(error).__name__))
    return rows


async def _quality(
    peer: Peer,
    data: Path,
    texts: Mapping[str, str],
    titles: Mapping[str, str],
    questions: Sequence[Labelled],
    embeddings: str,
) -> Mapping[str, Quality]:
    """How well *peer* finds *texts* in each of its ways. Raises NotHere, Broken, TimeoutError after `PEER_SECONDS`."""
    data.parent.mkdir(parents=True, exist_ok=True)
    await anyio.to_thread.run_sync(peer.put, data, texts)
    data.mkdir(exist_ok=True)
    paths = {title: path for path, title in titles.items()}
    found: dict[str, Quality] = {}
    with anyio.fail_after(PEER_SECONDS):
        environment = peer.retrieval_environment(data, embeddings)
        async with opened(peer.command(data), environment, data, START_SECONDS) as pipe:
            await pipe.call(*peer.search("warm"), seconds=START_SECONDS)
            for title, text in texts.items():
                if (call := peer.told(title, text)) is None:
                    break
                await pipe.call(*call)
            for way, ask in peer.ways().items():
                answers = [peer.ranked(await pipe.call(*ask(each.text))) for each in questions]
                ranked = [[paths[title] for title in dict.fromkeys(each) if title in paths][:10] for each in answers]
                found[way] = measure(questions, ranked)["all"]
    return found


def _rows(beside: str, ours: Quality, theirs: Quality) -> list[Row]:
    pairs = (("recall@5", ours.recall_at_5, theirs.recall_at_5), ("MRR", ours.mrr, theirs.mrr))
    return [
        Row(
            "P17",
            f"1 − {what}, beside {beside}",
            1 - us,
            1 - them,
            1 - them,
            "",
            f"{us:.3f} against {them:.3f}, {ours.questions} questions",
        )
        for what, us, them in pairs
    ]
