"""What the label maps of a segmentation set hold, and the padding of a batch."""

from mmengine.model import BaseModel

from mmkd_sod.datasets.label_maps import examine_label_maps, never_seen
from mmkd_sod.engine.hooks.label_range_hook import label_range

from .report import Section

# Share of padding above which distillation terms are diluted noticeably.
_MUCH_PADDING = 0.5


def describe_label_maps(dataset, where: str, model: BaseModel | None, section: Section) -> None:
    """Add the share of each class in the label maps of a segmentor's data set.

    Args:
        dataset (BaseDataset): The data set.
        where (str): ``'train'`` or ``'val'``.
        model (BaseModel, optional): The model; nothing is added without mmseg's decode heads.
        section (Section): Gets the shares, and errors that would end training.
    """
    limits = None if model is None else label_range(model)
    if limits is None or not hasattr(dataset, 'get_data_info') or not len(dataset):
        return
    found = examine_label_maps(dataset)
    if not found.files:
        return
    names = tuple((getattr(dataset, 'metainfo', None) or {}).get('classes') or ())
    total, (classes, ignored) = max(sum(found.pixels.values()), 1), limits
    shares = [
        f'{names[value] if 0 <= value < len(names) else value} {pixels / total:.1%}'
        for value, pixels in sorted(found.pixels.items())
        if value not in ignored
    ]
    section.add(
        f'    {where}, {found.files} label maps: {", ".join(shares[:20])}'
        f'{", ..." if len(shares) > 20 else ""}; ignored {found.share(ignored):.1%}'
    )
    section.data.setdefault('label_maps', {})[where] = dict(found.pixels)
    fault = found.fault(classes, ignored)
    if fault:
        section.error(f'{where}: {fault}')
        return
    unseen = never_seen(found, names)
    if unseen and where == 'train':
        section.note(
            f'{where}: {len(unseen)} of {len(names)} classes are in none of {found.files} label '
            f'maps ({", ".join(unseen[:5])}); check the numbers of the classes'
        )
    if found.share(ignored) > 0.5:
        first = next(found.first[value] for value in ignored if value in found.first)
        section.warn(
            f'{where}: {found.share(ignored):.0%} of the pixels are ignored, such as in '
            f"'{first}'; check the values of the label maps"
        )


def padding_share(shapes: list) -> float:
    """Return the share of padding when images are padded to the largest height and width.

    Args:
        shapes (list): (channels, height, width) of each image of a batch.
    """
    heights, widths = [shape[-2] for shape in shapes], [shape[-1] for shape in shapes]
    area = sum(height * width for height, width in zip(heights, widths, strict=True))
    return 1 - area / max(len(shapes) * max(heights) * max(widths), 1)


def describe_padding(images: list, section: Section) -> None:
    """Add the share of padding in a batch, and warn where it dilutes terms that are averages."""
    share = padding_share([tuple(image.shape) for image in images])
    section.data['padding'] = share
    if share > 0.01:
        section.add(f'    {share:.0%} of the batch is padding')
    if share > _MUCH_PADDING:
        section.warn(
            f'{share:.0%} of the batch is padding, which distillation terms that are averages over '
            'pixels include; group images by aspect ratio (AspectRatioBatchSampler), or resize or '
            'crop them to one size'
        )
