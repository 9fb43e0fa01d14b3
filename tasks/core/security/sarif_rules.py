"""What a SARIF run says of its rules: in the driver, in its extensions, and by taxonomies."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.core.prose import flat

Json = Mapping[str, Any]

_CWE = re.compile(r"(?:^|/)cwe[-/]?0*(\d+)(?:\b|$)", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"\{(\d+)\}")
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; `level` and `score` are empty where it has no own."""

    id: str = "unnamed"
    title: str = ""
    url: str = ""
    remedy: str = ""
    level: str = ""
    score: Any = None
    cwes: tuple[str, ...] = ()
    messages: Mapping[str, str] = field(default_factory=dict)

    def message(self, message: Json) -> str:
        """A result's message, by its text or by the rule's own text of that name, its arguments put in."""
        text = str(message.get("text") or self.messages.get(str(message.get("id")), "") or "")
        arguments = message.get("arguments")
        return _PLACEHOLDER.sub(lambda found: _argument(arguments, found), text) if arguments else text


def _argument(arguments: Any, found: re.Match[str]) -> str:
    number = int(found[1])
    return str(arguments[number]) if number < len(arguments) else found[0]


_NO_RULE = Rule()


class Rules:
    """The rules of a run, found by index or id."""

    def __init__(self, tool: Json) -> None:
        components = [tool["driver"], *(tool.get("extensions") or ())]
        self._components = [tuple(_rule(rule) for rule in part.get("rules") or ()) for part in components]
        self._by_id = {rule.id: rule for part in reversed(self._components) for rule in part}

    def of(self, result: Json) -> Rule:
        """A result without a known rule has one that says nothing; `a/b` is a rule's own part of rule `a`."""
        reference = result.get("rule") or {}
        name = result.get("ruleId") or reference.get("id")
        index = result.get("ruleIndex", reference.get("index", -1))
        if index is not None and index >= 0:
            component = reference.get("toolComponent") or {}
            found = self._at(component.get("index", -1) + 1, index)
            if found is not None and (name is None or str(name).startswith(found.id)):
                return found
        return self._named(str(name)) if name else _NO_RULE

    def _at(self, component: int, index: int) -> Rule | None:
        rules = self._components[component] if component < len(self._components) else ()
        return rules[index] if index < len(rules) else None

    def _named(self, name: str) -> Rule:
        while name not in self._by_id and "/" in name:
            name = name.rpartition("/")[0]
        return self._by_id.get(name, _NO_RULE)


def _rule(rule: Json) -> Rule:
    properties = rule.get("properties") or {}
    messages = rule.get("messageStrings") or {}
    title = _text(rule, "shortDescription") or _text(rule, "fullDescription") or str(rule.get("name") or "")
    return Rule(
        id=str(rule["id"]),
        title=title,
        url=str(rule.get("helpUri") or ""),
        remedy=_text(rule, "help"),
        level=str((rule.get("defaultConfiguration") or {}).get("level") or ""),
        score=properties.get("security-severity"),
        cwes=tuple(dict.fromkeys((*_tagged(properties), *cwes_of(rule, "relationships")))),
        messages={str(key): str(told.get("text") or "") for key, told in messages.items()},
    )


def _text(rule: Json, key: str) -> str:
    return flat(str((rule.get(key) or {}).get("text") or ""))[:_LONGEST]


def _tagged(properties: Json) -> Iterator[str]:
    """external/cwe/cwe-078 of GitHub's scanners, CWE-78 or `CWE-78: OS command injection` of others."""
    for tag in properties.get("tags") or ():
        if found := _CWE.search(str(tag)):
            yield f"CWE-{found[1]}"
    own = properties.get("cwe")
    for each in own if isinstance(own, list) else (own,) if own else ():
        if found := _CWE.search(str(each)):
            yield f"CWE-{found[1]}"


def cwes_of(element: Json, key: str = "taxa") -> tuple[str, ...]:
    """Weaknesses by reference to the taxonomy CWE, and those in a result's own tags."""
    references = element.get(key)
    properties = element.get("properties")
    own = tuple(_tagged(properties)) if properties and key == "taxa" else ()
    return (*own, *_referred(references)) if references else own


def _referred(references: Any) -> Iterator[str]:
    for reference in references:
        target = reference.get("target") or reference
        taxonomy = str((target.get("toolComponent") or {}).get("name") or "")
        name = str(target.get("id") or "")
        if taxonomy.upper() == "CWE" and (number := name.upper().removeprefix("CWE-")).isdecimal():
            yield f"CWE-{int(number)}"
