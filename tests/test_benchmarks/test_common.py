"""What the benchmarks share."""


def test_ratios_are_those_of_medians(bench):
    seconds = dict(a=[2.0, 9.0, 3.0], b=[1.0, 3.0, 1.0], c=[1.0, 1.5, 2.0])
    assert bench('common').ratio_of_medians(seconds, 'a', 'b', 'c') == 1.2


def test_variants_take_turns(bench):
    calls = []
    seconds = bench('common').interleaved(
        dict(a=lambda: calls.append('a'), b=lambda: calls.append('b')), rounds=2, warmup=1
    )
    assert calls == ['a', 'b'] * 3
    assert {name: len(values) for name, values in seconds.items()} == dict(a=2, b=2)
