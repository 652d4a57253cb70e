"""The images and samples of training batches of all kinds."""


def images_of(batch: dict) -> list:
    """Return all images of a training batch; those of videos are (frames, channels, height, width).

    Batches of semi-supervised training have branches, with None for images of another branch.
    """
    images = batch['inputs']
    if isinstance(images, dict):
        # Depth maps beside the images, or branches.
        images = images.get('img') or [image for branch in images.values() for image in branch]
    return [image for image in images if image is not None]


def samples_of(batch: dict) -> list:
    """Return all data samples of a training batch; those of videos are one per frame."""
    samples = batch.get('data_samples') or []
    if isinstance(samples, dict):
        samples = [sample for branch in samples.values() for sample in branch]
    return [
        frame
        for sample in samples
        if sample is not None
        for frame in getattr(sample, 'video_data_samples', [sample])
    ]


def label_maps(samples: list) -> list:
    """Return the label maps of data samples, as mmseg or mmdet packs them."""
    maps = [sample.gt_sem_seg for sample in samples if 'gt_sem_seg' in sample]
    return [found.data if 'data' in found else found.sem_seg for found in maps]
