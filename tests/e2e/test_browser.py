"""The page in Chromium: from the table of runs to a token that is replaced and a unit that is found."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import ostinato

playwright = pytest.importorskip("playwright.sync_api")

FIXTURES = Path(__file__).parents[1] / "fixtures"
CHROMIUM = shutil.which("chromium")
SHOTS = os.environ.get("OSTINATO_SHOTS")
"""A folder: then pictures of all views are left there."""
SHADES = """canvas => new Set(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data).size"""
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`ostinato ui` on six old runs, a language model whose data are there, a run without a summary, and one
    whose recipe is damaged."""
    folder = tmp_path_factory.mktemp("page")
    text = folder / "story.txt"
    text.write_text("a seal ran. the owl hears a seal, and the seal hears an owl.\n" * 60)
    ostinato.train(
        text,
        out=folder / "runs/story",
        settings=["training.epochs=20", "training.learning_rate=0.03", "model.hidden_size=12"],
    ).diagnose(num_rows=8, num_steps=40)
    for name in (
        "classifier_text",
        "classifier_wide_table",
        "tagger_softmax",
        "forecaster_segment",
        "classifier_audio",
        "next_step_independent",
    ):
        shutil.copytree(FIXTURES / "old_runs" / name, folder / "runs" / name)
    shutil.copytree(FIXTURES / "old_runs/classifier_text", folder / "runs/going", copy_function=shutil.copyfile)
    (folder / "runs/going/summary.json").unlink()
    (folder / "runs/broken").mkdir()
    (folder / "runs/broken/recipe.yaml").write_text("version: [")
    process = subprocess.Popen(
        [sys.executable, "-m", "ostinato", "ui", str(folder / "runs"), "--no-browser"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "300"},
    )
    assert process.stderr is not None
    found = next((hit[1] for line in process.stderr if (hit := re.search(r"serving .* at (http://\S+)", line))), None)
    try:
        assert found is not None, f"it ended with {process.wait()}"
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/#token=[\w-]{32}", found)
        yield found
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@dataclass
class Seen:
    """A tab that was opened by the address that was printed, what its console said, and whom it asked."""

    page: Any
    url: str
    token: str
    errors: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def go(self, place: str, heading: str) -> None:
        self.page.goto(f"{self.url}/#/{place}")
        self.page.get_by_role("heading", name=heading, level=1, exact=True).wait_for()

    def check(self, name: str) -> None:
        """No violation of what axe-core knows; nothing wider than the window."""
        self.page.evaluate((FIXTURES / "axe/axe.min.js").read_text(encoding="utf-8"))
        found = self.page.evaluate("axe.run().then(found => found.violations.map(v => [v.id, v.nodes[0].html]))")
        assert found == [], f"{name}: {found}"
        assert self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} scrolls sideways"
        if SHOTS:
            self.page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)

    def check_both(self, name: str) -> None:
        """As `check`, wide and light, and narrow and dark."""
        for scheme, width in (("light", 1280), ("dark", 400)):
            self.page.emulate_media(color_scheme=scheme)
            self.page.set_viewport_size({"width": width, "height": 800})
            self.check(f"{name}-{scheme}-{width}")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as library:
        sound = f"--use-file-for-fake-audio-capture={FIXTURES / 'old_runs/data/0.wav'}"
        devices = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", sound)
        browser = library.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *devices])
        yield browser
        browser.close()


@pytest.fixture(params=[("light", 1280), ("dark", 400)], ids=["light-1280", "dark-400"])
def seen(request: pytest.FixtureRequest, chromium: Any, url: str) -> Iterator[Seen]:
    yield from _seen(chromium, url, *request.param)


@pytest.fixture
def once(chromium: Any, url: str) -> Iterator[Seen]:
    """A tab of which `check_both` looks at both sizes."""
    yield from _seen(chromium, url, "light", 1280)


