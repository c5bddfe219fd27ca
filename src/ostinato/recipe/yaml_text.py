"""YAML of recipes, and back: small, unambiguous, and no more when it is written out than it looks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import Any

import yaml

_MOST_NODES = 100_000
_DEEPEST = 50


def parse_yaml(text: str) -> Any:
    """What a YAML text says.

    Raises:
        yaml.YAMLError: for what is no YAML; for a key that is written twice; for more than 100,000 values, aliases
            (`*name`) counted as what they expand to; for more than 50 levels, or an alias within itself.
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _count(node, {}, 0)
        return loader.construct_document(node)  # type: ignore[no-untyped-call]
    except (ValueError, OverflowError) as error:  # a number of 5,000 digits, a date of the year 99999
        raise yaml.YAMLError(str(error)) from error
    except RecursionError as error:
        raise yaml.YAMLError(f"more than {_DEEPEST} levels deep") from error


def dump_yaml(value: Any) -> str:
    """YAML that `parse_yaml` reads back to an equal value."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def _count(node: yaml.Node, known: dict[int, int], depth: int) -> int:
    """The number of values below a node, written out."""
    if depth > _DEEPEST:
        raise yaml.YAMLError(f"more than {_DEEPEST} levels deep, or an alias within itself")
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        below = [one for pair in node.value for one in pair] if isinstance(node, yaml.MappingNode) else node.value
        known[id(node)] = 1 + sum(_count(one, known, depth + 1) for one in below)
    if known[id(node)] > _MOST_NODES:
        raise yaml.YAMLError(f"more than {_MOST_NODES:,} values")
    return known[id(node)]


class _Dumper(yaml.SafeDumper):
    """YAML that escapes the line breaks of Unicode, which a reader would take for a space."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        style = '"' if set(text) & set("\x85\u2028\u2029") else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _Dumper.represent_text)


class _Loader(yaml.SafeLoader):
    """YAML in which a key that is written twice is an error; plain YAML takes the last one and says nothing."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        for key, times in keys.items():
            if times > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key} occurs twice", node.start_mark)
        return super().construct_mapping(node, deep)
