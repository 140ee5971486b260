"""People's own files as documents: which there are, what each holds, and what was passed over."""