def _seen(chromium: Any, url: str, scheme: str, width: int) -> Iterator[Seen]:
    page = chromium.new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
    page.set_default_timeout(10_000)
    found = Seen(page, *url.split("/#token="))
    page.on("console", lambda said: said.type == "error" and found.errors.append(said.text))
    page.on("pageerror", lambda error: found.errors.append(str(error)))
    page.on("request", lambda asked: found.hosts.add(asked.url.split("/")[2]))
    page.goto(url)
    yield found
    page.close()
    assert found.errors == []
    assert found.hosts == {found.url.removeprefix("http://")}


def test_from_the_runs_to_what_units_do(seen: Seen, request: pytest.FixtureRequest) -> None:
    page, at = seen.page, request.node.callspec.id
    seen.go("", "Runs")
    page.get_by_role("link", name="story").wait_for()
    page.get_by_text("9 of 9 runs").wait_for()
    assert page.get_by_text("unreadable").is_visible()
    seen.check(f"runs-{at}")
    page.get_by_role("link", name="story").click()
    page.get_by_role("img", name=re.compile("^Loss")).wait_for()
    seen.check(f"run-{at}")

    page.get_by_role("link", name="Try it").click()
    page.get_by_label("How it begins").fill("the ")
    page.get_by_label("Tokens").fill("8")
    page.get_by_role("button", name="Write").click()
    page.get_by_text("8 tokens written").wait_for(state="attached")
    before = page.locator(".token").all_inner_texts()
    page.locator(".token").nth(3).click()
    other = page.get_by_role("button", name=re.compile("^continue with")).nth(2)
    seen.check(f"write-{at}")
    other.click()
    page.locator(".token.instead").wait_for()
    page.get_by_text("writing", exact=True).wait_for(state="detached")
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/instead-{at}.png", full_page=True)
    page.get_by_text(re.compile("tokens written")).wait_for(state="attached")
    after = page.locator(".token").all_inner_texts()
    assert (len(after) > 4, after[:3]) == (True, before[:3])
    assert after[3] != before[3]

    page.get_by_role("link", name="Look inside").click()
    page.get_by_label("A question").fill("token == ' '")
    page.get_by_role("button", name="Ask", exact=True).click()
    page.get_by_role("heading", name="Units that tell it").wait_for()
    assert "question=token" in page.url
    page.locator("td.bars").nth(2).wait_for()
    page.locator("th a").nth(2).click()
    page.wait_for_url(re.compile("unit="))
    page.locator("th a[aria-current=true]").wait_for()
    seen.check(f"inside-{at}")
    shown = page.locator("th a[aria-current=true]").inner_text()
    page.reload()
    page.locator("th a[aria-current=true]").wait_for()
    assert page.locator("th a[aria-current=true]").inner_text() == shown


def test_states_over_a_sequence(seen: Seen, request: pytest.FixtureRequest) -> None:
    page, at = seen.page, request.node.callspec.id
    seen.go("states/story", "States of story")
    slider = page.get_by_role("slider", name=re.compile("^Step"))
    page.get_by_text(re.compile("over (some|other) data")).wait_for()
    if not slider.count():
        page.get_by_label(re.compile("At most")).fill("3000")
        page.get_by_role("button", name="Begin").click()
    page.wait_for_selector("canvas[data-drawn^='0/']")
    page.get_by_label("Part").select_option("layer 1.c")
    page.get_by_label("Units by").select_option("constant")
    page.get_by_role("button", name="Zoom in").click()
    slider.focus()
    for key in ("PageDown", "ArrowRight", "ArrowDown", "+", "End", "Home", "ArrowRight"):
        slider.press(key)
    page.get_by_text(re.compile("falls to 1/e")).wait_for()
    page.get_by_label("Units by").select_option("question")
    page.get_by_role("textbox", name="Question").fill("token == 'a'")
    page.get_by_role("button", name="Sort").click()
    page.get_by_text("Scored on the half").wait_for()
    page.get_by_label("Units by").select_option("constant")
    page.get_by_role("button", name="Search all steps").click()
    page.get_by_role("button", name="Draw the steps shown").click()
    page.locator("svg.way path").wait_for()
    page.locator("td.around").nth(2).wait_for()
    page.locator("path.line0").first.wait_for()
    seen.check(f"states-{at}")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save PNG").first.click()
    assert Path(saved.value.path()).read_bytes()[:4] == b"\x89PNG"
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save CSV").first.click()
    assert Path(saved.value.path()).read_text().startswith("step,least,largest,mean\n")
    page.wait_for_url(re.compile("by=constant.*at=1&"))
    page.reload()
    page.get_by_text(re.compile("falls to 1/e")).wait_for()
    assert slider.get_attribute("aria-valuenow") == "1"


