"""The arrival sensor: requests a run for each day whose raw files are new or changed.

A *fingerprint* (`contract/fingerprint.py`) stands for a day's set of (key, size, ETag). It is
*settled* when it has been the day's fingerprint for ``settle_seconds`` (or when a marker is newer
than every file), and the day has ``min_files``. For every day that the sensor lists:

1. A settled fingerprint that differs from the one requested last is requested.
2. A fingerprint that did not change is not requested again, whatever happens to the cursor.
3. A fingerprint that changed before it settled may never be requested. The one that stays always
   is.

Modules:

- `sensor`: the Dagster sensor; `notifications`: the days that S3's notifications name.
- `tick`: one evaluation, from the cursor to planned runs and the next cursor.
- `policy`: the settings of a tick, its window and its sweep. `day_folders`: keys and days.
- `listing`: lists a day's folder page by page within the tick's time.
- `decision`: what one listing means for its day. `planned_runs`: the runs that are requested.
- `request_history`: the requests made so far, and how the cursor is brought in line with them.
  `run_history` reads them from Dagster's run storage.
- `cursor`: what the sensor remembers between two ticks.

Only `sensor` and `run_history` know Dagster. None of them knows boto3.
"""
