"""HKDNet-S <- HKDNet-T, positive and negative logits only."""
_base_ = ['./hkdnet_s_hkd.py']
model = dict(distiller=dict(loss_fpd=None, loss_dssd=None, loss_dssd_decoder=None))