@pytest.mark.parametrize("seen", [("light", 1280)], ids=["both"], indirect=True)
def test_interventions_and_memory(seen: Seen) -> None:
    page = seen.page
    seen.go("intervene/story", "Intervene in story")
    page.get_by_label("What is gone on from").fill("the seal ")
    page.get_by_role("button", name="forget all in layer 1").click()
    page.get_by_label("from step").fill("4")
    page.get_by_role("button", name="Write both").click()
    page.get_by_role("heading", name=re.compile("^Changed")).wait_for()
    texts = page.locator("p.written").all_inner_texts()
    assert (len(texts), texts[0] == texts[1]) == (2, False)
    page.get_by_role("button", name="Measure").click()
    page.get_by_role("button", name=re.compile(r"^Silence layer 1\.h")).nth(11).wait_for()
    seen.check_both("intervene")
    page.reload()
    page.get_by_role("heading", name=re.compile("^Changed")).wait_for()
    assert page.locator("p.written").all_inner_texts() == texts

    seen.go("memory/story", "Memory of story")
    page.get_by_role("button", name="Measure again").wait_for()
    page.get_by_role("heading", name="Lyapunov exponents").wait_for()
    if not page.get_by_role("button", name="Search").count():
        headers = {"authorization": f"Bearer {seen.token}"}
        page.request.post(f"{seen.url}/v1/runs/story/tracks", data={"steps": 300}, headers=headers)
        page.get_by_text("Follow the network").first.wait_for()
    page.wait_for_timeout(200)
    page.reload()
    page.get_by_label("reads").fill(" ")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("heading", name="Eigenvalues of point 1").wait_for(timeout=30_000)
    seen.check_both("memory")
    plot = page.locator("figure.picked svg").first
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    page.mouse.click(box["x"] + 0.3 * box["width"], box["y"] + 0.4 * box["height"])
    page.get_by_role("region", name="Moments").wait_for(timeout=20_000)
    lag = page.get_by_label("Lag").input_value()
    assert int(lag) > 2
    assert f"lag={lag}" in page.url
    moments = page.get_by_role("region", name="Moments").inner_text()
    seen.check_both("memory-lag")
    page.reload()
    page.get_by_role("region", name="Moments").wait_for(timeout=20_000)
    assert page.get_by_role("region", name="Moments").inner_text() == moments
    page.get_by_role("region", name="Moments").get_by_role("link").nth(1).click()
    page.get_by_role("heading", name="States of story", level=1).wait_for()
    page.get_by_role("slider", name=re.compile("^Step")).wait_for()


def test_only_who_has_the_address_is_answered(chromium: Any, url: str) -> None:
    """A further tab has the token of those that are open; a stranger is asked for it."""
    base, token = url.split("/#token=")
    mine, stranger = chromium.new_context(), chromium.new_context()
    page = mine.new_page()
    page.goto(url)
    page.get_by_role("link", name="story").wait_for()
    assert token not in page.url
    second = mine.new_page()
    second.goto(f"{base}/#/run/story")
    second.get_by_role("heading", name="Curves").wait_for()
    other = stranger.new_page()
    other.goto(f"{base}/#/run/story")
    other.get_by_text("a token that this server knows was expected").wait_for()
    refused = other.request.post(f"{base}/v1/workshop/trainings", data={"file": "x"}, headers={"x-ostinato": "page"})
    assert (refused.status, refused.headers["content-type"]) == (401, "application/problem+json")
    other.get_by_label("Token").fill(token)
    other.get_by_role("button", name="Use it").click()
    other.get_by_role("heading", name="Curves").wait_for()
    mine.close()
    stranger.close()


