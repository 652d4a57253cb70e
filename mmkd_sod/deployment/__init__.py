"""A trained student as a folder that runs without torch.

:mod:`.shipment` leads; :mod:`.predict` is the script that is shipped, and imports nothing of this
package.
"""
