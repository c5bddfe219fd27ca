"""Pages that need neither network nor script: templates, and how figures are written in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ostinato.errors import MissingLibraryError

if TYPE_CHECKING:
    import jinja2

    from ostinato.recipe import Recipe

_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")


def page_environment() -> jinja2.Environment:
    """Templates and their filters. Raises `MissingLibraryError` where the extra `report` is not installed."""
    try:
        import jinja2
        import matplotlib  # noqa: F401 (the plots need it: better to say so now than halfway)
    except ImportError as error:
        raise MissingLibraryError(
            "the report needs matplotlib and jinja2, which are not installed.", hint="pip install 'ostinato[report]'"
        ) from error
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ostinato.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.filters |= {f.__name__: f for f in (percent, figure, plain, number, ticks, limits)}
    return environment


def _printable(value: Any) -> Any:
    """Characters that HTML does not allow become U+FFFD; markup made by the template engine stays as it is."""
    return _CONTROLS.sub("\ufffd", value) if type(value) is str else value


def percent(value: float | None, digits: int = 1) -> str:
    """0.123 as "12.3 %"; nothing as a dash."""
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def figure(value: float | None, digits: int = 3) -> str:
    """With thousands separators and `digits` places (large numbers fewer, tiny ones more); nothing as a dash."""
    if value is None:
        return "–"
    size = abs(value)
    written = f"{value:.{digits}g}" if 0 < size < 0.01 else f"{value:,.{digits if size < 1000 else 0}f}"
    return written.replace("-", "−")


def plain(value: float) -> str:
    """A number of the data's: whole ones without places, others as `figure`."""
    return f"{value:,.0f}".replace("-", "−") if float(value).is_integer() else figure(value)


def number(value: int | None) -> str:
    """12345 as "12,345"; nothing as a dash."""
    return "–" if value is None else f"{value:,}"


def limits(metrics: Mapping[str, Any], key: str, form: str = "figure", digits: int | None = None) -> str:
    """The interval of a figure as it stands below it, "84.1 – 90.2 % (95 % interval)"; nothing where there is none."""
    found = metrics.get("intervals", {}).get(key)
    if found is None:
        return ""
    write = percent if form == "percent" else figure
    low, high = (write(value) if digits is None else write(value, digits) for value in found)
    return f"{low.removesuffix(' %')} – {high} (95 % interval)"


def without_folders(page: str, paths: Iterable[Path]) -> str:
    """A page without the folders that these files and folders lie in: it names them from there on, so that it says
    nothing of the machine it was written on."""
    import markupsafe

    folders = {str(form.parent) for path in paths for form in (path.absolute(), path.resolve())}
    longest = sorted(filter(lambda folder: Path(folder).name, folders), key=lambda folder: (-len(folder), folder))
    named = "|".join(re.escape(str(markupsafe.escape(folder))) for folder in longest)
    return re.sub(rf"(?<![\w./-])(?:{named})[/\\]", "", page) if named else page


def paths_of(recipe: Recipe) -> list[Path]:
    """The files and folders that a recipe's data are in."""
    data = recipe.data
    return [Path(one) for one in (data.train, data.validation, data.test) if isinstance(one, str)]


def ticks(text: str) -> str:
    """Escaped text in which `these` become code."""
    import markupsafe

    parts = _printable(text).split("`")
    if len(parts) % 2 == 0:  # an odd tick: nothing to pair it with
        return markupsafe.escape(text)
    code = markupsafe.Markup("<code>{}</code>")
    return markupsafe.Markup("").join(code.format(part) if i % 2 else part for i, part in enumerate(parts))
