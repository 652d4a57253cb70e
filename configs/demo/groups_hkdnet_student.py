"""RGB-D groups: the plain student."""
_base_ = [
    './_base_/hkdnet_small.py', './_base_/groups_rgbd.py', './_base_/schedule_groups.py'
]
