"""Jupyter's defaults for everyone in the container; a user's ~/.jupyter wins."""

c = get_config()

# One memory and CPU reading for the whole server: it is the user's machine.
c.ResourceUseDisplay.track_cpu_percent = True
# Checkpoints beside the notebooks would make the project's tree dirty.
c.FileCheckpoints.checkpoint_dir = "/tmp/checkpoints"
# TensorBoard in the launcher, on the folder that JupyterLab was started in.
c.ServerProxy.servers = {
    "tensorboard": {
        "command": ["tensorboard", "--logdir=.", "--host=127.0.0.1", "--port={port}"],
        "timeout": 60,
        "new_browser_tab": False,
        "launcher_entry": {"title": "TensorBoard"},
    },
}
