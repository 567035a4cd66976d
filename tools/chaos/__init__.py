"""The chaos suite: seeded schedules of files, runs, kills and faults; then quiet; then a judge.

`schedule` says what a seed does, `driver` does it, `oracle` judges what is left (by the raw files
alone), `absorbed` tells how each fault was taken, `report` writes it all up, `__main__` runs many
seeds in workers (`make chaos SEEDS=N`) or one (`make chaos SEED=n`).
"""
