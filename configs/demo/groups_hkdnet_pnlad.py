"""RGB-D groups: positive and negative logits only."""
_base_ = ['./groups_hkdnet_hkd.py']
model = dict(distiller=dict(loss_fpd=None, loss_dssd=None, loss_dssd_decoder=None))
