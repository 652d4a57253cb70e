"""Batches of detection, segmentation, video and semi-supervised training."""

import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmkd_sod.doctor.batches import images_of, label_maps, samples_of

IMAGE = torch.zeros(3, 4, 4)


def test_a_plain_batch():
    sample = DetDataSample()
    batch = dict(inputs=[IMAGE], data_samples=[sample])
    assert images_of(batch) == [IMAGE] and samples_of(batch) == [sample]
    assert samples_of(dict(inputs=[IMAGE])) == []
    assert images_of(dict(inputs=dict(img=[IMAGE], depth=[torch.ones(1)])))[0] is IMAGE


def test_branches_leave_out_what_they_lack():
    sample = DetDataSample()
    batch = dict(
        inputs=dict(sup=[IMAGE, None], unsup=[None, IMAGE]),
        data_samples=dict(sup=[sample, None], unsup=[None, sample]),
    )
    assert len(images_of(batch)) == len(samples_of(batch)) == 2


def test_videos_are_their_frames():
    frames = [DetDataSample(), DetDataSample()]
    batch = dict(inputs=[IMAGE[None]], data_samples=[TrackDataSample(video_data_samples=frames)])
    assert samples_of(batch) == frames


def test_label_maps_of_both_packages():
    ours = SegDataSample(gt_sem_seg=PixelData(data=torch.ones(1, 2, 2)))
    theirs = DetDataSample(gt_sem_seg=PixelData(sem_seg=torch.zeros(1, 2, 2)))
    assert [float(found.mean()) for found in label_maps([ours, theirs, DetDataSample()])] == [1, 0]
