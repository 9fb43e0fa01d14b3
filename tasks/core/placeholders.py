"""The few words in braces that a component's commands and variables may hold; every other brace is left as it is."""

from collections.abc import Iterable, Mapping


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with each `{name}` of `values` replaced."""
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def filled_words(words: Iterable[str], values: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(filled(word, values) for word in words)


def filled_values(variables: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    return {name: filled(text, values) for name, text in variables.items()}
