"""Turn a distillation checkpoint into a plain config and a plain checkpoint.

Both work with mmdet's or mmseg's own tools; mmkd_sod and mmrazor need not be there, unless the
student itself is made of parts of mmkd_sod (then the tool says so).
"""
import argparse
import os
import os.path as osp

from mmengine.config import Config, DictAction

import mmkd_sod  # noqa: F401  (mends upstream first)
from mmkd_sod.apis.student import parts_of_ours, student_checkpoint, student_config
from mmkd_sod.engine.cli import require_file, run_tool
from mmkd_sod.errors import CheckpointError, ConfigError
from mmkd_sod.models.builder import build_model
from mmkd_sod.utils.checkpoint import save_checkpoint
from mmkd_sod.utils.files import atomic_path


def parse_args() -> argparse.Namespace:
    """Arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config of the distillation')
    parser.add_argument('checkpoint', help='checkpoint of the distillation')
    parser.add_argument(
        '--out-dir', help="folder of both files; default: `student` beside the checkpoint")
    parser.add_argument('--name', help="name of both files; default: the config's")
    parser.add_argument('--force', action='store_true', help='overwrite files that are there')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction,
        help='settings that override the config, as key=value')
    return parser.parse_args()


def main() -> None:
    """Export, and check that the weights fill the plain model."""
    args = parse_args()
    require_file(args.config, 'config')
    require_file(args.checkpoint, 'checkpoint')
    out_dir = args.out_dir or osp.join(osp.dirname(args.checkpoint), 'student')
    name = args.name or osp.splitext(osp.basename(args.config))[0]
    targets = {ending: osp.join(out_dir, name + ending) for ending in ('.py', '.pth')}
    there = [path for path in targets.values() if osp.exists(path)]
    if there and not args.force:
        raise ConfigError(f"'{there[0]}' is there already; choose another --out-dir or --name, or "
                          'overwrite it with --force')

    cfg = Config.fromfile(args.config)
    if args.cfg_options is not None:
        cfg.merge_from_dict(args.cfg_options)
    plain = student_config(cfg)
    plain.load_from, plain.resume = None, False
    checkpoint = student_checkpoint(args.checkpoint)
    _check_fit(plain, checkpoint, args.checkpoint)

    os.makedirs(out_dir, exist_ok=True)
    save_checkpoint(checkpoint, targets['.pth'])
    with atomic_path(targets['.py']) as temporary:
        plain.dump(temporary)
    for path in targets.values():
        print(f'{path}  {osp.getsize(path) / 2**20:.2f} MiB')
    ours = parts_of_ours(plain)
    if ours:
        print(f"The student's config builds {', '.join(ours)}: it needs mmkd_sod installed.")


def _check_fit(plain: Config, checkpoint: dict, path: str) -> None:
    """Refuse a checkpoint that is not of this config's student."""
    model = dict(plain.model)
    model.setdefault('_scope_', plain.get('default_scope'))
    own = build_model(model, 'student').state_dict()
    state = checkpoint['state_dict']
    wrong = [key for key in own if key not in state or state[key].shape != own[key].shape]
    if wrong:
        found = tuple(state[wrong[0]].shape) if wrong[0] in state else 'nothing'
        raise CheckpointError(
            f"checkpoint '{path}' does not fit the student of the config in {len(wrong)} of "
            f'{len(own)} weights, first {wrong[0]}: checkpoint {found}, student '
            f'{tuple(own[wrong[0]].shape)}; give the checkpoint that this config trained')
    checkpoint['state_dict'] = {key: state[key] for key in own}


if __name__ == '__main__':
    run_tool(main)
