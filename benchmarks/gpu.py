"""Check and measure everything on one GPU in one command, at most nine minutes.

Writes its json after each section, goes on after a section that fails, and prints its table last.
`--device cpu --tiny` is a dry run of every section in a few minutes.
"""

import argparse
import json
import sys
import time
import traceback
from pathlib import Path

import torch
from common import RESULTS, machine
from gpu_sections import SECTIONS

from mmkd_sod.utils.files import write_json


def cells(section: dict) -> list[str]:
    """Return one line per figure of a section."""
    if 'config' in section:
        section = {section['config']: {k: v for k, v in section.items() if k != 'config'}}
    return [f'{key}: {json.dumps(value)}' for key, value in section.items()]


def table(content: dict) -> str:
    """Return all figures as text, one section after another."""
    lines = [f'machine: {json.dumps(content["machine"])}']
    for name, section in content['sections'].items():
        lines.append(f'== {name}, {section["seconds"]} s')
        lines += [f'failed: {section["error"]}'] if 'error' in section else cells(section['found'])
    return '\n'.join(lines)


def main(argv=None) -> int:
    """Run the sections; return 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--device', default='cuda', choices=['cuda', 'cpu'])
    parser.add_argument('--tiny', action='store_true', help='the smallest sizes: a dry run')
    parser.add_argument('--minutes', type=float, default=8.5, help='start no section after this')
    parser.add_argument('--sections', nargs='+', default=list(SECTIONS), choices=list(SECTIONS))
    parser.add_argument('--out', type=Path, help='default: benchmarks/results/gpu.json')
    args = parser.parse_args(argv)
    if args.device == 'cuda' and not torch.cuda.is_available():
        print('gpu.py: there is no GPU here; --device cpu --tiny is a dry run', file=sys.stderr)
        return 2
    out = args.out or RESULTS / ('gpu_tiny.json' if args.tiny else 'gpu.json')
    content: dict = dict(machine=machine(args.device), tiny=args.tiny, sections={})
    began = time.monotonic()
    for name in args.sections:
        start = time.monotonic()
        if start - began > args.minutes * 60:
            content['sections'][name] = dict(seconds=0, error='no time left')
            continue
        try:
            found = dict(found=SECTIONS[name](args.device, args.tiny))
        except Exception as error:
            traceback.print_exc()
            found = dict(error=f'{type(error).__name__}: {error}'[:300])
        if args.device == 'cuda':
            torch.cuda.empty_cache()
        content['sections'][name] = dict(seconds=round(time.monotonic() - start, 1), **found)
        write_json(out, content, indent=2)
        print(f'{name}: {content["sections"][name]["seconds"]} s', file=sys.stderr, flush=True)
    write_json(out, content, indent=2)
    print(table(content))
    return int(any('error' in section for section in content['sections'].values()))


if __name__ == '__main__':
    sys.exit(main())
