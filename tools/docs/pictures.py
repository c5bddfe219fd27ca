"""Draw the pictures of the README: `python tools/docs/pictures.py` (needs Chromium, and pillow of the extra `video`).

It trains on a file of the package in a temporary folder, draws the terminal as SVG, and photographs the report.
"""

from __future__ import annotations

import io
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.text import Text

IMAGES = Path(__file__).parents[2] / "docs" / "images"
COLUMNS = 96
COMMANDS = (
    "ostinato data sample names.csv",
    "ostinato train names.csv --input name --target language",
    'ostinato predict runs/names Vivaldi Tanaka "O\'Brien"',
)
EPOCHS = re.compile(r"epoch [3-9]:")
TABLE = re.compile(
    r"metric |examples |accuracy |average |macro F1|AUC|log loss|calibration|class |\w+ +\d\.\d{4} |validation:|$"
)
SHOWN = """<style>
#data, #model, #baselines, #diagnosis, #recipe, nav, #results > :not(#results-title), #learning figure:nth-of-type(n+3),
#learning details, figcaption { display: none }
main, body { padding-bottom: 0 }
</style>"""


def run(command: str, folder: Path) -> str:
    """What a command says, stderr and stdout as they come."""
    words = [sys.executable, "-m", *shlex.split(command)]
    done = subprocess.run(words, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True)
    return done.stdout


def draw_terminal(said: list[tuple[str, str]]) -> None:
    """docs/images/terminal.svg."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    for command, output in said:
        console.print(Text("$ ", style="bold green") + Text(command, style="bold"))
        for line in output.expandtabs(10).splitlines():
            if EPOCHS.match(line):
                if line.startswith("epoch 3"):
                    console.print("…", style="dim")
            elif not TABLE.match(line):
                dim = line.startswith(("model:", "input:", "target:", "run:"))
                console.print(Text(line, style="dim" if dim else ""))
    svg = console.export_svg(title="ostinato")
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)  # they would be fetched
    (IMAGES / "terminal.svg").write_text(svg.replace("Fira Code", "monospace"), encoding="utf-8")


def draw_report(page: Path) -> None:
    """docs/images/report.png: its head and first learning curves."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("no Chromium; on Debian: apt-get install chromium")
    short = page.with_name("short.html")
    short.write_text(page.read_text(encoding="utf-8").replace("</head>", f"{SHOWN}</head>"), encoding="utf-8")
    shot = page.with_name("report.png")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1100,895"]
    subprocess.run([chromium, *options, f"--screenshot={shot}", short.as_uri()], check=True, capture_output=True)
    Image.open(shot).convert("RGB").quantize(64).save(IMAGES / "report.png", optimize=True)


def main() -> None:
    """Both."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw_terminal([(command, run(command, folder)) for command in COMMANDS])
        draw_report(folder / "runs" / "names" / "report.html")


if __name__ == "__main__":
    main()
