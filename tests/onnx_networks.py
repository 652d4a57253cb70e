"""A small network in an ONNX file."""

import numpy as np
import onnx
from onnx import TensorProto, helper


def write_network(path, sizes=('n', 3, 'h', 'w'), channels=1, kind=TensorProto.FLOAT) -> str:
    """Write ``sigmoid(w x)``, a convolution of size 1, with the outputs map, logits and score.

    Args:
        path (Path): File to write; returned as a string.
        sizes (Sequence): Of the input; names leave a dimension open.
        channels (int): Of map and logits.
        kind (int): ONNX type of all numbers.
    """
    weight = np.arange(1, 3 * channels + 1, dtype=np.float32).reshape(channels, 3, 1, 1) / 10
    if kind == TensorProto.FLOAT16:
        weight = weight.astype(np.float16)
    shape = [sizes[0], channels, *sizes[2:]]
    graph = helper.make_graph(
        [
            helper.make_node('Conv', ['image', 'weight'], ['logits']),
            helper.make_node('Sigmoid', ['logits'], ['map']),
            helper.make_node('ReduceMean', ['map'], ['score'], axes=[1, 2, 3], keepdims=0),
        ],
        'net',
        [helper.make_tensor_value_info('image', kind, sizes)],
        [
            helper.make_tensor_value_info('map', kind, shape),
            helper.make_tensor_value_info('logits', kind, shape),
            helper.make_tensor_value_info('score', kind, [sizes[0]]),
        ],
        [onnx.numpy_helper.from_array(weight, 'weight')],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)])
    model.ir_version = 8
    onnx.save(model, path)
    return str(path)
