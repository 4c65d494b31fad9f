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
from labelled import Grep, Labelled, Quality, load_messages, measure  # noqa: E402

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
    ours = anyio.run(functools.partial(_quality, Ours(), folder / "ours", texts, titles, questions))
    grep = Grep(documents)
    rows = _rows("grep", ours, measure(questions, [grep.search(each.text) for each in questions])["all"])
    for peer in PEERS:
        try:
            peer.install()
            theirs = anyio.run(functools.partial(_quality, peer, folder / peer.name, texts, titles, questions))
            rows += _rows(f"{peer.name} {peer.version}", ours, theirs)
        except (NotHere, Broken, AssertionError, OSError) as error:
            rows.append(Row.missing("P17", f"{peer.name} {peer.version}", str(error)[:160] or type(error).__name__))
    return rows


async def _quality(
    peer: Peer, data: Path, texts: Mapping[str, str], titles: Mapping[str, str], questions: Sequence[Labelled]
) -> Quality:
    """How well *peer* finds *texts*. Raises NotHere, Broken, or TimeoutError after `PEER_SECONDS`."""
    data.parent.mkdir(parents=True, exist_ok=True)
    await anyio.to_thread.run_sync(peer.put, data, texts)
    data.mkdir(exist_ok=True)
    paths = {title: path for path, title in titles.items()}
    found: list[list[str]] = []
    with anyio.fail_after(PEER_SECONDS):
        async with opened(peer.command(data), peer.environment(data), data, START_SECONDS) as pipe:
            await pipe.call(*peer.search("warm"), seconds=START_SECONDS)
            for title, text in texts.items():
                if (call := peer.told(title, text)) is None:
                    break
                await pipe.call(*call)
            for question in questions:
                ranked = peer.ranked(await pipe.call(*peer.ask(question.text)))
                found.append([paths[title] for title in dict.fromkeys(ranked) if title in paths][:10])
    return measure(questions, found)["all"]


def _rows(beside: str, ours: Quality, theirs: Quality) -> list[Row]:
    pairs = (("recall@5", ours.recall_at_5, theirs.recall_at_5), ("MRR", ours.mrr, theirs.mrr))
    return [
        Row(
            "P17",
            f"1 − {what} of {ours.questions} questions, beside {beside}",
            1 - us,
            1 - them,
            1 - them,
            "",
            f"{us:.3f} against {them:.3f}",
        )
        for what, us, them in pairs
    ]
