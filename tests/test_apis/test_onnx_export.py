"""The exported module answers as testing does; with onnx, so does the file."""
import numpy as np
import pytest
import torch

from mmkd_sod.apis.onnx_export import SaliencyModule, export_onnx
from mmkd_sod.apis.saliency_inferencer import SaliencyInferencer
from mmkd_sod.errors import ConfigError, UserError
from tests.saliency import save_network
from tests.sod_data import disc


@pytest.fixture
def inferencer(tmp_path):
    return SaliencyInferencer(*save_network(tmp_path), side=64)


def test_module_answers_as_the_inferencer(inferencer):
    image = disc(64, 64)[0]
    with torch.no_grad():
        rgb = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)[None].float()
        saliency = SaliencyModule(inferencer.model)(rgb)[0, 0].numpy()
    np.testing.assert_allclose(saliency, inferencer([image])[0], atol=1e-5)


def test_file_answers_as_torch_for_any_batch(inferencer, tmp_path):
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
    with pytest.raises(UserError, match='is there already'):
        export_onnx(inferencer, out)


def test_refuses(inferencer, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'onnx', None)
    with pytest.raises(UserError, match='needs the package onnx'):
        export_onnx(inferencer, tmp_path / 'a.onnx')
    inferencer.model.data_preprocessor.channel_conversion = False
    with pytest.raises(ConfigError, match='trained on BGR images'):
        SaliencyModule(inferencer.model)
