"""Jupyter's defaults for everyone in the container; a user's ~/.jupyter wins."""

c = get_config()  # noqa: F821 - Jupyter defines it

# One memory and CPU reading for the whole server: it is the user's machine.
c.ResourceUseDisplay.track_cpu_percent = True
# Checkpoints would land in the project and make its tree dirty.
c.FileCheckpoints.checkpoint_dir = "/tmp/checkpoints"  # noqa: S108 - the container is one user
