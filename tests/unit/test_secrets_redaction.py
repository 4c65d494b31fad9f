"""Redaction: a known value is in no text afterwards, whatever form it takes."""

from __future__ import annotations

import base64
import copy
import json
import logging
import pickle
import string
import sys
from urllib.parse import quote

import pydantic
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from argosy_core.errors import ArgosyError, InvalidArgument, NotFound, TooLarge
from argosy_core.secrets.encodings import forms_of
from argosy_core.secrets.logs import RedactingFilter, guard_logging
from argosy_core.secrets.occurrences import Occurrences
from argosy_core.secrets.redaction import Redactor
from argosy_core.secrets.secret import WITHHELD, Secret, check_name, check_value

TOKEN = 'ghp_9fKq2/Zr+Tt7 "x"é0123'
VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=6, max_size=60)
TEXTS = st.text(max_size=80)


def knowing(*values: str) -> Redactor:
    redactor = Redactor()
    for number, value in enumerate(values):
        redactor.learn(f"S{number}", Secret(value))
    return redactor


def usable(value: str) -> bool:
    try:
        check_value("S0", value)
    except ArgosyError:
        return False
    return True


# The type


def test_a_secret_shows_itself_nowhere() -> None:
    secret = Secret(TOKEN)
    assert TOKEN not in f"{secret!r} {secret!s}" and repr(secret) == "Secret(hidden)"
    assert not hasattr(secret, "__dict__")
    for leak in (
        lambda: f"{secret}",
        lambda: f"{secret:>40}",
        lambda: json.dumps(secret),
        lambda: pickle.dumps(secret),
        lambda: copy.deepcopy(secret),
        lambda: hash(secret),
        lambda: pydantic.TypeAdapter(Secret),
    ):
        with pytest.raises(TypeError) as caught:
            leak()
        assert TOKEN not in str(caught.value)


def test_secrets_are_equal_by_value_and_never_to_a_text() -> None:
    assert Secret(TOKEN) == Secret(TOKEN) != Secret(TOKEN + "x")
    assert Secret(TOKEN) != TOKEN and Secret("é\ud800") == Secret("é\ud800")


@pytest.mark.parametrize("name", ["", "lower", "1A", "A-B", "A" * 65, "A\n", "É"])
def test_names_are_of_one_form(name: str) -> None:
    with pytest.raises(InvalidArgument):
        check_name(name)


