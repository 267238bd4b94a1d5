"""Figures, pages that show them, and tables for other programs."""
