"""What a recipe can't have is told before any data are read but their head."""

from __future__ import annotations

from pathlib import Path

import pytest

from ostinato.data.forecasting import prepare as forecasting
from ostinato.data.reading import Reading
from ostinato.errors import RecipeError
from ostinato.recipe import apply_overrides, build_recipe
from ostinato.tasks.prepare import prepare

TABLES = {
    "classes": "x,y\n" + "".join(f"some words {i},{'pn'[i % 2]}\n" for i in range(40)),
    "tags": "x,y\n" + "".join(f"some words {i},A B A\n" for i in range(40)),
    "texts": "x,y\n" + "".join(f"some words {i},other words {i}\n" for i in range(120)),
    "series": "date,a\n" + "".join(f"2020-01-{i + 1:02},{i}\n" for i in range(28)),
}
COLUMNS = ["data.input=x", "data.target=y"]
TAGS = [*COLUMNS, "model.task=tagging", "features.target.kind=tags"]
TEXTS = [*COLUMNS, "model.task=seq2seq", "features.target.kind=text"]


@pytest.mark.parametrize(
    ("table", "settings", "message"),
    [
        ("classes", [*COLUMNS, "model.cell=lstmm"], "`cell` must be one of"),
        (
            "classes",
            [*COLUMNS, "model.cell=elman", "model.forget_bias=1"],
            "`forget_bias` does not apply to the cell `elman`",
        ),
        ("classes", [*COLUMNS, "model.cell=gru", "model.zoneout=[0.1, 0.2]"], "`zoneout` must be one probability"),
        ("classes", [*COLUMNS, "model.cell=gru", "model.proj_size=3"], "`proj_size` does not apply to the cell `gru`"),
        ("classes", [*COLUMNS, "model.decoder.bridge=sum"], r"`model\.decoder\.bridge` does not apply to a classifier"),
        ("classes", [*COLUMNS, "training.bptt=5", "model.bidirectional=true"], "needs whole rows"),
        (
            "classes",
            [*COLUMNS, "model.input_scale=0.1"],
            r"`model\.input_scale` only applies with a column that is read",
        ),
        ("tags", [*TAGS, "training.bptt=5", "model.output=crf"], r"`model\.output` needs whole rows"),
        ("tags", [*TAGS, "training.bptt=5", "model.delay=1"], r"`model\.delay` needs whole rows"),
        (
            "tags",
            [*TAGS, "training.bptt={window: 5, carry_state: false}"],
            r"`training\.bptt\.carry_state` must be true",
        ),
        ("tags", [*TAGS, "model.feedback=output", "model.bidirectional=true"], "answers step by step"),
        (
            "texts",
            [*TEXTS, "model.decoder.bridge=sum", "model.num_layers=2", "model.decoder.num_layers=1"],
            "bridge: sum",
        ),
        ("texts", [*TEXTS, "model.decoder.bridge=copy", "model.bidirectional=true"], "bridge: copy` lays side by side"),
        (
            "series",
            [
                "model.horizon=2",
                "model.lookback=4",
                "model.segment=2",
                "model.strategy=segment",
                "model.bidirectional=true",
            ],
            "must be false for strategy",
        ),
        ("series", ["model.task=forecasting", "model.cell=lstmm"], "`cell` must be one of"),
        ("series", ["model.strategy=autoregressive", "model.output=quantiles"], "can't be drawn from step by step"),
        ("series", ["model.task=forecasting", "training.bptt=5"], r"`model\.task` needs whole rows"),
        ("series", ["model.pooling=[max]"], r"`model\.pooling` does not apply to a forecaster"),
    ],
)
def test_nothing_is_read_but_the_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str, settings: list[str], message: str
) -> None:
    read: list[str] = []
    monkeypatch.setattr(Reading, "drafts", lambda _: read.append("rows") or iter(()))
    monkeypatch.setattr(forecasting, "read_table", lambda *_: read.append("series"))
    path = tmp_path / "t.csv"
    path.write_text(TABLES[table])
    with pytest.raises(RecipeError, match=message):
        prepare(build_recipe(apply_overrides({}, [f"data.train={path}", *settings])))
    assert read == []
