"""What an index will cost before it is made: bytes, hours and nodes, each with its formula."""
