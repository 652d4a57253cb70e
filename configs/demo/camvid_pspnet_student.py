"""CamVid: the plain student."""
_base_ = [
    './_base_/pspnet_small.py', './_base_/camvid_small.py', './_base_/schedule_camvid.py'
]
