"""Words of any script: tokens, light stems, stop words. Lists are short on purpose; a long one hides names."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache

# Scripts that set no spaces between words, and Hangul, whose particles cling to the word: bigrams stand in for words.
_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f々"
_KATAKANA = "\u30a1-\u30fa\u30fc-\u30fe"
_HIRAGANA = "\u3041-\u309f"
_OTHER_DENSE = "\u0e00-\u0e7f\u0e80-\u0eff\u1000-\u109f\u1780-\u17ff\u1100-\u11ff\uac00-\ud7af"
_DENSE = _HAN + _KATAKANA + _HIRAGANA + _OTHER_DENSE
# A separator list instead of \w, because \w leaves out the vowel signs of Indic scripts.
_SEPARATOR = (
    r"\s!-/:-@\[-`{-~\x00-\x1f\x7f-\xa9\xab-\xb1\xb4\xb6-\xb8\xbb\xbf\xd7\xf7‘’“”\u2000-\u206f\u2190-\u2bff"
    "\u3000-\u3004\u3006-\u3020\u30fb\uff00-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65\U0001f000-\U0001faff"
)
_ASCII_WORD = re.compile(r"[a-zA-Z0-9]+(?:'\w+)?")
_IS_HIRAGANA = re.compile(f"[{_HIRAGANA}]+")
_ENDINGS = ("か", "です", "ます", "した", "して", "ている", "ください", "について", "する", "ない")
_ACCENT = re.compile("[\u0300-\u036f]")
_CYRILLIC_ENDING = re.compile(
    "(?:иями|ями|ами|ого|его|ому|ему|ыми|ими|ов|ев|еи|ам|ям|ах|ях|ом|ем|ым|им|ые|ие|ыи|ии|ои|ая|яя|ую|юю|[аеиоуыэюяь])$"
)

# As `normalise` leaves them.
_COMMON = """
a about after again all also am an and any are as at be been before being but by can could describe did do does doing
done during explain find for from get give go going had has have having he her him his how i if in into is it its just
keep know let like list look made make many may me mention mentioned mentions might more most much my need no not note
notes now of on one or our out over please said say search see shall she should show so some something take tell than
that the their them then there these they thing things think this those to too up us use vault very want was we were
what when where which who whom whose why will with would yes yet you your
und der die das was ich mir mein meine uber ist wie le la les des mes mon ma que sur est el los las mis mi sobre
что я мне мои мой моя мое о об про и в на с мы как это не по у а или ли знаю есть для от до за из то все надо нужно
何 私 知 的 了 我 你 是 吗 呢 什么 怎么 关于 知道
"""
STOP_WORDS = frozenset(_COMMON.split())


# Compiled when first needed: classes of this size would take most of the import.
@cache
def _any_word() -> re.Pattern[str]:
    runs = "|".join(f"[{script}]+" for script in (_HAN, _KATAKANA, _HIRAGANA, _OTHER_DENSE))
    return re.compile(rf"[^{_SEPARATOR}{_DENSE}]+(?:'\w+)?|{runs}")


@cache
def _dense_sign() -> re.Pattern[str]:
    return re.compile(f"[{_DENSE}]")


def normalise(text: str) -> str:
    """Case-folded, compatibility forms unified, accents dropped (but not the voicing marks of Kana)."""
    if text.isascii():
        return text.lower()
    folded = _ACCENT.sub("", unicodedata.normalize("NFKD", text.casefold()))
    return unicodedata.normalize("NFC", folded)


def surface_words(text: str) -> list[str]:
    """The words as written, case kept; a run of a script without spaces is one word."""
    text = text.replace("’", "'")
    words: list[str] = (_ASCII_WORD if text.isascii() else _any_word()).findall(text)
    return [word.partition("'")[0] for word in words] if "'" in text else words


def is_dense(word: str) -> bool:
    """Whether the word is of a script that is matched by bigrams."""
    return not word.isascii() and _dense_sign().match(word) is not None


def is_hiragana(word: str) -> bool:
    """Whether the word is Hiragana throughout: mostly a particle or an ending, seldom a topic."""
    return _IS_HIRAGANA.fullmatch(word) is not None


def is_particle(word: str) -> bool:
    """Whether the word is Japanese grammar and nothing else."""
    return is_hiragana(word) and (len(word) <= 2 or word.endswith(_ENDINGS))


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """A light stem: English plural, -ing, -ed and final -e; Russian case endings; anything else as it is."""
    if not word.isascii():
        return _CYRILLIC_ENDING.sub("", word) if len(word) > 4 else word
    word = _singular(word)
    for ending, shortest in (("ing", 6), ("ed", 5)):
        root = word[: -len(ending)]
        if word.endswith(ending) and len(word) >= shortest and any(vowel in root for vowel in "aeiouy"):
            word = _undouble(root)
            break
    return word[:-1] if len(word) > 4 and word.endswith("e") else word


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "xes", "zes", "ches", "shes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def _undouble(root: str) -> str:
    doubled = len(root) > 3 and root[-1] == root[-2] and root[-1] not in "lsz"
    return root[:-1] if doubled else root


def tokens(text: str) -> list[str]:
    """The tokens of a document, stop words left out. Dense scripts give characters and bigrams."""
    found: list[str] = []
    for word in surface_words(normalise(text)):
        if is_dense(word):
            found.extend(_grams(word, singles=True))
        elif word not in STOP_WORDS:
            found.append(stem(word))
    return found


def query_tokens(text: str) -> list[str]:
    """The tokens of a question, each once, in order.

    Hiragana is mostly grammar, so it counts only when nothing else is left.
    """
    found: dict[str, None] = {}
    for word in surface_words(normalise(text)):
        if word not in STOP_WORDS:
            found.update(dict.fromkeys(_grams(word, singles=False) if is_dense(word) else [stem(word)]))
    content = [token for token in found if not is_hiragana(token) and token not in STOP_WORDS]
    return content or list(found)


def _grams(word: str, *, singles: bool) -> list[str]:
    pairs = [word[start : start + 2] for start in range(len(word) - 1)]
    return [*word, *pairs] if singles or not pairs else pairs
