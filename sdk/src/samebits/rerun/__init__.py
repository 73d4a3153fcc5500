"""Repeat a recorded run: plan, worktree, execution, comparison, verdict; one module a step."""
