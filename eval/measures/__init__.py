"""Values of a run by judgements, and curves of them."""
