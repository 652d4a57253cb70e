"""The model card of an exported model."""

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmkd_sod.version import __version__

from .agreement import LIMIT, Agreement

_TASKS = dict(
    detection='object detection',
    segmentation='semantic segmentation',
    saliency='salient object detection',
)
_RESULTS = dict(detection='bboxes, scores, labels', segmentation='labels', saliency='saliency')
# With more classes the card gives their number only.
_NAMED = 40


@dataclass
class CardFacts:
    """Content of a model card.

    Attributes:
        name (str): Name of the model.
        spec (dict): Content of `model.json`.
        model (str): Types of the model, its backbone and its head.
        trained (str): Length of the training if the checkpoint has it, else ''.
        parameters (int): Number of parameters.
        input_size (str): Height and width of the network's input.
        tensors (float): Largest difference of the outputs on one image.
        agreement (Agreement): Metrics and times of the model and its export.
        threads (int): Number of threads of both.
        split (str): Evaluated split.
        ours (Sequence[str]): Types of mmkd_sod in the plain config.
    """

    name: str
    spec: dict
    model: str
    trained: str
    parameters: int
    input_size: str
    tensors: float
    agreement: Agreement
    threads: int
    split: str
    ours: Sequence[str]


def machine() -> str:
    """Return the name of the processor, if known, and its number of cores."""
    name = platform.processor() or platform.machine()
    try:
        for line in Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines():
            if line.startswith('model name'):
                name = line.partition(':')[2].strip()
                break
    except OSError:
        pass
    return f'{name}, {os.cpu_count()} cores'


def _plain(text: str) -> str:
    """Return text from a config or checkpoint as one line that Markdown shows as it is."""
    text = ' '.join(''.join(c if c.isprintable() else ' ' for c in str(text)).split())
    return re.sub(r'[<>&|`*\[\]\\]', lambda match: f'&#{ord(match[0])};', text)


def _classes(names: Sequence[str]) -> str:
    if len(names) <= _NAMED:
        return f'{len(names)}: {", ".join(map(_plain, names))}'
    return f'{len(names)}, named in `model.json`'


def write_card(facts: CardFacts, folder: Path) -> str:
    """Return the card as Markdown, with the sizes of the files in ``folder``."""
    import onnxruntime
    import torch

    spec, agreement = facts.spec, facts.agreement
    size = {
        name: f'{(folder / name).stat().st_size / 2**20:.2f} MiB'
        for name in ('model.onnx', 'weights.pth')
    }
    metrics = '\n'.join(
        f'| {_plain(name)} | {agreement.torch[name]:.4f} | {agreement.onnx[name]:.4f} '
        f'| {difference:.1e} |'
        for name, difference in agreement.differences.items()
    )
    needs = (
        ''
        if not facts.ours
        else f'; it needs {", ".join(f"`{name}`" for name in facts.ours)} of mmkd_sod'
    )
    return f"""# {_plain(facts.name)}

| | |
|---|---|
| task | {_TASKS[spec['task']]} |
| classes | {_classes(spec['classes'])} |
| model | {_plain(facts.model)}{_plain(facts.trained)} |
| parameters | {facts.parameters / 1e6:.2f} million |
| input | {facts.input_size}, RGB |
| files | `model.onnx` {size['model.onnx']}, `weights.pth` {size['weights.pth']} |

## Metrics

{agreement.images} images of the {facts.split} split. ONNX Runtime is evaluated with `predict.py`,
from the image file to the result; no metric differs by {LIMIT:g} or more (as a fraction of 1).
Outputs of both networks on one image differ by at most {facts.tensors:.1e}.

| metric | torch | ONNX Runtime | difference |
|---|---|---|---|
{metrics}

## Time per image

Median on {machine()}, {facts.threads} thread{'s' * (facts.threads > 1)}, batches of one.

| | ms |
|---|---|
| torch, from the resized image | {agreement.torch_ms:.1f} |
| ONNX Runtime, `predict.py`, from the decoded image | {agreement.onnx_ms:.1f} |

## Use

`predict.py` with `model.onnx` and `model.json` needs onnxruntime, OpenCV and numpy only:

    python predict.py photo.jpg folder/ --out-dir predictions

```python
import cv2
from predict import Predictor
result = Predictor()(cv2.imread('photo.jpg'))  # {_RESULTS[spec['task']]}
```

`config.py` and `weights.pth` are the same model for torch{needs}.

Made with mmkd_sod {__version__}, torch {torch.__version__}, onnxruntime {onnxruntime.__version__}.
"""
