"""A network in an ONNX file teaches a student: its maps, its sizes, its mistakes."""

import pytest
import torch
from onnx import TensorProto

from mmkd_sod.errors import CheckpointError, ConfigError, InstallationError
from mmkd_sod.models.teachers import onnx_teacher
from mmkd_sod.registry import MODELS
from tests.onnx_networks import write_network
from tests.saliency import batch, distill

PREPROCESSOR = dict(
    type='mmseg.SegDataPreProcessor', mean=[10.0, 20.0, 30.0], std=[2.0, 3.0, 4.0], bgr_to_rgb=True
)


@pytest.fixture
def make(tmp_path):
    """Write a network: ``write_network`` with the path filled in; returns the path."""

    def write(*args, name='net.onnx', **kwargs):
        return write_network(tmp_path / name, *args, **kwargs)

    return write


def teacher(file, **settings):
    settings = dict(dict(activation='sigmoid'), **settings)
    return dict(
        type='mmkd_sod.OnnxTeacher', onnx_file=file, data_preprocessor=PREPROCESSOR, **settings
    )


def weighted(images, channels=1):
    weight = torch.arange(1.0, 3 * channels + 1).view(channels, 3) / 10
    return torch.einsum('oc,nchw->nohw', weight, images)


@pytest.mark.parametrize('output', [0, 'map'])
def test_probabilities_become_logits(make, output):
    model = MODELS.build(teacher(make(), output=output))
    images = torch.randn(2, 3, 6, 5)
    found = model(images)
    assert found.shape == (2, 1, 6, 5) and found.dtype == torch.float32
    assert torch.allclose(found, weighted(images), atol=1e-5)
    assert torch.allclose(model.network(images)[1], weighted(images), atol=1e-6)


@pytest.mark.parametrize('channels', [1, 4])
def test_logits_stay(make, channels):
    model = MODELS.build(teacher(make(channels=channels), output='logits', activation='none'))
    images = torch.randn(2, 3, 6, 5)
    assert torch.allclose(model(images), weighted(images, channels), atol=1e-6)
    assert model.decode_head.out_channels == channels


def test_certain_probabilities_stay_finite(make):
    model = MODELS.build(teacher(make()))
    found = model(torch.tensor([-1e4, 1e4]).view(2, 1, 1, 1).expand(2, 3, 4, 4))
    assert found.isfinite().all() and found.abs().min() > 10


def test_half_precision_files(make):
    model = MODELS.build(teacher(make(kind=TensorProto.FLOAT16), output=1, activation='none'))
    images = torch.randn(2, 3, 6, 5)
    assert torch.allclose(model(images), weighted(images), atol=1e-2)


def test_fixed_sizes_and_one_image_at_a_time(make):
    model = MODELS.build(teacher(make((1, 3, 8, 8)), output=1, activation='none'))
    images = torch.randn(3, 3, 16, 16)
    assert model.size == (8, 8) and model(images).shape == (3, 1, 8, 8)
    small = torch.randn(3, 3, 8, 8)
    assert torch.allclose(model(small), weighted(small), atol=1e-6)
    with pytest.raises(ConfigError, match='takes 2 images at a time, the batch has 3'):
        MODELS.build(teacher(make((2, 3, 8, 8))))(small)


def test_a_student_learns_its_map(make):
    model = distill(
        teacher=teacher(make()), teacher_allow_missing=(), teacher_input=dict(normalise=True)
    )
    inputs, samples = batch()
    losses = model(inputs, samples, mode='loss')
    total = sum(losses[name] for name in losses)
    total.backward()
    assert torch.isfinite(total) and len(losses) == 4
    assert all(p.grad is not None for p in model.student.decode_head.parameters())
    assert not [name for name in model.state_dict() if 'teacher' in name or 'network' in name]


def test_it_sees_images_normalised_as_its_preprocessor_does(make):
    model = distill(
        teacher=teacher(make(), output=1, activation='none'),
        teacher_allow_missing=(),
        teacher_input=dict(normalise=True),
    )
    pixels = torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8)
    data = lambda: dict(inputs=[pixels.clone()], data_samples=batch(1)[1])  # noqa: E731
    ours = model.data_preprocessor(data())['inputs']
    theirs = model.teacher.data_preprocessor(data())['inputs']
    seen = []
    model.teacher.network.register_forward_hook(lambda _, args, out: seen.append(args[0]))
    model(ours, batch(1)[1], mode='loss')
    assert torch.allclose(seen[-1], theirs, atol=1e-4) and theirs.std() > 1


def test_other_normalisation_needs_the_setting(make):
    with pytest.raises(ConfigError, match=r'teacher_input=dict\(normalise=True\)'):
        distill(teacher=teacher(make()), teacher_allow_missing=())


def test_mistakes(make, tmp_path, monkeypatch):
    file = make()
    (tmp_path / 'text.onnx').write_text('<html>')
    for settings, error, told in (
        (dict(file=str(tmp_path / 'none.onnx')), CheckpointError, 'cannot be read as ONNX'),
        (dict(file=str(tmp_path / 'text.onnx')), CheckpointError, 'cannot be read as ONNX'),
        (dict(file=file, output=3), ConfigError, r"no output 3; choose one of \['map'"),
        (dict(file=file, output='mask'), ConfigError, "no output 'mask'"),
        (dict(file=file, output='score'), ConfigError, 'choose one that is a map'),
        (dict(file=file, activation='tanh'), ConfigError, "choose one of 'none', 'sigmoid'"),
        (dict(file=make((1, 3, 8, 8), name='b.onnx'), size=(4, 4)), ConfigError, 'set size'),
    ):
        with pytest.raises(error, match=told):
            MODELS.build(teacher(**settings))
    with pytest.raises(ConfigError, match='leave teacher_ckpt out'):
        distill(teacher=teacher(file), teacher_ckpt='x.pth', teacher_input=dict(normalise=True))
    with pytest.raises(ConfigError, match='not a student'):
        MODELS.build(teacher(file))(torch.zeros(1, 3, 8, 8), mode='loss')

    def missing():
        raise InstallationError('OnnxTeacher: the package onnxruntime is not installed')

    monkeypatch.setattr(onnx_teacher, '_import_onnxruntime', missing)
    with pytest.raises(InstallationError, match='not installed'):
        MODELS.build(teacher(file))
