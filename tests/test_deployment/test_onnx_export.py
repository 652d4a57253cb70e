"""The exported module predicts as testing does; with onnx, so does the file."""

import numpy as np
import pytest
import torch

from mmkd_sod.deployment.onnx_export import (
    SaliencyModule,
    export_onnx,
    largest_difference,
    write_onnx,
)
from mmkd_sod.deployment.pooling import MatmulAdaptivePool
from mmkd_sod.errors import ConfigError, UserError
from mmkd_sod.models.saliency_inferencer import SaliencyInferencer
from tests.saliency import save_network
from tests.sod_data import disc


@pytest.fixture
def inferencer(tmp_path):
    return SaliencyInferencer(*save_network(tmp_path), side=64)


def test_module_equals_the_inferencer(inferencer):
    image = disc(64, 64)[0]
    with torch.no_grad():
        rgb = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)[None].float()
        saliency = SaliencyModule(inferencer.model)(rgb)[0, 0].numpy()
    np.testing.assert_allclose(saliency, inferencer([image])[0], atol=1e-5)


def test_file_equals_torch_for_any_batch(inferencer, tmp_path):
    pytest.importorskip('onnx')
    runtime = pytest.importorskip('onnxruntime')
    out = tmp_path / 'a.onnx'
    assert export_onnx(inferencer, out) <= 1e-4
    session = runtime.InferenceSession(str(out), providers=['CPUExecutionProvider'])
    for n in (1, 3):
        x = torch.rand(n, 3, 64, 64) * 255
        with torch.no_grad():
            expected = SaliencyModule(inferencer.model)(x).numpy()
        np.testing.assert_allclose(session.run(None, dict(image=x.numpy()))[0], expected, atol=1e-4)
    with pytest.raises(UserError, match='exists already'):
        export_onnx(inferencer, out)


def test_refuses(inferencer, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'onnx', None)
    with pytest.raises(UserError, match='the package onnx is not'):
        export_onnx(inferencer, tmp_path / 'a.onnx')
    inferencer.model.decode_head = torch.nn.Identity()
    with pytest.raises(ConfigError, match='has no decode_head'):
        SaliencyModule(inferencer.model)


def test_a_model_of_bgr_images_gets_them(inferencer):
    rgb = torch.rand(1, 3, 64, 64) * 255
    with torch.no_grad():
        expected = SaliencyModule(inferencer.model)(rgb.flip(1))
        inferencer.model.data_preprocessor.channel_conversion = False
        found = SaliencyModule(inferencer.model)(rgb)
    assert torch.equal(found, expected)


class Strange(torch.nn.Module):
    """Network with an operation that ONNX does not support."""

    model, output_names = torch.nn.Identity(), ['y']

    def forward(self, x):
        return torch.linalg.qr(x)[0]


def test_an_operation_that_onnx_does_not_support(tmp_path):
    pytest.importorskip('onnx')
    with pytest.raises(ConfigError, match='Identity cannot be exported to ONNX'):
        write_onnx(Strange(), torch.rand(1, 3, 4, 4), tmp_path / 'a.onnx')


@pytest.mark.parametrize('output, dynamic', [(2, (2, 3)), (3, (2, 3)), (3, ())])
def test_sizes_may_change_where_they_are_dynamic(tmp_path, output, dynamic):
    pytest.importorskip('onnx')
    pytest.importorskip('onnxruntime')
    module = MatmulAdaptivePool(output)
    module.output_names = ['y']
    images = torch.rand(1, 3, 11, 7)
    expected = write_onnx(module, images, tmp_path / 'a.onnx', dynamic)
    assert largest_difference(tmp_path / 'a.onnx', images.numpy(), expected) < 1e-5
    assert largest_difference(tmp_path / 'a.onnx', images.numpy(), [expected[0] + 5]) > 0.5
    assert largest_difference(tmp_path / 'a.onnx', images.numpy(), [expected[0][:, :1]]) == np.inf
    other = torch.rand(1, 3, 16, 9)
    if dynamic:
        wanted = [module(other).numpy()]
        assert largest_difference(tmp_path / 'a.onnx', other.numpy(), wanted) < 1e-5
