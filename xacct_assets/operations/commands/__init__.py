"""The commands of `xacct`, one module each: its arguments, and what it prints.

Imports that only one command needs are inside its function, so that `xacct --help` is fast.
"""
