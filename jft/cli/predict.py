"""placeholder"""
HELP = ""
DESCRIPTION = ""
def add_arguments(parser): ...
def run(args, overrides, command): return 0
