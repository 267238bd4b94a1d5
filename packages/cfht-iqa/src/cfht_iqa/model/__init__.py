"""The network of two inputs: how it is fed, trained, kept and judged (needs cfht-iqa[model])."""
