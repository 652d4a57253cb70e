"""The Runner starts as it would, and writes nowhere."""


def test_length_rate_and_hooks(section):
    found = section('start').data
    assert found['max_epochs'] == 1 and found['max_iters'] == 2
    assert 0 < found['lr']['lr'] < 1e-3  # the warm-up's first rate
    assert {'FiniteLossHook', 'CheckpointHook'} <= set(found['hooks'])
