"""Three by three: the little arithmetic that colour spaces need, on tuples of rows."""

from __future__ import annotations

Row = tuple[float, float, float]
Matrix = tuple[Row, Row, Row]


def product(one: Matrix, other: Matrix) -> Matrix:
    turned = transposed(other)
    return tuple(applied(turned, row) for row in one)  # type: ignore[return-value]


def applied(matrix: Matrix, to: Row) -> Row:
    return tuple(sum(a * b for a, b in zip(row, to, strict=True)) for row in matrix)  # type: ignore[return-value]


def inverse(matrix: Matrix) -> Matrix:
    """Raises ValueError for a matrix that has none."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    cofactors = ((e * i - f * h, c * h - b * i, b * f - c * e), (f * g - d * i, a * i - c * g, c * d - a * f))
    last = (d * h - e * g, b * g - a * h, a * e - b * d)
    whole = a * cofactors[0][0] + b * cofactors[1][0] + c * last[0]
    if abs(whole) < 1e-9:
        raise ValueError("no inverse")
    return tuple(tuple(value / whole for value in row) for row in (*cofactors, last))  # type: ignore[return-value]


def diagonal(a: float, b: float, c: float) -> Matrix:
    return (a, 0.0, 0.0), (0.0, b, 0.0), (0.0, 0.0, c)


def transposed(matrix: Matrix | tuple[Row, ...]) -> Matrix:
    return tuple(zip(*matrix, strict=True))  # type: ignore[return-value]
