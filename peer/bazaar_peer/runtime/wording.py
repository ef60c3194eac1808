"""What is wrong with a body, in words that say how to mend it.

The validator's own messages name types of Python and show patterns; the OpenAPI document is the
place for those. A message that no rule here knows is told as it is.
"""

from __future__ import annotations

import re

from bazaar_peer.market.commands import NAME_PATTERN

KEY_PATTERN = r"\A[A-Za-z0-9:._-]{1,64}\Z"
KEY = "1 to 64 characters, each of them a letter A-Z or a-z, a digit, or one of : . _ -"
NAME = "1 to 32 characters, each of them a letter a-z, a digit or -, and the first one not -"
_BY_PATTERN = {KEY_PATTERN: KEY, NAME_PATTERN: NAME}
_KINDS = {
    "int": "a whole number",
    "float": "a number with a fraction",
    "str": "text",
    "bool": "true or false",
    "null": "null",
    "array": "a list",
    "object": "an object",
    "object | array": "an object, or a list of objects",
}
_RULES: tuple[tuple[str, str], ...] = (
    (r"Expected `str` matching regex '(?P<pattern>.*)'", "should be {pattern}"),
    (r"Expected `int` >= (?P<bound>\d+)", "should be a whole number, {bound} at least"),
    (r"Expected `int` <= (?P<bound>\d+)", "should be a whole number, {bound} at most"),
    (r"Expected `array` of length >= (?P<bound>\d+)", "should have {bound} element at least"),
    (r"Expected `array` of length <= (?P<bound>\d+)", "should have {bound} elements at most"),
    (r"Expected `(?P<wanted>[^`]+)`, got `(?P<got>[^`]+)`", "should be {wanted}, not {got}"),
    (r"Expected `(?P<wanted>[^`]+)`", "should be {wanted}"),
    (r"Object missing required field `[^`]+`", "is missing"),
    (r"Object contains unknown field `[^`]+`", "is not known here; leave it out"),
    (r"Invalid value '(?P<value>.*)'", "cannot be {value}; /openapi.json lists what it can be"),
    (r"Number out of range", "is out of range"),
    (r"Input data was truncated", "should be JSON; this ends too early, or is empty"),
    (r"JSON is malformed: (?P<why>.*)", "should be JSON: {why}"),
    (r"'utf-8' codec .*", "should be JSON in UTF-8; this has bytes that are none"),
)
_COMPILED = tuple((re.compile(rule).fullmatch, words) for rule, words in _RULES)


def told(text: str) -> str:
    """Return what a field or the body should be, for the validator's message."""
    for match, words in _COMPILED:
        found = match(text)
        if found is not None:
            parts = {name: _word(name, part) for name, part in found.groupdict().items()}
            return words.format(**parts)
    return f"is not valid: {text}"


def _word(name: str, part: str) -> str:
    if name == "pattern":
        return _BY_PATTERN.get(part.replace("\\\\", "\\"), "as /openapi.json says")
    return _KINDS.get(part, part) if name in {"wanted", "got"} else part
