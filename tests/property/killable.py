"""A process in which training can die at a chosen instant. No test by itself: `test_kills.py` starts it.

It reads one JSON request a line on stdin and answers each with one line. torch is imported once; every request is
served by a fork, which trains or resumes a run and may be killed:

- `delay`: SIGKILL from outside, so many seconds after the fork;
- `call`: SIGKILL from within, just before the n-th change to the run directory (write, flush to the disk, rename, …),
  or in the middle of it where it is a write;
- `power`: with `call`, everything the disk was not asked to keep is then lost, too, as when the power fails.
"""

from __future__ import annotations

import builtins
import io
import json
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any


class Disk:
    """Counts the changes to a folder, dies before the n-th, and knows which of them the disk was made to keep."""

    def __init__(self, folder: Path, call: int | None, power: bool) -> None:
        self.folder, self.call, self.power = str(folder.resolve()), call, power
        self.count = 0
        self._paths: dict[int, str] = {}
        self._kept: dict[int, int] = {}
        self._undo: list[tuple[str, Callable[[], object]]] = []
        self._plain = {name: getattr(os, name) for name in ("fsync", "rename", "replace", "mkdir", "link", "truncate")}
        self._plain |= {name: getattr(os, name) for name in ("unlink", "rmdir", "open", "close")}
        self._open_file = io.open

    def watch(self) -> None:
        """From now on."""
        for name in ("rename", "replace"):
            setattr(os, name, lambda source, target, name=name: self._move(name, source, target))
        for name in ("mkdir", "link"):
            setattr(os, name, lambda *arguments, name=name, **keys: self._make(name, *arguments, **keys))
        for name in ("unlink", "rmdir", "truncate"):
            setattr(os, name, lambda *arguments, name=name, **keys: self._other(name, *arguments, **keys))
        for module, name, own in (
            (os, "fsync", self._fsync),
            (os, "open", self._open_descriptor),
            (io, "open", self._open),
            (builtins, "open", self._open),
        ):
            setattr(module, name, own)

    def tick(self) -> None:
        """A change is about to happen."""
        self.count += 1
        if self.count == self.call:
            self.die()

    def die(self) -> None:
        if self.power:
            self._lose()
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)

    def _lose(self) -> None:
        for _, undo in reversed(self._undo):
            with suppress(FileNotFoundError):  # removed since
                undo()
        for parent, _, names in os.walk(self.folder):
            for name in names:
                path = os.path.join(parent, name)
                kept = self._kept.get(os.stat(path).st_ino)
                if kept is not None and os.stat(path).st_size > kept:
                    self._plain["truncate"](path, kept)

    def _mine(self, path: object) -> bool:
        return isinstance(path, str | os.PathLike) and os.path.abspath(path).startswith(self.folder)

    def _entry(self, path: object, undo: Callable[[], object]) -> None:
        self._undo.append((os.path.dirname(os.path.abspath(str(path))), undo))

    def _move(self, name: str, source: Any, target: Any) -> None:
        if not self._mine(target):
            self._plain[name](source, target)
            return
        self.tick()
        before = Path(target).read_bytes() if os.path.isfile(target) else None
        self._plain[name](source, target)

        def undo() -> None:
            self._plain["rename"](target, source)
            if before is not None:
                with self._open_file(target, "wb") as file:
                    file.write(before)

        self._entry(target, undo)

    def _make(self, name: str, *arguments: Any, **keys: Any) -> None:
        path = arguments[-1] if name == "link" else arguments[0]
        if self._mine(path):
            self.tick()
        self._plain[name](*arguments, **keys)
        if self._mine(path):
            self._entry(path, lambda: shutil.rmtree(path) if name == "mkdir" else self._plain["unlink"](path))

    def _other(self, name: str, *arguments: Any, **keys: Any) -> None:
        if self._mine(arguments[0]) or "dir_fd" in keys:
            self.tick()
        self._plain[name](*arguments, **keys)

    def _open_descriptor(self, path: Any, *arguments: Any, **keys: Any) -> int:
        descriptor = self._plain["open"](path, *arguments, **keys)
        self._paths.pop(descriptor, None)
        if self._mine(path) or os.path.abspath(path) == os.path.dirname(self.folder):
            self._paths[descriptor] = os.path.abspath(path)
        return int(descriptor)

    def _fsync(self, descriptor: int) -> None:
        path = self._paths.get(descriptor)
        if path is not None:
            self.tick()
        self._plain["fsync"](descriptor)
        if path is None:
            return
        state = os.fstat(descriptor)
        self._kept[state.st_ino] = state.st_size
        if os.path.isdir(path):
            self._undo = [(folder, undo) for folder, undo in self._undo if folder != path]

    def _open(self, path: Any, mode: str = "r", *arguments: Any, **keys: Any) -> Any:
        if not self._mine(path) or not set(mode) & set("wax+"):
            return self._open_file(path, mode, *arguments, **keys)
        self.tick()
        is_new = not os.path.exists(path)
        file = self._open_file(path, mode, *arguments, **keys)
        state = os.fstat(file.fileno())
        self._paths[file.fileno()] = os.path.abspath(path)
        self._kept.setdefault(state.st_ino, 0)
        if not is_new and state.st_size and "a" in mode:
            self._kept[state.st_ino] = self._kept[state.st_ino] or state.st_size
        if is_new:
            self._entry(path, lambda: self._plain["unlink"](path))
        return _File(file, self)


