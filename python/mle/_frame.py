"""Answers as columns, light until somebody wants numpy, pandas, polars or Arrow."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple, Union

    import numpy
    import pandas
    import polars
    import pyarrow

_FORMATS: Any = {"i": "q", "f": "d", "u": "I"}
_DTYPES = {"i": "int64", "f": "float64", "u": "uint32"}
_SHOWN = 20
#: What tells a reader of a wide table little.
_DULL = frozenset(("uid", "hash", "spec_text", "environment", "cwd", "script_hash", "git_commit", "extra"))


class Column:
    """One column: numbers in a buffer, or Python objects in a list.

    `kind` is "i" (int64), "f" (float64), "u" (uint32) or "o" (objects); `nulls` are the places of a column of numbers
    that are NULL, where the number is NaN.
    """

    __slots__ = ("kind", "data", "nulls")

    def __init__(self, kind: str, data: Any, nulls: Sequence[int] = ()) -> None:
        self.kind = kind
        self.data = data
        self.nulls = nulls

    def __len__(self) -> int:
        return len(self.data) if self.kind == "o" else len(memoryview(self.data).cast(_FORMATS[self.kind]))

    def list(self) -> List[Any]:
        """Return the values as Python objects, None for NULL."""
        if self.kind == "o":
            return list(self.data)
        values: List[Any] = memoryview(self.data).cast(_FORMATS[self.kind]).tolist()
        for place in self.nulls:
            values[place] = None
        return values

    def head(self, n: int) -> List[Any]:
        """Return the first values, at no cost of the others."""
        if self.kind == "o":
            return list(self.data[:n])
        values: List[Any] = memoryview(self.data).cast(_FORMATS[self.kind])[:n].tolist()
        for place in self.nulls:
            if place < n:
                values[place] = None
        return values

    def is_empty(self) -> bool:
        """Return whether all values are NULL."""
        if self.kind == "o":
            return all(value is None or value == "" for value in self.data)
        return len(self.nulls) == len(self) > 0

    def numpy(self) -> "numpy.ndarray[Any, Any]":
        """Return the values as an array, without a copy where they are numbers."""
        import numpy

        if self.kind != "o":
            shared: "numpy.ndarray[Any, Any]" = numpy.frombuffer(self.data, dtype=_DTYPES[self.kind])
            return shared
        if all(value is None for value in self.data):
            nothing: "numpy.ndarray[Any, Any]" = numpy.full(len(self.data), numpy.nan)
            return nothing
        if all(value is None or type(value) is int for value in self.data):
            array: "numpy.ndarray[Any, Any]" = numpy.array([numpy.nan if value is None else value for value in self.data], dtype="float64")
            return array
        array = numpy.empty(len(self.data), dtype=object)
        array[:] = self.data
        return array


class Frame:
    """Rows and columns that were asked for.

    A frame is read from the file once and does not follow it. It holds numbers in buffers: `numpy`, `polars` and
    `arrow` share them without a copy.

    Examples
    --------
    >>> frame = mle.Frame({"step": [0, 1], "loss": [0.5, 0.25]})
    >>> len(frame), frame.columns
    (2, ('step', 'loss'))
    >>> frame.rows()[1]
    {'step': 1, 'loss': 0.25}
    >>> frame["loss"]
    [0.5, 0.25]
    """

    __slots__ = ("_columns",)

    def __init__(self, columns: Dict[str, Union[Column, Sequence[Any]]]) -> None:
        self._columns: Dict[str, Column] = {
            name: column if isinstance(column, Column) else Column("o", list(column))
            for name, column in columns.items()
        }

    @classmethod
    def _of(cls, names: Sequence[str], columns: Sequence[Tuple[Any, ...]]) -> Frame:
        made: Dict[str, Union[Column, Sequence[Any]]] = {}
        for name, column in zip(names, columns):
            unique, at = name, 2
            while unique in made:
                unique, at = f"{name}_{at}", at + 1
            made[unique] = Column(*column)
        return cls(made)

    @property
    def columns(self) -> Tuple[str, ...]:
        """The names of the columns."""
        return tuple(self._columns)

    def __len__(self) -> int:
        for column in self._columns.values():
            return len(column)
        return 0

    def __getitem__(self, name: str) -> List[Any]:
        """Return a column as a list, None for NULL."""
        return self._column(name).list()

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __iter__(self) -> Iterator[Dict[str, Any]]:
        return iter(self.rows())

    def _column(self, name: str) -> Column:
        try:
            return self._columns[name]
        except KeyError:
            raise KeyError(f"there is no column {name!r}; there are {', '.join(self._columns)}") from None

    def rows(self) -> List[Dict[str, Any]]:
        """Return the rows as dicts, None for NULL."""
        names = self.columns
        return [dict(zip(names, values)) for values in zip(*(self[name] for name in names))]

    def one(self) -> Any:
        """Return the only value of a frame of one row and one column.

        Raises
        ------
        ValueError
            When there are more, or none.
        """
        if len(self) != 1 or len(self._columns) != 1:
            raise ValueError(f"one value is wanted, there are {len(self)} rows of {len(self._columns)} columns")
        return self[self.columns[0]][0]

    def numpy(self, name: Optional[str] = None) -> Any:
        """Return a column as an array, or all as a dict of arrays.

        Returns
        -------
        (n_rows,) int64, float64 or object array, or a dict of them by name
            Numbers share memory with the frame; NULL is NaN.
        """
        if name is not None:
            return self._column(name).numpy()
        return {name: column.numpy() for name, column in self._columns.items()}

    def pandas(self) -> "pandas.DataFrame":
        """Return a pandas DataFrame; whole numbers with NULL among them are `Int64`."""
        import pandas

        made: Dict[str, Any] = {}
        for name, column in self._columns.items():
            if column.kind != "o":
                made[name] = column.numpy()
            elif any(v is not None for v in column.data) and all(v is None or type(v) is int for v in column.data):
                made[name] = pandas.array(column.data, dtype="Int64")
            else:
                made[name] = pandas.Series(column.data, dtype=None if all(type(v) is str for v in column.data) else object)
        return pandas.DataFrame(made)

    def polars(self) -> "polars.DataFrame":
        """Return a polars DataFrame."""
        import polars

        return polars.DataFrame({name: _plain(column) for name, column in self._columns.items()}, strict=False)

    def arrow(self) -> "pyarrow.Table":
        """Return an Arrow table; columns of numbers share memory with the frame."""
        import pyarrow

        made = {}
        for name, column in self._columns.items():
            if column.kind == "o":
                made[name] = pyarrow.array(_plain(column))
                continue
            bits = None
            if column.nulls:
                valid = bytearray(b"\xff" * ((len(column) + 7) // 8))
                for place in column.nulls:
                    valid[place // 8] &= ~(1 << place % 8) & 0xFF
                bits = pyarrow.py_buffer(valid)
            buffers = [bits, pyarrow.py_buffer(column.data)]
            kind = getattr(pyarrow, _DTYPES[column.kind])()
            made[name] = pyarrow.Array.from_buffers(kind, len(column), buffers, null_count=len(column.nulls))
        return pyarrow.table(made)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.arrow().__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        shown = [[_text(value) for value in column.head(_SHOWN)] for column in self._columns.values()]
        names = [name[:40] for name in self.columns]
        widths = [max([len(name), *map(len, values)]) for name, values in zip(names, shown)]
        lines = ["  ".join(name.ljust(width) for name, width in zip(names, widths)).rstrip()]
        for row in zip(*shown):
            lines.append("  ".join(value.ljust(width) for value, width in zip(row, widths)).rstrip())
        if len(self) > _SHOWN:
            lines.append(f"… {len(self)} rows")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return self._html()

    def _html(self, names: Optional[Sequence[str]] = None, limit: int = _SHOWN) -> str:
        """Return a table; of many columns those that have nothing in them, and long ids, are left out."""
        from html import escape

        from ._html import table

        left_out: List[str] = []
        if names is None:
            names = self.columns
            if len(names) > 8 and len(self) > 0:
                full = [name for name in names if name not in _DULL and not self._column(name).is_empty()]
                if "experiment" in full and "experiment_id" in full:
                    full.remove("experiment_id")
                left_out = [name for name in names if name not in full]
                if "params" in full:
                    # What tells the rows apart, where it is seen.
                    full.remove("params")
                    full.insert(min(3, len(full)), "params")
                names = full
        n = len(self)
        shown = table(names, [self._column(name).head(limit) for name in names], n)
        if left_out:
            told = escape(_text(", ".join(left_out), 200))
            shown += f'<div style="color:#888;font:11px system-ui,sans-serif;padding:2px 10px">not shown: {told}</div>'
        return shown


def _plain(column: Column) -> Any:
    """Return a column as polars and arrow take it: nested documents as JSON text."""
    if column.kind != "o":
        return column.list() if column.nulls else column.numpy()
    if any(isinstance(value, (dict, list)) for value in column.data):
        import json

        return [None if value is None else json.dumps(value) for value in column.data]
    return column.data


def _text(value: Any, most: int = 60) -> str:
    from ._html import text

    return text(value, most)
