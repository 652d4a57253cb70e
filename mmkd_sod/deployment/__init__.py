"""Exporting a trained student to a folder that runs without torch.

``shipment`` writes the folder; ``predict`` is a script in it, which does not import this
package.
"""
