"""mmseg's own tools/train.py on a CSKD config."""

from pathlib import Path

import mmseg
import numpy as np
import pytest
from PIL import Image

from tests.runs import command

SIDES = ('architecture', 'teacher')


def write_camvid(root: Path, images: int = 4, size: tuple[int, int] = (96, 72)) -> None:
    """A data set in CamVid's layout: quadrants of random classes."""
    rng = np.random.default_rng(0)
    for split in ('train', 'val', 'test'):
        for folder in ('images', 'annotations'):
            (root / folder / split).mkdir(parents=True)
        for number in range(images):
            labels = np.kron(rng.integers(0, 11, (2, 2)), np.ones((size[1] // 2, size[0] // 2)))
            labels = labels.astype(np.uint8)
            name = f'{number}.png'
            Image.fromarray(labels).save(root / 'annotations' / split / name)
            Image.fromarray(np.stack([labels * 20] * 3, -1)).save(root / 'images' / split / name)


@pytest.mark.slow
@pytest.mark.parametrize('recipe', ['demo/camvid_pspnet_cskd', 'cskd/deeplabv3_r18_camvid'])
def test_mmsegs_own_train_py_needs_nothing_but_custom_imports(recipe, tmp_path):
    write_camvid(tmp_path / 'camvid')
    script = Path(mmseg.__file__).parent / '.mim' / 'tools' / 'train.py'
    options = [
        'model.teacher_ckpt=None',
        "model.teacher_allow_missing=['*']",
        'train_dataloader.batch_size=4',
        'default_hooks.logger.interval=1',
    ]
    for loader in ('train', 'val', 'test'):
        options += [
            f'{loader}_dataloader.num_workers=0',
            f'{loader}_dataloader.persistent_workers=False',
            f'{loader}_dataloader.dataset.data_root={tmp_path}/camvid',
        ]
    if recipe.startswith('demo'):
        options += ['train_cfg.max_epochs=2', 'train_cfg.val_interval=2']
        last = 'epoch_2.pth'
    else:
        options += [
            'train_cfg.max_iters=1',
            'train_cfg.val_interval=1',
            *(
                f'model.{side}.{place}=None'
                for side in SIDES
                for place in ('pretrained', 'backbone.init_cfg')
            ),
        ]
        last = 'iter_1.pth'
    out, _ = command(
        script, f'configs/{recipe}.py', '--work-dir', tmp_path / 'w', cfg_options=options
    ).communicate(timeout=400)
    assert 'distill.loss_cam' in out and 'mIoU' in out, out[-3000:]
    assert (tmp_path / 'w' / last).is_file()
