"""Section on the loss terms: values and gradients at the student, relative to the task loss."""

import inspect
from dataclasses import dataclass

import torch
from torch import Tensor

from mmkd_sod.models.losses import ChannelSpatialKDLoss, CKALoss

from .batches import images_of
from .context import Context
from .report import Section, number, table

NAME, TITLE, NEEDS = 'losses', 'Loss terms', ('losses',)

# Gradient norms relative to the task loss. With published weights, an untrained student and a
# trained teacher, the largest term of the demo configs has 0.15 (HKDNet) to 50 (GFL), so that no
# single limit separates right from wrong weights: a term is too large above LARGE, or above NOTABLE
# if its weight is more than RAISED times the default. Below SMALL it has hardly any effect.
NOTABLE, LARGE, HOPELESS, SMALL = 10.0, 100.0, 300.0, 1e-3
RAISED = 100.0
# Below this, a term hardly depends on the student, and no weight would help.
CONSTANT = 1e-6

TWO_IMAGES = 'CKA of two images is always 1: use at least 3 images per batch'

# Below this ``teacher_entropy`` distillation was harmful on generated groups; at 0.5 it helped
# (docs/results.md).
SATURATED = 0.25


@dataclass
class Term:
    """A loss term.

    Attributes:
        name (str): Logged name.
        value (Tensor): Scalar with its graph.
        distills (bool): Whether it is a term of the distiller.
        norm (float): Norm of its gradient at the student's parameters.
        cosine (float): Cosine of its gradient and that of the task loss; NaN if either is 0.
    """

    name: str
    value: Tensor
    distills: bool
    norm: float = float('nan')
    cosine: float = float('nan')


def terms_of(losses: dict, distils: bool) -> list:
    """Return the terms that ``parse_losses`` would add, with lists summed."""
    found = []
    for name, value in losses.items():
        if 'loss' not in name:
            continue
        value = (
            sum(item.mean() for item in value)
            if isinstance(value, (list, tuple))
            else (value.mean())
        )
        found.append(Term(name, value, distils and name.startswith('distill.')))
    return found


def _gradient(value: Tensor, parameters: list) -> Tensor | None:
    """Return the gradient as one vector, or None if there is none."""
    if not value.requires_grad:
        return None
    found = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
    return torch.cat(
        [
            (torch.zeros_like(parameter) if gradient is None else gradient)
            .detach()
            .float()
            .flatten()
            for parameter, gradient in zip(parameters, found, strict=True)
        ]
    )


def measure(terms: list, parameters: list) -> float:
    """Set the gradient norms and cosines of terms.

    Args:
        terms (list[Term]): Terms of one batch.
        parameters (list[Parameter]): Trained parameters of the student.

    Returns:
        float: Norm of the gradient of the task loss; 0 without a task loss.
    """
    task = sum((term.value for term in terms if not term.distills), torch.zeros(()))
    reference = _gradient(task, parameters)
    norm = 0.0 if reference is None else float(reference.norm())
    for term in terms:
        gradient = _gradient(term.value, parameters)
        term.norm = 0.0 if gradient is None else float(gradient.norm())
        if gradient is not None and reference is not None and norm and term.norm:
            term.cosine = float(gradient @ reference) / (norm * term.norm)
    return norm


@dataclass
class Weight:
    """The weight of a term.

    Attributes:
        setting (str): Config key.
        value (float): Value.
        default (float, optional): Default value.
    """

    setting: str
    value: float
    default: float | None

    @property
    def raised(self) -> bool:
        """Whether the value is far above the default."""
        return self.value > RAISED * self.default if self.default else False


def _weight_of(term: Term, context: Context) -> Weight | None:
    """Return a term's weight from the loss that computed it, or None if it has no single one."""
    short, raw = term.name.split('.')[-1], context.losses[term.name]
    calls = [call for call in context.loss_calls if any(out is raw for out in call.outputs)]
    # Outputs that a distiller has changed are identified by name.
    calls = calls or [call for call in context.loss_calls if call.path.split('.')[-1] == short]
    for call in calls[:1]:
        for attribute in (f'{short.removeprefix("loss_")}_weight', 'loss_weight'):
            value = getattr(call.module, attribute, None)
            if isinstance(value, (int, float)):
                known = inspect.signature(type(call.module)).parameters.get(attribute)
                default = getattr(known, 'default', None)
                return Weight(
                    f'{_config_path(call.path, context)}.{attribute}',
                    float(value),
                    float(default) if isinstance(default, (int, float)) else None,
                )
    return None


def _config_path(path: str, context: Context) -> str:
    """Return the config key of a distiller's module, or its path if the key is unknown."""
    for candidate in (path, path.split('.', 1)[-1]):
        node, keys = context.cfg.model.distiller, []
        for key in candidate.split('.'):
            if isinstance(node, (list, tuple)) and key.isdigit() and int(key) < len(node):
                node = node[int(key)]
            elif isinstance(node, dict) and key in node:
                node = node[key]
            else:
                break
            keys.append(key)
            # An entry of a CompositeDistiller may nest its distiller.
            if isinstance(node, dict) and 'type' not in node and 'distiller' in node:
                node = node['distiller']
                keys.append('distiller')
        else:
            return '.'.join(('model.distiller', *keys))
    return f'model.distiller.{path}'


