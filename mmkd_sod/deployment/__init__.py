"""Exporting a trained student to a folder that runs without torch.

:mod:`.shipment` writes the folder; :mod:`.predict` is a script in it, which does not import this
package.
"""
