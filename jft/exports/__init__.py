"""A network out of jft: into another library's files, or as a program.

What is written is read back and compared before it gets its name.
"""