def test_a_run_that_trains_is_followed(chromium: Any, url: str) -> None:
    page, (base, token) = chromium.new_page(), url.split("/#token=")
    page.clock.install()
    asked = page.request.get(f"{base}/v1/runs/going", headers={"authorization": f"Bearer {token}"})
    found, states = asked.json(), ["training", "finished"]
    page.route("**/v1/runs/going", lambda route: route.fulfill(json={**found, "state": states.pop(0)}))
    page.goto(url)
    page.goto(f"{base}/#/run/going")
    page.locator("dd", has_text=re.compile("^training$")).wait_for()
    page.clock.fast_forward(6_000)
    page.locator("dd", has_text=re.compile("^finished$")).wait_for()
    page.close()


def test_each_task_has_its_answer(seen: Seen, request: pytest.FixtureRequest) -> None:
    page, at = seen.page, request.node.callspec.id
    for name, given, answer in (
        ("classifier_text", "a seal ran", ".label"),
        ("classifier_wide_table", "1 2 3 4 5 6 7 8", ".label"),
        ("tagger_softmax", "a b c", ".tag"),
        ("forecaster_segment", "\n".join(str(step % 7 + 3) for step in range(40)), "path.band"),
    ):
        seen.go(f"try/{name}", f"Try {name}")
        page.locator("textarea").fill(given)
        page.get_by_role("button", name="Predict").click()
        page.locator(answer).first.wait_for()
        if name == "classifier_text":
            page.get_by_role("heading", name="What it came from").wait_for()
            assert page.locator(".coloured span").all_inner_texts() == ["a", "seal", "ran"]
        seen.check(f"{name}-{at}")
    origin, lines = page.get_by_label("Forecast from step"), page.locator("path.line1")
    before = lines.get_attribute("d")
    origin.focus()
    for _ in range(12):
        origin.press("ArrowLeft")
    page.wait_for_function("d => document.querySelector('path.line1').getAttribute('d') !== d", arg=before)
    page.get_by_text(re.compile("28 of 40")).wait_for()
    seen.check(f"origin-{at}")
    page.reload()  # the address has it all
    page.get_by_text(re.compile("28 of 40")).wait_for()
    page.locator("path.band").first.wait_for()
    for part, begin, end in ((".dragged svg", 0.5, 0.3), (".pad", 0.02, 0.2)):
        ground = page.locator(part)
        width = ground.bounding_box()["width"]
        ground.hover(position={"x": begin * width, "y": 30})
        page.mouse.down()
        ground.hover(position={"x": end * width, "y": 60})
        page.mouse.up()
    page.locator("output", has_text=re.compile("^(?!28)")).wait_for()
    assert "3, 4, 5" not in page.locator("textarea").input_value()[:9]


