"""Each loss term's value and its gradient at the student, beside the task loss's."""
from dataclasses import dataclass

import torch
from torch import Tensor

from .case import Case
from .report import Section, number, table

NAME, TITLE, NEEDS = 'losses', 'Loss terms', ('losses', )

# Gradient norms as multiples of the task loss's. With the published weights, a fresh student and a
# trained teacher they went from 0.5 to 50 on the demo configs: a fresh GFL head's own gradient is
# small. A weight a thousand times too large is beyond HOPELESS there.
DROWNS, HOPELESS, LOST = 100., 300., 1e-3


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
        if norm and term.norm:
            term.cosine = float(gradient @ reference) / (norm * term.norm)
    return norm


def _weight_of(term: Term, case: Case) -> tuple | None:
    """Setting and value of a term's weight, found in the loss that gave it."""
    short = term.name.split('.')[-1]
    calls = [call for call in case.comparisons if any(out is term.value for out in call.outputs)]
    # mean() of a scalar is a tensor of its own: the losses' own values are what calls gave.
    raw = case.losses[term.name]
    calls = calls or [call for call in case.comparisons
                      if any(out is raw for out in call.outputs)]
    calls = calls or [call for call in case.comparisons if call.path.split('.')[-1] == short]
    for call in calls[:1]:
        for attribute in (f'{short.removeprefix("loss_")}_weight', 'loss_weight'):
            weight = getattr(call.module, attribute, None)
            if isinstance(weight, (int, float)):
                return f'{_config_path(call.path, case)}.{attribute}', float(weight)
    return None


def _config_path(path: str, case: Case) -> str:
    """Where a distiller's module stands in the config; its own path where that is unknown."""
    for tried in (path, path.split('.', 1)[-1]):
        node, keys = case.cfg.model.distiller, []
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


def suggestion(term: Term, ratio: float, case: Case) -> tuple[str, dict | None]:
    """What to set so that a term's gradient is as large as the task's; text and data."""
    found = _weight_of(term, case)
    if found is None:
        return f'multiply its weight by {1 / ratio:.2g}', None
    setting, weight = found
    wanted = float(f'{weight / ratio:.2g}')
    return (f'{setting}={wanted:g} (now {weight:g}) would make both as large',
            dict(setting=setting, now=weight, suggested=wanted))


def _judge(terms: list, norm: float, case: Case, section: Section) -> dict:
    """Call out terms that drown the task loss, and distillation that the task loss drowns."""
    advice = {}
    distilling = [term for term in terms if term.distills]
    for term in distilling:
        ratio = term.norm / norm
        if ratio <= DROWNS:
            continue
        text, advice[term.name] = suggestion(term, ratio, case)
        tell = section.error if ratio > HOPELESS else section.warn
        tell(f"{term.name} drowns the task loss: its gradient at the student is {number(ratio)} "
             f"times the task's; {text}")
    total = sum(term.norm for term in distilling)
    if distilling and 0 < total < LOST * norm:
        term = max(distilling, key=lambda term: term.norm)
        text, advice[term.name] = suggestion(term, term.norm / norm, case)
        section.warn(f'the task loss drowns the distillation: the largest gradient, that of '
                     f"{term.name}, is {number(term.norm / norm)} times the task's; {text}")
    return advice


def examine(case: Case, section: Section) -> None:
    """Measure every term on the batch of the forward pass."""
    terms = terms_of(case.losses, case.distils)
    if not terms:
        section.error('the model gives no loss: none of its outputs has "loss" in its name')
        return
    parameters = [p for p in case.student.parameters() if p.requires_grad]
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
    still = [term.name for term in distilling if term.norm == 0]
    if distilling and len(still) == len(distilling):
        section.warn('no gradient of the distillation reaches the student in the first step; a '
                     'schedule may begin later, else look at the terms')
    elif still:
        section.note(f"{', '.join(still)}: no gradient at the student in the first step")
    if not norm and not distilling:
        section.error('no gradient reaches the model; see which parameters are trained')
    section.data['advice'] = _judge(terms, norm, case, section) if norm and not bad else {}
