"""The paths of the server, a group a module."""