def test_a_sound_is_heard_and_notes_are_written(once: Seen) -> None:
    page = once.page
    once.go("try/classifier_audio", "Try classifier_audio")
    page.locator("input[type=file]").set_input_files(FIXTURES / "old_runs/data/0.wav")
    page.locator("canvas.spectrogram").wait_for()
    page.locator("section .label").wait_for()
    page.get_by_role("img", name=re.compile("^The answer as it is heard")).wait_for()
    once.check_both("sound")
    once.go("runs", "Runs")
    once.go("try/classifier_audio", "Try classifier_audio")
    page.get_by_role("button", name="Record").click()
    page.get_by_role("button", name="Stop recording").wait_for()
    page.wait_for_timeout(1_000)
    page.get_by_role("button", name="Stop recording").click()
    page.locator("canvas.spectrogram").wait_for()
    page.locator("section .label").wait_for()
    page.get_by_role("img", name=re.compile("^The answer as it is heard")).wait_for()
    seconds = float(page.get_by_text(re.compile(r"^[\d.]+ s, 8,000 samples")).inner_text().split()[0])
    assert 0.5 < seconds < 3
    assert page.locator("canvas.spectrogram").evaluate(SHADES) > 20
    once.check_both("recorded")
    once.go("try/next_step_independent", "Try next_step_independent")
    page.get_by_label("How it begins").fill("[[60, 64, 67], [60, 64], [62]]")
    page.get_by_label("Frames", exact=True).fill("20")
    page.get_by_role("button", name="Write").click()
    page.get_by_text("20 frames written").wait_for()
    once.check_both("notes")
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Stop playing").click()
    page.get_by_role("button", name="Play").wait_for()
    assert "count=20" in page.url


def test_runs_are_compared_and_saved(once: Seen) -> None:
    page = once.page
    once.go("", "Runs")
    for name in ("classifier_text", "classifier_wide_table"):
        page.get_by_role("checkbox", name=f"compare {name}").check()
    page.get_by_role("button", name="As cards").click()
    page.locator(".cards").wait_for()
    once.check_both("cards")
    with page.expect_download() as kept:
        page.get_by_role("button", name="Save CSV").click()
    assert "classifier_text,classification,lstm" in kept.value.path().read_text()
    page.get_by_role("link", name="Compare 2 runs").click()
    page.get_by_role("img", name=re.compile("^Loss, validation")).wait_for()
    page.get_by_role("row", name="model.cell jordan lstm").or_(
        page.get_by_role("row", name="model.cell lstm jordan")
    ).wait_for()
    once.check_both("compare")
    page.get_by_role("link", name="training", exact=True).click()
    page.get_by_role("img", name=re.compile("^Loss, training")).wait_for()
    with page.expect_download() as kept:
        page.get_by_role("button", name="Save this view as one HTML file").click()
    whole = kept.value.path().read_text()
    assert kept.value.suggested_filename == "compare-runs.html"
    assert "model.cell" in whole
    assert "--accent" in whole
    assert not re.search(r"<script|<link|https?://(?!www\.w3\.org)", whole)
    page.reload()
    page.get_by_role("img", name=re.compile("^Loss, training")).wait_for()


VIEWS = (
    ("?find=class&as=cards&runs=classifier_text", "Runs", "ul.cards li", "csv"),
    ("run/story", "story", "path.line1", "png csv"),
    ("compare?runs=classifier_text,classifier_wide_table&of=training", "Compare runs", "path.line1", "png csv"),
    ("try/story?prompt=the+&count=8&temperature=0.5&seed=1", "Try story", ".token >> nth=4", "csv"),
    ("try/classifier_text?in.text=a+seal+ran", "Try classifier_text", ".coloured span", "csv"),
    ("try/tagger_softmax?in.form=a+b+c", "Try tagger_softmax", ".tag", "csv"),
    ("try/forecaster_segment?in.input=SERIES&origin=28", "Try forecaster_segment", "path.band", "png csv"),
    ("try/next_step_independent?prompt=[[60],[62]]&count=6", "Try next_step_independent", ".note", "png csv"),
    ("inside/story?question=token+==+'a'&series=layer+1.c&unit=3", "Inside story", "td.bars", "png csv"),
    ("states/story?series=layer+1.c&by=constant&at=9&first=0&span=90", "States of story", "canvas", "png csv"),
    ("intervene/story?edits=layer+1.f+=+0&prompt=the+seal+&begin=2", "Intervene in story", "p.written", "csv"),
    ("memory/story?lag=4&of=layer+1", "Memory of story", "td.around", "png csv"),
    ("new/names.csv?target=language", "Train on names.csv", "td.example", ""),
)
"""Where each view is, its heading, what stands there once it is restored, and as which files it is saved."""


