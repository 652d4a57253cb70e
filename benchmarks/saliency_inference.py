"""Images per second of the 0.80 M SCFNet student on one CPU core: torch and ONNX Runtime.

From decoded images of 352 x 352 to maps, with batches of one and eight and random weights;
preprocessing and resizing are included.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from cells import Cells
from common import interleaved, median, parse, parser
from mmengine.registry import init_default_scope

import mmkd_sod  # noqa: F401
from mmkd_sod.deployment.onnx_export import export_onnx
from mmkd_sod.models.builder import build_model
from mmkd_sod.models.saliency_inferencer import SaliencyInferencer, saliency_config

CONFIG = 'configs/_base_/models/scfnet_mobilenetv3.py'
SIDE = 352


def variants(folder: Path, batches: list[int]) -> tuple[dict[str, Callable[[], None]], float]:
    """Return functions that predict a batch, by name, and the difference of ONNX and torch."""
    import onnxruntime

    init_default_scope('mmseg')
    torch.manual_seed(0)
    model = build_model(saliency_config(CONFIG).model)
    torch.save(dict(state_dict=model.state_dict()), folder / 'student.pth')
    inferencer = SaliencyInferencer(CONFIG, folder / 'student.pth', 'cpu', SIDE)
    difference = export_onnx(inferencer, folder / 'student.onnx')
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(
        str(folder / 'student.onnx'), options, providers=['CPUExecutionProvider']
    )
    name = session.get_inputs()[0].name
    rng = np.random.default_rng(0)
    made = {}
    for number in batches:
        images = list(rng.integers(0, 256, (number, SIDE, SIDE, 3), dtype=np.uint8))

        def onnx(images=images):
            stacked = np.stack([image[..., ::-1].transpose(2, 0, 1) for image in images])
            session.run(None, {name: stacked.astype(np.float32)})

        made[f'torch, {number}'] = lambda images=images: inferencer(images)
        made[f'onnx, {number}'] = onnx
    return made, difference


def main() -> None:
    """Time both at each batch size."""
    arguments = parser(__doc__.splitlines()[0])
    arguments.set_defaults(threads=1, rounds=31)
    args = parse(arguments)

    def measure(_: str) -> dict:
        with tempfile.TemporaryDirectory() as folder:
            made, difference = variants(Path(folder), [1, 8])
            seconds = interleaved(made, args.rounds, args.warmup)
        rates = {
            name: round(int(name.split()[-1]) / median(values), 1)
            for name, values in seconds.items()
        }
        return dict(images_per_second=rates, onnx_differs_by=difference)

    Cells('saliency_inference_cpu', dict(side=SIDE, rounds=args.rounds), again=args.again).measure(
        ('scfnet_mobilenetv3',), measure, lambda _, cell: str(cell['images_per_second'])
    )


if __name__ == '__main__':
    main()
