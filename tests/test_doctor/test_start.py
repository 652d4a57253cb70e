"""The Runner is built as for training and writes no files."""


def test_length_rate_and_hooks(section):
    found = section('start').data
    assert found['max_epochs'] == 1 and found['max_iters'] == 2
    assert 0 < found['lr']['lr'] < 1e-3  # first rate of the warm-up
    assert {'FiniteLossHook', 'CheckpointHook'} <= set(found['hooks'])
