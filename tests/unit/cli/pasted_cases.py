"""Which hints of the source are pasted, after which command line, and which are prose."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.unit.cli.pasted_data import text_file

OLD_RUNS = Path(__file__).parents[2] / "fixtures/old_runs"
T = "train t.csv --input text --target label"
H, K = "+model.horizon=2 +model.lookback=4", "model.task"
L, P, W = "--input text --target label", "--input source --target target", "--input words --target tags"
CASES = {
    "cells/registry.py:get": f"{T} +model.cell=lsmt",
    "cells/registry.py:check_takes": f"{T} +model.cell=elman +model.chrono=40",
    "cli/compare.py:_varied": "compare --recipe r.yaml --vary hidden_size",
    "cli/data.py:sample": "data sample revews.csv",
    "cli/predict.py:_predict_rows": "predict run",
    "shelf/packed.py:pack": "pack run --out full",
    "cli/predicted.py:check_out": "predict run --file t.csv --out said.xls",
    "cli/predicted.py:check_out#2": "predict run --file t.csv --out no/said.csv",
    "cli/recipe.py:init": f"recipe init t.csv {L} --out r.yaml",
    "cli/train.py:_check_mode": "train",
    "comparison/comparing.py:_base": "compare --recipe empty.yaml --cells gru,lstm",
    "comparison/comparing.py:_base#2": "compare --recipe r.yaml --cells gru,lstm --match time",
    "comparison/plan.py:plan": "compare --recipe r.yaml",
    "crossvalidation.py:_plan": "crossvalidate empty.yaml --folds 2",
    "crossvalidation.py:_claim": "crossvalidate r.yaml --folds 2 --out full",
    "data/catalog/__init__.py:resolve_path": "train mysterious-islnd",
    "data/catalog/__init__.py:lookup": "data fetch mysterious-islnd",
    "data/features/tokens.py:_vocabulary": "train lists.jsonl --input x --target y"
    " +features.input.kind=tokens +features.input.min_frequency=99",
    "data/forecasting/clean.py:_regular": f"train odd.csv {H}",
    "data/forecasting/clean.py:_gaps": f"train gaps.csv {H}",
    "data/forecasting/clean.py:_gaps#2": "train wide_gap.csv +model.horizon=1 +model.lookback=2",
    "data/forecasting/clean.py:_filled": f"train hole.csv {H} +data.missing=stop",
    "data/forecasting/clean.py:_filled#2": f"train blank.csv +{K}=forecasting '+data.channels=[y,z]' {H}"
    " +data.missing=mask",
    "data/forecasting/columns.py:resolve_columns": f"train session.csv +{K}=forecasting"
    " '+data.calendar=[hour]' '+data.channels=[y]'",
    "data/forecasting/columns.py:resolve_columns#2": f"train words.csv +{K}=forecasting",
    "data/forecasting/order.py:_wrong": f"train late.csv {H} +data.sort=false",
    "data/forecasting/prepare.py:resolve_series": f"train days.csv +{K}=forecasting --input date --target y",
    "data/forecasting/prepare.py:_borders": f"train days.csv '+data.split=[400,40]' {H}",
    "data/forecasting/prepare.py:too_short": "train days.csv +model.horizon=50 +model.lookback=40",
    "data/forecasting/read.py:_read_steps": f"train strange.csv +data.time=date +{K}=forecasting",
    "data/forecasting/read.py:_read_steps#2": f"train rubbish.csv +{K}=forecasting '+data.channels=[y]' {H}",
    "data/inference/applicability.py:refuse_inapplicable": "train days.csv --input date --target y"
    f" +{K}=classification +data.on_gap=fill",
    "data/inference/likely.py:no_input": "train t.csv +training.epochs=1",
    "data/inference/resolve.py:_same_column": "train t.csv --input text --target text",
    "data/inference/resolve.py:_category_of": "train lists.jsonl --input x",
    "data/inference/resolve.py:_check": "train book.txt +features.input.emoticons=append",
    "data/inference/target.py:infer_target": f"train many.csv {L} +{K}=classification",
    "data/inference/target.py:infer_target#2": f"train mixed.csv {L}",
    "data/inference/target.py:infer_target#3": f"train nan.csv {L}",
    "data/inference/target.py:_refuse_sequences": f"train vectors.jsonl --input x --target y +{K}=classification",
    "data/prepare.py:_split": f"train each.csv {L}",
    "data/readers/base.py:require": "train t.csv --input txt --target label",
    "data/readers/boundary.py:reading": f"train b.zip {L}",
    "data/readers/excel.py:_chosen": f"train a.xlsx#Shet1 {L}",
    "data/readers/folder.py:_no_texts": "train tree +data.format=folder",
    "data/readers/inside.py:member_of": f"train a.zip#ones.csv {L}",
    "data/readers/lines.py:_read_columns": "train tree +data.format=lines",
    "data/readers/panels.py:_chosen": "train arrays.npz",
    "data/readers/pianoroll.py:_no_part": "train music.npz",
    "data/readers/registry.py:open_source": f"{T} +data.format=cvs",
    "data/readers/registry.py:_place_of": f"train tt.csv {L}",
    "data/readers/registry.py:_known#2": "train notes.xyz",
    "data/readers/tables.py:_sources": f"train parts {L}",
    "data/rejects.py:check": f"train gone.csv {L}",
    "data/split.py:split_rows": f"train few.csv {L} +data.stratify=false",
    "data/split.py:split_rows#2": f"train groups.csv {L} +data.group=who",
    "data/split.py:_split_alike": f"train rare.csv {L} +data.stratify=true",
    "data/tables/reshape.py:arrangement_of": "train session.csv --target kind +data.session=who",
    "data/times/clock.py:_open": "train open.csv +model.horizon=1 +model.lookback=2",
    "data/times/tree.py:unreadable": "train days.csv +data.time_format=yyyy",
    "data/vocabulary.py:finish": f"{T} +features.input.min_frequency=99 +features.input.unit=words",
    "diagnostics/validation.py:validation_of": "diagnose run --rows 4",
    "layers/inputs.py:embed_ids": f"train big.csv {L} +model.embedding=one_hot +features.input.min_frequency=1",
    "longrange/registry.py:one_of": "benchmark memory --tasks ading --minutes 0.01",
    "recipe/load.py:read_recipe": "recipe show imbd",
    "recipe/load.py:_pairs": f"{T} +training.epochs",
    "recipe/load.py:name_of": f"train .csv {L} +data.format=csv",
    "recipe/mistakes.py:recipe_error": f"{T} +traning.epochs=1",
    "recipe/model.py:check": f"{T} +training.bptt=16 +model.bidirectional=true",
    "recipe/model.py:check#2": f"train tagged.jsonl {W} +{K}=tagging"
    " +training.bptt.window=8 +training.bptt.carry_state=false",
    "run.py:evaluate": "evaluate run",
    "training/run_folder.py:check_weights": "predict run fine",
    "storage/decompress.py:check_text#2": f"train wide.csv {L}",
    "storage/decompress.py:check_text#3": "train binary.txt",
    "storage/encodings.py:_other": f"train cyrillic.csv {L}",
    "storage/encodings.py:_decoded": f"train cyrillic.csv {L} +data.encoding=utf-32",
    "tasks/conditional/recipe.py:check_resolved": f"train pairs.csv {P} +{K}=conditional",
    "tasks/folds.py:too_little": "train five.txt +data.validation=0.4 +training.search=portfolio",
    "tasks/language_model/adaptive.py:update": f"generate lm --prompt {'KLVW' * 9} --max-new-tokens 5 --dynamic 1e19",
    "tasks/prepare.py:_sampled": "train --recipe empty.yaml",
    "tasks/seq2seq/model.py:_check": f"train pairs.csv {P}"
    " +model.num_layers=2 +model.decoder.num_layers=1 +model.decoder.bridge=copy",
    "tasks/seq2seq/model.py:_check#2": f"train pairs.csv {P} +model.decoder.hidden_size=24 +model.decoder.bridge=copy",
    "tasks/sketch.py:sketching": f"{T} +model.hidden_size=900000000",
    "tasks/spec.py:generate": "generate run",
    "tasks/tagging/recipe.py:check": f"train tagged.jsonl {W} +{K}=tagging"
    " +model.feedback=output +model.bidirectional=true",
    "tasks/tagging/recipe.py:check_resolved": f"train tagged.jsonl {W} +{K}=tagging +model.output=crf"
    " +features.target.kind=series",
    "training/resume.py:data_changes": "train --resume run +training.epochs=2",
    "training/resume.py:recipe_changes#2": "train --resume run +training.learning_rate=0.5 +training.epochs=2",
    "training/run_folder.py:check_run_folder": "evaluate rum t.csv",
    "training/run_folder.py:check_unchanged": "predict run fine",
    "training/run_folder.py:taken": f"{T} --out full",
    "training/search.py:of": f"train t.csv {L} --hidden-size 4 --lr 0.01 +model.cell=gru +training.search=portfolio",
    "training/train.py:_resume": "train --resume run",
    "training/train.py:device_of": f"{T} +training.device=cuda",
}
"""A command line for each site whose hint holds a command; `+` stands for `--set`."""
REPORTED = {
    "labels that are NaN in some rows": f"train nans.csv {L}",
    "two columns name the series": f"train stores.csv {H} '+data.channels=[y]' +data.series=store",
    "a footer": f"train footer.csv {H}",
    "day and month in either order": "train open.csv +model.forecast.horizon=1 +model.forecast.lookback=2",
    "an option by its name of version 0.1, which stops at gaps": f"train gaps.csv {H} +model.forecast.on_gap=stop",
    "what is typed twice": f"train gaps.csv {H} +data.on_gap=stop +data.on_gap=stop",
    "a JSON list of objects, misspelt": "data describe notes.jsom",
    "an archive of parts": f"train b.zip#trian.csv {L}",
    "a folder one level too high": "train tree/",
    "a file with blanks in its name": f"train 'my tables.csv' {L}",
}
"""Command lines that people have typed, with a hint that works."""
FIRST: dict[str, Callable[[], object]] = {
    "diagnostics/validation.py:validation_of": lambda: text_file(
        "t.csv", "text,label", "a film,pos", *["no film,neg"] * 30
    ),
    "training/run_folder.py:check_weights": lambda: Path("run/model.safetensors").unlink(),
    "training/resume.py:data_changes": lambda: text_file("t.csv", "text,label", "a film,pos", *["no film,neg"] * 30),
    "tasks/language_model/adaptive.py:update": lambda: shutil.copytree(OLD_RUNS / "language_model_letters", "lm"),
    "training/run_folder.py:check_unchanged": lambda: Path("run/features.json").write_text(
        Path("run/features.json").read_text() + " "
    ),
}
"""What is done to the folder first."""
DATA_ARE_AT_FAULT = {
    "data/forecasting/columns.py:resolve_columns#2",
    "training/resume.py:data_changes",
}
"""Where no option helps, and the last error says what is wrong with the data."""
BY_CODE = "an argument of a layer or a function, which no command has"
BY_HAND = "what has to be done is done elsewhere: in the file, on the disk, in the environment"
LISTS = "it lists what there is"
PASSES_ON = "it passes on the hint of another site"
PROSE = {
    BY_CODE: """bptt/truncated.py:backward data/given.py:_cell data/given.py:_of_table data/given.py:_of_table#2
        kernels/dispatch.py:_best kernels/dispatch.py:choose kernels/dispatch.py:choose#2 kernels/native.py:layer
        kernels/native_autograd.py:_no_second_derivative media/audio_out.py:waveform media/video_out.py:write_video
        nn/attention.py:__init__ nn/checks.py:check_features nn/checks.py:check_features#2 nn/checks.py:check_flags
        nn/scripting.py:_refused plugins.py:_twice recipe/load.py:described
        sklearn/rows.py:chosen notebook/plots.py:gradients data/in_memory.py:_of_mapping data/in_memory.py:_of_pandas
        tasks/probing.py:encoder_part
        tasks/language_model/streaming.py:_encoded tasks/language_model/streaming.py:_encoded#2
        tasks/streaming.py:no_stream tasks/tagging/model.py:build_tagger tasks/written.py:written
        types.py:from_padded types.py:to_packed""",
    "a request over HTTP is answered, or a server would start (tests/unit/serving, tests/e2e/test_serving.py)": """
        serving/ray_app.py:application
        cli/ui.py:ui serving/workshop/files.py:find serving/workshop/files.py:begin serving/workshop/files.py:begin#2
        serving/workshop/describing.py:words serving/workshop/trainings.py:stop
        serving/workshop/trainings.py:_check_room serving/workshop/trainings.py:_problem
        serving/operations.py:_check_rate serving/operations.py:_told serving/page/jobs.py:start
        serving/access.py:owner serving/access.py:count serving/redis_store.py:_answering serving/sessions.py:do_all
        serving/redis_store.py:__init__ serving/served.py:evaluate serving/served.py:generation
        serving/edge.py:check_tls serving/edge.py:proxies_of
        serving/app.py:_add_operations serving/engine.py:_no_room
        serving/engine.py:_no_room#2 serving/guard.py:_too_large serving/guard.py:_check_origin
        serving/guard.py: serving/live.py:_check_room
        serving/live.py:_check_room#2 serving/names.py:named_runs serving/numbered.py:again
        serving/numbered.py:check_going serving/routes_models.py: serving/served.py: serving/cells.py:check
        serving/house.py:find serving/server.py:_listening serving/session.py:back serving/snapshot.py:open""",
    "an assistant asks (tests/e2e/test_assistant.py)": """serving/assistant/folders.py:find
        serving/assistant/folders.py:find#2 serving/assistant/tools.py:train serving/assistant/tools.py:train#2""",
    BY_HAND: """cli/data.py:sample#2 data/catalog/__init__.py:download data/catalog/__init__.py:download#2
        data/dataset.py:load data/forecasting/clean.py:make_regular data/forecasting/prepare.py:as_trained
        data/forecasting/prepare.py:held_back_windows data/io/spool.py:_room data/readers/archives.py:_is_header
        data/readers/conll.py:_read_columns data/readers/excel.py:_sheet data/readers/json_list.py:_bytes
        data/readers/jsonl.py:_read_columns
        data/readers/panels.py:_opened data/readers/parallel.py:_unequal data/readers/parquet.py:__post_init__
        data/readers/parquet.py:_as_text data/readers/registry.py:_known data/readers/registry.py:_place_of#2
        data/targets.py:check data/times/clock.py:_choose media/audio_out.py:write_sound media/video_out.py:_encoded
        storage/decompress.py:check_text storage/decompress.py:read_pieces storage/files.py:disk_error
        storage/unpack.py:_naming storage/unpack.py:_write storage/unpack.py:require_growth
        tasks/language_model/sampling.py:encode_prompt tasks/language_model/stream.py:_not_numbers
        training/checkpoint.py:_parent
        training/checkpoint.py:read_checkpoint training/resume.py:with_features
        training/run_folder.py:check_run_folder#2 cli/serve.py:_key serving/access.py:read_tokens""",
    LISTS: """cli/frames.py:prompt_of data/loading.py:reading_as data/reading.py:_blocks data/targets.py:_unseen
        exploration/questions.py:asked exploration/track_files.py:make_room
        tasks/language_model/spec.py:_no_rows training/resume.py:recipe_changes""",
    PASSES_ON: """serving/calls.py:problem_error serving/refused.py:__init__ serving/served.py:running
        data/forecasting/prepare.py:_is_long data/loading.py:read_examples data/prepare.py:_prepare
        training/loop.py:_go_back""",
    "it installs a library: pip, not ostinato": """heads/distributions.py:scipy_special media/extras.py:library
        report/page.py:page_environment tasks/transcripts.py:_bleu""",
    "a model must be trained anew, otherwise": """data/features/audio.py:frames media/audio_out.py:require_log_mel
        media/audio_out.py:require_log_mel#2""",
    "the machine must be short of memory (tests/unit/training/test_window_memory.py)": """bptt/memory.py:check_memory
        tasks/memory.py:check_memory""",
    "another process must be at work, or have stopped": "comparison/child.py:run_child storage/locks.py:__init__",
    "tasks of other packages must disagree (tests/unit/tasks/test_inferring.py)": """
        data/inference/resolve.py:_category_of#2""",
    "a page must be made, of a damaged file": """report/baselines.py:baselines_section
        report/diagnosis.py:diagnosis_section""",
    "a model that writes for what is given (tests/unit/evaluation/test_conditional_runs.py)": """
        tasks/generation.py:cells tasks/given.py:refuse_unknown_cell tasks/next_step/recipe.py:check""",
    "it must train for a while (tests/unit/training/test_exactness.py)": "training/divergence.py:divergence",
    "an archive within a file that holds one table": "storage/decompress.py:_open_member",
}
"""Sites whose hint is no command that mends the one that was typed, or is not pasted here, by the reason."""
