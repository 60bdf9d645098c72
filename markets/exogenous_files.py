"""Files of exogenous series: any table with a time, read strictly, never without the time of its publication."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import BeforeValidator, Field

from foundation.errors import DataError, ParameterError, suggestion
from foundation.parameters import Parameters
from foundation.units import Measured, Quantity, nanoseconds
from markets.candles import FloatArray, IntArray
from markets.exogenous import HOUR, NAME, Exogenous
from markets.readers.raw import RawTable, read_raw
from markets.readers.stamps import read_stamps
from markets.store import resolve_data_folder
from markets.text_scores import score_texts

DAY = 24 * HOUR
_UNITS = ("m", "h", "d", "w")
_LAG = 'how long after its time a row was public, such as "2h"; "0m" for at once'

_MIDNIGHT = '"end_of_day" for something that was over by the end of the date, "exact" for that midnight itself'


def _read_list(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class ExogenousParams(Parameters):
    """A file of something outside the market, and when each of its rows was public.

    `time` is the column of what a row speaks of. It was public `published_after` that, or at the time in the column
    `published`, or so long after that one; without either the file is refused. `values` are its columns of numbers;
    `text` is one of words, which `scorer` makes a column `score` of. A bar is shown the newest public row, until
    `stale_after` after what it speaks of, and then `neutral`; without a neutral value a stale one is an error. With
    a `window` it is shown the mean over all rows published within it. `midnight = "end_of_day"`: stamps at
    00:00:00 are dates, of something that happened on that day, and count as its end; "exact": they are that moment.
    Where rows are public by a column of dates alone, one of the two has to be written. `symbols` says whose bars are
    joined; all, where it is left out.
    """

    table: ClassVar[str] = "exogenous"

    name: str = Field(pattern=NAME.pattern, max_length=40, description="small letters, digits and underscores")
    file: str = Field(
        min_length=1,
        description='a CSV, JSON, parquet or feather file below the data folder, or from "./" beside the config',
    )
    time: str = Field(min_length=1, description="the column that says what time a row speaks of")
    published: str | None = Field(None, min_length=1, description="the column that says when a row was public")
    published_after: Annotated[Quantity | None, Measured(_UNITS, positive=False, off=True)] = Field(
        None, description=_LAG
    )
    values: Annotated[tuple[str, ...], BeforeValidator(_read_list)] = Field((), description="columns of numbers")
    text: str | None = Field(None, min_length=1, description="a column of words")
    scorer: str = Field(
        "vader", min_length=1, description='"vader", one of your own, "module:function" or "./file.py:function"'
    )
    stale_after: Annotated[Quantity, Measured(_UNITS)] = Field(description='a duration such as "3d"')
    neutral: float | None = Field(None, description="a number that stands in where nothing fresh is known")
    window: Annotated[Quantity | None, Measured(_UNITS, off=True)] = Field(None, description='such as "24h"')
    midnight: Literal["exact", "end_of_day"] | None = Field(None, description=_MIDNIGHT)
    symbols: Annotated[tuple[str, ...] | None, BeforeValidator(_read_list)] = Field(
        None, description="the symbols of the markets it is joined to"
    )

    def model_post_init(self, context: object) -> None:
        if self.published is None and self.published_after is None:
            problem = f"is missing for {self.name}: nobody knew a row at the time that it speaks of"
            raise ParameterError("exogenous.published_after", problem, fix=_LAG)
        if self.published == self.time:
            problem = f"is the column of what a row of {self.name} speaks of, which says nothing about who knew it"
            fix = "the column that says when a row was public, or published_after alone"
            raise ParameterError("exogenous.published", problem, value=self.published, fix=fix)
        if not self.values and self.text is None:
            raise ParameterError("exogenous.values", f"is missing for {self.name}", fix="columns of numbers, or text")
        if self.window is not None and self.neutral is None:
            problem = f"needs a neutral value for {self.name}: what is shown where nothing was published in it"
            raise ParameterError("exogenous.window", problem, value=str(self.window), fix="such as neutral = 0.0")


def load_exogenous(params: ExogenousParams | None = None, *, data: str | Path | None = None, **more: Any) -> Exogenous:
    """The series in a file, checked row by row; `more` are the fields of ExogenousParams, where `params` is left out.

    Stamps are read as UTC where they name no zone. Raises DataError or ParameterError; repairs nothing.
    """
    params = params or ExogenousParams(**more)
    raw = read_raw(resolve_data_folder(data) / Path(params.file).expanduser())
    _check_columns(raw, params)
    event = _stamps(raw, params, params.time)
    published = event if params.published is None else _stamps(raw, params, params.published)
    after = params.published_after
    lag = 0 if after is None or after.amount == 0 else nanoseconds(after)
    window = None if params.window is None else nanoseconds(params.window)
    return Exogenous(
        name=params.name,
        event=event,
        published=published + lag,
        values=_values(raw, params),
        stale_after=nanoseconds(params.stale_after),
        neutral=params.neutral,
        window=window,
        source=str(raw.path),
        notes=_notes(params, event, published + lag),
    )


def _stamps(raw: RawTable, params: ExogenousParams, column: str) -> IntArray:
    """A column of stamps, dates at the end of their day where that is asked.

    Raises ParameterError where nothing says what dates mean, and it holds no others, and says when rows were public.
    """
    stamps = read_stamps(raw, column)[0]
    dates = stamps % DAY == 0
    if params.midnight is None and dates.all() and column == (params.published or params.time):
        problem = f"is missing for {params.name}: column {column} of {raw.path} holds dates without an hour"
        raise ParameterError("exogenous.midnight", problem, fix=_MIDNIGHT)
    return np.where(dates, stamps + DAY, stamps) if params.midnight == "end_of_day" else stamps


def _notes(params: ExogenousParams, event: IntArray, published: IntArray) -> tuple[str, ...]:
    """What a reader should know of when rows were public."""
    if not (published == event).all():
        return ()
    return (f"each row of {params.name} is taken to have been public at the very time that it speaks of",)


def _check_columns(raw: RawTable, params: ExogenousParams) -> None:
    named = {"time": params.time, "published": params.published, "text": params.text}
    for key, column in (*named.items(), *(("values", one) for one in params.values)):
        if column is not None and column not in raw.names:
            problem = f"is no column of {raw.path}"
            raise ParameterError(f"exogenous.{key}", problem, value=column, fix=suggestion(column, raw.names))


def _values(raw: RawTable, params: ExogenousParams) -> dict[str, FloatArray]:
    columns = {_plain(name): raw.numbers(name) for name in params.values}
    if len(columns) < len(params.values):
        raise ParameterError("exogenous.values", "name one column twice", value=list(params.values), fix="keep one")
    for name, values in columns.items():
        if not np.isfinite(values).all():
            row = int(np.argmin(np.isfinite(values)))
            problem = f"has no finite {name} in {raw.place(row)}, {int((~np.isfinite(values)).sum())} in all"
            raise DataError(raw.path, problem, fix="mend the rows, or leave them out of the file")
    if params.text is not None:
        texts = raw.column(params.text).to_pylist()
        if None in texts:
            problem = f"has no {params.text} in {raw.place(texts.index(None))}"
            raise DataError(raw.path, problem, fix="leave the row out of the file")
        columns["score"] = score_texts([str(text) for text in texts], params.scorer)
    return columns


def _plain(name: str) -> str:
    """A column's name in small letters, digits and underscores."""
    return "_".join("".join(c if c.isalnum() else " " for c in name.lower()).split())
