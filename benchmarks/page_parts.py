"""What the sections of benchmarks/README.md are made of."""

PLOTS = 'plots'


def table(head: list, rows: list) -> list[str]:
    """Return the lines of a Markdown table."""
    return [f'| {" | ".join(map(str, row))} |' for row in (head, ['---'] * len(head), *rows)]


def machine_line(found: dict) -> str:
    """Return processor, threads and torch version as one line."""
    machine = found['machine']
    gpu = f'{machine["gpu"]}, ' if 'gpu' in machine else ''
    return f'{gpu}{machine["cpu"]}, threads: {machine["threads"]}, torch {machine["torch"]}.'


def page_section(title: str, text: str, found: dict, *lines: str, disturbed: bool = True) -> str:
    """Return a section: title, what was measured on which machine, tables."""
    text = f'{text} {machine_line(found)}'
    cells = found.get('cells', {})
    others = [cell.get('other_processors') for cell in cells.values()]
    others = [number for number in others if number is not None]
    if others and disturbed:
        text += f' Load from other programs: {min(others):.2f} to {max(others):.2f} processors.'
    return '\n'.join([f'## {title}', '', text, '', *lines, ''])
