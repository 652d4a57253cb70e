"""A few images of a config's data, and what models answer on them."""
import cv2
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, DefaultScope, init_default_scope
from mmengine.utils import import_modules_from_strings

from mmkd_sod.engine.checks import check_data
from mmkd_sod.errors import ConfigError, DataError
from mmkd_sod.models.builder import build_model
from mmkd_sod.models.student import student_config
from mmkd_sod.utils.checkpoint import check_fits, read_checkpoint
from mmkd_sod.utils.images import read_image
from mmkd_sod.visualization.answers import prediction_of, truth_of


def spread_evenly(count: int, total: int) -> list[int]:
    """``count`` indices spread evenly over ``total``, all of them where there are fewer."""
    step = total / max(1, min(count, total))
    return [int(step * (place + .5)) for place in range(min(count, total))]


def build_dataset(cfg: Config, loader: str = 'test_dataloader'):
    """The data set of one of a config's loaders.

    Raises:
        ConfigError: The config has no such loader.
        DataError: Its files are not there.
    """
    if not (cfg.get(loader) or {}).get('dataset'):
        raise ConfigError(f'the config has no {loader}; add one to see images')
    check_data(cfg, [loader])
    if cfg.get('custom_imports'):
        import_modules_from_strings(**cfg.custom_imports)
    init_default_scope(cfg.get('default_scope') or 'mmengine')
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        dataset = DATASETS.build(cfg[loader].dataset)
    dataset.full_init()
    return dataset


class SampleImages:
    """Images of a data set with their truth, ready for any model that was trained on it.

    Args:
        dataset (BaseDataset): A data set with its test pipeline.
        count (int): How many images, spread evenly over the set.

    Attributes:
        images (list[np.ndarray]): (H, W, 3), uint8, RGB, as they are on disk.
        names (list[str]): Their files' names.
        classes (Sequence[str]): Names of the classes.
        palette (Sequence | None): Their colours.

    Raises:
        DataError: An image cannot be read, or the set is empty.
    """
    def __init__(self, dataset, count: int) -> None:
        if not len(dataset):
            raise DataError('the data set holds no image; look at its annotation file')
        indices = spread_evenly(count, len(dataset))
        self.packed = [dataset[index] for index in indices]
        self.infos = [dataset.get_data_info(index) for index in indices]
        for info in self.infos:
            if 'img_path' not in info:
                raise DataError('the data set tells no img_path of its images; panels need one')
        self.images = [cv2.cvtColor(read_image(info['img_path']), cv2.COLOR_BGR2RGB)
                       for info in self.infos]
        self.names = [info['img_path'].replace('\\', '/').rsplit('/', 1)[-1]
                      for info in self.infos]
        self.classes = dataset.metainfo.get('classes') or ()
        self.palette = dataset.metainfo.get('palette')

    def predictions(self, model: BaseModel, preprocessor=None) -> list[dict]:
        """Answers of a model, one image at a time, in eval mode and without gradients.

        The model is left in the mode it was in.

        Args:
            model (BaseModel): A detector or segmentor.
            preprocessor (nn.Module, optional): Stands in for the model's own.

        Returns:
            list[dict]: An answer for each image, see :mod:`mmkd_sod.visualization.answers`.
        """
        modes = {module: module.training for module in model.modules()}
        preprocessor = preprocessor or model.data_preprocessor
        model.eval()
        answers = []
        try:
            with torch.no_grad():
                for packed in self.packed:
                    data = preprocessor(pseudo_collate([packed]), False)
                    found = model(data['inputs'], _fresh(data['data_samples']), mode='predict')
                    answers.append(prediction_of(found[0]))
        finally:
            for module, mode in modes.items():
                module.training = mode
        return answers

    def truths(self, like: dict) -> list[dict | None]:
        """What is true of each image.

        Args:
            like (dict): An answer of a model: of a saliency network, masks are of saliency.
        """
        return [truth_of(info, packed['data_samples'], 'saliency' in like)
                for info, packed in zip(self.infos, self.packed, strict=True)]


def _fresh(samples: list) -> list:
    """Copies, since models write their answers into the samples."""
    return [sample.clone() for sample in samples]


def load_model(cfg: Config, checkpoint, device: str | None = None) -> BaseModel:
    """A plain model with its weights, in eval mode; of a distillation, the student.

    Args:
        cfg (Config): Config of the run.
        checkpoint (str | Path): Its checkpoint.
        device (str, optional): A GPU where there is one by default.

    Raises:
        CheckpointError: The checkpoint is missing, unsafe or does not fit.
    """
    plain = student_config(cfg)
    plain.model.setdefault('_scope_', plain.get('default_scope') or 'mmengine')
    with torch.random.fork_rng(devices=[]):
        model = build_model(plain.model)
    state, _ = read_checkpoint(str(checkpoint))
    check_fits(model, state, f"checkpoint '{checkpoint}'", 'the model of its config')
    model.load_state_dict(state)
    device = device or ('cuda' if torch.cuda.is_available() else 'cpu')
    return model.to(device).eval()
