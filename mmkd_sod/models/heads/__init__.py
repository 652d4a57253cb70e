"""How the towers, predictions and targets of detection heads are read."""
