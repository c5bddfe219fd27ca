"""Music: piano rolls, MIDI files, notes as sequences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mido
import numpy as np
import polars as pl
import pytest
from tests.unit.data.helpers import Read, read

from ostinato.data.features.notes import NotesFeature, note_name
from ostinato.data.readers.registry import open_source
from ostinato.data.rejects import BadRows
from ostinato.errors import DataError, RecipeError
from ostinato.media.midi import read_midi, write_midi
from ostinato.recipe import build_recipe
from ostinato.recipe.kinds import NotesRecipe

PIECES = [[[60, 64, 67], [], [21, 108]], [[62]], [[60, 62], [60]]]


def save_rolls(path: Path, *, packed: bool = True, **parts: list[list[list[int]]]) -> Path:
    """An archive of piano rolls."""
    arrays: dict[str, Any] = {}
    for name, pieces in parts.items():
        frames = [frame for piece in pieces for frame in piece]
        keys = np.zeros((len(frames), 88), dtype=np.uint8)
        for number, frame in enumerate(frames):
            keys[number, np.asarray(frame, dtype=int) - 21] = 1
        arrays[name] = np.packbits(keys, axis=1) if packed else keys
        arrays[f"{name}_lengths"] = np.asarray([len(piece) for piece in pieces])
    np.savez(path, **arrays)
    return path


def save_midi(path: Path, messages: list[mido.Message | mido.MetaMessage], ticks_per_beat: int = 100) -> Path:
    """A file of one track."""
    file = mido.MidiFile(ticks_per_beat=ticks_per_beat)
    file.tracks.append(mido.MidiTrack(messages))
    file.save(path)
    return path


def pieces_of(found: Read) -> list[Any]:
    """The cells of the first column."""
    return [row[0] for row in found.rows]


@pytest.mark.parametrize("packed", [True, False])
def test_a_part_of_an_archive_is_read_piece_by_piece(tmp_path: Path, packed: bool) -> None:
    path = save_rolls(tmp_path / "music.npz", packed=packed, train=PIECES, valid=PIECES[:1])
    found = read(Path(f"{path}#train"))
    assert pieces_of(found) == PIECES
    assert found.lines == [1, 2, 3]
    assert pieces_of(read(Path(f"{path}#valid"))) == PIECES[:1]


def test_many_pieces_come_in_several_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ostinato.data.readers.pianoroll._BLOCK_FRAMES", 3)
    path = save_rolls(tmp_path / "music.npz", train=PIECES)
    found = read(Path(f"{path}#train"))
    assert found.num_blocks == 2
    assert pieces_of(found) == PIECES


@pytest.mark.parametrize("part", ["#test", ""])
def test_a_part_that_is_not_there_is_answered_with_those_there_are(tmp_path: Path, part: str) -> None:
    path = save_rolls(tmp_path / "music.npz", train=PIECES, valid=PIECES)
    with pytest.raises(DataError, match=r"Parts: train, valid\.\nhint: did you mean .*music\.npz#train"):
        open_source(Path(f"{path}{part}"), BadRows()).columns()


def test_archives_that_hold_something_else_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "wide.npz", train=np.zeros((3, 90)), train_lengths=np.array([3]))
    with pytest.raises(DataError, match=r"frames of 88 keys.* Received: shape \(3, 90\)"):
        open_source(Path(f"{tmp_path / 'wide.npz'}#train"), BadRows()).columns()
    np.savez(tmp_path / "short.npz", train=np.zeros((3, 88)), train_lengths=np.array([2]))
    with pytest.raises(DataError, match=r"must be the frames of each piece, 3 in all\. Received: 2"):
        open_source(Path(f"{tmp_path / 'short.npz'}#train"), BadRows()).columns()
    (tmp_path / "no.npz").write_bytes(b"PK\x03\x04 not an archive")
    with pytest.raises(DataError, match="is not a readable NumPy archive"):
        open_source(Path(f"{tmp_path / 'no.npz'}#train"), BadRows()).columns()
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(DataError, match="holds no piano rolls"):
        open_source(Path(f"{tmp_path / 'other.npz'}#x"), BadRows(), format="pianoroll").columns()


def test_midi_lies_on_a_grid_of_beats_whatever_the_tempo(tmp_path: Path) -> None:
    def played(tempo: int) -> list[mido.Message | mido.MetaMessage]:
        return [
            mido.MetaMessage("set_tempo", tempo=tempo),
            mido.Message("note_on", note=60, time=0),
            mido.Message("note_on", note=36, channel=9, time=0),  # a drum
            mido.Message("note_off", note=60, time=100),
            mido.Message("note_on", note=64, time=1),
            mido.Message("note_on", note=64, velocity=0, time=3),  # ends, and is shorter than a frame
            mido.Message("note_on", note=67, time=96),  # never ends: to the end of the track
            mido.Message("note_off", note=70, time=100),  # never began
        ]

    slow, fast = (save_midi(tmp_path / f"{tempo}.mid", played(tempo)) for tempo in (900_000, 300_000))
    assert read_midi(slow, 2) == [[60], [60], [64], [], [67], [67]]
    assert read_midi(fast, 2) == read_midi(slow, 2)
    assert read_midi(slow, 1) == [[60], [64], [67]]


def test_what_is_written_as_midi_is_read_again(tmp_path: Path) -> None:
    frames = [[60, 64], [60], [], [21, 108], [21], [65]]
    for grid in (1, 3, 4):
        write_midi(frames, tmp_path / "out.mid", grid)
        assert read_midi(tmp_path / "out.mid", grid) == frames
    on = [m for m in mido.MidiFile(tmp_path / "out.mid").tracks[0] if m.type == "note_on"]
    assert len(on) == 5  # pitches of successive frames are held


def test_a_folder_of_midi_names_what_can_not_be_read(tmp_path: Path) -> None:
    save_midi(tmp_path / "a.mid", [mido.Message("note_on", note=60), mido.Message("note_off", note=60, time=50)])
    (tmp_path / "b.mid").write_bytes(b"MThd\0\0\0\x06\0\0\0\x01\0\x64MTrk\0\0\0\x50\0\x90")
    (tmp_path / "c.midi").write_bytes(b"no music at all")
    save_midi(tmp_path / "d.mid", [mido.Message("note_on", note=60, channel=9)])
    save_midi(tmp_path / "e.mid", [mido.Message("note_on", note=20), mido.Message("note_off", note=20, time=500)])
    (tmp_path / "f.mid").write_bytes(b"MThd\0\0\0\x06\0\0\0\x01\xe7\x28MTrk\0\0\0\x04\0\xff\x2f\0")
    found = read(tmp_path)
    assert [Path(str(row[0])).name for row in found.rows] == ["a.mid", "b.mid", "c.midi", "d.mid", "e.mid", "f.mid"]
    assert found.rows[0][1] == "a"
    draft = NotesFeature.read(NotesRecipe(), pl.Series([row[0] for row in found.rows]))
    assert draft.lengths.tolist() == [2, 0, 0, 0, 0, 0]
    assert sorted(draft.problems) == [1, 2, 3, 4, 5]
    for row, reason in {
        1: "is not a readable MIDI file",
        2: "is not a readable MIDI file",
        3: "holds no notes",
        4: "frame 1 holds the pitch 20, outside `lowest` = 21 to `highest` = 108",
        5: "counts time in seconds",
    }.items():
        assert reason in draft.problems[row]


def test_endless_midi_is_refused(tmp_path: Path) -> None:
    late = [mido.Message("note_on", note=60, time=2**27), mido.Message("note_off", note=60, time=1)]
    save_midi(tmp_path / "late.mid", late, 1)
    with pytest.raises(DataError, match="is longer than 1,000,000 frames"):
        read_midi(tmp_path / "late.mid", 4)


def test_lists_and_json_are_the_same_notes() -> None:
    feature = NotesFeature.from_dict(NotesFeature(NotesRecipe(lowest=20, highest=110)).to_dict())
    lists, texts = feature.encode(pl.Series(PIECES)), feature.encode(pl.Series([str(piece) for piece in PIECES]))
    assert lists.values.dtype == np.uint8
    assert lists.values.shape == (6, 91)
    assert (lists.values == texts.values).all()
    assert feature.decode(lists.row(0)) == PIECES[0]


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("[[60], [109]]", "frame 2 holds the pitch 109, outside `lowest` = 21 to `highest` = 108"),
        ("[[60], 61]", "frame 2 is not a list of MIDI pitches: '61'"),
        ("[[60.5]]", "frame 1 is not a list of MIDI pitches"),
        ("[[60", "neither a MIDI file nor a JSON list of frames"),
        ("[]", "holds no frame"),
    ],
)
def test_what_is_wrong_with_a_cell_is_said(cell: str, reason: str, tmp_path: Path) -> None:
    from ostinato.tasks.prepare import prepare

    pl.DataFrame({"notes": ["[[60]]", cell]}).write_csv(tmp_path / "x.csv")
    recipe = {"data": {"train": str(tmp_path / "x.csv"), "input": "notes", "validation": str(tmp_path / "x.csv")}}
    with pytest.raises(DataError, match="1 row can't be used") as caught:
        prepare(build_recipe({**recipe, "features": {"input": {"kind": "notes"}}}))
    assert f"x.csv:3: {reason}" in str(caught.value)


def test_the_range_must_be_one() -> None:
    with pytest.raises(RecipeError, match=r"`features.input.highest` must be at least `lowest` \(60\)\. Received: 50"):
        build_recipe({"features": {"input": {"kind": "notes", "lowest": 60, "highest": 50}}})


def test_pitches_have_names() -> None:
    assert [note_name(pitch) for pitch in (21, 60, 66, 108)] == ["A0", "C4", "F♯4", "C8"]
