"""The site builds strictly, its reference has every public name, and the pages are as the house style has them."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import operator
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
CODE_NAME = re.compile(r"`(ostinato[\w.]*):([\w.]+)`")

ENTRY_POINTS = {"ostinato.tasks", "ostinato.cells", "ostinato.readers", "ostinato.features"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make docs` builds, strictly: any warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def _public_names() -> set[str]:
    """Every class and function at the top of a public module, and what `__all__` lists."""
    names: set[str] = set()
    for path in sorted((ROOT / "src" / "ostinato").rglob("*.py")):
        parts = path.relative_to(ROOT / "src").with_suffix("").parts
        if any(part.startswith("_") and part != "__init__" for part in parts) or parts[1] == "cli":
            continue
        module = ".".join(parts).removesuffix(".__init__")
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                names.add(f"{module}.{node.name}")
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
                names |= {f"{module}.{name}" for name in ast.literal_eval(node.value)}
    return names


def test_the_reference_has_every_public_name(site: Path) -> None:
    pages = "".join(page.read_text("utf-8") for page in (site / "reference").glob("*.html"))
    anchors = set(re.findall(r'id="([\w.]+)"', pages))
    assert sorted(_public_names() - anchors) == []


def test_the_reference_has_every_command_and_key(site: Path) -> None:
    commands = (site / "reference" / "command-line.html").read_text("utf-8")
    for name in ("ostinato train", "ostinato data sample", "ostinato recipe options", "--resume"):
        assert name in commands
    assert "training.bptt.window" in (site / "reference" / "recipe.html").read_text("utf-8")


def test_nothing_is_fetched_by_the_site(site: Path) -> None:
    """Neither fonts nor scripts; formulas are MathML, which browsers draw themselves."""
    for page in site.rglob("*.html"):
        text = page.read_text("utf-8")
        assert not re.search(r"<(?:script|img|iframe)[^>]+src=\"https?:", text), page
        assert not re.search(r"<link[^>]+rel=\"(?:stylesheet|preconnect)\"[^>]+href=\"https?:", text), page
        assert "arithmatex" not in text, f"a formula of {page} is left as LaTeX"
    assert "<math" in (site / "concepts" / "lyapunov.html").read_text("utf-8")


def test_the_readme_is_one_screen_and_its_links_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert text.count("\n") <= 50
    for link in re.findall(r"\]\(([^)#:]+)\)|src=\"([^\"]+)\"", text):
        assert (ROOT / "".join(link)).exists(), link


def test_prose_is_wrapped() -> None:
    """`make format` wraps it."""
    done = subprocess.run([sys.executable, "tools/docs/wrap.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"not wrapped at 120 columns: {done.stdout}"


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.stem)
def test_what_a_page_names_exists(page: Path) -> None:
    """Files by their path below the repository or the package, and dotted names."""
    text = page.read_text("utf-8")
    for path in re.findall(r"`([\w-]+/[\w/.-]+\.(?:py|md|yaml|csv))`", text):
        assert any((folder / path).exists() for folder in (ROOT, ROOT / "src", ROOT / "src" / "ostinato", DOCS)), path
    for name in re.findall(r"`(ostinato\.[a-z_]+(?:\.\w+)*)`", text):
        if name in ENTRY_POINTS:
            continue
        module, _, attribute = name.rpartition(".")
        known = importlib.util.find_spec(module) and hasattr(importlib.import_module(module), attribute)
        assert known or importlib.util.find_spec(name), name


def _entries() -> dict[str, str]:
    _, *parts = re.split(r"^### (.+)$", (DOCS / "GLOSSARY.md").read_text("utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


@pytest.mark.parametrize("name", _entries())
def test_an_entry_of_the_glossary(name: str) -> None:
    """It says what computes the concept here, and that exists."""
    text = " ".join(_entries()[name].split())
    assert "*Here:*" in text
    for module, attribute in CODE_NAME.findall(text):
        operator.attrgetter(attribute)(importlib.import_module(module))
    known = _recipe_keys()
    for key in re.findall(r"`((?:model|training|data|features)\.(?!json)[\w.]+)(?:: \w+)?`", text):
        assert key in known, f"no key {key}"


def _recipe_keys() -> set[str]:
    """As the reference lists them, and their sections."""
    from typer.testing import CliRunner

    from ostinato.cli.app import app

    keys = re.findall(r"^\| `([\w.]+)`", CliRunner().invoke(app, ["recipe", "options"]).output, re.MULTILINE)
    return {".".join(key.split(".")[:depth]) for key in keys for depth in range(1, 5)}


def test_the_glossary_is_complete_and_each_concept_once() -> None:
    names = re.findall(r"^### (.+)$", (DOCS / "GLOSSARY.md").read_text("utf-8"), re.MULTILINE)
    assert len(names) == len(set(names)) > 100


CONCEPTS = """
Sequential data; Time series; Token; Tokenisation; Vocabulary; Unknown token; Integer encoding; Markup; Emoticon;
Padding; Mask; Packing, ragged batch; Truncation; One-hot; Embedding; In-domain word vectors; Many-to-one;
One-to-many; Many-to-many, synchronised; Many-to-many, delayed; Language model; RNN, Elman network; Activation
equations; Recurrent edge; Jordan network; Unrolling, weight sharing; Hidden state; Cell state; Gate; LSTM; GRU;
Bidirectional; Stacked, deep; BPTT; Truncated BPTT; Vanishing and exploding gradient; Long-range dependency; Gradient
clipping; Batch, epoch, update; Adam; Teacher forcing; Free running; Encoder; Decoder; Attention; Beam search;
Temperature; Logit, softmax; Cross-entropy, nll; Perplexity; Accuracy; Validation, test, fold; Dropout between layers
"""
"""Of a textbook's chapter on sequences: what it uses must be defined."""


def test_the_glossary_has_every_concept_of_the_textbook() -> None:
    wanted = [" ".join(name.split()) for name in CONCEPTS.split(";")]
    assert [name for name in wanted if name not in _entries()] == []


def test_every_entry_says_where_to_look() -> None:
    """A Python name that exists (tested above), a key of a recipe, a command or a page, after `Here`."""
    here = {name: " ".join(text.split()).split("*Here:*")[1] for name, text in _entries().items()}
    place = re.compile(r"`ostinato|`(?:model|training|data|features)\.|\]\((?:guides|concepts)/")
    assert [name for name, text in here.items() if not place.search(text)] == []


RULED_OUT = re.compile(
    r"\b[Rr]ivals?\b|\b[Cc]ontests?\b|no meaning for|told by itself|forgets_every|stand for nothing|written alone"
    r"|is told (?:of|what|that|which|the)|\blistener|gone on with|\banew\b|\bsettled?\b|as they stand\b"
)
"""Of the glossary's table what must not be written."""


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.stem)
def test_pages_use_the_words(page: Path) -> None:
    assert page.name == "GLOSSARY.md" or RULED_OUT.findall(page.read_text("utf-8")) == []


def test_code_and_messages_use_the_words() -> None:
    files = [path for path in (ROOT / "src").rglob("*") if path.suffix in (".py", ".jinja", ".yaml")]
    found = {path.name: RULED_OUT.findall(path.read_text("utf-8")) for path in files}
    assert len(files) > 400
    assert {name: words for name, words in found.items() if words} == {}
