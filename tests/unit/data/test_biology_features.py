"""Nucleotides and amino acids as numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ostinato.data.features import load_feature
from ostinato.data.features.dna import BASES, IUPAC, DnaFeature
from ostinato.data.features.protein import AMINO_ACIDS, ProteinFeature
from ostinato.data.sequences import Sequences
from ostinato.data.vocabulary import SPECIAL, UNK_ID
from ostinato.errors import DataError, RecipeError
from ostinato.recipe import build_recipe
from ostinato.recipe.kinds import DnaRecipe, ProteinRecipe
from ostinato.tasks.prepare import prepare


def _dna(rows: list[str], **options: object) -> tuple[DnaFeature, Sequences]:
    recipe = DnaRecipe.model_validate(options)
    draft = DnaFeature.read(recipe, pl.Series(rows))
    assert isinstance(draft.content, Sequences)
    assert not draft.problems
    feature = DnaFeature.fit(recipe, draft.content.values)
    return feature, feature.encode(pl.Series(rows))


def test_letters_are_one_hot_and_doubtful_ones_are_shares() -> None:
    feature, rows = _dna(["acgu", " RN "])
    assert feature.value_shape == (4,)
    assert feature.form == "vectors"
    np.testing.assert_array_equal(rows.row(0), np.eye(4))
    np.testing.assert_array_equal(rows.row(1), [[0.5, 0, 0.5, 0], [0.25] * 4])
    _, strict = _dna(["ACGT", "RN"], encoding="one_hot")
    np.testing.assert_array_equal(strict.row(0), np.eye(4))
    np.testing.assert_array_equal(strict.row(1), np.zeros((2, 4)))


def test_kmers_overlap_and_are_products() -> None:
    feature, rows = _dna(["ACR", "TT"], k=2)
    assert feature.value_shape == (16,)
    assert rows.lengths.tolist() == [2, 1]
    assert np.flatnonzero(rows.row(0)[0]).tolist() == [BASES.index("A") * 4 + BASES.index("C")]
    assert rows.row(0)[1].nonzero()[0].tolist() == [4, 6]
    assert rows.row(0)[1].sum() == 1.0
    assert feature.decode(rows.row(1)) == "TT"


def test_kmers_as_integers() -> None:
    feature, rows = _dna(["ACGT", "ANGT"], k=3, encoding="ids")
    first = len(SPECIAL)
    assert rows.row(0).tolist() == [first + 0 * 16 + 1 * 4 + 2, first + 1 * 16 + 2 * 4 + 3]
    assert rows.row(1).tolist() == [UNK_ID, UNK_ID]
    assert (feature.vocab_size, feature.counts.sum(), feature.counts[UNK_ID]) == (64 + first, 4, 2)
    assert feature.decode(rows.row(0)) == "ACGT"


def test_the_other_strand_stands_beside_in_its_own_direction() -> None:
    _, rows = _dna(["AACR"], reverse_complement=True)
    _, other = _dna(["YGTT"])
    np.testing.assert_array_equal(rows.values[:, 4:], other.values)
    _, pairs = _dna(["AACRGT"], reverse_complement=True, k=2)
    _, other = _dna(["ACYGTT"], k=2)
    np.testing.assert_array_equal(pairs.values[:, 16:], other.values)
    assert all(len(may) == len(set(may)) for may in IUPAC.values())


def test_positions_are_the_same_in_windows_of_any_length() -> None:
    _, rows = _dna(["ACGTA", "ACGTACGTA"], positions=3)
    bumps = rows.values[:, 4:]
    assert bumps.shape[1] == 3
    np.testing.assert_allclose(bumps[0], np.exp([-0.0, -0.5, -2.0]), rtol=1e-6)
    np.testing.assert_array_equal(bumps[rows.offsets[1] - 1], bumps[-1])
    assert bumps[2].argmax() == bumps[5 + 4].argmax() == 1


def test_illegal_letters_are_named_by_position() -> None:
    draft = DnaFeature.read(DnaRecipe(k=2), pl.Series(["ACGT", "AC-GZ", "A", "ACé"]))
    assert draft.problems == {
        1: "'-' at position 3 is no nucleotide, and 1 more (nucleotides are ACGTRYSWKMBDHVN and U)",
        2: "has 1 letters, fewer than k = 2",
        3: "'É' at position 3 is no nucleotide (nucleotides are ACGTRYSWKMBDHVN and U)",
    }
    assert draft.lengths.tolist() == [3, 0, 0, 0]
    protein = ProteinFeature.read(ProteinRecipe(), pl.Series(["MK*", "MK"]))
    assert protein.problems[0].startswith("'*' at position 3 is no amino acid (")


def test_amino_acids() -> None:
    recipe = ProteinRecipe()
    draft = ProteinFeature.read(recipe, pl.Series(["acuBO"]))
    assert isinstance(draft.content, Sequences)
    feature = ProteinFeature.fit(recipe, draft.content.values)
    rows = feature.encode(pl.Series(["acuBO"]))
    assert rows.values.tolist() == [len(SPECIAL) + place for place in (0, 1, 1, 20, AMINO_ACIDS.index("K"))]
    assert feature.decode(rows.row(0)) == "ACCXK"
    assert feature.vocab_size == 24


def test_shares_and_scales_of_amino_acids() -> None:
    recipe = ProteinRecipe(encoding="shares", scales=True)
    feature = ProteinFeature.fit(recipe, np.zeros(1, dtype=np.uint8))
    values = feature.encode(pl.Series([AMINO_ACIDS + "B"])).values
    assert feature.value_shape == (25,)
    assert values.shape == (21, 25)
    np.testing.assert_array_equal(values[:20, :20], np.eye(20))
    np.testing.assert_allclose(values[:20, 20:].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(values[:20, 20:].std(axis=0), 1, atol=1e-5)
    np.testing.assert_allclose(values[20], (values[2] + values[11]) / 2, atol=1e-6)  # B: D or N
    assert values[AMINO_ACIDS.index("I"), 20] == values[:20, 20].max()  # the most hydrophobic


@pytest.mark.parametrize("options", [{"k": 2, "positions": 3}, {"k": 3, "encoding": "ids"}, {"encoding": "one_hot"}])
def test_features_are_saved_with_the_run(options: dict[str, object]) -> None:
    feature, rows = _dna(["ACGTRA", "ACC"], **options)
    again = load_feature(feature.to_dict())
    np.testing.assert_array_equal(again.encode(pl.Series(["ACGTRA", "ACC"])).values, rows.values)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "dna", "k": 5}, "`features.input.k` must be at most 4 unless `encoding` is ids"),
        (
            {"kind": "dna", "encoding": "ids", "reverse_complement": True},
            "`features.input.reverse_complement` only applies with `encoding: shares`",
        ),
        ({"kind": "dna", "encoding": "ids", "positions": 4}, "`features.input.positions` only applies"),
        ({"kind": "dna", "positions": 1}, "`features.input.positions` must be 0, or at least 2"),
        ({"kind": "protein", "scales": True}, "`features.input.scales` only applies"),
    ],
)
def test_options_that_contradict_each_other(options: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        build_recipe({"features": {"input": options}})


def test_a_record_with_illegal_letters_stops_training_by_name(tmp_path: Path) -> None:
    path = tmp_path / "x.fa"
    path.write_text(">a kind=x\nACGT\n>b kind=y\nAC?T\n>c kind=y\nACCT\n>d kind=x\nACCT\n")
    recipe = build_recipe({"data": {"train": str(path), "target": "kind", "validation": 0.5}})
    with pytest.raises(DataError, match=r"x\.fa:3: '\?' at position 3 is no nucleotide"):
        prepare(recipe)


def test_a_language_model_of_sequences_learns_no_signs(tmp_path: Path) -> None:
    path = tmp_path / "genes.fa"
    path.write_text("".join(f">s{k}\nACGTACGTAACC*\n" for k in range(20)) + ">odd\nACGT!!GTA1CC\n")
    with pytest.raises(DataError, match="1 row can't be used") as caught:
        prepare(build_recipe({"data": {"train": str(path)}}))
    assert "invalid characters" in str(caught.value)
