"""What the doctor found: sections of facts and findings, as text or as data."""
import math
import textwrap
from dataclasses import dataclass, field

WIDTH = 100
LEVELS = ('note', 'warning', 'error')
_MARKS = dict(note='  -', warning='  !', error='  X')


@dataclass
class Finding:
    """One describe_error on something that is not as it should be.

    Attributes:
        level (str): ``'error'``: the run would fail, or would not distil; ``'warning'``: it would
            go, in doubt; ``'note'``: worth knowing.
        text (str): The describe_error.
    """
    level: str
    text: str


@dataclass
class Section:
    """One concern's part of the report.

    Attributes:
        name (str): Key in the JSON report.
        title (str): Heading in the text report.
        lines (list[str]): Facts for a reader.
        data (dict): The same facts for a machine.
        findings (list[Finding]): What is not as it should be.
        looked_at (bool): False where something that it needs is missing.
        seconds (float): How long it took.
    """
    name: str
    title: str
    lines: list = field(default_factory=list)
    data: dict = field(default_factory=dict)
    findings: list = field(default_factory=list)
    looked_at: bool = True
    seconds: float = 0.

    def say(self, line: str) -> None:
        """Add a line of facts."""
        self.lines.append(line)

    def note(self, text: str) -> None:
        """Add a finding that is worth knowing."""
        self.findings.append(Finding('note', text))

    def warn(self, text: str) -> None:
        """Add a finding that puts the run in doubt."""
        self.findings.append(Finding('warning', text))

    def error(self, text: str) -> None:
        """Add a finding that makes the run fail, or worthless."""
        self.findings.append(Finding('error', text))

    def skip(self, reason: str) -> None:
        """Say why nothing was looked at."""
        self.looked_at = False
        self.say(f'not looked at: {reason}')

    @property
    def level(self) -> str:
        """The worst finding's level; ``'ok'`` without errors and warnings, ``'skipped'``."""
        found = {finding.level for finding in self.findings}
        if 'error' in found or 'warning' in found:
            return 'error' if 'error' in found else 'warning'
        return 'ok' if self.looked_at else 'skipped'


@dataclass
class Report:
    """All sections on one config."""
    config: str
    sections: list = field(default_factory=list)

    def findings(self, level: str) -> list:
        """Sentences of a level, in the order of the sections."""
        return [finding.text for section in self.sections for finding in section.findings
                if finding.level == level]

    @property
    def exit_code(self) -> int:
        """1 where a run would fail or would not distil, else 0."""
        return int(bool(self.findings('error')))

    def as_dict(self) -> dict:
        """The report as plain data that ``json`` writes; numbers that JSON lacks are None."""
        return dict(
            config=self.config,
            ok=not self.exit_code,
            errors=self.findings('error'),
            warnings=self.findings('warning'),
            notes=self.findings('note'),
            seconds=round(sum(section.seconds for section in self.sections), 2),
            sections={
                section.name: dict(level=section.level, seconds=round(section.seconds, 2),
                                   **_plain(section.data))
                for section in self.sections
            })

    def as_text(self) -> str:
        """The report for a terminal of 100 columns, errors repeated at the end."""
        lines = [f'doctor: {self.config}', '']
        for section in self.sections:
            lines.append(f'{section.title}  [{section.level}]')
            lines += [f'    {line}' for line in section.lines]
            for finding in section.findings:
                lines += _wrap(f'{_MARKS[finding.level]} {finding.level}: {finding.text}')
            lines.append('')
        counts = {level: len(self.findings(level)) for level in ('error', 'warning')}
        spent = sum(section.seconds for section in self.sections)
        if not any(counts.values()):
            lines.append(f'green: nothing is in the way of this run ({spent:.0f} s)')
            return '\n'.join(lines)
        lines.append(', '.join(f'{count} {level}{"s" if count > 1 else ""}'
                               for level, count in counts.items() if count) + f' ({spent:.0f} s)')
        for level in counts:
            for text in self.findings(level):
                lines += _wrap(f'{_MARKS[level]} {text}')
        return '\n'.join(lines)


def _wrap(text: str) -> list:
    return textwrap.wrap(text, WIDTH, subsequent_indent='    ', break_long_words=False,
                         break_on_hyphens=False)


def _plain(value):
    """The value with keys as strings, tuples as lists, numbers that JSON has."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (bool, int, str)) or value is None:
        return value
    value = float(value)
    return value if math.isfinite(value) else None


def table(header: list, rows: list) -> list:
    """Lines of a table; columns of numbers should be formatted before and are set right.

    Args:
        header (list[str]): Names of the columns.
        rows (list[list]): Cells; the first column is set left, the others right where they look
            like numbers.

    Returns:
        list[str]: One line a row, the header first.
    """
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]

    def numeric(i: int) -> bool:
        return i > 0 and all(row[i][:1] in '0123456789.-+x' for row in cells[1:])

    right = [numeric(i) for i in range(len(header))]
    return ['  '.join(cell.rjust(width) if number else cell.ljust(width)
                      for cell, width, number in zip(row, widths, right, strict=True)).rstrip()
            for row in cells]


def number(value: float) -> str:
    """A number in at most four significant digits, short to read."""
    if value is None or not math.isfinite(value):
        return str(value)
    if value == 0:
        return '0'
    if 1e-3 <= abs(value) < 1e5:
        return f'{value:.4g}' if abs(value) < 1e4 else f'{value:.0f}'
    return f'{value:.2e}'


def duration(seconds: float) -> str:
    """A time span in the two units that matter: ``'1 d 4 h'``, ``'12 min'``, ``'0.31 s'``."""
    if seconds < 60:
        return f'{seconds:.2f} s' if seconds < 10 else f'{seconds:.0f} s'
    minutes = round(seconds / 60)
    if minutes < 60:
        return f'{minutes} min'
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f'{hours} h {minutes} min'
    return f'{hours // 24} d {hours % 24} h'
