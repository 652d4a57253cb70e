"""The report of the doctor: sections with facts and findings, as text or data."""

import math
import textwrap
from dataclasses import dataclass, field

WIDTH = 100
LEVELS = ('note', 'warning', 'error')
_MARKS = dict(note='  -', warning='  !', error='  X')


@dataclass
class Finding:
    """A problem or a note.

    Attributes:
        level (str): ``'error'``: the run would fail or would not distil; ``'warning'``: its result
            is doubtful; ``'note'``: worth knowing.
        text (str): One sentence.
    """

    level: str
    text: str


@dataclass
class Section:
    """A section of the report.

    Attributes:
        name (str): Key in the JSON report.
        title (str): Heading in the text report.
        lines (list[str]): Facts as text.
        data (dict): Facts as data.
        findings (list[Finding]): Problems and notes.
        skipped (bool): Whether it was skipped.
        seconds (float): Duration.
    """

    name: str
    title: str
    lines: list = field(default_factory=list)
    data: dict = field(default_factory=dict)
    findings: list = field(default_factory=list)
    skipped: bool = False
    seconds: float = 0.0

    def add(self, line: str) -> None:
        """Add a line of facts."""
        self.lines.append(line)

    def note(self, text: str) -> None:
        """Add a note."""
        self.findings.append(Finding('note', text))

    def warn(self, text: str) -> None:
        """Add a warning."""
        self.findings.append(Finding('warning', text))

    def error(self, text: str) -> None:
        """Add an error."""
        self.findings.append(Finding('error', text))

    def skip(self, reason: str) -> None:
        """Mark the section as skipped."""
        self.skipped = True
        self.add(f'skipped: {reason}')

    @property
    def level(self) -> str:
        """``'error'`` or ``'warning'``, whichever is worst among the findings, else ``'ok'`` or
        ``'skipped'``.
        """
        found = {finding.level for finding in self.findings}
        if 'error' in found or 'warning' in found:
            return 'error' if 'error' in found else 'warning'
        return 'skipped' if self.skipped else 'ok'


@dataclass
class Report:
    """The report on a config.

    Attributes:
        config (str): Path of the config.
        sections (list[Section]): Sections in order.
    """

    config: str
    sections: list = field(default_factory=list)

    def findings(self, level: str) -> list:
        """Return the texts of all findings of a level."""
        return [
            finding.text
            for section in self.sections
            for finding in section.findings
            if finding.level == level
        ]

    @property
    def exit_code(self) -> int:
        """1 if there are errors, else 0."""
        return int(bool(self.findings('error')))

    def as_dict(self) -> dict:
        """Return the report as data for JSON; NaN and infinite numbers are None."""
        return dict(
            config=self.config,
            ok=not self.exit_code,
            errors=self.findings('error'),
            warnings=self.findings('warning'),
            notes=self.findings('note'),
            seconds=round(sum(section.seconds for section in self.sections), 2),
            sections={
                section.name: dict(
                    level=section.level, seconds=round(section.seconds, 2), **_plain(section.data)
                )
                for section in self.sections
            },
        )

    def as_text(self) -> str:
        """Return the report as text of 100 columns, errors and warnings repeated at the end."""
        lines = [f'doctor: {self.config}', '']
        for section in self.sections:
            lines.append(f'{section.title}  [{section.level}]')
            lines += [f'    {line}' for line in section.lines]
            for finding in section.findings:
                lines += _wrap(f'{_MARKS[finding.level]} {finding.level}: {finding.text}')
            lines.append('')
        counts = {level: len(self.findings(level)) for level in ('error', 'warning')}
        seconds = sum(section.seconds for section in self.sections)
        if not any(counts.values()):
            lines.append(f'ok: no errors and no warnings ({seconds:.0f} s)')
            return '\n'.join(lines)
        lines.append(
            ', '.join(
                f'{count} {level}{"s" if count > 1 else ""}'
                for level, count in counts.items()
                if count
            )
            + f' ({seconds:.0f} s)'
        )
        for level in counts:
            for text in self.findings(level):
                lines += _wrap(f'{_MARKS[level]} {text}')
        return '\n'.join(lines)


def _wrap(text: str) -> list:
    return textwrap.wrap(
        text, WIDTH, subsequent_indent='    ', break_long_words=False, break_on_hyphens=False
    )


def _plain(value):
    """Return a value that JSON can represent: string keys, lists, finite numbers or None."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (bool, int, str)) or value is None:
        return value
    value = float(value)
    return value if math.isfinite(value) else None


def table(header: list, rows: list) -> list:
    """Return the lines of a text table.

    Args:
        header (list[str]): Names of the columns.
        rows (list[list]): Cells; columns of formatted numbers, except the first, are right-aligned.

    Returns:
        list[str]: Header and one line per row.
    """
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]

    def numeric(i: int) -> bool:
        return i > 0 and all(row[i][:1] in '0123456789.-+x' for row in cells[1:])

    right = [numeric(i) for i in range(len(header))]
    return [
        '  '.join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in cells
    ]


def number(value: float) -> str:
    """Format a number with at most four significant digits."""
    if value is None or not math.isfinite(value):
        return str(value)
    if value == 0:
        return '0'
    if 1e-3 <= abs(value) < 1e5:
        return f'{value:.4g}' if abs(value) < 1e4 else f'{value:.0f}'
    return f'{value:.2e}'


def duration(seconds: float) -> str:
    """Format a duration with up to two units: ``'1 d 4 h'``, ``'12 min'``, ``'0.31 s'``."""
    if seconds < 60:
        return f'{seconds:.2f} s' if seconds < 10 else f'{seconds:.0f} s'
    minutes = round(seconds / 60)
    if minutes < 60:
        return f'{minutes} min'
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f'{hours} h {minutes} min'
    return f'{hours // 24} d {hours % 24} h'
