"""Files of others and of ours: read with every fault named, written whole or not at all."""
