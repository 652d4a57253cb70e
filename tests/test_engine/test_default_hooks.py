"""Default hooks of tools/train.py."""

from mmengine.config import Config

from mmkd_sod.engine.default_hooks import add_default_hooks


def test_each_is_added_once():
    cfg = Config(
        dict(
            custom_hooks=[dict(type='EMAHook'), dict(type='mmkd_sod.FiniteLossHook', action='skip')]
        )
    )
    for _ in range(2):
        add_default_hooks(cfg)
    assert [hook.type for hook in cfg.custom_hooks] == [
        'EMAHook',
        'mmkd_sod.FiniteLossHook',
        'mmkd_sod.StepSeedHook',
        'mmkd_sod.RunStateHook',
        'mmkd_sod.SharedMemoryHook',
        'mmkd_sod.LabelRangeHook',
    ]
    assert cfg.custom_hooks[1].action == 'skip'
    plain = Config(dict())
    add_default_hooks(plain)
    assert len(plain.custom_hooks) == 5
