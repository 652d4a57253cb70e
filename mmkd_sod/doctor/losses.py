"""Each loss term's value and its gradient at the student, beside the task loss's."""
import inspect
from dataclasses import dataclass

import torch
from torch import Tensor

from .context import Context
from .report import Section, number, table

NAME, TITLE, NEEDS = 'losses', 'Loss terms', ('losses', )

# Gradient norms as multiples of the task loss's. With published weights, a fresh student and a
# trained teacher, the largest term of a demo config has from 0.15 (HKDNet) to 50 (GFL, whose fresh
# head hardly moves): no one number tells the right weight of one from the wrong weight of another.
# So a term drowns the task beyond DROWNS, or beyond NEARLY if its weight is also RAISED times the
# default; LOST is where it hardly counts.
NEARLY, DROWNS, HOPELESS, LOST = 10., 100., 300., 1e-3
RAISED = 100.

# Below this softness (``teacher_entropy``) the maps of a teacher cost students of generated groups
# more than they gave, at 0.5 they gave: docs/results.md.
SURE = .25


@dataclass
class Term:
    """A loss term.

    Attributes:
        name (str): As it is logged.
        value (Tensor): The scalar, its graph attached.
        distills (bool): Whether the teacher gives it.
        norm (float): Norm of its gradient at the student's parameters.
        cosine (float): Between this gradient and the task loss's; NaN without either.
    """
    name: str
    value: Tensor
    distills: bool
    norm: float = float('nan')
    cosine: float = float('nan')


def terms_of(losses: dict, distils: bool) -> list:
    """Terms of a model's losses: what ``parse_losses`` would add up, lists summed."""
    found = []
    for name, value in losses.items():
        if 'loss' not in name:
            continue
        value = sum(item.mean() for item in value) if isinstance(value, (list, tuple)) else (
            value.mean())
        found.append(Term(name, value, distils and name.startswith('distill.')))
    return found


def _gradient(value: Tensor, parameters: list) -> Tensor | None:
    """The gradient as one vector, None where there is none."""
    if not value.requires_grad:
        return None
    found = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
    return torch.cat([(torch.zeros_like(parameter) if gradient is None else gradient)
                      .detach().float().flatten()
                      for parameter, gradient in zip(parameters, found, strict=True)])


def measure(terms: list, parameters: list) -> float:
    """Fill in the terms' gradient norms and cosines.

    Args:
        terms (list[Term]): Terms of one batch.
        parameters (list[Parameter]): The student's that are trained.

    Returns:
        float: Norm of the task loss's gradient; 0 without one.
    """
    task = sum((term.value for term in terms if not term.distills), torch.zeros(()))
    reference = _gradient(task, parameters)
    norm = 0. if reference is None else float(reference.norm())
    for term in terms:
        gradient = _gradient(term.value, parameters)
        term.norm = 0. if gradient is None else float(gradient.norm())
        if gradient is not None and reference is not None and norm and term.norm:
            term.cosine = float(gradient @ reference) / (norm * term.norm)
    return norm


@dataclass
class Weight:
    """The setting that multiplies a term.

    Attributes:
        setting (str): Where it stands in the config.
        value (float): What it is.
        default (float, optional): What it is where a config says nothing.
    """
    setting: str
    value: float
    default: float | None

    @property
    def raised(self) -> bool:
        """Whether it is far above its default."""
        return self.value > RAISED * self.default if self.default else False


def _weight_of(term: Term, context: Context) -> Weight | None:
    """A term's weight, found in the loss that gave it; None where no single number is one."""
    short, raw = term.name.split('.')[-1], context.losses[term.name]
    calls = [call for call in context.comparisons if any(out is raw for out in call.outputs)]
    # What a reader of heads or a schedule worked on is traced by its name.
    calls = calls or [call for call in context.comparisons if call.path.split('.')[-1] == short]
    for call in calls[:1]:
        for attribute in (f'{short.removeprefix("loss_")}_weight', 'loss_weight'):
            value = getattr(call.module, attribute, None)
            if isinstance(value, (int, float)):
                known = inspect.signature(type(call.module)).parameters.get(attribute)
                default = getattr(known, 'default', None)
                return Weight(f'{_config_path(call.path, context)}.{attribute}', float(value),
                              float(default) if isinstance(default, (int, float)) else None)
    return None