def suggestion(weight: Weight | None, ratio: float, images: int = 0) -> tuple[str, dict | None]:
    """Return text and data of a weight that makes the term's gradient as large as the task's.

    Of a term whose gradient vanishes, the text says that no weight would.

    Args:
        weight (Weight, optional): The term's weight.
        ratio (float): Its gradient relative to that of the task loss.
        images (int): Number of images in the batch.
    """
    if ratio < CONSTANT:
        text = 'the term is constant, so that no weight helps; '
        if images == 2:
            return f'{text}{TWO_IMAGES}', None
        return f'{text}check the tensors that it compares', None
    if weight is None:
        return f'multiply its weight by {1 / ratio:.2g} to make both equal', None
    wanted = float(f'{weight.value / ratio:.2g}')
    return (
        f'{weight.setting}={wanted:g} (now {weight.value:g}) would make both equal',
        dict(setting=weight.setting, now=weight.value, suggested=wanted),
    )


def _judge(terms: list, norm: float, context: Context, section: Section) -> dict:
    """Report terms that are too large or too small relative to the task loss."""
    advice = {}
    active = [term for term in terms if term.distills and term.norm > 0]
    all_small = all(term.norm < SMALL * norm for term in active)
    for term in active:
        ratio, weight = term.norm / norm, _weight_of(term, context)
        raised = weight is not None and weight.raised and ratio > NOTABLE
        text, data = suggestion(weight, ratio, _images(context))
        reason = (
            f'its gradient at the student is {number(ratio)} times that of the task loss; {text}'
        )
        if ratio > LARGE or raised:
            advice[term.name] = data
            report = section.error if ratio > HOPELESS or raised else section.warn
            report(f'{term.name} is too large: {reason}')
        elif ratio < SMALL:
            advice[term.name] = data
            report = section.warn if all_small else section.note
            report(f'{term.name} is too small: {reason}')
    return advice


def _compares_images(context: Context) -> bool:
    """Return whether a loss of the distiller is a CKA."""
    kinds = (CKALoss, ChannelSpatialKDLoss)
    return any(isinstance(module, kinds) for module in context.model.distiller.modules())


def _images(context: Context) -> int:
    """Return the number of images in the batch; 0 without a batch."""
    return 0 if context.batch is None else len(images_of(context.batch))


def _judge_entropy(context: Context, section: Section) -> None:
    """Report saturated teachers, whose logits contain little more than a mask."""
    for name, value in context.losses.items():
        if name.split('.')[-1] == 'teacher_entropy' and float(value) < SATURATED:
            section.data['teacher_entropy'] = float(value)
            section.note(
                f"the teacher's maps are saturated, {name} is {number(float(value))} of "
                '1, so that they contain little more than a mask; set '
                'target_entropy=0.5 in HKDDistiller to fit their temperature'
            )


def examine(context: Context, section: Section) -> None:
    """Measure all terms on the batch of the forward pass."""
    terms = terms_of(context.losses, context.distils)
    if not terms:
        section.error(
            'the model returns no loss: none of its outputs has "loss" in its name; check the model'
        )
        return
    parameters = [p for p in context.student.parameters() if p.requires_grad]
    bad = [term.name for term in terms if not torch.isfinite(term.value)]
    if bad:
        section.error(
            f'{", ".join(bad)}: NaN or infinite in the first step; check the data, the '
            'weights and the learning rate'
        )
    norm = measure(terms, parameters)
    distilling = [term for term in terms if term.distills]
    rows = []
    for term in terms:
        share = term.norm / norm if norm else float('nan')
        rows.append(
            [
                term.name,
                number(float(term.value.detach())),
                number(term.norm),
                f'x{number(share)}' if norm else '-',
                '-' if term.cosine != term.cosine else f'{term.cosine:+.2f}',
            ]
        )
    for line in table(['term', 'value', 'gradient', 'of the task', 'cosine'], rows):
        section.add(line)
    if norm:
        section.add(f'gradient of the task loss at the student: {number(norm)}')
    else:
        section.add('there is no task loss: the student learns from the distiller only')
    section.data.update(
        task_gradient=norm,
        terms={
            term.name: dict(
                value=float(term.value.detach()),
                gradient=term.norm,
                cosine=term.cosine,
                of_task=term.norm / norm if norm else None,
                distills=term.distills,
            )
            for term in terms
        },
    )
    _judge_entropy(context, section)
    zero = [term.name for term in distilling if term.norm == 0]
    if distilling and len(zero) == len(distilling):
        section.warn(
            'no gradient of the distillation reaches the student in the first step; '
            'check the terms, unless a schedule starts them later'
        )
    elif zero:
        section.note(f'{", ".join(zero)}: no gradient at the student in the first step')
    if zero and _images(context) == 2 and _compares_images(context):
        section.warn(f'{", ".join(zero)}: {TWO_IMAGES}')
    if not norm and not distilling:
        section.error('no gradient reaches the model; check which parameters are trained')
    section.data['advice'] = _judge(terms, norm, context, section) if norm and not bad else {}
