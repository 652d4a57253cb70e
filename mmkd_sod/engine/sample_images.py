"""Sample images of a config's data, and the predictions of models on them."""

import cv2
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, DefaultScope
from mmengine.utils import import_modules_from_strings

from mmkd_sod.engine.build_runner import enter_scope
from mmkd_sod.engine.checks import check_data
from mmkd_sod.errors import ConfigError, DataError
from mmkd_sod.utils.images import read_image
from mmkd_sod.visualization.predictions import prediction_of, truth_of


def spread_evenly(count: int, total: int) -> list[int]:
    """Return up to ``count`` evenly spaced indices below ``total``."""
    step = total / max(1, min(count, total))
    return [int(step * (place + 0.5)) for place in range(min(count, total))]


def build_dataset(cfg: Config, loader: str = 'test_dataloader'):
    """Build the data set of one of a config's loaders.

    Raises:
        ConfigError: The config has no such loader.
        DataError: Files of the data set do not exist.
    """
    if not (cfg.get(loader) or {}).get('dataset'):
        raise ConfigError(f'the config has no {loader}.dataset; add one to draw images')
    check_data(cfg, [loader])
    if cfg.get('custom_imports'):
        import_modules_from_strings(**cfg.custom_imports)
    enter_scope(cfg)
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        dataset = DATASETS.build(cfg[loader].dataset)
    dataset.full_init()
    return dataset


class SampleImages:
    """Evenly spaced images of a data set, with ground truth and predictions of models.

    Args:
        dataset (BaseDataset): A data set with its test pipeline.
        count (int): Number of images.

    Attributes:
        images (list[np.ndarray]): (H, W, 3), uint8, RGB, in the size of the files.
        names (list[str]): File names.
        classes (Sequence[str]): Names of the classes.
        palette (Sequence | None): Colours of the classes.

    Raises:
        DataError: An image cannot be read, or the set is empty.
    """

    def __init__(self, dataset, count: int) -> None:
        if not len(dataset):
            raise DataError('the data set has no images; check its annotation file')
        indices = spread_evenly(count, len(dataset))
        self.packed = [dataset[index] for index in indices]
        self.infos = [dataset.get_data_info(index) for index in indices]
        for info in self.infos:
            if 'img_path' not in info:
                raise DataError(
                    'the data set has no img_path for its images; drawing them needs '
                    'one; add it in the data set'
                )
        self.images = [
            cv2.cvtColor(read_image(info['img_path']), cv2.COLOR_BGR2RGB) for info in self.infos
        ]
        self.names = [info['img_path'].replace('\\', '/').rsplit('/', 1)[-1] for info in self.infos]
        self.classes = dataset.metainfo.get('classes') or ()
        self.palette = dataset.metainfo.get('palette')

    def predictions(self, model: BaseModel, preprocessor=None) -> list[dict]:
        """Return the predictions of a model, computed one image at a time without gradients.

        The model predicts in eval mode; its mode is restored.

        Args:
            model (BaseModel): A detector or segmentor.
            preprocessor (nn.Module, optional): Replaces the model's own preprocessor.

        Returns:
            list[dict]: One prediction per image, see ``mmkd_sod.visualization.predictions``.
        """
        modes = {module: module.training for module in model.modules()}
        preprocessor = preprocessor or model.data_preprocessor
        model.eval()
        predictions = []
        try:
            with torch.no_grad():
                for packed in self.packed:
                    data = preprocessor(pseudo_collate([packed]), False)
                    # Clones, since models write their predictions into the samples.
                    samples = [sample.clone() for sample in data['data_samples']]
                    found = model(data['inputs'], samples, mode='predict')
                    predictions.append(prediction_of(found[0]))
        finally:
            for module, mode in modes.items():
                module.training = mode
        return predictions

    def truths(self, like: dict) -> list[dict | None]:
        """Return the ground truth of each image in the form of a prediction.

        Args:
            like (dict): A prediction of the model; decides whether masks are saliency masks.
        """
        return [
            truth_of(info, packed['data_samples'], 'saliency' in like)
            for info, packed in zip(self.infos, self.packed, strict=True)
        ]
