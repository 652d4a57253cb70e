"""A quarter of the RGB-D groups: the plain student."""
_base_ = ['./_base_/hkdnet_small.py', './_base_/few_groups.py']
