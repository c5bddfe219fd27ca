"""How a column of each kind but text becomes sequences, or one value a row: one component a kind."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from ostinato.recipe.base import Component, Count, Needs, NonNegative, Positive, PositiveInt


class TokensRecipe(Component):
    """Lists of words that somebody has split (CoNLL): each word an integer."""

    needs: ClassVar[Needs] = {"max_word_length": ("`characters: true`", lambda tokens: tokens.characters)}
    kind: Literal["tokens"] = "tokens"
    case: Literal["fold", "keep"] = Field(
        "fold", description="fold: `The` and `the` are one word (characters see both)"
    )
    digits: Literal["keep", "zero"] = Field("keep", description="zero: every digit of a word is read as 0")
    min_frequency: PositiveInt = Field(1, description="rarer words become <unk>")
    max_size: PositiveInt | None = Field(None, description="words kept, the most frequent first")
    characters: bool = Field(False, description="the model reads the characters of each word, too (`model.characters`)")
    max_word_length: Annotated[int, Field(ge=2)] = Field(
        24, description="characters: a longer word keeps its first and last ones, half each"
    )


class TagsRecipe(Component):
    """A label for each step (target only)."""

    kind: Literal["tags"] = "tags"
    split: Literal["blanks", "characters"] | None = Field(
        None, description="how a cell that is text holds tags: words, or single letters; none: as the input is cut"
    )
    ignore: tuple[str, ...] = Field((), description="tags that are neither learnt nor scored, such as `-` for unknown")
    unseen: Literal["bad_row", "wrong"] = Field(
        "bad_row", description="a tag of another file that training never showed; wrong: every answer counts as wrong"
    )


class SeriesRecipe(Component):
    """Numbers at every step: one channel or several."""

    kind: Literal["series"] = "series"
    normalize: Literal["none", "global", "row"] = Field(
        "global", description="each channel to mean 0 and variance 1: over the training rows, or over each row alone"
    )
    missing: Literal["stop", "mask", "interpolate"] = Field(
        "stop",
        description="NaN, null: a bad row, or a further 0/1 channel that marks it, or linear interpolation",
    )
    deltas: bool = Field(False, description="the difference from the step before, as further channels")
    stack: PositiveInt = Field(
        1,
        description="so many steps, one after the other, make one frame; the last one is filled up with its last step",
    )


class AudioRecipe(Component):
    """Sound files: frames of log-mel energies, cepstra, or raw samples."""

    needs: ClassVar[Needs] = {
        **dict.fromkeys(
            ("num_mels", "mel_scale", "lowest_hz", "highest_hz"),
            ("`representation: log_mel` or `mfcc`", lambda audio: audio.representation != "raw"),
        ),
        "num_cepstra": ("`representation: mfcc`", lambda audio: audio.representation == "mfcc"),
    }
    kind: Literal["audio"] = "audio"
    representation: Literal["log_mel", "mfcc", "raw"] = "log_mel"
    sample_rate: PositiveInt = Field(16_000, description="Hz; sounds of another rate are resampled, and that is said")
    frame_ms: Positive = 25.0
    hop_ms: Positive = Field(10.0, description="from one frame to the next")
    num_mels: PositiveInt = Field(40, description="log_mel, mfcc: filters")
    num_cepstra: PositiveInt = Field(13, description="mfcc: numbers kept, at most num_mels")
    mel_scale: Literal["htk", "slaney"] = "htk"
    lowest_hz: NonNegative = Field(20.0, description="where the lowest filter begins")
    highest_hz: Positive | None = Field(None, description="where the highest filter ends; none: half the rate")
    deltas: Count = Field(0, le=2, description="1: slopes over time as further numbers; 2: their slopes, too")
    normalize: Literal["none", "global", "row"] = Field(
        "global", description="each number to mean 0 and variance 1: over the training rows, or over each row alone"
    )
    max_seconds: Positive | None = Field(None, description="of a longer sound the beginning is taken")

    @model_validator(mode="after")
    def _check(self) -> AudioRecipe:
        if self.representation == "mfcc" and self.num_cepstra > self.num_mels:
            raise ValueError(f"`num_cepstra` must be at most num_mels ({self.num_mels}). Received: {self.num_cepstra}.")
        if not self.lowest_hz < (self.highest_hz or self.sample_rate / 2) <= self.sample_rate / 2:
            raise ValueError(
                f"`lowest_hz` and `highest_hz` must be in order, up to half of sample_rate ({self.sample_rate}). "
                f"Received: {self.lowest_hz:g} and {self.highest_hz}."
            )
        return self


class VideoRecipe(Component):
    """Clips, files or folders of frames: a sequence of pictures."""

    kind: Literal["video"] = "video"
    size: tuple[PositiveInt, PositiveInt] = Field((64, 64), description="height and width that frames are resized to")
    colour: Literal["grey", "rgb"] = Field("grey", description="one channel, or three")
    num_frames: PositiveInt | None = Field(
        None, description="so many frames, evenly from the first to the last; none: all, or as `fps` says"
    )
    fps: Positive | None = Field(None, description="so many frames a second; not with num_frames")
    motion: Literal["none", "beside", "only"] = Field(
        "none",
        description="how much each pixel changed since the frame before: in addition to the pixels, or instead of them",
    )

    @model_validator(mode="after")
    def _check(self) -> VideoRecipe:
        if self.fps is not None and self.num_frames is not None:
            raise ValueError(
                f"`fps` and `num_frames` both say which frames are taken: give one. "
                f"Received: {self.fps:g} and {self.num_frames}."
            )
        return self


class ImageRecipe(Component):
    """One picture a row: no sequence."""

    kind: Literal["image"] = "image"
    size: tuple[PositiveInt, PositiveInt] | None = Field(
        None, description="height and width that pictures are resized to; none: all must have one size"
    )
    colour: Literal["keep", "grey", "rgb"] = Field("keep", description="grey: one channel; rgb: three; keep: as it is")


class NotesRecipe(Component):
    """Frames of notes that sound at the same time: a piano roll, lists of MIDI pitches, or a MIDI file."""

    kind: Literal["notes"] = "notes"
    lowest: Count = Field(21, le=127, description="the lowest MIDI pitch there may be; 21: a piano's first key")
    highest: Count = Field(108, le=127, description="the highest MIDI pitch there may be; 108: a piano's last key")
    frames_per_beat: PositiveInt = Field(
        4, le=480, description="frames a quarter note has: the grid MIDI files are read on and music is written on"
    )
    transpose: Count = Field(
        0, le=24, description="next_step: each training piece is moved by up to so many semitones, at random"
    )

    @model_validator(mode="after")
    def _check(self) -> NotesRecipe:
        if self.highest < self.lowest:
            raise ValueError(f"`highest` must be at least `lowest` ({self.lowest}). Received: {self.highest}.")
        return self


class DnaRecipe(Component):
    """Nucleotides: overlapping k-mers."""

    needs: ClassVar[Needs] = dict.fromkeys(
        ("reverse_complement", "positions"),
        ("`encoding: shares` or `one_hot`", lambda dna: dna.encoding != "ids"),
    )
    kind: Literal["dna"] = "dna"
    k: Annotated[PositiveInt, Field(le=8)] = Field(1, description="letters of a step; above 4 only as ids")
    encoding: Literal["shares", "one_hot", "ids"] = Field(
        "shares",
        description="shares: 4^k numbers, R is half A, half G; one_hot: the same, but zeros where a letter is "
        "ambiguous; ids: an embedding, <unk> where one is",
    )
    reverse_complement: bool = Field(False, description="adds the other strand, in its own direction; not with ids")
    positions: Annotated[Count, Field(le=64)] = Field(
        0,
        description="that many numbers more a step, which say where in its row it is: for windows cut around a "
        "site; not with ids",
    )

    @model_validator(mode="after")
    def _check(self) -> DnaRecipe:
        if self.encoding != "ids" and self.k > 4:
            raise ValueError(f"`k` must be at most 4 unless `encoding` is ids. Received: {self.k}.")
        if self.positions == 1:
            raise ValueError("`positions` must be 0, or at least 2. Received: 1.")
        return self


class ProteinRecipe(Component):
    """Amino acids."""

    needs: ClassVar[Needs] = {"scales": ("`encoding: shares`", lambda protein: protein.encoding == "shares")}
    kind: Literal["protein"] = "protein"
    encoding: Literal["ids", "shares"] = Field(
        "ids", description="ids: an embedding of 20 and X; shares: 20 numbers, B is half D, half N"
    )
    scales: bool = Field(
        False, description="shares: hydropathy, volume, charge, preference for helix and strand in addition"
    )


class CategoryRecipe(Component):
    """One of several names a row: no sequence."""

    kind: Literal["category"] = "category"


class NumbersRecipe(Component):
    """One number a row, or a list of as many in every row: no sequence."""

    kind: Literal["numbers"] = "numbers"
