"""Figures, drawn without a display and with colours that colour-blind readers can tell apart."""