def _config_path(path: str, context: Context) -> str:
    """Where a distiller's module stands in the config; its own path where that is unknown."""
    for tried in (path, path.split('.', 1)[-1]):
        node, keys = context.cfg.model.distiller, []
        for part in tried.split('.'):
            if isinstance(node, (list, tuple)) and part.isdigit() and int(part) < len(node):
                node = node[int(part)]
            elif isinstance(node, dict) and part in node:
                node = node[part]
            else:
                break
            keys.append(part)
            # An entry of a CompositeDistiller may hold its distiller one level down.
            if isinstance(node, dict) and 'type' not in node and 'distiller' in node:
                node = node['distiller']
                keys.append('distiller')
        else:
            return '.'.join(('model.distiller', *keys))
    return f'model.distiller.{path}'


def suggestion(weight: Weight | None, ratio: float) -> tuple[str, dict | None]:
    """What to set so that a term's gradient is as large as the task's; text and data."""
    if weight is None:
        return f'multiply its weight by {1 / ratio:.2g} to make both as large', None
    wanted = float(f'{weight.value / ratio:.2g}')
    return (f'{weight.setting}={wanted:g} (now {weight.value:g}) would make both as large',
            dict(setting=weight.setting, now=weight.value, suggested=wanted))


def _judge(terms: list, norm: float, context: Context, section: Section) -> dict:
    """Call out terms that drown the task loss, and those that the task loss drowns."""
    advice = {}
    moving = [term for term in terms if term.distills and term.norm > 0]
    all_lost = all(term.norm < LOST * norm for term in moving)
    for term in moving:
        ratio, weight = term.norm / norm, _weight_of(term, context)
        raised = weight is not None and weight.raised and ratio > NEARLY
        text, data = suggestion(weight, ratio)
        if ratio > DROWNS or raised:
            advice[term.name] = data
            tell = section.error if ratio > HOPELESS or raised else section.warn
            tell(f'{term.name} drowns the task loss: its gradient at the student is '
                 f"{number(ratio)} times the task's; {text}")
        elif ratio < LOST:
            advice[term.name] = data
            tell = section.warn if all_lost else section.note
            tell(f'the task loss drowns {term.name}: its gradient at the student is '
                 f"{number(ratio)} times the task's; {text}")
    return advice


def _judge_softness(context: Context, section: Section) -> None:
    """Tell of logits that say little beyond a mask."""
    for name, value in context.losses.items():
        if name.split('.')[-1] == 'teacher_entropy' and float(value) < SURE:
            section.data['teacher_entropy'] = float(value)
            section.note(f"the teacher's maps are sure, {name} {number(float(value))} of 1, so its "
                         'logits say little beyond a mask; target_entropy=0.5 of the '
                         'HKDDistiller fits their temperature')


def examine(context: Context, section: Section) -> None:
    """Measure every term on the batch of the forward pass."""
    terms = terms_of(context.losses, context.distils)
    if not terms:
        section.error('the model gives no loss: none of its outputs has "loss" in its name')
        return
    parameters = [p for p in context.student.parameters() if p.requires_grad]
    bad = [term.name for term in terms if not torch.isfinite(term.value)]
    if bad:
        section.error(f"{', '.join(bad)}: NaN or infinite in the first step; look at the data, the "
                      'weights and the learning rate')
    norm = measure(terms, parameters)
    distilling = [term for term in terms if term.distills]
    rows = []
    for term in terms:
        share = term.norm / norm if norm else float('nan')
        rows.append([term.name, number(float(term.value.detach())), number(term.norm),
                     f'x{number(share)}' if norm else '-',
                     '-' if term.cosine != term.cosine else f'{term.cosine:+.2f}'])
    for line in table(['term', 'value', 'gradient', 'of the task', 'cosine'], rows):
        section.say(line)
    if norm:
        section.say(f"the task's gradient at the student: {number(norm)}")
    else:
        section.say('there is no task loss: the student learns from the distiller alone')
    section.data.update(task_gradient=norm, terms={
        term.name: dict(value=float(term.value.detach()), gradient=term.norm, cosine=term.cosine,
                        of_task=term.norm / norm if norm else None, distills=term.distills)
        for term in terms})
    _judge_softness(context, section)
    still = [term.name for term in distilling if term.norm == 0]
    if distilling and len(still) == len(distilling):
        section.warn('no gradient of the distillation reaches the student in the first step; a '
                     'schedule may begin later, else look at the terms')
    elif still:
        section.note(f"{', '.join(still)}: no gradient at the student in the first step")
    if not norm and not distilling:
        section.error('no gradient reaches the model; see which parameters are trained')
    section.data['advice'] = _judge(terms, norm, context, section) if norm and not bad else {}
