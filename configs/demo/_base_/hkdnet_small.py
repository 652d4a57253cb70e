"""A small HKDNet from random weights: a quarter of the released channels, one block per stage."""
_base_ = ['../../_base_/models/hkdnet.py']
dims = (16, 32, 64, 128)
model = dict(
    encoder=dict(
        embed_dims=dims, heads=(2, 2, 4, 4), depths=(1, 1, 1, 1), mlp_ratios=(2, 2, 2, 2),
        drop_path_rate=0.0),
    decode_head=dict(in_channels=dims, heads=(1, 2, 2, 4), repeats=(1, 1, 1, 1)))
