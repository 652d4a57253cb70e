# HKDNet-S: two Shunted Transformers T, 30.44 M parameters.
model = dict(
    type='mmkd_sod.HKDNet',
    data_preprocessor=dict(type='mmkd_sod.RGBDDataPreprocessor'),
    encoder=dict(type='mmkd_sod.ShuntedTransformer', arch='T'),
    decode_head=dict(type='mmkd_sod.HKDHead'))