class _File:
    """A file in which a write may end halfway."""

    def __init__(self, file: Any, disk: Disk) -> None:
        self._file, self._disk = file, disk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, content: Any) -> None:
        self._disk.tick()
        half = len(content) // 2
        self._file.write(content[:half])
        self._file.flush()
        self._disk.tick()
        self._file.write(content[half:])
        self._file.flush()


def train(request: dict[str, Any]) -> None:
    """Begin or go on with a run, in this process, quietly."""
    from ostinato.recipe import build_recipe
    from ostinato.training.progress import Observer
    from ostinato.training.train import resume_run, train_recipe

    folder = Path(request["folder"])
    poison(request.get("poison", []))
    if request["resume"]:
        resume_run(folder, None, Observer())
    else:
        train_recipe(build_recipe(request["recipe"]), folder, Observer())


def poison(steps: list[int]) -> None:
    """The gradient of the first steps with these numbers, in the first life that comes to them at full rate, is inf."""
    from ostinato.training.clipping import Clipper
    from ostinato.training.loop import Trainer

    plain, clip = Trainer._step, Clipper.__call__
    numbers: dict[str, float] = {}

    def step(self: Trainer, batch: object) -> Any:
        numbers.update(step=self.position.step + 1, factor=self.position.rate_factor)
        return plain(self, batch)

    def call(self: Clipper) -> Any:
        if any(numbers["step"] == at and numbers["factor"] == 0.5**n for n, at in enumerate(steps)):
            parameter = next(iter(self._groups.values()))[0]
            if parameter.grad is not None:
                parameter.grad.view(-1)[0] = float("inf")
        return clip(self)

    if steps:
        Trainer._step, Clipper.__call__ = step, call  # type: ignore[method-assign]


def serve(request: dict[str, Any]) -> dict[str, Any]:
    """Fork, train there, perhaps kill; returns how it ended and how many changes to the folder there were."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        disk = Disk(Path(request["folder"]), request.get("call"), bool(request.get("power")))
        answer: dict[str, Any] = {}
        try:
            disk.watch()
            train(request)
            answer = {"end": "done", "calls": disk.count}
        except BaseException as error:  # noqa: BLE001 (told to the one who asked)
            answer = {"end": f"{type(error).__name__}: {error}", "trace": traceback.format_exc(), "calls": disk.count}
        os.write(writer, json.dumps(answer).encode())
        os._exit(0)
    os.close(writer)
    if request.get("delay") is not None:
        time.sleep(request["delay"])
        os.kill(child, signal.SIGKILL)
    with os.fdopen(reader, "rb") as pipe:
        content = pipe.read()
    os.waitpid(child, 0)
    return json.loads(content) if content else {"end": "killed"}


def main() -> None:
    import torch

    import ostinato.api  # noqa: F401 (once, before any fork)

    torch.set_num_threads(1)
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])  # imports a great deal
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(serve(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
