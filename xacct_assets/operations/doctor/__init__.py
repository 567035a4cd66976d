"""`xacct doctor`: walks the chain from the settings to an export, and names the first cause.

`chain` lists the checks in the order of the chain; `runner` runs them. A link of the chain has a
module: what it proves, and what mends it.
"""
