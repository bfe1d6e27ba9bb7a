"""Rows of the table that the test ends with."""
import dataclasses


@dataclasses.dataclass
class Row:
    what: str
    figure: str
    bar: str  # what the figure must be
    passed: bool


def note(text):
    """Said while the test runs, above the table."""
    print(text, flush=True)


def below(what, figure, bar, form=".4f"):
    """A row of what may not be above `bar`."""
    return Row(what, f"{figure:{form}}", f"<= {bar:{form}}", figure <= bar)


def table(model, rows):
    cells = [("", model, "figure", "to hold"),
             *(("PASS" if row.passed else "FAIL", row.what, row.figure, row.bar) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in cells)