def test_each_view_has_a_link_that_restores_it_and_is_saved(once: Seen) -> None:
    page = once.page
    ask = {"authorization": f"Bearer {once.token}", "x-ostinato": "page"}
    once.go("", "Runs")
    tracks = f"{once.url}/v1/runs/story/tracks"
    if not page.request.get(tracks, headers=ask).json()["tracks"]:
        page.request.post(tracks, data={"steps": 300}, headers=ask)
    page.request.post(f"{once.url}/v1/workshop/samples/names.csv", headers=ask)
    series = "%0A".join(str(step % 7 + 3) for step in range(40))
    for place, heading, there, kinds in VIEWS:
        name = re.sub(r"\W+", "-", place.partition("?")[0]) or "cards"
        once.go(place.replace("SERIES", series), heading)
        page.reload()
        page.locator(there).first.wait_for(timeout=20_000)
        playwright.expect(page.locator("progress")).to_have_count(0, timeout=20_000)
        for kind in kinds.split():
            with page.expect_download() as kept:
                page.get_by_role("button", name=f"Save {kind.upper()}").first.click()
            saved = Path(kept.value.path()).read_bytes()
            assert saved[:4] == b"\x89PNG" if kind == "png" else saved.count(b"\r\n") > 1, (name, kind)
        with page.expect_download() as kept:
            page.get_by_role("button", name="Save this view as one HTML file").click()
        whole = Path(kept.value.path()).read_text()
        assert heading in whole, name
        assert once.token not in whole, name
        for width in (400, 1280, 3840):
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                page.set_viewport_size({"width": width, "height": 900})
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} at {width}"
                if SHOTS:
                    page.screenshot(path=f"{SHOTS}/view-{name}-{scheme}-{width}.png", full_page=True)
        page.set_viewport_size({"width": 1280, "height": 800})


def test_a_file_is_dropped_trained_on_and_tried(once: Seen) -> None:
    page = once.page
    once.go("", "Runs")
    rows = "".join(f"{name} ran,{kind}\n" for name, kind in (("a seal", "sea"), ("an owl", "air")) for _ in range(20))
    page.locator("input[type=file]").set_input_files(
        {"name": "../my animals.csv", "mimeType": "text/csv", "buffer": f"text,kind\n{rows}a,b,c\n".encode()}
    )
    page.get_by_role("heading", name="Train on my_animals.csv").wait_for()
    page.get_by_text("A classifier that reads text and predicts kind").wait_for()
    page.get_by_label("Reads").select_option("kind")
    page.locator(".problem").wait_for()
    page.get_by_label("Reads").select_option("text")
    page.get_by_text("A classifier that reads text and predicts kind").wait_for()
    page.get_by_text("A row can't be used, and training would stop there.").wait_for()
    page.get_by_role("button", name="Leave it out").click()
    more = "training.epochs=2\nmodel.hidden_size=8\ntraining.baselines_seconds=0"
    page.get_by_label("A line each").fill(f"{page.get_by_label('A line each').input_value()}\n{more}")
    page.get_by_label("A line each").blur()
    page.wait_for_url(re.compile("settings=data.on_bad_row%3Dskip%0Atraining.epochs"))
    once.check_both("new")
    page.reload()
    assert "hidden_size=8" in page.get_by_label("A line each").input_value()
    page.get_by_role("button", name="Train").click()
    page.get_by_role("heading", name="my_animals", exact=True).wait_for()
    page.get_by_role("button", name="Stop").wait_for()
    once.check_both("training")
    page.get_by_role("button", name="Train longer").wait_for(timeout=40_000)
    once.check_both("trained")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Full report").click(modifiers=["Control"])
    opened.value.get_by_role("heading", name=re.compile("my_animals|classif")).first.wait_for()
    opened.value.close()
    page.get_by_role("link", name="Try it").click()
    page.locator("textarea").fill("an owl ran")
    page.get_by_role("button", name="Predict").click()
    page.locator(".label", has_text=re.compile("^(sea|air)$")).wait_for()
