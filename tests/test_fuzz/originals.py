"""Valid files of every kind, and the loaders that they are fed to."""

import json
import pickle
from pathlib import Path

import mmengine
import numpy as np
import torch
from mmdet.datasets import CocoDataset
from mmengine.logging import HistoryBuffer
from mmengine.runner.checkpoint import CheckpointLoader

from mmkd_sod.__main__ import main
from mmkd_sod.apis.weak_label_writer import WeakLabelWriter
from mmkd_sod.datasets.sod_dataset import SODDataset
from mmkd_sod.datasets.voc import convert, read_xml
from mmkd_sod.models.student import student_checkpoint
from mmkd_sod.utils.array_pickle import load_array_pickle
from mmkd_sod.utils.checkpoint_files import latest_checkpoint
from mmkd_sod.utils.images import read_depth, read_image, read_mask, read_with_opencv, write_image
from mmkd_sod.utils.weak_labels import claim, label_path, read_key, read_label, write_label
from tests.sod_data import write_set
from tests.test_fuzz.mutations import mutate_archive, mutate_bytes, mutate_text
from tests.work_dirs import STUDENT, work_dir


class Kind:
    """A kind of file: ``make`` writes valid ones, ``load`` reads the folder."""

    mutate = staticmethod(mutate_text)

    def make(self, root: Path) -> list[Path]:
        """Write valid files; return those to mutate, one at a time."""
        raise NotImplementedError

    def load(self, root: Path, path: Path) -> None:
        """Read the folder as the tools do."""
        raise NotImplementedError


class Checkpoint(Kind):
    mutate = staticmethod(mutate_archive)

    def make(self, root):
        history = HistoryBuffer([1.0, 2.0], [1, 1])
        hub = dict(log_scalars={'train/loss': history}, runtime_info=dict(epoch=1), resumed_keys={})
        meta = dict(epoch=1, iter=2, seed=np.int64(3), dataset_meta=dict(classes=('a', 'b')))
        state = dict(a=torch.ones(3, 4), b=torch.zeros((), dtype=torch.long))
        torch.save(dict(state_dict=state, meta=meta, message_hub=hub), root / 'epoch_1.pth')
        torch.save(dict(state_dict=state, more=np.arange(4.0)), root / 'epoch_2.pth')
        return [root / 'epoch_1.pth', root / 'epoch_2.pth']

    def load(self, root, path):
        latest_checkpoint(root)
        student_checkpoint(str(path))
        CheckpointLoader.load_checkpoint(str(path))


class Paddle(Kind):
    mutate = staticmethod(mutate_bytes)

    def make(self, root):
        for protocol in (2, 4):
            content = dict(a=np.ones((2, 3), np.float32), b=np.arange(3))
            (root / f'{protocol}.pdparams').write_bytes(pickle.dumps(content, protocol))
        return sorted(root.iterdir())

    def load(self, root, path):
        load_array_pickle(path)


class Annotation(Kind):
    def make(self, root):
        content = [dict(name='a', box=[1.0, 2, 3], more=None, size=(3, 4)), 'text', 5]
        for suffix in ('pkl', 'yaml'):
            mmengine.dump(content, str(root / f'a.{suffix}'))
        return sorted(root.iterdir())

    def load(self, root, path):
        mmengine.load(str(path))


def _coco():
    images = [dict(id=n, file_name=f'{n}.png', width=60, height=40) for n in range(3)]
    boxes = [
        dict(id=n, image_id=n, category_id=1, bbox=[3, 4, 20.5, 10], area=205.0, iscrowd=0)
        for n in range(3)
    ]
    return dict(images=images, annotations=boxes, categories=[dict(id=1, name='a')])


class Coco(Kind):
    def make(self, root):
        (root / 'a.json').write_text(json.dumps(_coco()))
        return [root / 'a.json']

    def load(self, root, path):
        data = CocoDataset(
            ann_file=str(path), data_prefix=dict(img=''), metainfo=dict(classes=('a',)), pipeline=[]
        )
        for index in range(len(data)):
            data.get_data_info(index)


