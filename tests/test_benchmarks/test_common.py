"""What the benchmarks share."""


def test_ratios_are_those_of_medians(bench):
    seconds = dict(a=[2., 9., 3.], b=[1., 3., 1.], c=[1., 1.5, 2.])
    assert bench('common').ratio_of_medians(seconds, 'a', 'b', 'c') == 1.2


def test_variants_take_turns(bench):
    calls = []
    seconds = bench('common').interleaved(
        dict(a=lambda: calls.append('a'), b=lambda: calls.append('b')), rounds=2, warmup=1)
    assert calls == ['a', 'b'] * 3
    assert {name: len(values) for name, values in seconds.items()} == dict(a=2, b=2)
