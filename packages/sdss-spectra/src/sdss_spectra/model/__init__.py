"""The classifier: its inputs, its network, how it is trained, kept and used."""
