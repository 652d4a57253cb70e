"""Seeded mutations of files."""

import io
import random
import re
import zipfile

# What replaces a number or a string in a text.
_ODD = (
    'NaN', '-Infinity', '1e999', '-1', '0', '9' * 400, '1e308', 'null', 'true', '[]', '{}', '""',
    '"../../x"', '"/etc/passwd"', '"\\u0000"', '"\\ud800"', '[[[[[[]]]]]]', '"<script>"',
    '__import__("os").system("true")', '!!python/object/apply:os.system ["true"]',
)  # fmt: skip
_OPCODES = b'cR\x81bi.(tlds}]Nq\x93\x92\x8c\x94\x95\x80ou'


def mutate_bytes(content: bytes, rng: random.Random) -> bytes:
    """Flip, cut, repeat or overwrite some bytes, one to four times."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(content) + 1)
        size = rng.choice((1, 1, 2, 8, 64))
        kind = rng.randrange(7)
        if kind == 0 and content:
            at = min(at, len(content) - 1)
            content = (
                content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :]
            )
        elif kind == 1:
            content = content[:at]
        elif kind == 2:
            content = content[:at] + content[at + size :]
        elif kind == 3:
            content = content[:at] + content[at : at + size] * rng.choice((2, 50)) + content[at:]
        elif kind == 4:
            content = content[:at] + bytes(size) + content[at + size :]
        elif kind == 5:
            content = content[:at] + rng.randbytes(size) + content[at:]
        else:
            content = content[:at] + bytes([rng.choice(_OPCODES)]) + content[at + 1 :]
    return content


def mutate_text(content: bytes, rng: random.Random) -> bytes:
    """Replace a value by an odd one, nest it deeply, rename a word, or mutate bytes."""
    kind = rng.randrange(5)
    pattern = rb'-?\d+(?:\.\d+)?|"[^"]*"|\'[^\']*\'' if kind < 2 else rb'\w+'
    places = list(re.finditer(pattern, content))
    if kind == 4 or not places:
        return mutate_bytes(content, rng)
    place = rng.choice(places)
    new = rng.choice(_ODD).encode()
    if kind == 2:
        new = place[0] + b'x'
    elif kind == 3:
        depth = rng.choice((10, 1000, 100_000))
        new = rng.choice(
            (b'[' * depth + b']' * depth, b'<a>' * depth, b'{"a":' * depth, b'-' * depth)
        )
    return content[: place.start()] + new + content[place.end() :]


def mutate_archive(content: bytes, rng: random.Random) -> bytes:
    """Mutate one member of a zip archive, the pickle in most cases, or the archive's bytes."""
    if rng.random() < 0.2:
        return mutate_bytes(content, rng)
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, 'w') as new:
        names = old.namelist()
        chosen = rng.choice([name for name in names if name.endswith('data.pkl')] * 8 + names)
        for name in names:
            data = old.read(name)
            new.writestr(name, mutate_bytes(data, rng) if name == chosen else data)
    return out.getvalue()
