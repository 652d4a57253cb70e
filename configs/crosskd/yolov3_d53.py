"""YOLOv3 Darknet-53 <- the same, settings of the release's unpublished branch (no figure there)."""
_base_ = ['mmdet::yolo/yolov3_d53_8xb8-ms-608-273e_coco.py']
custom_imports = dict(imports=['mmkd_sod'], allow_failed_imports=False)
model = dict(
    _delete_=True,
    type='mmkd_sod.DenseDistill',
    architecture=dict(cfg_path='mmdet::yolo/yolov3_d53_8xb8-ms-608-273e_coco.py'),
    teacher=dict(cfg_path='mmdet::yolo/yolov3_d53_8xb8-ms-608-273e_coco.py'),
    teacher_ckpt='https://download.openmmlab.com/mmdetection/v2.0/yolo/'
    'yolov3_d53_mstrain-608_273e_coco/yolov3_d53_mstrain-608_273e_coco_20210518_115020-a2c3acb8.pth',
    distiller=dict(
        type='mmkd_sod.CrossKDDistiller',
        loss_cls_kd=dict(type='mmkd_sod.KDQualityFocalLoss', beta=1.0, loss_weight=1.0),
        loss_conf_kd=dict(type='mmkd_sod.KDQualityFocalLoss', beta=1.0, loss_weight=1.0),
        loss_xy_kd=dict(type='mmkd_sod.KDQualityFocalLoss', beta=1.0, loss_weight=1.0),
        loss_wh_kd=dict(type='mmdet.MSELoss', loss_weight=2.0)))
