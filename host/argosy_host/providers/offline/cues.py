"""What the wording of a task says about where to look. Data only: a new cue is a new line here.

A cue is one or more words as `words.normalise` leaves them. Cues of scripts without spaces match anywhere.
A boost's key is the words that must all occur in a tool's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

NEXT = "next"
DIGEST = "digest"
GOALS = "goals"


@dataclass(frozen=True, slots=True)
class Intent:
    """A kind of question, the words that betray it, and the tools that serve it."""

    name: str
    cues: tuple[str, ...]
    boosts: Mapping[tuple[str, ...], float]
    # The kinds of source that answer it best.
    kinds: tuple[str, ...] = ()


INTENTS: tuple[Intent, ...] = (
    Intent(
        NEXT,
        (
            *("what next", "do next", "next steps", "next step", "next", "focus on", "focus", "should i", "should we"),
            *(
                "priority",
                "priorities",
                "prioritise",
                "prioritize",
                "to do",
                "todo",
                "work on",
                "most important",
                "do today",
            ),
            *("do tomorrow", "plan tomorrow", "plan today", "plan my day", "plan my week", "help me plan"),
            *(
                "что делать",
                "делать",
                "дальше",
                "следует",
                "важнее всего",
                "次",
                "やるべき",
                "すべき",
                "集中",
                "下一步",
                "应该",
            ),
            *("als nächstes", "als nachstes", "prochaine", "siguiente"),
        ),
        {("goal", "list"): 4.0, ("memory", "recall"): 3.5, ("journal", "read"): 2.1},
    ),
    Intent(
        DIGEST,
        (
            *("summarise", "summarize", "summary", "recap", "review", "digest", "brief", "happened", "catch me up"),
            *("подведи", "итоги", "итог", "обзор", "что было", "まとめて", "要約", "总结", "zusammenfassung", "resume"),
        ),
        {("journal", "read"): 3.0, ("goal", "list"): 2.1},
    ),
    Intent(
        "know",
        ("know about", "remember about", "know", "remember", "recall", "learned"),
        {("memory", "recall"): 1.0, ("memory", "search"): 1.0},
    ),
    Intent(
        "decisions",
        ("decided", "decide", "decision", "decisions", "решили", "решил", "решение", "決定"),
        {("memory", "recall"): 1.5, ("memory", "search"): 1.5},
        ("decision",),
    ),
    Intent("self", ("about me", "about myself", "who am i", "обо мне"), {("memory", "recall"): 1.5}, ("user",)),
    Intent("journal", ("journal", "diary", "дневник", "日記"), {("journal", "read"): 3.0, ("journal", "search"): 2.0}),
    Intent(GOALS, ("goal", "goals", "objectives", "цели", "цель", "目標", "目标"), {("goal", "list"): 5.0}, ("goal",)),
    # Before the agents, whose cues are shorter.
    Intent(
        "log",
        ("runs", "events", "log", "logs", "audit", "agent do", "agents do", "did you do", "have you done"),
        {("log", "query"): 5.0},
    ),
    Intent(
        "agents",
        ("agents", "agent", "who can", "assistants", "агенты", "エージェント"),
        {("agent", "list"): 5.0},
        ("agent",),
    ),
    Intent("skills", ("skills", "skill", "what can you do", "playbooks"), {("skill", "list"): 5.0}, ("skill",)),
    Intent(
        "questions",
        ("approval", "approvals", "approve", "waiting for me", "waiting on me", "pending questions", "escalations"),
        {("desk", "pending"): 5.0},
    ),
    Intent("schedules", ("schedule", "schedules", "scheduled", "cron"), {("schedule", "list"): 5.0}),
    Intent("queue", ("queue", "queued", "dead letters"), {("queue", "inspect"): 5.0}),
    Intent("secrets", ("secret names", "secrets", "api keys"), {("secrets", "list"): 5.0}),
    Intent("inventory", ("list my notes", "list notes", "all my notes", "which notes"), {("memory", "list"): 5.0}),
)

# Questions about these are answered with what is listed, even if they name a day.
LISTED = frozenset({"log", "agents", "skills", "questions", "schedules", "queue", "secrets", "inventory"})

# A task that names a stretch of time is answered from the journal of those days.
PERIOD_BOOSTS: Mapping[tuple[str, ...], float] = {("journal", "read"): 3.0}
# A task with a topic is searched for, by any tool whose name says that it searches.
SEARCH_WORDS = frozenset({"search", "recall", "find", "query", "lookup", "ask", "retrieve"})
# The verbs of tools that give one document back, best first.
DETAIL_VERBS = ("read", "get", "describe", "show", "fetch")

# Where a tool looks, for a person. Keyed by the first word of the tool's name.
PLACES = {
    "memory": "notes and wiki",
    "wiki": "wiki",
    "journal": "journal",
    "goal": "goals",
    "agent": "agents",
    "skill": "skills",
    "desk": "open questions",
    "log": "event log",
    "schedule": "schedules",
    "queue": "queue",
    "secrets": "names of secrets",
}

# Headings under which a note says what to do.
ACTION_HEADINGS = ("apply", "next", "todo", "to do", "action", "open", "plan", "follow", "decision", "decided", "won")
# Words that make a sentence an instruction to its reader, wherever they stand in it.
ACTION_PHRASES = (
    *(" should ", " must ", " need to ", " needs to ", " have to ", " todo", " next step", " plan to ", " to do "),
    *(" tomorrow", " deadline", " due ", " нужно ", " надо ", " следует ", " должен ", "べき", "必要", "する予定"),
)
_COMMANDS = """
add agree always announce answer apply archive arrange ask avoid block book build buy call cancel check choose
clean clear close collect compare confirm contact count create cut decide default define delete document don draft
email escalate estimate file find finish fix follow frame get give hire improve install invite keep launch lead
list load make measure meet migrate move name never open order pay pick plan prefer prepare propose publish put
raise read reduce refer remove renew repeat replace reply reserve review revisit route run save schedule
send set ship sign sort start stop submit surface take talk test track treat try turn update use wait walk write
"""
IMPERATIVES = frozenset(_COMMANDS.split())
# A sentence that opens like this is a point of a plan.
ACTION_OPENINGS = ("first,", "second,", "third,", "fourth,", "finally,", "then,", "next,", "во-первых,", "まず")
# Lines that only point elsewhere quote badly.
POINTERS = ("see also", "see [", "related:", "backlinks", "sources:", "source:", "tags:", "siehe auch", "см. также")
POINTER_HEADINGS = ("source", "see also", "backlink", "history", "related", "reference", "lint")
# Words by which an entry shows that it sums others up.
DIGEST_WORDS = "summary week review month overview"
# Sentences that speak to a machine, not to the reader, are no advice: they must not come back as a next step.
MACHINE_TALK = (
    *("ignore previous", "ignore all", "ignore any", "ignore the above", "disregard", "system prompt", "you are now"),
    *("previous instructions", "prior instructions", "new instructions", "as an ai", "developer mode", "tool call"),
    *("call the tool", "jailbreak", "api key", "<system", "[system"),
)
