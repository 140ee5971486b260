"""An index in step with its sources: what changed, and only that, is encoded and committed."""
