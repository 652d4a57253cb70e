"""The first forward pass: the tensors that each distiller compares, with shapes and ranges."""
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from .context import Context
from .loss_calls import LossCall, Argument, watch
from .report import Section, number, table

NAME, TITLE, NEEDS = 'tensors', 'Compared tensors', ('runner', )


def shape_text(shapes: Sequence[tuple]) -> str:
    """Shapes in short: equal ones are counted, of many the first and last are shown."""
    counts = Counter(tuple(shape) for shape in shapes)
    parts = [('' if count == 1 else f'{count} of ') + 'x'.join(map(str, shape) if shape else '1')
             for shape, count in counts.items()]
    return ', '.join(parts if len(parts) < 4 else [parts[0], '...', parts[-1]])


def _sizes(shapes: Sequence[tuple]) -> list:
    """Batch, height and width of maps; channels may differ by design."""
    return [(shape[0], *shape[2:]) for shape in shapes]


def _check(call: LossCall, section: Section) -> None:
    """Sides that a loss compares without a word, though they do not pair up, and bad values."""
    for seen in call.seen:
        if not seen.finite:
            section.error(f'{call.loss}: {seen.name} holds NaN or infinite values; look at the '
                          'weights, the normalisation and, under autocast, the precision')
        elif seen.low == seen.high and seen.name != 'target':
            section.warn(f'{call.loss}: {seen.name} is {number(seen.low)} everywhere, so that '
                         'there is nothing to compare')
    ours, theirs = call.seen[:2]
    if len(ours.shapes) != len(theirs.shapes):
        section.error(
            f'{call.loss}: {ours.name} has {len(ours.shapes)} levels, {theirs.name} '
            f'{len(theirs.shapes)}; the loss would leave some out, give both as many')
    elif _sizes(ours.shapes) != _sizes(theirs.shapes):
        first = next(pair for pair in zip(ours.shapes, theirs.shapes, strict=True)
                     if _sizes(pair[:1]) != _sizes(pair[1:]))
        section.warn(f'{call.loss}: {ours.name} is {shape_text(first[:1])}, {theirs.name} '
                     f'{shape_text(first[1:])}; check that the loss is meant to compare maps of '
                     'different size')


def _row(label: str, seen: Argument) -> list:
    return [label, seen.name, shape_text(seen.shapes), number(seen.low), number(seen.high),
            number(seen.mean)]


def examine(context: Context, section: Section) -> None:
    """Run the batch through the model in training mode and watch the distiller's losses."""
    model = context.model
    model.train()
    data = model.data_preprocessor(context.batch, True)
    distiller = model.distiller if context.distils else None
    watching: AbstractContextManager[list] = (
        nullcontext([]) if distiller is None else watch(distiller))
    with watching as calls, context.runner.optim_wrapper.optim_context(model):
        losses = model(**data, mode='loss')
    context.losses, context.comparisons = losses, calls
    if distiller is None:
        section.say('none: nothing is distilled')
        return
    rows = []
    for call in calls:
        rows += [_row(call.loss if i == 0 else '', seen) for i, seen in enumerate(call.seen)]
        _check(call, section)
    section.data['comparisons'] = [
        dict(loss=call.loss, type=type(call.module).__name__,
             tensors=[dict(vars(seen), shapes=[list(shape) for shape in seen.shapes])
                      for seen in call.seen]) for call in calls]
    if rows:
        for line in table(['loss', 'argument', 'shape', 'least', 'largest', 'mean'], rows):
            section.say(line)
    else:
        section.note(f'no loss of {type(distiller).__name__} was called with tensors of two '
                     'sides; what it compares cannot be shown')
