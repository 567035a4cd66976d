"""The command `xacct`: what an operator does with an installation outside of Dagster."""
