"""The `jft` command: one small file for every subcommand."""
