"""One to many from files to texts: names of a language and words of a picture; what can't be given is said."""

from __future__ import annotations

import base64
import io
import json
import random
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image
from tests.conftest import Cli
from tests.unit.data.test_pictures import write_idx

import ostinato
from ostinato.data.sequences import Sequences
from ostinato.errors import RecipeError, RunError
from ostinato.report.images import picture_uri
from ostinato.run import Run
from ostinato.tasks.conditional.model import Conditional
from ostinato.tasks.given import has_one_answer
from ostinato.tasks.prepare import prepare
from ostinato.tasks.transcripts import mean_nll, nll_of_rows
from ostinato.training.progress import Observer

SMALL: dict[str, Any] = {
    "model.cell": "gru",
    "model.embedding_dim": 8,
    "model.hidden_size": 24,
    "model.decoder.beam_size": 2,
    "model.decoder.max_new_tokens": 10,
    "training.batch_size": 16,
    "training.learning_rate": 0.02,
    "training.num_threads": 1,
}
WORDS = ("zero", "one", "two")


def _languages(folder: Path) -> Path:
    """Names of one language end in -ski, of the other in -ez, of the third the letters tell nothing."""
    draw = random.Random(0)
    folder.mkdir()
    for language, end in (("Polish", "ski"), ("Spanish", "ez")):
        stems = {"".join(draw.choice("abcd") for _ in range(3)) for _ in range(70)}
        (folder / f"{language}.txt").write_text("".join(f"{stem.capitalize()}{end}\n" for stem in sorted(stems)))
    return folder


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("names")
    settings = {
        **SMALL,
        "data.format": "lines",
        "features.input.kind": "category",
        "features.target": {"kind": "text", "unit": "characters"},
        "training.epochs": 12,
    }
    data = _languages(folder / "data")
    return ostinato.train(
        data, input="label", target="text", settings=settings, out=folder / "run", observer=Observer()
    )


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Pictures of 8 × 8 pixels: a bright column or row says which word."""
    folder = tmp_path_factory.mktemp("digits")
    random_ = np.random.default_rng(0)
    labels = random_.integers(0, 3, 120)
    pixels = random_.integers(0, 100, (120, 8, 8), dtype=np.uint8)
    for picture, label in zip(pixels, labels.tolist(), strict=True):
        picture[:, label * 2 : label * 2 + 2] = 250
    settings = {
        **SMALL,
        "features.target": {"kind": "text", "unit": "characters"},
        "model.frames.channels": [4],
        "training.epochs": 8,
        "training.monitor": "exact",
        "data.validation": 0.25,
    }
    path = write_idx(folder, pixels, labels.tolist())
    return ostinato.train(path, target="word", settings=settings, out=folder / "run", observer=Observer())


def test_what_is_written_depends_on_what_is_given(names: Run) -> None:
    assert names.recipe.model.task == "conditional"
    drawn = {one: names.generate(condition=one, num=40, seed=3) for one in ("Polish", "Spanish")}
    assert sum(name.endswith("ski") for name in drawn["Polish"]) >= 30
    assert sum(name.endswith("ez") for name in drawn["Spanish"]) >= 30
    assert len(set(drawn["Polish"])) > 10
    assert names.generate(condition="Polish", num=5, seed=3) != drawn["Polish"][5:10]
    assert names.generate(condition="Polish", num=40, seed=3) == drawn["Polish"]
    assert [one.text is not None and one.text.endswith("ez") for one in names.predict(["Spanish"])] == [True]


def test_one_value_with_many_answers_is_not_right_or_wrong(names: Run) -> None:
    prepared = prepare(names.recipe)
    validation = cast("Any", prepared.validation)
    assert not has_one_answer(validation)
    metrics = names.spec.evaluate(names.model, validation, names.features, names.recipe, names.device)
    assert "exact" not in metrics
    assert metrics["perplexity"] == pytest.approx(np.exp(metrics["loss"]))
    model = cast("Conditional", names.model)
    totals, counts = nll_of_rows(model, validation, torch.device("cpu"))
    assert mean_nll(model, validation, torch.device("cpu")) == pytest.approx(totals.sum() / counts.sum())
    assert counts.tolist() == (cast("Sequences", validation.targets).lengths + 1).tolist()
    page = (names.folder / "report.html").read_text(encoding="utf-8")
    assert "Drawn for each label" in page
    assert "ski</span>" in page


def test_a_picture_is_spelled(digits: Run) -> None:
    prepared = prepare(digits.recipe)
    validation = cast("Any", prepared.validation)
    metrics = digits.spec.evaluate(digits.model, validation, digits.features, digits.recipe, digits.device)
    assert metrics["exact"] >= 0.9
    quick = digits.spec.monitor(digits.model, validation, digits.features, digits.recipe, digits.device)
    assert quick["exact"] >= 0.9
    pixels = np.full((8, 8), 50)
    pixels[:, 2:4] = 250
    assert digits.predict([pixels])[0].text == "one"
    page = (digits.folder / "report.html").read_text(encoding="utf-8")
    assert page.count('<img src="data:image/png;base64,') >= 12
    assert "img-src data:" in page  # else browsers show none of them
    assert "Lengths" not in page  # a picture a row has none
    with pytest.raises(RunError, match="a picture of 2 × 2 pixels; the others have 8 × 8 pixels"):
        digits.predict([[[1, 2], [3, 4]]])


def test_the_report_names_what_a_wrong_value_costs(digits: Run) -> None:
    page = (digits.folder / "report.html").read_text(encoding="utf-8")
    assert "the same, given another row's image" in page
    assert "reads what is given, as 64 numbers" in page


def test_names_that_training_never_showed_are_refused(names: Run, cli: Cli) -> None:
    refused = cli("generate", names.folder, "--condition", "Polich")
    assert refused.code == 1
    assert "`label` must be one of Polish, Spanish. Received: 'Polich'." in refused.err
    assert "did you mean Polish?" in refused.err
    with pytest.raises(RunError, match=r"row 2 has a name that was not seen in training\. Seen: Polish, Spanish"):
        names.predict(["Polish", "Greek"])


def test_generate_draws_for_what_is_given(names: Run, cli: Cli) -> None:
    drawn = cli("generate", names.folder, "--condition", "Spanish", "-n", "4", "--seed", "2", "--json")
    said = json.loads(drawn.out)
    assert len(said["texts"]) == 4
    assert (
        said["texts"]
        == cli("generate", names.folder, "--condition", "label=Spanish", "-n", "4", "--seed", "2").out.split("\n", 4)[
            :4
        ]
    )
    nothing = cli("generate", names.folder)
    assert "writes for a given label. Received: nothing." in nothing.err
    assert "`--prompt` does not apply" in cli("generate", names.folder, "--condition", "Polish", "--prompt", "A").err


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model.decoder.beam_size": 90}, "`model.decoder.beam_size` must be at most"),
        ({"model.decoder.bridge": "sum"}, "`model.decoder.bridge` does not apply to a conditional"),
        ({"model.decoder.attention": "bahdanau"}, "`model.decoder.attention` does not apply to a conditional"),
        ({"features.input": {"unit": "words"}}, "must be one of category, numbers, image. Received: 'text'"),
        ({"model.frames.kernel": 5}, "`model.frames.kernel` only applies with a column of pictures"),
        ({"model.task": "seq2seq", "model.decoder.condition": "state"}, "does not apply to a seq2seq"),
    ],
)
def test_what_would_be_ignored_is_refused(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    given = {
        **SMALL,
        "data.format": "lines",
        "model.task": "conditional",
        "features.input": {"kind": "category"},
        "features.target": {"kind": "text"},
        **settings,
    }
    data, out = _languages(tmp_path / "data"), tmp_path / "run"
    with pytest.raises(RecipeError, match=message):
        ostinato.train(data, input="label", target="text", settings=given, out=out, observer=Observer())
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_a_picture_in_a_page_is_a_png_of_its_pixels() -> None:
    for shape in ((1, 3, 5), (3, 4, 2)):
        pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
        opened = Image.open(io.BytesIO(base64.b64decode(picture_uri(pixels).partition(",")[2])))
        found = np.asarray(opened)
        assert np.array_equal(found[None] if found.ndim == 2 else found.transpose(2, 0, 1), pixels)
