"""Records and run folders: settings, data and results of evaluations."""