class Voc(Kind):
    def make(self, root):
        for folder in ('Annotations', 'JPEGImages', 'ImageSets/Main'):
            (root / folder).mkdir(parents=True)
        write_image(root / 'JPEGImages' / 'a.jpg', np.zeros((40, 60, 3), np.uint8))
        box = '<bndbox><xmin>3</xmin><ymin>4</ymin><xmax>20</xmax><ymax>30</ymax></bndbox>'
        size = '<size><width>60</width><height>40</height><depth>3</depth></size>'
        thing = f'<object><name>cat</name><difficult>0</difficult>{box}</object>'
        (root / 'Annotations/a.xml').write_text(f'<annotation>{size}{thing * 2}</annotation>')
        (root / 'ImageSets/Main/train.txt').write_text('a\n')
        return [root / 'Annotations/a.xml'] * 3 + [root / 'ImageSets/Main/train.txt']

    def load(self, root, path):
        if path.suffix == '.xml':
            read_xml(path)
        convert(root, root / 'out', force=True, progress=False)


class Image(Kind):
    mutate = staticmethod(mutate_bytes)

    def make(self, root):
        rng = np.random.default_rng(0)
        picture = rng.integers(0, 2, (20, 30, 1), dtype=np.uint8).repeat(3, 2) * 255
        for suffix in ('png', 'bmp', 'tif'):
            write_image(root / f'a.{suffix}', picture)
        write_image(root / 'b.png', picture[..., 0].astype(np.uint16) * 257)
        return sorted(root.iterdir())

    def load(self, root, path):
        read_with_opencv(path)
        read_image(path)
        read_mask(path)
        read_depth(path)


class Labels(Kind):
    def make(self, root):
        write_set(root / 'set')
        out = root / 'out'
        claim(out, '0' * 64, bits=8, side=32)
        for name in ('0', '1', '2'):
            write_label(label_path(out, 'set', name), np.full((4, 4), 0.25), 8)
        lines = [dict(image=f'set/{n}', confidence=0.5, salient=0.2) for n in range(3)]
        (out / 'stats.0of1.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in lines))
        return [out / 'labels.json', out / 'stats.0of1.jsonl', label_path(out, 'set', '1')]

    def load(self, root, path):
        read_key(root / 'out')
        images = [
            dict(dataset_name='set', img_name=str(n), img_path=str(root / f'set/image/{n}.png'))
            for n in range(3)
        ]
        WeakLabelWriter(None, images, root / 'out', root / 'set/image')._report()
        read_label(label_path(root / 'out', 'set', '1'))


class Listing(Kind):
    def make(self, root):
        write_set(root / 'set')
        text = '0.png\n# a comment\n"1.png"\n2.png 2.png\n'
        (root / 'set' / 'list.txt').write_text(text)
        return [root / 'set' / 'list.txt']

    def load(self, root, path):
        SODDataset(
            data_root=str(root / 'set'),
            ann_file='list.txt',
            data_prefix=dict(img_path='image', seg_map_path='mask'),
        )


class Log(Kind):
    def make(self, root):
        table = 'per class results:\n\n| class | IoU |\n+---+---+\n| cat | 50.1 |\n'
        val = [{'coco/bbox_mAP': 0.5, 'step': 12}]
        run = work_dir(root / 'run', STUDENT, val=val, test={'coco/bbox_mAP': 0.25}, log=table)
        return sorted(path for path in (run / '20260101_000000').rglob('*') if path.is_file())

    def load(self, root, path):
        out = root / 'report.html'
        main(['report', str(root / 'run'), '--images', '0', '--out', str(out), '--force'])


class Exported(Kind):
    def make(self, root):
        import onnx
        from onnx import TensorProto, helper

        value = helper.make_tensor_value_info
        shape = [1, 3, 'h', 'w']
        graph = helper.make_graph(
            [helper.make_node('Sigmoid', ['image'], ['saliency'])],
            'g',
            [value('image', TensorProto.FLOAT, shape)],
            [value('saliency', TensorProto.FLOAT, shape)],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
        onnx.save(model, root / 'model.onnx')
        spec = dict(task='saliency', classes=['a', 'b'], palette=[[0, 0, 0], [9, 9, 9]])
        (root / 'model.json').write_text(json.dumps(spec))
        return [root / 'model.json', root / 'model.onnx']

    def load(self, root, path):
        from mmkd_sod.deployment import predict

        predict.open_predictor(root)


KINDS = dict(
    checkpoint=Checkpoint(),
    paddle=Paddle(),
    annotation=Annotation(),
    coco=Coco(),
    voc=Voc(),
    image=Image(),
    labels=Labels(),
    listing=Listing(),
    log=Log(),
    exported=Exported(),
)
