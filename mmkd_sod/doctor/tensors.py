"""Section on the first forward pass: the tensors that distillers compare."""

import copy
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from .context import Context
from .loss_calls import Argument, LossCall, record_loss_calls
from .report import Section, number, table

NAME, TITLE, NEEDS = 'tensors', 'Compared tensors', ('trial',)


def shape_text(shapes: Sequence[tuple]) -> str:
    """Return a short text of shapes, with counts of equal ones and only the first and last."""
    counts = Counter(tuple(shape) for shape in shapes)
    texts = [
        ('' if count == 1 else f'{count} of ') + 'x'.join(map(str, shape) if shape else '1')
        for shape, count in counts.items()
    ]
    return ', '.join(texts if len(texts) < 4 else [texts[0], '...', texts[-1]])


def _sizes(shapes: Sequence[tuple]) -> list:
    """Return batch, height and width of maps; channels may differ by design."""
    return [(shape[0], *shape[2:]) for shape in shapes]


def _check(call: LossCall, section: Section) -> None:
    """Report bad values, and tensors that a loss compares silently though they do not match."""
    for argument in call.arguments:
        if not argument.finite:
            section.error(
                f'{call.loss}: {argument.name} has NaN or infinite values; check the '
                'weights, the normalisation and, with autocast, the precision'
            )
        elif argument.low == argument.high and argument.name != 'target':
            section.warn(
                f'{call.loss}: {argument.name} is {number(argument.low)} everywhere; '
                'there is nothing to compare; check the module that computes it'
            )
    ours, theirs = call.arguments[:2]
    if len(ours.shapes) != len(theirs.shapes):
        section.error(
            f'{call.loss}: {ours.name} has {len(ours.shapes)} levels, {theirs.name} '
            f'{len(theirs.shapes)}; the loss would ignore some; use the same number of levels'
        )
    elif _sizes(ours.shapes) != _sizes(theirs.shapes):
        first = next(
            pair
            for pair in zip(ours.shapes, theirs.shapes, strict=True)
            if _sizes(pair[:1]) != _sizes(pair[1:])
        )
        section.warn(
            f'{call.loss}: {ours.name} is {shape_text(first[:1])}, {theirs.name} '
            f'{shape_text(first[1:])}; check that the loss can compare maps of different '
            'size'
        )


def _row(label: str, argument: Argument) -> list:
    return [
        label,
        argument.name,
        shape_text(argument.shapes),
        number(argument.low),
        number(argument.high),
        number(argument.mean),
    ]


def examine(context: Context, section: Section) -> None:
    """Compute the losses of the batch and record the inputs of the distiller's losses."""
    model = context.model
    # A copy, since some preprocessors change the boxes of their samples.
    data = model.data_preprocessor(copy.deepcopy(context.batch), True)
    distiller = model.distiller if context.distils else None
    recording: AbstractContextManager[list] = (
        nullcontext([]) if distiller is None else record_loss_calls(distiller)
    )
    with recording as calls, context.runner.optim_wrapper.optim_context(model):
        losses = model(**data, mode='loss')
    context.losses, context.loss_calls = losses, calls
    if distiller is None:
        section.add('none: nothing is distilled')
        return
    rows = []
    for call in calls:
        rows += [
            _row(call.loss if i == 0 else '', argument) for i, argument in enumerate(call.arguments)
        ]
        _check(call, section)
    section.data['comparisons'] = [
        dict(
            loss=call.loss,
            type=type(call.module).__name__,
            tensors=[
                dict(vars(argument), shapes=[list(shape) for shape in argument.shapes])
                for argument in call.arguments
            ],
        )
        for call in calls
    ]
    if rows:
        for line in table(['loss', 'argument', 'shape', 'min', 'max', 'mean'], rows):
            section.add(line)
    else:
        section.note(
            f'no loss module of {type(distiller).__name__} was called with tensors of '
            'student and teacher; the compared tensors cannot be shown'
        )
