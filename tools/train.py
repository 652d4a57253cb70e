"""Train a model: a plain one, or a student distilled from its teacher."""

from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

import mmkd_sod  # noqa: F401  (patches upstream first)
from mmkd_sod.cli.common import load_config, make_work_dir, require_file, run_tool, tool_parser
from mmkd_sod.engine.annotation_checks import check_teacher_classes
from mmkd_sod.engine.build_runner import build_runner
from mmkd_sod.engine.checks import check_data, stated_classes
from mmkd_sod.engine.default_hooks import add_default_hooks
from mmkd_sod.engine.distributed import prepare_launcher
from mmkd_sod.engine.precision import AMP_DTYPES, set_deterministic, set_mixed_precision
from mmkd_sod.engine.transfers import pin_batches, upload_without_waiting
from mmkd_sod.errors import ConfigError
from mmkd_sod.utils.files import remove_leftovers
from mmkd_sod.utils.run_lock import is_first_rank, lock_work_dir


def parse_args():
    """Arguments of the command line, those of mmdet's `train.py`."""
    parser = tool_parser(__doc__)
    parser.add_argument('--amp', action='store_true', help='train in automatic mixed precision')
    parser.add_argument(
        '--amp-dtype', choices=AMP_DTYPES, help='its type, float16 by default; implies --amp'
    )
    parser.add_argument(
        '--deterministic',
        action='store_true',
        help='repeatable results on a GPU too, slower; sets CUBLAS_WORKSPACE_CONFIG',
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help="scale the learning rate to the batch size, from the config's base_batch_size",
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='go on from a checkpoint; without a path, from the newest in the work_dir',
    )
    return parser.parse_args()


def prepare_runner(cfg, args) -> Runner:
    """The Runner of a config and the arguments, its teacher read.

    Raises:
        UserError: Arguments, config and data do not go together.
    """
    set_deterministic(cfg, args.deterministic)
    if args.amp or args.amp_dtype:
        set_mixed_precision(cfg, args.amp_dtype or 'float16')
    if args.auto_scale_lr:
        if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
            raise ConfigError(
                f"--auto-scale-lr: '{args.config}' has no "
                'auto_scale_lr.base_batch_size; set it in the config'
            )
        cfg.auto_scale_lr.enable = True
    if args.resume == 'auto':
        cfg.resume, cfg.load_from = True, None
    elif args.resume is not None:
        require_file(args.resume, '--resume: checkpoint')
        cfg.resume, cfg.load_from = True, args.resume
    add_default_hooks(cfg)
    prepare_launcher(cfg)
    pin_batches(cfg)
    check_data(cfg)
    make_work_dir(cfg)
    if is_first_rank(cfg.launcher):
        lock_work_dir(cfg.work_dir)
        remove_leftovers(cfg.work_dir)
    runner = build_runner(cfg)
    upload_without_waiting(runner.model)
    # Before the data are read, which may take a while: a teacher that does not fit ends the run.
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    if hasattr(model, 'load_teacher'):
        model.load_teacher()
    check_teacher_classes(cfg, stated_classes(cfg))
    return runner


def main() -> None:
    """Build the Runner from config and arguments, and train."""
    args = parse_args()
    prepare_runner(load_config(args), args).train()


if __name__ == '__main__':
    run_tool(main)
