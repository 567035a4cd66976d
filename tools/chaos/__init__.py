"""The chaos suite: random schedules of files, runs, kills and faults, and checks of the outcome.

`schedule` makes the schedule of a seed, `driver` executes it and lets the pipeline recover,
`oracle` checks the outcome against the raw files, `absorbed` classifies how each fault was handled,
`report` writes the report. `__main__` runs many seeds in workers (`make chaos SEEDS=N`) or one seed
(`make chaos SEED=n`).
"""
