"""A two-account AWS on this machine: real IAM decisions, real Spark, a real database."""
