"""Transforms that add a teacher's saliency map to a sample as its label."""

from mmcv.transforms import BaseTransform

from mmkd_sod.errors import DataError
from mmkd_sod.registry import TRANSFORMS
from mmkd_sod.utils.weak_labels import check_key, from_levels, label_path, read_label, to_levels


def _attach(results: dict, label) -> dict:
    """Add a label to a sample so that flips and crops transform it too."""
    results['weak_label'] = label
    results.setdefault('seg_fields', []).append('weak_label')
    return results


@TRANSFORMS.register_module()
class LoadWeakLabel(BaseTransform):
    """Load a teacher's map of an image, written by ``tools/generate_weak_labels.py``.

    Put it after the loading of the image and before flips and crops, which then transform map and
    image alike.

    Required keys: ``img_name``, ``dataset_name``, ``ori_shape``. Added: ``weak_label`` (H, W),
    float32, in [0, 1].

    Args:
        label_root (str): Folder of the labels.
        teacher (str, optional): Config of the teacher. With ``teacher_ckpt`` labels of another
            teacher are refused.
        teacher_ckpt (str, optional): Checkpoint of the teacher.
        side (int): Side of the teacher's input.

    Raises:
        DataError: The folder has no labels or those of another teacher; or the label of a sample is
            missing, damaged or differs in size from the image.
    """

    def __init__(
        self,
        label_root: str,
        teacher: str | None = None,
        teacher_ckpt: str | None = None,
        side: int = 352,
    ) -> None:
        key = None
        if teacher is not None and teacher_ckpt is not None:
            from mmkd_sod.models.saliency_inferencer import key_of_files

            key = key_of_files(teacher, teacher_ckpt, side)
        check_key(label_root, key)
        self.label_root = label_root

    def transform(self, results: dict) -> dict:
        """Load the label of a sample."""
        path = label_path(self.label_root, results['dataset_name'], results['img_name'])
        label = read_label(path)
        if label.shape != tuple(results['ori_shape']):
            raise DataError(
                f"weak label '{path}' is {label.shape[1]} x {label.shape[0]}, its image "
                f'{results["ori_shape"][1]} x {results["ori_shape"][0]}; the image has changed; '
                'remove the label and run tools/generate_weak_labels.py again'
            )
        return _attach(results, label)


@TRANSFORMS.register_module()
class PredictWeakLabel(BaseTransform):
    """Predict the teacher's map of an image while it is loaded, instead of reading it from a file.

    For tests of labels, or of a teacher before its labels are written; needs a teacher forward per
    image in the data loader. Maps are rounded as in files. They are bit-identical to labels written
    with ``--batch-size 1``; in larger batches the order of summation may change single levels.

    Required keys: ``img``. Added: ``weak_label`` (H, W), float32, in [0, 1].

    Args:
        teacher (str): Config of the teacher.
        teacher_ckpt (str): Checkpoint of the teacher.
        side (int): Side of the teacher's input.
        device (str): Device of the teacher.
        bits (int, optional): 8 or 16, bit depth of the files; None for no rounding.
    """

    def __init__(
        self,
        teacher: str,
        teacher_ckpt: str,
        side: int = 352,
        device: str = 'cpu',
        bits: int | None = 16,
    ) -> None:
        from mmkd_sod.models.saliency_inferencer import SaliencyInferencer

        self.inferencer = SaliencyInferencer(teacher, teacher_ckpt, device=device, side=side)
        self.bits = bits

    def transform(self, results: dict) -> dict:
        """Predict the label of a sample."""
        label = self.inferencer([results['img']])[0]
        if self.bits is not None:
            label = from_levels(to_levels(label, self.bits))
        return _attach(results, label)
