"""The Common Index File Format (Lin et al., SIGIR 2020)."""