@pytest.mark.parametrize("value", ["", "12345", "a\0bcdef", "abcdef\ud800", "secret:", "[secret", "withheld"])
def test_values_that_could_not_be_taken_out_again_are_refused_without_repeating_them(value: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_value("NAME", value)
    assert not value or repr(value) not in str(caught.value)
    with pytest.raises(TooLarge):
        check_value("NAME", "x" * 20_000)


# Texts


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
@pytest.mark.parametrize("after", ["", "z", "zy", "zyx"])
def test_base64_is_found_at_every_offset(before: str, after: str) -> None:
    data = (before + TOKEN + after).encode()
    redactor = knowing(TOKEN)
    for encoded in (base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()):
        clean = redactor.redact_text(f"x {encoded} y")
        assert "[secret:S0]" in clean
        kept = clean.removeprefix("x ").removesuffix(" y").replace("[secret:S0]", "")
        assert len(kept) <= 12


@pytest.mark.parametrize(
    "shown",
    [
        TOKEN,
        TOKEN[::-1],
        TOKEN.encode().hex(),
        TOKEN.encode().hex().upper(),
        quote(TOKEN, safe=""),
        quote(TOKEN),
        quote(TOKEN).lower().replace("kq2", "Kq2").replace("zr", "Zr").replace("tt7", "Tt7"),
        quote(TOKEN).replace("%20", "+"),
        json.dumps(TOKEN),
        json.dumps(TOKEN, ensure_ascii=False),
        json.dumps(json.dumps({"a": TOKEN})),
        json.dumps(TOKEN).replace("/", "\\/"),
        repr({"key": TOKEN}),
    ],
)
def test_every_form_is_taken_out(shown: str) -> None:
    clean = knowing(TOKEN).redact_text(f"<{shown}>")
    assert "[secret:S0]" in clean and "9fKq2" not in clean and "0123" not in clean


def test_what_programs_cut_off_a_long_value_is_taken_out_too() -> None:
    value = "".join(f"{n:02x}" for n in range(50, 90))
    redactor = knowing(value)
    assert redactor.redact_text(f"input_value='{value[:30]}...{value[-30:]}'") == (
        "input_value='[secret:S0]...[secret:S0]'"
    )
    assert redactor.redact_text(value[:8]) == value[:8]


def test_what_is_no_value_stays() -> None:
    text = "The lamp burns rapeseed oil. " * 100
    assert knowing(TOKEN, "another-value").redact_text(text) == text
    assert Redactor().redact_json({"a": 1}) == {"a": 1}


@given(VALUES, TEXTS, TEXTS)
def test_no_form_of_a_value_is_left_in_any_text(value: str, before: str, after: str) -> None:
    assume(usable(value))
    redactor = knowing(value)
    for form in forms_of(value):
        clean = redactor.redact_text(before + form.text + after)
        assert value not in clean
        assert not Occurrences([("S0", value)]).find(clean)


@given(st.lists(VALUES, min_size=1, max_size=4), st.data())
def test_values_that_overlap_are_all_taken_out(values: list[str], data: st.DataObject) -> None:
    assume(all(map(usable, values)))
    redactor = knowing(*values)
    text = "".join(data.draw(st.lists(st.sampled_from([*values, *(v[3:] for v in values), " "]), max_size=6)))
    assert [value for value in values if value in redactor.redact_text(text)] == []


@given(st.text(string.ascii_letters + string.digits, max_size=2000))
def test_sampling_finds_what_reading_every_place_finds(text: str) -> None:
    values = ["abcdef", "Zebra77Zebra77Zebra77", "0123456789012345678901234567890123456789"]
    text = text[:50] + values[len(text) % 3] + text[50:]
    found = Occurrences([("A", value) for value in values]).find(text)
    for value in values:
        at = text.find(value)
        assert at < 0 or any(first <= at and end >= at + len(value) for first, end, _ in found)


def test_a_value_made_of_markers_ends_in_a_text_without_it() -> None:
    redactor = knowing("[secret:S1]x", "abcdefgh")
    assert redactor.redact_text("abcdefghx") in ("[secret:S0]", WITHHELD, "[secret:S1]x"[:0])


# Structures


def test_structures_are_cleaned_in_names_values_and_numbers() -> None:
    redactor = knowing("token-value-1", "73550128")
    dirty = {"token-value-1": [1, "a token-value-1", {"n": 73550128, "b": True, "none": None}], "f": 1.5}
    clean = redactor.redact_json(dirty)
    assert clean == {"[secret:S0]": [1, "a [secret:S0]", {"n": WITHHELD, "b": True, "none": None}], "f": 1.5}
    assert dirty["f"] == 1.5 and "token-value-1" in dirty


def test_a_structure_too_deep_to_read_is_withheld() -> None:
    deep: list[object] = []
    for _ in range(sys.getrecursionlimit() * 2):
        deep = [deep]
    assert knowing("token-value-1").redact_json(deep) == WITHHELD


def test_an_error_keeps_its_kind_and_loses_the_value() -> None:
    error = NotFound("no token-value-1", hint="try token-value-1", url="https://h/?k=token-value-1")
    clean = knowing("token-value-1").redact_error(error)
    assert type(clean) is NotFound and clean.code == "not_found"
    assert "token-value-1" not in f"{clean} {clean.message} {clean.hint} {clean.detail} {clean.args}"


# Logs


def test_messages_arguments_tracebacks_and_fields_of_log_records_are_cleaned(caplog: pytest.LogCaptureFixture) -> None:
    redactor = knowing("token-value-1")
    undo = guard_logging(redactor)
    try:
        with caplog.at_level(logging.DEBUG):
            logger = logging.getLogger("some.library")
            logger.debug("got %s of %d", "token-value-1", 3)
            logger.info("plain %s", "text")
            try:
                raise ValueError("bad token-value-1")
            except ValueError:
                logger.exception("failed")
    finally:
        undo()
    assert "token-value-1" not in caplog.text and "got [secret:S0] of 3" in caplog.text
    assert "ValueError: bad [secret:S0]" in caplog.text and "plain text" in caplog.text
    assert "token-value-1" not in repr([vars(record) for record in caplog.records])


def test_extra_fields_and_arguments_that_do_not_fit_are_cleaned() -> None:
    record = logging.makeLogRecord({"msg": "%d", "args": ("token-value-1",), "user": "token-value-1"})
    assert RedactingFilter(knowing("token-value-1")).filter(record)
    assert "token-value-1" not in repr(vars(record))
