"""Entry points of other packages: read lazily, a doubled name refused with both origins, odd things named."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint

import pytest

from ostinato import plugins
from ostinato.errors import PluginError

GROUP = "ostinato.cells"


def _registry(monkeypatch: pytest.MonkeyPatch, *points: tuple[str, str]) -> plugins.Registry[int]:
    found = [EntryPoint(name, value, GROUP) for name, value in points]
    monkeypatch.setattr(plugins, "entry_points", lambda group: found)
    registry = plugins.Registry[int](GROUP, "number", lambda thing: isinstance(thing, int))
    registry.add("one", 1)
    return registry


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    plugins.found.cache_clear()
    yield
    plugins.found.cache_clear()


def test_what_was_added_comes_first_and_what_is_outside_is_loaded_when_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry = _registry(monkeypatch, ("most", "sys:maxsize"), ("never", "no.such.module:x"))
    assert list(registry) == ["one", "most", "never"]
    assert len(registry) == 3
    assert registry["one"] == 1
    assert registry["most"] > 2**60
    assert "two" not in registry
    with pytest.raises(KeyError):
        registry["two"]
    with pytest.raises(PluginError, match=r"the number `never` of .* can't be loaded: No module named 'no'"):
        registry["never"]


def test_a_name_of_two_packages_names_both(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = _registry(monkeypatch, ("two", "here:x"), ("two", "there:y"))
    with pytest.raises(PluginError) as error:
        list(registry)
    assert error.value.message == (
        "`two` is registered twice in `ostinato.cells`: by an unknown package (here:x) and by an unknown package "
        "(there:y)."
    )
    assert error.value.hint == "uninstall one of the two, or rename one"


def test_a_name_that_ostinato_has_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = _registry(monkeypatch, ("one", "there:y"))
    with pytest.raises(PluginError, match=r"`one` is registered twice .* and by an unknown package \(there:y\)"):
        registry["one"]
    with pytest.raises(PluginError, match="`one` is registered twice"):
        registry.add("one", 2)


def test_what_is_no_such_thing(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = _registry(monkeypatch, ("path", "os:sep"))
    with pytest.raises(PluginError, match=r"`path` of an unknown package \(os:sep\) is no number. Received: '/'"):
        registry["path"]


def test_a_thing_of_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "entry_points", lambda group: [EntryPoint("mine", "os:sep", GROUP)])
    registry = plugins.Registry[str](GROUP, "text", lambda thing: isinstance(thing, str), lambda thing: "yours")
    with pytest.raises(PluginError, match="is named `yours`, its entry point `mine`: the names must match"):
        registry["mine"]
