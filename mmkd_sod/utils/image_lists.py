"""Lines of text files that list images, one per line."""

import json


def listed(name: str) -> str:
    """Return the line for a path, as a JSON string if the plain path could be misread.

    That is one with line breaks or bytes that are not UTF-8, one in which a second path seems to
    begin after a space, and one that looks like a comment or a JSON string.
    """
    plain = name.isprintable() and name == name.strip() and name[:1] not in ('#', '"')
    return name if plain and not (' ' in name and name.count('.') > 1) else json.dumps(name)


def unlisted(line: str) -> str | None:
    """Return the path in a line that is a JSON string, or None if the line is plain."""
    if len(line) < 2 or line[0] != '"' or line[-1] != '"':
        return None
    try:
        return json.loads(line)
    except ValueError:
        return None
