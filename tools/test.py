"""Test a model; of a distillation config, the student alone, without its teacher."""

from mmengine.config import ConfigDict
from mmengine.evaluator import DumpResults

import mmkd_sod  # noqa: F401  (patches upstream first)
from mmkd_sod.cli.common import load_config, make_work_dir, require_file, run_tool, tool_parser
from mmkd_sod.engine.build_runner import build_runner
from mmkd_sod.engine.checks import check_data, datasets_within
from mmkd_sod.engine.default_hooks import add_default_hooks
from mmkd_sod.engine.distributed import prepare_launcher
from mmkd_sod.errors import ConfigError
from mmkd_sod.models.student import student_config


def parse_args():
    """Arguments of the command line, those of mmdet's `test.py`."""
    parser = tool_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint of the distillation or of a plain model')
    parser.add_argument('--out', help='write the predictions to this .pkl file')
    parser.add_argument('--show', action='store_true', help='show predictions in a window')
    parser.add_argument('--show-dir', help='save painted predictions here, under the work_dir')
    parser.add_argument('--wait-time', type=float, default=2, help='seconds a window stays')
    parser.add_argument(
        '--tta',
        action='store_true',
        help="test-time augmentation, with the config's tta_model and tta_pipeline",
    )
    return parser.parse_args()


def augment_tests(cfg, args) -> None:
    """Wrap the model into the config's ``tta_model``, and test with its ``tta_pipeline``.

    Raises:
        ConfigError: The config has none.
    """
    missing = [name for name in ('tta_model', 'tta_pipeline') if not cfg.get(name)]
    if missing:
        raise ConfigError(
            f"--tta: '{args.config}' has no {' and no '.join(missing)}; add them, as in "
            "mmseg's default_runtime.py and data sets, or mmdet's rtmdet_tta.py"
        )
    for dataset, _ in datasets_within(cfg.test_dataloader.dataset, 'test_dataloader.dataset'):
        dataset['pipeline'] = cfg.tta_pipeline
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)


def paint_predictions(cfg, args) -> None:
    """Turn the config's visualization hook on."""
    hook = cfg.get('default_hooks', {}).get('visualization')
    if hook is None:
        raise ConfigError(
            f"--show and --show-dir: '{args.config}' has no default_hooks.visualization; add one"
        )
    hook.draw = True
    if args.show:
        hook.show, hook.wait_time = True, args.wait_time
    if args.show_dir:
        hook.test_out_dir = args.show_dir


def main() -> None:
    """Build the Runner from config and arguments, and test."""
    args = parse_args()
    cfg = student_config(load_config(args))
    require_file(args.checkpoint, 'checkpoint')
    cfg.load_from = args.checkpoint
    if args.tta:
        augment_tests(cfg, args)
    if args.show or args.show_dir:
        paint_predictions(cfg, args)
    if args.out is not None and not args.out.endswith(('.pkl', '.pickle')):
        raise ConfigError(f"--out '{args.out}' must end in .pkl or .pickle; rename it")
    check_data(cfg, ['test_dataloader'])
    prepare_launcher(cfg)
    make_work_dir(cfg)
    add_default_hooks(cfg, ['SharedMemoryHook'])
    runner = build_runner(cfg)
    if args.out is not None:
        runner.test_evaluator.metrics.append(DumpResults(out_file_path=args.out))
    runner.test()


if __name__ == '__main__':
    run_tool(main)
