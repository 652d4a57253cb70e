"""Export the student of a distillation as a plain config and a plain checkpoint.

Both work with mmdet's or mmseg's own tools, without mmkd_sod and mmrazor, unless the student
itself uses modules of mmkd_sod (the tool then prints a note).
"""

import argparse
import os.path as osp

import mmkd_sod  # noqa: F401  (applies the compatibility patches first)
from mmkd_sod.cli.common import add_cfg_options, override, read_config, require_file, run_tool
from mmkd_sod.errors import ConfigError
from mmkd_sod.models.student import load_student, own_types, same_weights, write_student


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config of the distillation')
    parser.add_argument('checkpoint', help='checkpoint of the distillation')
    parser.add_argument(
        '--out-dir', help='folder of both files; default: `student` next to the checkpoint'
    )
    parser.add_argument('--name', help="name of both files; default: the config's")
    parser.add_argument('--force', action='store_true', help='overwrite existing files')
    add_cfg_options(parser)
    return parser.parse_args()


def _exists(path: str) -> ConfigError:
    return ConfigError(
        f"'{path}' already exists; choose another --out-dir or --name, or overwrite it with --force"
    )


def main() -> None:
    """Export, and check that the weights match the plain model."""
    args = parse_args()
    require_file(args.config, 'config')
    require_file(args.checkpoint, 'checkpoint')
    out_dir = args.out_dir or osp.join(osp.dirname(args.checkpoint), 'student')
    name = args.name or osp.splitext(osp.basename(args.config))[0]
    targets = {ending: osp.join(out_dir, name + ending) for ending in ('.py', '.pth')}
    there = [path for path in targets.values() if osp.exists(path)]
    # A killed export leaves the weights alone; they are compared before they are replaced.
    unfinished = there == [targets['.pth']]
    if there and not args.force and not unfinished:
        raise _exists(there[0])

    cfg = read_config(args.config)
    override(cfg, args)
    plain, checkpoint, _ = load_student(cfg, args.checkpoint)
    if unfinished and not args.force and not same_weights(checkpoint, there[0]):
        raise _exists(there[0])
    write_student(plain, checkpoint, targets['.py'], targets['.pth'])
    for path in targets.values():
        print(f'{path}  {osp.getsize(path) / 2**20:.2f} MiB')
    ours = own_types(plain)
    if ours:
        print(f"The student's config uses {', '.join(ours)} and needs mmkd_sod installed.")


if __name__ == '__main__':
    run_tool(main)
