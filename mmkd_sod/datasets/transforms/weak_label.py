"""A teacher's saliency map as a sample's label."""
from mmcv.transforms import BaseTransform

from mmkd_sod.errors import DataError
from mmkd_sod.registry import TRANSFORMS
from mmkd_sod.utils.weak_labels import check_key, from_levels, label_path, read_label, to_levels


def _attach(results: dict, label) -> dict:
    """Put a label where flips and crops find it."""
    results['weak_label'] = label
    results.setdefault('seg_fields', []).append('weak_label')
    return results


@TRANSFORMS.register_module()
class LoadWeakLabel(BaseTransform):
    """Read the teacher's map of an image, written by ``tools/generate_weak_labels.py``.

    It goes after the loading of the image and before flips and crops, which then treat map and
    image alike.

    Required: ``img_name``, ``dataset_name``, ``ori_shape``. Added: ``weak_label`` (H, W), float32
    in [0, 1].

    Args:
        label_root (str): Folder of the labels.
        teacher (str, optional): The teacher's config. With ``teacher_ckpt``, labels of another
            teacher are refused.
        teacher_ckpt (str, optional): The teacher's checkpoint.
        side (int): Side of the teacher's input.

    Raises:
        DataError: The folder holds no labels or another teacher's; or, when a sample is loaded, its
            label is missing, damaged or of another size than the image.
    """

    def __init__(self, label_root: str, teacher: str | None = None,
                 teacher_ckpt: str | None = None, side: int = 352) -> None:
        key = None
        if teacher is not None and teacher_ckpt is not None:
            from mmkd_sod.models.saliency_inferencer import key_of_files
            key = key_of_files(teacher, teacher_ckpt, side)
        check_key(label_root, key)
        self.label_root = label_root

    def transform(self, results: dict) -> dict:
        path = label_path(self.label_root, results['dataset_name'], results['img_name'])
        label = read_label(path)
        if label.shape != tuple(results['ori_shape']):
            raise DataError(
                f"weak label '{path}' is {label.shape[1]} x {label.shape[0]}, its image "
                f'{results["ori_shape"][1]} x {results["ori_shape"][0]}; the image has changed: '
                'remove the label and run tools/generate_weak_labels.py again')
        return _attach(results, label)


@TRANSFORMS.register_module()
class PredictWeakLabel(BaseTransform):
    """Let the teacher label the image as it is loaded, in place of :class:`LoadWeakLabel`.

    It gives what the files would hold, rounded as they round, at the price of a forward of the
    teacher on the loader's side: for checks, and for trying a teacher before labels are written.
    Labels written with ``--batch-size 1`` and these then are equal bit for bit; in a larger batch
    the teacher's sums may be ordered otherwise and a level may differ.

    Required: ``img``. Added: ``weak_label`` (H, W), float32 in [0, 1].

    Args:
        teacher (str): The teacher's config.
        teacher_ckpt (str): The teacher's checkpoint.
        side (int): Side of the teacher's input.
        device (str): Where the teacher runs.
        bits (int, optional): 8 or 16, the depth of the files; None keeps the map as it is.
    """

    def __init__(self, teacher: str, teacher_ckpt: str, side: int = 352,
                 device: str = 'cpu', bits: int | None = 16) -> None:
        from mmkd_sod.models.saliency_inferencer import SaliencyInferencer
        self.inferencer = SaliencyInferencer(teacher, teacher_ckpt, device=device, side=side)
        self.bits = bits

    def transform(self, results: dict) -> dict:
        label = self.inferencer([results['img']])[0]
        if self.bits is not None:
            label = from_levels(to_levels(label, self.bits))
        return _attach(results, label)
