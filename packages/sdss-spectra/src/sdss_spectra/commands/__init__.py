"""The verbs of the command, one module each; heavy imports stay inside the verb."""
