"""Commands that train models, and check what they were trained on."""
